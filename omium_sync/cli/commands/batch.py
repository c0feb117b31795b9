"""`omiumctl batch`: an execution for each line of a file, each once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import click

from omium_sync import CreateOutcome, ExecutionDetail, ExecutionRequest, Omium, RunOutcome

from ..bulk import Tally, error_fields
from ..connection import Connection, service_command
from ..endings import INTERRUPTED, REFUSED, CommandFailed
from ..json_lines import InputLine, LineReader
from ..options import Number, can_ask, concurrency_option, confirm, file_path, name, output_option, rate, yes_option
from ..output import Output, complain, printable, write_json
from ..progress import ProgressBar
from ..signals import FirstInterrupt


@service_command(
    "batch",
    "omiumctl batch inputs.jsonl --workflow-id report --journal reports.journal",
    "omiumctl batch requests.jsonl --requests --journal requests.journal -o jsonl > outcomes.jsonl",
    "generate | omiumctl batch - --workflow-id report --journal reports.journal --rate 200,4000",
    "omiumctl batch inputs.jsonl --workflow-id report --journal reports.journal --wait --max-running 10 -o jsonl",
    without=("--timeout",),
)
@click.argument("file", type=click.Path(allow_dash=True, dir_okay=False, path_type=Path))
@click.option("--workflow-id", type=name, metavar="W", help="The workflow to run.")
@click.option(
    "--journal",
    type=file_path(),
    required=True,
    metavar="J",
    help="A file that records what was sent and its outcome. After a kill the same command with it continues.",
)
@click.option("--requests", "whole", is_flag=True, help="Each line is a whole request, not only its input.")
@concurrency_option
@click.option("--rate", type=rate, metavar="N[,M]", help="At most N requests a minute, and M requests an hour.")
@click.option("--wait", is_flag=True, help="Wait for the result of each; exit with 1 if one failed.")
@click.option(
    "--max-running",
    type=Number(int, least=1),
    metavar="N",
    help="With --wait: executions that have not ended. Default: 10.",
)
@click.option(
    "--timeout",
    type=Number(float, above=0),
    metavar="SECONDS",
    help="With --wait: of each execution. Default: no limit.",
)
@yes_option
@output_option()
def batch_command(
    connection: Connection,
    /,
    file: Path,
    workflow_id: str | None,
    whole: bool,
    rate: float | tuple[float, float] | None,
    yes: bool,
    wait: bool,
    max_running: int | None,
    timeout: float | None,
    **how: Any,
) -> int:
    """Start an execution for each line of FILE (- is stdin). Each line is the input of one, as JSON.

    With --requests each line is an object with input_data and, as needed, workflow_id, metadata, agent_id and key.
    On a terminal it states the number of lines and asks first.

    A malformed line is reported with its number, and the others are sent. Ctrl-C lets calls in progress end. The same
    command with the same journal continues, and sends nothing twice: a request that may have been sent before is
    looked up at the service for up to 30 seconds. The exit status is 1 if a line was malformed or rejected, or its
    outcome is unknown. With --output jsonl the outcome of each line is written to stdout when it is known.

    With --wait each execution is waited for, and at most --max-running of them have not ended at the same time. The
    outcome of a line is then the result of its execution, with its details, in the order in which they end. Ctrl-C
    stops at once, the executions continue, and the same command waits for them.
    """
    if workflow_id is None and not whole:
        raise click.UsageError("give --workflow-id, or use --requests with a workflow_id in each line")
    if not wait and (max_running or timeout):
        raise click.UsageError("--max-running and --timeout are for --wait")
    try:
        descriptor = os.dup(0) if str(file) == "-" else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise click.UsageError(f"{file if str(file) != '-' else 'stdin'} cannot be read: {error.strerror}") from None
    interrupt = FirstInterrupt()
    reader = LineReader(descriptor, workflow_id, whole=whole, stopping=lambda: interrupt.stopping)
    try:
        if not yes and reader.is_file and can_ask():
            confirm(f"Start an execution for each of the {reader.count():,} lines of {printable(file)}?")
        with connection.client(rate_limit=rate) as omium:
            limits = RunLimits(max_running or 10, timeout) if wait else None
            return BatchRun(omium, reader, interrupt, limits=limits, **how).run()
    finally:
        os.close(descriptor)


class RunLimits(NamedTuple):
    """The limits of a batch that waits for its executions.

    :ivar max_running: executions that have not ended.
    :ivar timeout: seconds for each; ``None``: no limit.
    """

    max_running: int
    timeout: float | None


@attrs.define
class BatchRun:
    """One run of a batch.

    :ivar limits: ``None``: it does not wait for its executions.
    """

    omium: Omium
    reader: LineReader
    interrupt: FirstInterrupt
    concurrency: int
    journal: Path
    output: Output
    limits: RunLimits | None
    _tally: Tally = attrs.field(factory=Tally)
    _in_progress: dict[int, InputLine] = attrs.field(factory=dict[int, InputLine])  # by the id() of the SDK's item
    _is_unread: bool = False  # with --output jsonl: the reader of stdout has closed it

    @property
    def _resume(self) -> str:
        return f"run the same command again to continue: {self.journal} records what was sent"

    def run(self) -> int:
        """Send all lines and return the exit status."""
        total = self.reader.count()
        interrupted = False
        try:
            if self.limits is None:
                with self.interrupt:
                    self._send(total)
            else:
                self._run(total, self.limits)
            interrupted = self.interrupt.stopping
        except KeyboardInterrupt:  # the second one, or the first of a batch that waits
            interrupted = True
        except BaseException:
            if self._tally.states:
                self._summarise(interrupted=False)
            raise
        with contextlib.suppress(KeyboardInterrupt):  # another Ctrl-C does not prevent the last line
            self._summarise(interrupted=interrupted)
        return self._verdict(interrupted=interrupted)

    def _verdict(self, *, interrupted: bool) -> int:
        if self._is_unread:
            raise CommandFailed(f"stdout was closed before the end; {self._resume}")
        if interrupted:
            raise CommandFailed(f"interrupted; {self._resume}", INTERRUPTED)
        states = self._tally.states
        self._tally.complain()
        if states["unknown"]:
            complain(f"{states['unknown']:,} may or may not have been created; {self._resume}")
        return REFUSED if states.keys() - {"created", "completed"} else 0

    def _send(self, total: int | None) -> None:
        outcomes = self.omium.executions.create_many(
            self._requests(), concurrency=self.concurrency, journal=self.journal
        )
        with ProgressBar("sending", total, beside=self.output is Output.JSONL) as progress:
            for outcome in outcomes:
                self._add(outcome)
                progress.advance(self._tally.note)

    def _run(self, total: int | None, limits: RunLimits) -> None:
        outcomes = self.omium.executions.run_many(
            self._requests(), max_running=limits.max_running, timeout=limits.timeout, journal=self.journal
        )
        with ProgressBar("running", total, beside=self.output is Output.JSONL) as progress:
            for outcome in outcomes:
                self._add(outcome)
                running = min(len(self._in_progress), limits.max_running)
                progress.advance(
                    f"{running:,} running, {self._tally.states['completed']:,} completed, {self._tally.note}"
                )

    def _requests(self) -> Iterator[ExecutionRequest]:
        """Yield the items of the batch; the SDK may take them in another thread."""
        for line in self.reader.lines():
            self._in_progress[id(line.request)] = line
            yield line.request

    def _add(self, outcome: CreateOutcome | RunOutcome[Any]) -> None:
        line = self._in_progress.pop(id(outcome.request))
        if line.problem is not None:
            complain(f"line {line.number} is malformed: {line.problem}")
            self._tally.add("malformed", f"malformed line: {line.problem}")
            self._write({"line": line.number, "state": "malformed", "error": line.problem})
            return
        execution = outcome.execution
        execution_id = None if execution is None else execution.id
        details = {"execution": execution.to_dict()} if isinstance(execution, ExecutionDetail) else {}
        self._tally.add(outcome.state, outcome.error, resumed=outcome.resumed, about=execution_id)
        self._write(
            {
                "line": line.number,
                "state": outcome.state,
                "execution_id": execution_id,
                "resumed": outcome.resumed,
                **error_fields(outcome.error),
                **details,
            }
        )

    def _write(self, row: dict[str, Any]) -> None:
        """Write an outcome to stdout, with --output jsonl. If stdout is closed, stop reading the input."""
        if self.output is Output.JSONL and not self._is_unread:
            try:
                write_json(row, self.output)
            except BrokenPipeError:
                self._is_unread = self.interrupt.stopping = True

    def _summarise(self, *, interrupted: bool) -> None:
        with contextlib.suppress(BrokenPipeError):  # the exit status is right also if no one reads the summary
            if self.output is Output.JSON:
                write_json({**self._tally.to_dict(), "interrupted": interrupted})
            elif self.output is Output.TABLE:
                click.echo("\n".join(self._tally.lines()))
