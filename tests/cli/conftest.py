"""`omiumctl` in this process or in a new one, against a server on a real socket."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import omium_sync
from omium_sync import LocalOmium
from omium_sync.cli import main

ROOT = Path(omium_sync.__file__).parents[1]
NASTY = "no such \x1b[31mcity\x1b[0m\n[bold]x[/bold] \u202e\x9b2J"


@attrs.frozen
class Ended:
    """The exit status and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def lines_of_errors(self) -> int:
        return self.err.count("\n")


class Terminal(io.TextIOWrapper):
    """A stream of a terminal, for commands that ask only there."""

    def isatty(self) -> bool:
        return True


class Omiumctl:
    """Runs commands with a clean environment: `omiumctl(...)` in this process, `start` as a new one."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        self._capture = capture
        self._read = 0  # bytes of the output that `written_until` has returned
        self._started: list[subprocess.Popen[bytes]] = []
        self.outputs: list[str] = []
        self.environment = {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error::ResourceWarning",
        }

    def __call__(self, *arguments: object, stdin: bytes = b"", columns: int = 0) -> Ended:
        """Run a command in this process. :param columns: its streams look like a terminal of this width."""
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("OMIUM", "XDG"))]:
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.home)
            kind = Terminal if columns else io.TextIOWrapper
            patch.setattr(sys, "stdin", kind(io.BytesIO(stdin)))
            shown = io.BytesIO()
            if columns:
                patch.setenv("TERM", self.environment.get("TERM", "xterm"))
                patch.setenv("COLUMNS", str(columns))
                for name in ("stdout", "stderr"):
                    patch.setattr(sys, name, Terminal(shown, write_through=True))
            self._capture.readouterr()
            self._read = 0
            code = main([str(argument) for argument in arguments])
            out, err = self._capture.readouterr()
            return self._kept(code, out[self._read :] + shown.getvalue(), err)

    def interrupted(
        self, when: Callable[[], object], *arguments: object, number: int = signal.SIGINT, columns: int = 0
    ) -> Ended:
        """Run a command in this process, and send it a signal as soon as ``when``, in a thread, has returned."""
        lock, failures, is_over = threading.Lock(), [], False

        def send() -> None:
            try:
                when()
            except BaseException as error:
                failures.append(error)
            with lock:
                if not is_over:
                    signal.pthread_kill(threading.main_thread().ident, number)

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {each: signal.signal(each, signal.default_int_handler) for each in numbers}
        thread = threading.Thread(target=send)
        thread.start()
        try:
            ended = self(*arguments, columns=columns)
        except KeyboardInterrupt:
            raise AssertionError(f"{arguments} had ended before the signal") from None
        finally:
            with lock:
                is_over = True
            thread.join()
            for each, handler in before.items():
                signal.signal(each, handler)
        for failure in failures:
            raise failure
        return ended

    def written_until(self, text: bytes) -> bytes:
        """What the running command has written, once it contains a text and ends with a line.

        ``readouterr`` would lose what the command writes while it reads.
        """
        written, deadline = b"", time.monotonic() + 30
        while text not in written or not written.endswith(b"\n"):
            assert time.monotonic() < deadline, written
            time.sleep(0.01)
            written = os.pread(1, 2**20, self._read)  # of the file that captures the output
        self._read += len(written)
        return written

    def serve(
        self, *arguments: object, use: Callable[[Any], object] = lambda _: None, number: int = signal.SIGTERM
    ) -> tuple[Any, Ended]:
        """Run `omiumctl serve` in this process until ``use``, in a thread, has returned; give what it announced."""
        announced = []

        def when() -> None:
            announced.append(json.loads(self.written_until(b"{")))
            use(announced[0])

        ended = self.interrupted(when, "serve", *arguments, "--output", "json", number=number)
        return announced[0], ended

    def write(self, name: str, *lines: object) -> str:
        """Write a file with a line for each value: JSON, or text as it is."""
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        (self.home / name).write_text(text)
        return name

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "omium_sync.cli", *map(str, arguments)]

    def start(self, *arguments: object, shell: str | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start a process. :param shell: a command in which "$@" stands for it."""
        command = self.command(*arguments)
        if shell is not None:
            command = ["bash", "-c", shell, "bash", *command]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, env=self.environment, cwd=self.home, **{**streams, **options})
        self._started.append(process)
        return process

    def ended(self, process: subprocess.Popen[bytes], timeout: float = 60) -> Ended:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return self._kept(process.returncode, out, err)

    def _kept(self, code: int, out: bytes | None, err: bytes | None) -> Ended:
        ended = Ended(code, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))
        assert "Traceback" not in ended.err, ended.err
        assert "Exception ignored" not in ended.err, ended.err
        self.outputs += [ended.out, ended.err]
        return ended

    def end_all(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


class Service:
    """A LocalOmium with workflows that complete, fail, or run until they are stopped."""

    def __init__(self) -> None:
        self.local = LocalOmium(strict=False)
        self.repaired = threading.Event()
        self.ran: list[str] = []

        @self.local.workflow("echo")
        async def echo(run):
            await run.step("look", lambda: 1)
            return run.input_data

        @self.local.workflow("fail")
        async def fail(run):
            await run.step("first", lambda: self.ran.append(run.execution_id))
            if not self.repaired.is_set():
                raise ValueError(NASTY)
            return "repaired"

    def reset(self) -> None:
        self.local.reset()
        self.repaired.clear()
        self.ran.clear()

    def client(self) -> omium_sync.Omium:
        return omium_sync.Omium(self.local.api_key, base_url=self.local.url, poll_interval=(0.01, 0.1))

    def run(self, workflow_id: str, input_data: Any = None) -> str:
        with self.client() as omium:
            return omium.executions.run(workflow_id, input_data).id

    def pending(self, count: int = 1, **options: Any) -> list[str]:
        with self.client() as omium:
            return [omium.executions.create("nobody", {"n": number}, **options).id for number in range(count)]

    def inputs(self) -> list[Any]:
        with self.client() as omium:
            return [execution.input_data for execution in omium.executions.list()]

    def writes(self, method: str) -> int:
        """The number of writes of a method that have arrived."""
        return sum(request.method == method for request in self.local.requests)

    def until(self, *requests: str, many: int = 1) -> None:
        """Wait until so many requests of these kinds have arrived."""
        deadline = time.monotonic() + 30
        while sum(self.local.counts.get(request, 0) for request in requests) < many:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def omiumctl(tmp_path, capfdbinary, monkeypatch):
    """`omiumctl` without a key and a URL."""
    found = Omiumctl(tmp_path, monkeypatch, capfdbinary)
    yield found
    found.end_all()


@pytest.fixture
def broken_pipe():
    """A stream whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        yield out


@pytest.fixture(scope="module")
def _service():
    service = Service()
    with service.local:
        yield service


@pytest.fixture
def service(_service):
    _service.reset()
    logging.getLogger("omium_async.local").setLevel(logging.ERROR)  # a server usually runs in another process
    return _service


@pytest.fixture
def connected(omiumctl, service):
    """`omiumctl` with the key and the URL of the service. No output contains the key."""
    key = service.local.api_key
    omiumctl.environment |= {"OMIUM_API_KEY": key, "OMIUM_API_URL": service.local.url}
    yield omiumctl
    assert not any(key in output for output in omiumctl.outputs)
