"""`omiumctl demo`: executions of real work on this machine: failures, replay, rollback and cancel."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
import os
import sysconfig
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import click

from omium_async import AsyncOmium, Execution, ExecutionDetail, ExecutionRequest, ExecutionStatus
from omium_async.local import LocalOmium, LocalOmiumError, WorkflowRun

from ..connection import local_command, show_log
from ..endings import CommandFailed
from ..options import file_path
from ..output import printable
from ..signals import stop_signals
from ..tables import Table, screen, state_text
from .serve import state_folder
from .ui import console_served, require_console

_EXECUTIONS: Final = 120
_LARGEST_FILE: Final = 512 * 1024  # bytes
_SKIPPED: Final = frozenset({"site-packages", "__pycache__", "node_modules", "idle_test"})
_TIMEOUT: Final = 120.0  # seconds

# -- the workflows: each step really works, and its result is a checkpoint ---------------------------------------------

_runs: Counter[tuple[str, str]] = Counter()  # how often each step of each execution ran
_parser: Final = threading.Lock()  # before Python 3.11.8, parsing in several threads could raise SystemError


async def measure_source(run: WorkflowRun) -> dict[str, Any]:
    """Measure a Python file in three steps. The input is ``{"path": ...}``."""

    async def step(name: str, function: Callable[[str], Any]) -> Any:
        def counted(path: str) -> Any:
            _runs[run.execution_id, name] += 1
            return function(path)

        return await run.step(name, counted, run.input_data["path"])

    module = await step("identify", lambda path: Path(path).stem)
    parts = await step("parse", parse)
    return {"module": module, **parts, **await step("measure", measure)}


def parse(path: str) -> dict[str, int]:
    """Count functions and classes. A file that is missing or has an error fails here."""
    with _parser:
        kinds = Counter(type(node).__name__ for node in ast.walk(ast.parse(Path(path).read_bytes(), Path(path).name)))
    return {"functions": kinds["FunctionDef"] + kinds["AsyncFunctionDef"], "classes": kinds["ClassDef"]}


def measure(path: str) -> dict[str, int]:
    """Count lines and words."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    return {"lines": len(text.splitlines()), "words": len(text.split())}


async def await_file(run: WorkflowRun) -> None:
    """Wait until a file exists. The input is ``{"path": ...}``."""
    while not os.path.exists(run.input_data["path"]):  # noqa: ASYNC110, ASYNC240, PTH110 - a file has no event
        await asyncio.sleep(0.1)


#: For `omiumctl serve --workflows omium_sync.cli.commands.demo`, which continues with what the demo left.
workflows: Final = {"measure-source": measure_source, "await-file": await_file}

# -- the command -------------------------------------------------------------------------------------------------------


@local_command("demo", "omiumctl demo", "omiumctl demo ~/projects --ui")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option("--database", type=file_path(), metavar="FILE", help="Where executions are stored and found again.")
@click.option("--ui", is_flag=True, help="Also serve the console, the page of `omiumctl ui`, until Ctrl-C.")
def demo_command(path: Path | None, database: Path | None, ui: bool) -> int:
    """Watch executions, checkpoints, replay, rollback and cancel on real files, without account and network.

    A workflow of three steps measures Python files of PATH, by default those of the standard library. PATH is only
    read. Some executions fail for real reasons; one is repaired and replayed, one rolled back, one cancelled.
    """
    if ui:
        require_console()
    folder = Path(sysconfig.get_path("stdlib")) if path is None else path.absolute()
    files = list(_python_files(folder))
    if not files:
        raise click.UsageError(f"there is no Python file in {folder}")
    show_log(verbose=False)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="omiumctl-") as own:
        warnings.simplefilter("ignore", SyntaxWarning)  # about the files that are parsed
        try:
            return asyncio.run(_serve(Demo(folder, files, database or state_folder() / "demo.db", Path(own)), ui=ui))
        except LocalOmiumError as error:
            raise CommandFailed(str(error)) from None


def _python_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for file in (Path(root, name) for name in sorted(names) if name.endswith(".py")):
            with contextlib.suppress(OSError, UnicodeError):
                os.fspath(file).encode()  # a name that is not UTF-8 cannot be sent
                if file.is_file() and 0 < file.stat().st_size <= _LARGEST_FILE:
                    yield file


async def _serve(demo: Demo, *, ui: bool) -> int:
    local = LocalOmium(demo.database)
    for name, function in workflows.items():
        local.workflow(name)(function)
    async with local, AsyncOmium(local.api_key, base_url=local.url) as omium:
        await demo.run(omium, local.url)
        if not ui:
            return 0
        with stop_signals() as stopped:
            async with console_served(omium) as console:
                click.echo(f"\nLook at them in the console, until Ctrl-C:\n{console}")
                return await stopped


@attrs.define
class Demo:
    """The chapters of the demo."""

    folder: Path
    files: list[Path]
    database: Path
    own: Path  # a folder for the file that the demo writes

    async def run(self, omium: AsyncOmium, url: str) -> None:
        _heading("1. A local Omium")
        _say(f"LocalOmium serves the Executions API at {url}, from {self.database}.")
        counts = await _counts(omium)
        _say(f"It remembers earlier runs: {_in_words(counts)}." if counts else "It is new and has no executions yet.")
        _say("A workflow is an async function. The result of each of its steps is a checkpoint: stored on disk before")
        _say('the next step begins, and never computed again. "measure-source" has three: identify, parse, measure.')
        ended = await self.create(omium)
        await self.replay(omium, ended[0])
        largest = min(ended, key=_largest_first)
        await self.roll_back(omium, largest)
        await self.cancel(omium)
        _heading("And now")
        _say(f"The database keeps {_in_words(await _counts(omium))}. Continue with it yourself:")
        _say(f"  omiumctl serve --database {self.database} --workflows {__name__}")
        _say("and in another terminal, after the two exports that it prints:")
        _say(f"  omiumctl replay {largest.id} --wait")

    async def create(self, omium: AsyncOmium) -> list[Execution]:
        _heading("2. Executions: many at once")
        _say(f"Each measures one of the {len(self.files):,} Python files of {self.folder},")
        _say("or half_written.py, a file of the demo that cannot be parsed yet.")
        half_written = self.own / "half_written.py"
        half_written.write_text("def answer(\n")
        spread = self.files[:: max(len(self.files) // _EXECUTIONS, 1)]
        paths = itertools.islice(itertools.chain([half_written], itertools.cycle(spread)), _EXECUTIONS)
        requests = [ExecutionRequest("measure-source", {"path": str(path)}) for path in paths]
        _say("  await omium.executions.create_many(requests)")
        ids = [each.execution.id async for each in omium.executions.create_many(requests) if each.execution is not None]
        _say("  await omium.executions.wait_many(ids)")
        ended = [row async for row in omium.executions.wait_many(ids, timeout=_TIMEOUT, poll_interval=0.1)]
        ended.sort(key=lambda row: (_name(row) != half_written.name, _name(row)))
        _say(f"All have ended: {_in_words(Counter(str(row.status) for row in ended))}. The largest files:")
        table = Table("file", "status", "lines", "functions", "id", numbers=("lines", "functions"))
        for row in sorted((row for row in ended if row.status == "completed"), key=_largest_first)[:5]:
            found = row.output_data
            table.add(_name(row), state_text(row.status), f"{found['lines']:,}", f"{found['functions']:,}", row.id)
        table.flush()
        failed = [row for row in ended if row.status == "failed"]
        _say(f"{len(failed)} failed, for real reasons:")
        for row in failed[:5]:
            _say(f"  {_name(row)}: {row.error}")
        return ended

    async def replay(self, omium: AsyncOmium, failed: Execution) -> None:
        _heading("3. Replay: continue where it failed")
        detail = await omium.executions.get(failed.id)
        (self.own / "half_written.py").write_text("def answer():\n    return 42\n")
        _say(f"{_name(failed)} failed in the step parse; its checkpoints: {_checkpoints(detail)}. It is repaired now.")
        _say(f'  await omium.executions.replay("{failed.id}")')
        await omium.executions.replay(failed.id)
        after = await omium.executions.wait(failed.id, timeout=_TIMEOUT, poll_interval=0.1)
        after.raise_for_status()
        runs = ", ".join(f"{step} {_runs[failed.id, step]}x" for step in ("identify", "parse", "measure"))
        _say(f"It is {after.status} now. Its steps ran, both times together: {runs}. So identify did not run again.")

    async def roll_back(self, omium: AsyncOmium, done: Execution) -> None:
        _heading("4. Rollback: back to a checkpoint")
        before = await omium.executions.get(done.id)
        _say(f"{_name(done)} is {before.status}, with the checkpoints {_checkpoints(before)}.")
        _say(f'  await omium.executions.rollback("{done.id}", checkpoint_name="identify")')
        result = await omium.executions.rollback(done.id, checkpoint_name="identify")
        after = await omium.executions.get(done.id)
        _say(f"It is {result.status} now, with the checkpoint {_checkpoints(after)}: later results are discarded.")

    async def cancel(self, omium: AsyncOmium) -> None:
        _heading("5. Cancel: stop what runs")
        never = await omium.executions.create("await-file", {"path": str(self.own / "never_there.py")})
        await omium.executions.wait(never.id, until="running", timeout=_TIMEOUT, poll_interval=0.1)
        _say('An execution of "await-file" runs and waits for never_there.py, a file that never comes.')
        _say(f'  await omium.executions.cancel("{never.id}")')
        result = await omium.executions.cancel(never.id)
        _say(f"It is {result.status} now.")


async def _counts(omium: AsyncOmium) -> Counter[str]:
    return +Counter({str(status): await omium.executions.count(status=status) for status in ExecutionStatus})


def _name(execution: Execution) -> str:
    return Path(execution.input_data["path"]).name


def _largest_first(execution: Execution) -> tuple[int, str]:
    return -(execution.output_data["lines"] if execution.status == "completed" else 0), _name(execution)


def _heading(text: str) -> None:
    screen().print(f"\n{text}", style="bold")


def _say(text: str) -> None:
    click.echo(printable(text))


def _checkpoints(execution: ExecutionDetail) -> str:
    return ", ".join(str(checkpoint.name) for checkpoint in execution.checkpoints)


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in counts.most_common())
