"""`omiumctl replay --status failed`: many executions replayed, each at most once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from omium_sync import Omium, ReplayOutcome

from .connection import Connection
from .failures import INTERRUPTED, REFUSED, Failure
from .outcomes import error_fields
from .progress import Progress
from .questions import can_ask, confirm
from .render import Output, state_text, write_json
from .tables import Rows
from .tally import Tally, reason

__all__ = ["replay_all"]


def replay_all(
    connection: Connection,
    output: Output,
    filters: dict[str, Any],
    *,
    yes: bool,
    journal: Path | None,
    concurrency: int | None,
    **which: Any,
) -> int:
    """Replay all executions that match; the exit status.

    :param filters: of ``replay_many``, as given. :param which: its ``checkpoint_name``, ``limit`` and ``dry_run``.
    """
    if not yes and not which["dry_run"] and not can_ask():
        raise click.UsageError("nobody can be asked here before many executions are replayed: give --yes")
    known = f": {journal} remembers what was done" if journal else ": what was replayed has another status by then"
    tally = Tally()
    interrupted = False
    try:
        with connection.client(on_attempt=tally.latencies.attempt) as omium:
            if not yes and not which["dry_run"]:
                _ask(omium, filters, which)
            _write_all(omium, tally, output, journal=journal, concurrency=concurrency or 32, **filters, **which)
    except KeyboardInterrupt:
        interrupted = True
    except BrokenPipeError:  # no success, unless nothing was to be written but rows
        if which["dry_run"]:
            raise
        raise Failure(f"stdout was closed before the end; run the same command again to go on{known}") from None
    if output is Output.TABLE and not (interrupted and not tally.states):
        click.echo("\n".join(tally.lines()))
    if interrupted:
        raise Failure(f"interrupted; run the same command again to go on{known}", INTERRUPTED)
    return REFUSED if tally.states["rejected"] or tally.states["unknown"] else 0


def _ask(omium: Omium, filters: dict[str, Any], which: dict[str, Any]) -> None:
    with Progress("looking", lines=False) as progress:
        asked: dict[str, Any] = {**filters, **which, "dry_run": True}
        count = sum(1 for _ in progress.over(omium.executions.replay_many(**asked)))
    confirm(f"Replay {count:,} {'execution' if count == 1 else 'executions'}?")


def _write_all(omium: Omium, tally: Tally, output: Output, **asked: Any) -> None:
    kept: list[dict[str, Any]] = []
    with Progress("replaying", beside=output is Output.JSONL) as progress:
        rows = Rows("id", "workflow", "outcome", "error", aside=progress.aside)
        try:
            for outcome in omium.executions.replay_many(**asked):
                tally.add(outcome.state, outcome.error, resumed=outcome.resumed, about=outcome.execution.id)
                progress.advance(tally.note)
                if output is Output.JSONL:
                    write_json(_row(outcome), output)
                elif output is Output.JSON:
                    kept.append(_row(outcome))
                else:
                    why = "" if outcome.error is None else reason(outcome.error, outcome.execution.id)
                    rows.add(outcome.execution.id, outcome.execution.workflow_id, state_text(outcome.state), why)
        finally:  # what is known is told, also when it ends early
            rows.flush()
            if output is Output.JSON:
                write_json(kept)


def _row(outcome: ReplayOutcome) -> dict[str, Any]:
    return {
        "id": outcome.execution.id,
        "workflow_id": outcome.execution.workflow_id,
        "state": outcome.state,
        "execution_id": None if outcome.result is None else outcome.result.execution_id,
        "resumed": outcome.resumed,
        **error_fields(outcome.error),
    }
