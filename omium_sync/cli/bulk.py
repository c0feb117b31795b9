"""`omiumctl replay --status failed`: many executions replayed, each at most once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from omium_async.outcomes import ReplayOutcome
from omium_sync import Omium

from .connection import Connection
from .failures import INTERRUPTED, REFUSED
from .interrupts import Interrupts
from .outcomes import error_fields
from .progress import Progress
from .render import Output, Rows, complain, state_text, write_json
from .tally import Tally, reason

__all__ = ["replay_all"]


def replay_all(
    connection: Connection,
    output: Output,
    *,
    journal: Path | None,
    concurrency: int | None,
    **which: Any,
) -> int:
    """Replay all executions that match; the exit status.

    :param which: ``status``, ``workflow_id``, ``checkpoint_name``, ``limit`` and ``dry_run`` of ``replay_many``.
    """
    tally = Tally()
    with Interrupts() as interrupts, connection.client(on_attempt=tally.latencies.attempt) as omium:
        _write_all(omium, tally, interrupts, output, journal=journal, concurrency=concurrency or 32, **which)
    if output is Output.TABLE:
        for line in tally.lines():
            click.echo(line)
    if interrupts.stopping:
        again = f": run the same command again to go on, {journal} remembers what was done" if journal else ""
        complain(f"interrupted{again}")
        return INTERRUPTED
    return REFUSED if tally.states["rejected"] or tally.states["unknown"] else 0


def _write_all(omium: Omium, tally: Tally, interrupts: Interrupts, output: Output, **asked: Any) -> None:
    kept: list[dict[str, Any]] = []
    with Progress("replaying", beside=output is Output.JSONL) as progress:
        rows = Rows("id", "workflow", "outcome", "error", aside=progress.aside)
        for outcome in omium.executions.replay_many(**asked):
            tally.add(outcome.state, outcome.error, resumed=outcome.resumed)
            progress.advance(tally.note)
            if output is Output.JSONL:
                write_json(_row(outcome), output)
            elif output is Output.JSON:
                kept.append(_row(outcome))
            else:
                why = "" if outcome.error is None else reason(outcome.error)
                rows.add(outcome.execution.id, outcome.execution.workflow_id, state_text(outcome.state), why)
            if interrupts.stopping:
                break
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
