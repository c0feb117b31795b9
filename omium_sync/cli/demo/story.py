"""What the demo tells, chapter by chapter, while it happens."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from omium_sync import Execution, ExecutionDetail, ExecutionRequest, Omium

from ..failures import Failure
from ..progress import Progress
from ..render import printable, state_text
from ..tables import Rows
from .corpus import Corpus
from .measuring import STEPS, WORKFLOW_ID, measuring
from .workspace import Workspace

if TYPE_CHECKING:
    from omium_sync import LocalOmium

__all__ = ["Story"]

_AT_ONCE: Final = 32
_POLL: Final = 0.1
_PATIENCE: Final = 120.0  # seconds, on the slowest machine
_LARGEST_SHOWN: Final = 8
_FAILURES_SHOWN: Final = 8
_MEASURES: Final = ("lines", "words", "functions", "classes", "values")


@attrs.define
class Story:
    """One run of the demo, chapter by chapter."""

    local: LocalOmium
    omium: Omium
    corpus: Corpus
    workspace: Workspace
    database: Path
    ran: Counter[tuple[str, str]] = attrs.field(factory=Counter[tuple[str, str]])  # (execution, step): how often

    def tell(self, wanted: int, *, kept: bool) -> None:
        """All chapters."""
        _heading("1. An Omium of your own")
        self.greet(kept=kept)
        _heading("2. Executions: many at once")
        created = self.create(wanted)
        _heading("3. What came out")
        done = self.results(created)
        _heading("4. Checkpoints and replay: go on where it failed")
        self.mend_and_replay(done)
        self.deliver_and_replay(done)
        _heading("5. Rollback: back to a checkpoint")
        paused = self.roll_back(done)
        _heading("And now")
        self.farewell(paused, kept=kept)

    def greet(self, *, kept: bool) -> None:
        """The server, what it remembers, the workflow."""
        _say(f"LocalOmium serves the Executions API at {self.local.url}, from {self.database}.")
        if not kept:
            _say("(There is no home folder to write to, so the next demo will not find it again.)")
        found = self.counts()
        if found:
            _say(f"It remembers {found.total():,} executions of {_plural(self.workspace.run - 1, 'earlier run')}:"
                 f" {_in_words(found)}.")  # fmt: skip
            unfinished = found["running"] + found["pending"]
            if unfinished:
                _say(f"{unfinished:,} were cut off in the middle; they go on now, each from its last checkpoint.")
        else:
            _say("It is new: there are no executions yet.")
        self.local.workflow(WORKFLOW_ID)(measuring(lambda execution, step: self.ran.update([(execution, step)])))
        _say(f'Its workflow "{WORKFLOW_ID}" is an async function of four steps: {", ".join(STEPS)}. The result of each')
        _say("step is a checkpoint: on disk before the next step begins, and never computed again.")

    def create(self, wanted: int) -> list[str]:
        """Executions over all files, created many at a time and followed to their end."""
        corpus = self.corpus
        _say(f"An execution is one run of a workflow on one input: here, on one of the files of {corpus.folder}.")
        for remark in corpus.remarks:
            _say(f"({remark})")
        if len(corpus.files) < wanted - 2:
            _say(f"({_plural(len(corpus.files), 'file')} for {wanted} executions: each is measured several times)")
        _say("Two more are made by the demo: half_written.py does not parse, not_there_yet.py is not there yet.")
        self.workspace.write_half()
        _call("create_many(requests)")
        started = time.monotonic()
        created = list(self._created(wanted))
        seconds = time.monotonic() - started
        _say(f"Created {len(created)} executions in {seconds:.1f} s, up to {_AT_ONCE} at once.")
        _call("wait_many(ids)")
        ended = self._follow(created)
        seconds = time.monotonic() - started
        _say(f"All have ended after {seconds:.1f} s, with {self.ran.total()} steps: {_in_words(ended)}.")
        return created

    def _requests(self, wanted: int) -> Iterator[ExecutionRequest]:
        own = [self.workspace.half_written, self.workspace.not_there_yet]
        for path in itertools.islice(itertools.chain(own, itertools.cycle(self.corpus.files)), wanted):
            data = {"path": str(path), "workspace": str(self.workspace.copies)}
            yield ExecutionRequest(WORKFLOW_ID, data, {"demo_run": self.workspace.run})

    def _created(self, wanted: int) -> Iterator[str]:
        with Progress("creating", wanted, lines=False) as progress:
            for outcome in self.omium.executions.create_many(self._requests(wanted), concurrency=_AT_ONCE):
                if outcome.execution is None:
                    raise Failure(f"an execution could not be created: {outcome.error}")
                progress.advance()
                yield outcome.execution.id

    def _follow(self, created: list[str]) -> Counter[str]:
        ended: Counter[str] = Counter()
        said = 0
        with Progress("running", len(created), lines=False) as progress:
            for execution in self.omium.executions.wait_many(created, timeout=_PATIENCE, poll_interval=_POLL):
                ended[str(execution.status)] += 1
                progress.advance(f"{ended['failed']} failed")
                if not progress.on_terminal and progress.done * 4 // len(created) > said:
                    said = progress.done * 4 // len(created)
                    _say(f"  {progress.done} of {len(created)} have ended, {ended['failed']} failed")
        return ended

    def results(self, created: list[str]) -> dict[str, Execution]:
        """The list, streamed; this run's executions by their ids."""
        ours = frozenset(created)
        done: dict[str, Execution] = {}
        _call(f'list(workflow_id="{WORKFLOW_ID}")')
        for execution in self.omium.executions.list(workflow_id=WORKFLOW_ID, limit=len(created)):
            if execution.id in ours:
                done[execution.id] = execution
        _say(
            f"The list, newest first, streamed page after page: {len(done)} executions of this run. The longest files:"
        )
        completed = [execution for execution in done.values() if execution.status == "completed"]
        completed.sort(key=lambda execution: execution.output_data["lines"], reverse=True)
        self._table(completed[:_LARGEST_SHOWN])
        rest = len(completed) - _LARGEST_SHOWN
        sums = {name: sum(execution.output_data.get(name, 0) for execution in completed) for name in _MEASURES}
        totals = ", ".join(f"{number:,} {name}" for name, number in sums.items() if number)
        _say(f"{f'... and {rest} more. ' if rest > 0 else ''}Of all {len(completed)}: {totals}.")
        failed = [execution for execution in done.values() if execution.status == "failed"]
        _say(f"{len(failed)} failed, for real reasons:")
        for execution in failed[:_FAILURES_SHOWN]:
            _say(f"  {self._name(execution)}: {execution.error}")
        if len(failed) > _FAILURES_SHOWN:
            _say(f"  ... and {len(failed) - _FAILURES_SHOWN} more")
        return done

    def mend_and_replay(self, done: dict[str, Execution]) -> None:
        """The file that did not parse."""
        execution = self._of_path(done, self.workspace.half_written)
        self._tell_failure(execution, "parse")
        self.workspace.mend(execution.id)
        _say('The working copy, made by the step "read", is mended now: the missing half is there.')
        self._replay(execution, "read")

    def deliver_and_replay(self, done: dict[str, Execution]) -> None:
        """The file that was not there yet."""
        execution = self._of_path(done, self.workspace.not_there_yet)
        click.echo()
        self._tell_failure(execution, "read")
        self.workspace.deliver()
        _say("The file has arrived now.")
        self._replay(execution, "identify")

    def roll_back(self, done: dict[str, Execution]) -> str:
        """An execution that was done; its id."""
        best = max(
            (execution for execution in done.values() if execution.status == "completed"),
            key=lambda execution: execution.output_data["lines"],
            default=self._of_path(done, self.workspace.half_written),
        )
        before = self.omium.executions.get(best.id)
        _say(f"{self._name(before)} is {before.status}, with the checkpoints {_names(before)}.")
        _call(f'rollback("{before.id}", checkpoint_name="read")')
        result = self.omium.executions.rollback(before.id, checkpoint_name="read")
        after = self.omium.executions.get(before.id)
        _say(f"It is {result.status} now, and keeps {_names(after)}: what came after was discarded, its result too.")
        _say("Paused, it waits for a replay, which would run parse and measure again, and nothing else. A rollback")
        _say("stops a running execution in the same way.")
        return before.id

    def farewell(self, paused: str, *, kept: bool) -> None:
        """What is kept, and what to try."""
        again = " Run the demo again: it will remember them." if kept else ""
        _say(f"The database keeps {_in_words(self.counts())}.{again}")
        _say("Or go on with it yourself:")
        _say(f"  omiumctl serve --database {self.database} --workflows omium_sync.cli.demo.measuring")
        _say("and in another terminal, after the two exports that it prints:")
        _say("  omiumctl list --status paused")
        _say(f"  omiumctl replay {paused} --checkpoint-name read")
        _say(f"  omiumctl show {paused}")

    # -- in every chapter ------------------------------------------------------------------------------------------

    def counts(self) -> Counter[str]:
        """How many executions of the demo there are in the database, by status."""
        found: Counter[str] = Counter()
        for status in ("completed", "failed", "paused", "running", "pending"):
            number = self.omium.executions.count(workflow_id=WORKFLOW_ID, status=status)
            if number:
                found[status] = number
        return found

    def _tell_failure(self, execution: Execution, step: str) -> None:
        detail = self.omium.executions.get(execution.id)
        if detail.status != "failed":
            raise Failure(f"{self._name(execution)} should have failed in the step {step!r}, and is {detail.status}")
        _say(f'{self._name(execution)} failed in the step "{step}". Its checkpoints: {_names(detail)}.')

    def _replay(self, execution: Execution, checkpoint: str) -> None:
        _call(f'replay("{execution.id}", checkpoint_name="{checkpoint}")')
        self.omium.executions.replay(execution.id, checkpoint_name=checkpoint)
        after = self.omium.executions.wait(execution.id, timeout=_PATIENCE, poll_interval=_POLL)
        if after.status != "completed":
            raise Failure(f"the replay of {execution.id} ended as {after.status}: {after.error}")
        times = {step: self.ran[execution.id, step] for step in STEPS}
        how_often = ", ".join(f"{step} {number}x" for step, number in times.items())
        before = STEPS[: STEPS.index(checkpoint) + 1]
        if any(times[step] != 1 for step in before):
            raise Failure(f"steps before the checkpoint ran again: {how_often}")
        _say(
            f"It is {after.status} now: {after.output_data['lines']} lines, {after.output_data['functions']} functions."
        )
        _say(f"Steps run for it, both times together: {how_often}.")
        was, them = ("was", "it") if len(before) == 1 else ("were", "them")
        _say(f"So {' and '.join(before)} {was} not run again: the checkpoints held {them}.")

    def _of_path(self, done: dict[str, Execution], path: Path) -> Execution:
        for execution in done.values():
            if execution.input_data["path"] == str(path):
                return execution
        raise Failure(f"the list does not hold the execution of {path.name}")

    def _name(self, execution: Execution) -> str:
        path = Path(execution.input_data["path"])
        for root in (self.workspace.half_written.parent, self.corpus.folder):
            if path.is_relative_to(root):
                return str(path.relative_to(root))
        return str(path)

    def _table(self, executions: list[Execution]) -> None:
        found = [name for name in _MEASURES if any(name in execution.output_data for execution in executions)]
        rows = Rows("file", "status", *found, "id", whole=("file", "status"), numbers=found)
        for execution in executions:
            measures = [execution.output_data.get(name) for name in found]
            shown = ["" if number is None else f"{number:,}" for number in measures]
            rows.add(self._name(execution), state_text(execution.status), *shown, execution.id)
        rows.flush()


def _heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def _say(text: str) -> None:
    click.echo(printable(text))


def _call(text: str) -> None:
    click.secho(f"  omium.executions.{printable(text)}", fg="cyan")


def _names(execution: ExecutionDetail) -> str:
    return ", ".join(str(checkpoint.name) for checkpoint in execution.checkpoints)


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in counts.most_common())


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
