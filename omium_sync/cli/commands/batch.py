"""`omiumctl batch`: an execution for each line of a file, none twice, none lost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

from omium_sync import CreateOutcome, MissingExecutionsError, Omium

from ..arguments import name, output_option
from ..connection import Connection, connection_options, pass_connection
from ..failures import BAD_ENDS, INTERRUPTED, REFUSED, Failure
from ..interrupts import Interrupts
from ..lines import Line, Malformed, Source
from ..outcomes import Report, error_fields, same_file
from ..progress import Progress
from ..questions import can_ask, confirm, yes_option
from ..render import Output, complain, printable, write_json
from ..tally import Tally

__all__ = ["batch"]


@attrs.frozen
class Job:
    """What was asked for."""

    concurrency: int
    journal: Path
    report: Path | None
    wait: bool
    strict: bool
    output: Output
    how_to_go_on: str


@click.command(
    short_help="Start an execution for each line of a file, none twice.",
    epilog="""\b
Examples:
  omiumctl batch inputs.jsonl --workflow-id report --journal reports.journal
  omiumctl batch requests.jsonl --requests --journal requests.journal --report outcomes.jsonl --yes
  generate | omiumctl batch - --workflow-id report --journal reports.journal --rate 200""",
)
@click.argument("file", type=click.Path(allow_dash=True, dir_okay=False, path_type=Path))
@click.option("--workflow-id", type=name, metavar="W", help="The workflow to run.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="J",
    help="A file that remembers what was sent and what became of it. Killed at any moment, run again with it.",
)
@click.option("--requests", "whole", is_flag=True, help="Each line is a whole request, not only its input.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=32, show_default=True, metavar="N", help="Calls at once."
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Requests a minute, at most.")
@click.option("--wait", is_flag=True, help="Wait until all have settled; exit with 1 if one of them failed.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.jsonl",
    help="Write what became of each line, as JSON lines.",
)
@yes_option
@click.option("--strict", is_flag=True, help="Stop at a malformed line; of a file, before anything is sent.")
@output_option(Output.TABLE, Output.JSON, Output.JSONL)
@connection_options()
@pass_connection
def batch(
    connection: Connection,
    /,
    file: Path,
    workflow_id: str | None,
    whole: bool,
    rate: float | None,
    journal: Path,
    report: Path | None,
    yes: bool,
    **settings: Any,
) -> int:
    """Start an execution for each line of FILE (- is stdin): JSON lines, each the input of one.

    With --requests each line is an object with input_data and, as needed, workflow_id, metadata, agent_id and key.

    A malformed line is reported with its number and stops nothing. Ctrl-C waits for what is under way; the same
    command with the same journal goes on, and sends nothing twice: a request that may have been sent before is first
    looked up at the service, for up to 30 seconds. The exit status is 1 if any line was malformed or
    rejected, or its outcome is unknown. With --output jsonl what became of each line goes to stdout as it is known.
    """
    if workflow_id is None and not whole:
        raise click.UsageError("give --workflow-id, or with --requests a workflow_id in each line")
    from_stdin = str(file) == "-"
    for one, other, names in ((report, file, "--report is FILE"), (journal, file, "--journal is FILE"),
                              (report, journal, "--report is --journal")):  # fmt: skip
        if same_file(one, None if from_stdin and other is file else other):
            raise click.UsageError(f"{names}: one would overwrite the other")
    job = Job(journal=journal, report=report, how_to_go_on=_how_to_go_on(journal), **settings)
    tally = Tally()
    descriptor = _opened(None if from_stdin else file)
    interrupts = Interrupts()
    source = Source(descriptor, workflow_id, whole=whole, stopping=lambda: interrupts.stopping)
    try:
        if not yes and source.is_file and can_ask():
            confirm(f"Start an execution for each of the {source.count():,} lines of {printable(file)}?")
        with connection.client(rate_limit=rate, on_attempt=tally.latencies.attempt) as omium:
            return Batch(job, omium, source, tally, interrupts).run()
    finally:
        os.close(descriptor)


def _opened(file: Path | None) -> int:
    try:
        return os.dup(0) if file is None else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise click.UsageError(f"{file or 'stdin'} cannot be read: {error.strerror}") from None


def _how_to_go_on(journal: Path) -> str:
    return f"run the same command again to go on: {journal} remembers what was sent"


class Batch:
    """One run of a batch."""

    def __init__(self, job: Job, omium: Omium, source: Source, tally: Tally, interrupts: Interrupts) -> None:
        self._job = job
        self._omium = omium
        self._source = source
        self._tally = tally
        self._interrupts = interrupts
        self._under_way: dict[int, Line | Malformed] = {}  # by the identity of what the SDK was given
        self._strict_stop: Malformed | None = None
        self._created: list[str] = []  # only when they are waited for
        self._settled = 0
        self._report = Report(job.report)
        self._rows = job.output is Output.JSONL  # each outcome to stdout, as long as somebody reads there
        self._is_unread = False

    def run(self) -> int:
        """All of it; the exit status."""
        total = self._source.count()
        if self._job.strict and self._source.is_file:
            self._check_all()
        interrupted = False
        try:
            with self._report:
                self._send(total)
                interrupted = self._interrupts.stopping
                if self._job.wait and not interrupted:
                    self._wait()
        except KeyboardInterrupt:  # the second one, or one while it only waits
            interrupted = True
        except BaseException:
            if self._tally.states:
                self._summarise()
            raise
        if interrupted:
            # Interrupted again, the one line that there is to say is said all the same.
            with contextlib.suppress(KeyboardInterrupt):
                self._summarise(interrupted=True)
        else:
            self._summarise()
        return self._verdict(interrupted=interrupted)

    def _verdict(self, *, interrupted: bool) -> int:
        if self._strict_stop is not None:
            raise Failure(f"stopped at line {self._strict_stop.number}: {self._strict_stop.why}")
        if self._is_unread:
            raise Failure(f"stdout was closed before the end; {self._job.how_to_go_on}")
        if interrupted:
            raise Failure(f"interrupted; {self._job.how_to_go_on}", INTERRUPTED)
        states = self._tally.states
        if states["unknown"]:
            complain(f"{states['unknown']:,} may or may not have been created; {self._job.how_to_go_on}")
        return REFUSED if any(states[state] for state in ("rejected", "unknown", "malformed", *BAD_ENDS)) else 0

    def _check_all(self) -> None:
        for line in self._source.lines():
            if isinstance(line, Malformed):
                raise Failure(f"line {line.number} is malformed: {line.why}; nothing was sent")
        self._source.rewind()

    def _send(self, total: int | None) -> None:
        found = self._omium.executions.create_many(
            self._requests(), concurrency=self._job.concurrency, journal=self._job.journal
        )
        with Progress("sending", total, beside=self._rows, stalled=self._stalled) as progress, self._interrupts:
            for outcome in found:
                line = self._under_way.pop(id(outcome.request))
                if isinstance(line, Malformed):
                    self._tell_malformed(line)
                else:
                    self._note(line.number, outcome)
                progress.advance(self._tally.note)

    def _stalled(self) -> str | None:
        waiting = len(self._under_way)
        if not waiting or self._interrupts.stopping:
            return None
        return (
            f"waiting for {waiting:,} {'line' if waiting == 1 else 'lines'}; requests that may have been sent before"
            " are looked up at the service, for up to 30 s"
        )

    def _requests(self) -> Iterator[Any]:
        """Taken by the SDK, perhaps in another thread, as it has room for more.

        A malformed line goes along, to be refused as no request: by its place in the batch the journal knows an item,
        so that mending one line does not make others of all that follow it.
        """
        for line in self._source.lines():
            if isinstance(line, Malformed) and self._job.strict:
                self._strict_stop = line
                return
            item = line if isinstance(line, Malformed) else line.request
            self._under_way[id(item)] = line
            yield item

    def _tell_malformed(self, line: Malformed) -> None:
        complain(f"line {line.number} is malformed: {line.why}")
        self._tally.add("malformed", f"malformed line: {line.why}")
        self._tell({"line": line.number, "state": "malformed", "error": line.why})

    def _note(self, number: int, outcome: CreateOutcome) -> None:
        execution = outcome.execution
        self._tally.add(outcome.state, outcome.error, resumed=outcome.resumed)
        if execution is not None and self._job.wait:
            self._created.append(execution.id)
        self._tell(
            {
                "line": number,
                "state": outcome.state,
                "execution_id": None if execution is None else execution.id,
                "resumed": outcome.resumed,
                **error_fields(outcome.error),
            }
        )

    def _wait(self) -> None:
        found = self._omium.executions.wait_many(self._created)
        try:
            with Progress("waiting", len(self._created), beside=self._rows) as progress:
                for execution in found:
                    self._settled += 1
                    status = str(execution.status)
                    self._tally.add(status, None if status not in BAD_ENDS else f"{status}: {execution.error}")
                    self._tell({"execution_id": execution.id, "state": status, "error": execution.error})
                    progress.advance(f"{self._tally.states['failed']:,} failed")
        except MissingExecutionsError as error:
            for execution_id in error.missing:
                self._tell({"execution_id": execution_id, "state": "missing"})
            raise

    def _tell(self, row: dict[str, Any]) -> None:
        """What became of a line. Where nobody reads it any more, no more lines are begun."""
        self._report.write(row)
        if self._rows and not self._is_unread:
            try:
                write_json(row, self._job.output)
            except BrokenPipeError:
                self._is_unread = self._interrupts.stopping = True

    def _summarise(self, *, interrupted: bool = False) -> None:
        pending = len(self._created) - self._settled if self._job.wait else 0
        with contextlib.suppress(BrokenPipeError):  # the exit status tells what matters
            if self._job.output is Output.JSON:
                waited = {"pending": pending} if self._job.wait else {}
                write_json({**self._tally.to_dict(), "interrupted": interrupted, **waited})
            elif self._job.output is Output.TABLE:
                still = [f"{pending:,} of them had not settled yet"] if pending else []
                click.echo("\n".join([*self._tally.lines(), *still]))
