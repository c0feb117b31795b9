"""Programs that use the facade: run in this process, as a process, or as processes of all modes and interpreters."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import attrs
import pytest

import omium_sync

from ..development import complaints
from .recorder import LONG, Recorder

ROOT = Path(omium_sync.__file__).parents[1]
#: More interpreters, with the dependencies installed, may be named by this variable.
PYTHONS = [sys.executable, *filter(None, os.environ.get("OMIUM_TEST_PYTHONS", "").split(os.pathsep))]
MODES: list[list[str]] = [[], ["-X", "dev"]]
#: Seconds from the program's last line to its end; busy machines are slow, and what hangs does so for longer.
AT_ONCE = 10.0
SIGNALS = (signal.SIGINT, signal.SIGALRM, signal.SIGUSR1)

PRELUDE = """
import atexit, contextlib, gc, os, signal, sys, threading, time
from omium_sync import Execution, ExecutionRequest, NotFoundError, Omium, OmiumError

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests were started with it ignored

def threads():
    return sorted(thread.name for thread in threading.enumerate())

def say(*words):
    print(*words, flush=True)

def go():  # when the test says so
    sys.stdin.readline()

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""


def interrupt_at(what: str) -> Callable[[Any], None]:
    """Interrupts a program when such a request has arrived."""

    def drive(program: Any) -> None:
        program.server.wait_for(what)
        program.interrupt()

    return drive


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


class Processes:
    """Runs programs as processes."""

    root = str(ROOT)

    def __init__(self, folder: Path, *, thorough: bool) -> None:
        self._folder = folder
        self._commands = [[each, *mode] for each in PYTHONS for mode in MODES] if thorough else [PYTHONS[:1]]

    def run(
        self,
        source: str,
        drive: Callable[[Any], object] = lambda _: None,
        flags: Sequence[str] = (),
        **environment: str,
    ) -> list[Ended]:
        """Run a program; ``drive`` does something to each process of it."""
        path = self._folder / "program.py"
        path.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
        commands = [[*command, *flags, str(path)] for command in self._commands]
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


class Here:
    """Runs programs in the main thread of this process, driven by another thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = Recorder()
        self._said: list[str] = []
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._go: SimpleQueue[None] = SimpleQueue()
        monkeypatch.setenv("OMIUM_API_KEY", "key-of-the-tests")
        monkeypatch.setenv("OMIUM_API_URL", self.server.url)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(self, source: str, drive: Callable[[Any], object] = lambda _: None) -> list[Ended]:
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        own = {"say": self._say, "go": lambda: self._go.get(timeout=LONG), "threads": _our_threads}
        program = compile(PRELUDE + "globals().update(own)\n" + textwrap.dedent(source), "program.py", "exec")
        names: dict[str, Any] = {"__name__": "program", "own": own}
        with ThreadPoolExecutor(1) as pool:
            driven = pool.submit(drive, self)
            try:
                exec(program, names)
                driven.result(LONG)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        names.clear()
        _collect()
        return [Ended(0, "".join(self._said), "", 0.0, self.server, [])]

    def interrupt(self) -> None:
        self.send(signal.SIGINT)

    def send(self, number: int) -> None:
        signal.pthread_kill(threading.main_thread().ident, number)

    def line(self) -> str:
        return self._lines.get(timeout=LONG)

    def answer(self) -> None:
        self._go.put(None)

    def _say(self, *words: object) -> None:
        line = f"{' '.join(map(str, words))}\n"
        self._said.append(line)
        self._lines.put(line)


def _our_threads() -> list[str]:
    return sorted(each.name for each in threading.enumerate() if each.name == "MainThread" or "omium" in each.name)


def _collect() -> None:
    """Collect the clients of a program, and wait until their loop has ended."""
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "omium_sync":
            thread.join(1)


@pytest.fixture(params=["here", pytest.param("processes", marks=pytest.mark.slow)])
def anywhere(request, tmp_path, monkeypatch):
    """For programs that do not end or fork the process."""
    if request.param == "processes":
        yield Processes(tmp_path, thorough=True)
        return
    _collect()
    here = Here(monkeypatch)
    yield here
    here.server.close()


@pytest.fixture(params=["once", pytest.param("thorough", marks=pytest.mark.slow)])
def process(request, tmp_path) -> Processes:
    """For programs that end or fork the process."""
    return Processes(tmp_path, thorough=request.param == "thorough")


@pytest.fixture
def processes(tmp_path) -> Processes:
    """For slow tests."""
    return Processes(tmp_path, thorough=True)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    yield server
    server.close()
