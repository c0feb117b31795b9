"""Writes to many executions: the question before, progress, an outcome for each, and a summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import click

from omium_sync import CancelOutcome, DeleteOutcome, OmiumError, ReplayOutcome

from .endings import INTERRUPTED, REFUSED, CommandFailed
from .options import can_ask, confirm
from .output import Output, complain, printable, write_json
from .progress import ProgressBar
from .tables import Table, state_text

_REASONS: Final = 500  # different reasons that are counted separately
_LONGEST_REASON: Final = 160
_SHOWN: Final = 5
_FAILURES: Final = ("failed", "timed_out", "rejected", "unknown", "malformed")  # states of items


@attrs.frozen
class BulkWrite:
    """A replay, cancellation or deletion of many executions.

    :ivar verb: ``Replay``, ``Cancel`` or ``Delete``.
    :ivar doing: what the progress bar says.
    :ivar begin: ``replay_many``, ``cancel_many`` or ``delete_many`` of a client.
    :ivar output: the form of output.
    :ivar resume: how a run that was interrupted continues.
    """

    verb: str
    doing: str
    begin: Callable[..., Iterator[ReplayOutcome] | Iterator[CancelOutcome] | Iterator[DeleteOutcome]]
    output: Output
    resume: str = ""

    def ask(self, **which: Any) -> None:
        """State how many executions match, and ask.

        :raises click.UsageError: there is no terminal.
        :raises CommandFailed: the answer was no.
        """
        if not can_ask():
            raise click.UsageError(f"there is no terminal to ask before {self.doing} many executions: give --yes")
        if "execution_ids" in which:
            count = len(which["execution_ids"])
        else:
            with ProgressBar("counting", lines=False) as progress:
                count = sum(1 for _ in progress.over(self.begin(**which, dry_run=True)))
        confirm(f"{self.verb} {count:,} {'execution' if count == 1 else 'executions'}?")

    def run(self, **arguments: Any) -> int:
        """Write, print each outcome and the summary, and return the exit status."""
        tally, interrupted = Tally(), False
        try:
            self._write_all(tally, arguments)
        except KeyboardInterrupt:
            interrupted = True
        except BrokenPipeError:
            if arguments["dry_run"]:
                raise
            raise CommandFailed(f"stdout was closed before the end; {self._how_to_resume()}") from None
        if self.output is Output.TABLE and not (interrupted and not tally.states):
            click.echo("\n".join(tally.lines()))
            if arguments["dry_run"]:
                click.echo("A dry run reads the list only: it does not check whether the service accepts each write.")
        if interrupted:
            raise CommandFailed(f"interrupted; {self._how_to_resume()}", INTERRUPTED)
        tally.complain()
        return REFUSED if tally.states["rejected"] or tally.states["unknown"] else 0

    def _how_to_resume(self) -> str:
        return f"run the same command again to continue: {self.resume}"

    def _write_all(self, tally: Tally, arguments: dict[str, Any]) -> None:
        kept: list[dict[str, Any]] = []
        with ProgressBar(self.doing, beside=self.output is Output.JSONL) as progress:
            table = Table("id", "workflow", "outcome", "error", aside=progress.aside)
            try:
                for outcome in self.begin(**arguments):
                    execution = outcome.execution
                    resumed = isinstance(outcome, ReplayOutcome) and outcome.resumed
                    tally.add(outcome.state, outcome.error, resumed=resumed, about=execution.id)
                    progress.advance(tally.note)
                    if self.output is Output.JSONL:
                        write_json(_row(outcome), self.output)
                    elif self.output is Output.JSON:
                        kept.append(_row(outcome))
                    else:
                        why = "" if outcome.error is None else reason(outcome.error, execution.id)
                        table.add(execution.id, execution.workflow_id, state_text(outcome.state), why)
            finally:  # known outcomes are printed also if the rest fails
                table.flush()
                if self.output is Output.JSON:
                    write_json(kept)


def _row(outcome: ReplayOutcome | CancelOutcome | DeleteOutcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": outcome.execution.id,
        "workflow_id": outcome.execution.workflow_id,
        "state": outcome.state,
    }
    if isinstance(outcome, ReplayOutcome):
        row["execution_id"] = None if outcome.result is None else outcome.result.execution_id
        row["resumed"] = outcome.resumed
    return row | error_fields(outcome.error)


def error_fields(error: BaseException | None) -> dict[str, Any]:
    """Return the fields of an error for programs; none without an error."""
    if error is None:
        return {}
    if not isinstance(error, OmiumError):
        return {"error": f"{type(error).__name__}: {error}"}
    fields: dict[str, Any] = {"error": f"{type(error).__name__}: {error.message}", "request_id": error.request_id}
    status = getattr(error, "status", None)
    return fields if status is None else {**fields, "http_status": status}


@attrs.define
class Tally:
    """Counts outcomes as they come, and their most frequent errors, in flat memory."""

    states: Counter[str] = attrs.field(factory=Counter[str])
    errors: Counter[str] = attrs.field(factory=Counter[str])
    resumed: int = 0
    first_error: BaseException | None = None
    started: float = attrs.field(factory=time.monotonic)

    def add(
        self, state: str, error: BaseException | str | None = None, *, resumed: bool = False, about: str | None = None
    ) -> None:
        """Count one outcome.

        :param about: an id that the error may contain.
        """
        self.states[state] += 1
        self.resumed += resumed
        if isinstance(error, BaseException):
            self.first_error = self.first_error or error
        if error is not None:
            why = reason(error, about)
            self.errors[why if why in self.errors or len(self.errors) < _REASONS else "(others)"] += 1

    @property
    def note(self) -> str:
        """The items a second and the failures so far, for a progress bar."""
        fresh = self.states.total() - self.resumed
        rate = fresh / max(time.monotonic() - self.started, 0.001)
        failures = "".join(f", {self.states[state]:,} {state}" for state in _FAILURES if self.states[state])
        return f"{rate:,.{0 if rate >= 10 else 1}f}/s{failures}"

    def complain(self) -> None:
        """Write the first error to stderr: the summary has no request ids."""
        if self.first_error is not None:
            others = sum(self.states[state] for state in _FAILURES if state != "malformed") - 1
            complain(f"{self.first_error}{f' (and {others:,} more)' if others > 0 else ''}")

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for programs."""
        return {
            "states": dict(self.states),
            "resumed": self.resumed,
            "seconds": round(time.monotonic() - self.started, 3),
            "errors": [{"error": why, "count": number} for why, number in self.errors.most_common(_SHOWN)],
        }

    def lines(self) -> list[str]:
        """Return the summary for people."""
        seconds = time.monotonic() - self.started
        states = ", ".join(f"{number:,} {state}" for state, number in self.states.most_common()) or "nothing to do"
        earlier = f" ({self.resumed:,} known from an earlier run)" if self.resumed else ""
        errors = [f"  {number:,} x {printable(why)}" for why, number in self.errors.most_common(_SHOWN)]
        return [f"{states}{earlier} in {seconds:,.1f} s", *errors]


def reason(error: BaseException | str, about: str | None = None) -> str:
    """Return the reason in one line, without the id of the item, so that equal reasons can be counted.

    :param about: the id to leave out.
    """
    if isinstance(error, str):
        return error[:_LONGEST_REASON]
    status = getattr(error, "status", None)
    message = error.message if isinstance(error, OmiumError) else str(error)
    if about:
        message = message.replace(about, "\N{HORIZONTAL ELLIPSIS}")
    kind = type(error).__name__
    return f"{kind}{f' {status}' if status else ''}: {message}"[:_LONGEST_REASON]
