"""Programs that use the facade, run as processes: several times each, on each interpreter that is to be tested."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

import omium_sync

from ..development import complaints
from .recorder import LONG, Recorder

ROOT = Path(omium_sync.__file__).parents[1]
#: More interpreters, with the dependencies installed, may be named by this variable.
PYTHONS = [sys.executable, *filter(None, os.environ.get("OMIUM_TEST_PYTHONS", "").split(os.pathsep))]
#: Each case runs so: twice as users do, once with every warning of a development build; in haste only the latter.
MODES: list[list[str]] = [["-X", "dev"]] if "OMIUM_TEST_HASTE" in os.environ else [[], [], ["-X", "dev"]]
#: Seconds from the program's last line to its end; busy machines are slow, and what hangs does so for longer.
AT_ONCE = 10.0

PRELUDE = """
import atexit, contextlib, gc, os, signal, sys, threading, time
from omium_sync import Execution, ExecutionRequest, NotFoundError, Omium, OmiumError

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests were started with it ignored

def threads():
    return sorted(thread.name for thread in threading.enumerate())

def say(*words):
    print(*words, flush=True)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""


@attrs.frozen
class Ended:
    """A program that has ended, and what its server saw."""

    code: int
    out: str
    err: str
    leaving: float  # seconds from its last line to its end
    server: Recorder
    args: list[str]

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def check(self, *lines: str, code: int = 0) -> None:
        """It said this, complained of nothing and ended at once."""
        assert (self.lines, self.err, self.code) == (list(lines), "", code), self
        assert self.leaving < AT_ONCE, self


class Program:
    """A running program."""

    def __init__(self, args: list[str], environment: dict[str, str], server: Recorder) -> None:
        self.server = server
        self._args = args
        self._process = subprocess.Popen(
            args,
            env=environment,
            cwd=environment["HOME"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._lines: list[str] = []

    def interrupt(self) -> None:
        self.send(signal.SIGINT)

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def line(self) -> str:
        """The next line that it says."""
        self._lines.append(self._process.stdout.readline())
        return self._lines[-1]

    def answer(self) -> None:
        """Give it the line that it reads."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> Ended:
        last = time.monotonic()
        lines = self._lines
        for line in self._process.stdout:
            lines.append(line)
            last = time.monotonic()
        err = complaints(self._process.stderr.read())
        code = self._process.wait(LONG)
        return Ended(code, "".join(lines), err, time.monotonic() - last, self.server, self._args)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(LONG)
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()


class Lifecycle:
    """Runs programs."""

    root = str(ROOT)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self,
        source: str,
        drive: Callable[[Program], object] = lambda _: None,
        modes: list[list[str]] = MODES,
        **environment: str,
    ) -> list[Ended]:
        """Run a program once for each interpreter and mode, all at once; ``drive`` does something to each."""
        path = self._folder / "program.py"
        path.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
        commands = [[python, *mode, str(path)] for python in PYTHONS for mode in modes]
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda command: self._once(command, drive, environment), commands))

    def _once(self, command: list[str], drive: Callable[[Program], object], environment: dict[str, str]) -> Ended:
        server = Recorder()
        program = Program(command, self.environment(server) | environment, server)
        try:
            drive(program)
            return program.wait()
        finally:
            program.kill()
            server.close()

    def environment(self, server: Recorder) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT),
            "OMIUM_API_KEY": "key-of-the-tests",
            "OMIUM_API_URL": server.url,
        }


@pytest.fixture
def lifecycle(tmp_path: Path) -> Lifecycle:
    return Lifecycle(tmp_path)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    yield server
    server.close()
