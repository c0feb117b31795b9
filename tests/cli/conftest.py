"""The command line as its users run it: as a process, against a server on a real socket."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import omium_sync
from omium_sync._local import LocalOmium
from omium_sync.cli import main

ROOT = Path(omium_sync.__file__).parents[1]
NASTY = "no such \x1b[31mcity\x1b[0m\n[bold]x[/bold] \u202e\x9b2J"


@attrs.frozen
class Ended:
    """What a process left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class CLI:
    """Starts `omiumctl`, with nothing of the environment of whoever runs the tests."""

    def __init__(self, home: Path, here: Callable[..., Ended] | None = None) -> None:
        self.home = home
        self._here = here
        self._started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error::ResourceWarning",
        }

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "omium_sync.cli", *map(str, arguments)]

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.home, **options}
        process = subprocess.Popen(self.command(*arguments), env=self.environment, **options)
        self._started.append(process)
        return process

    def end_all(self) -> None:
        """No process outlives its test, however that ends."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def ended(self, process: subprocess.Popen[bytes], stdin: bytes | None = None, timeout: float = 100) -> Ended:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        ended = Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
        assert "Traceback" not in ended.err, ended.err
        assert "Exception ignored" not in ended.err, ended.err
        return ended

    def __call__(self, *arguments: object, stdin: bytes | Any = subprocess.DEVNULL, **options: Any) -> Ended:
        given = stdin if isinstance(stdin, bytes) else None
        return self.ended(self.start(*arguments, stdin=stdin if given is None else subprocess.PIPE, **options), given)

    def here(self, *arguments: object, stdin: bytes = b"") -> Ended:
        """The same within this process, which takes a tenth of the time."""
        return self._here(self, [str(argument) for argument in arguments], stdin)


class Service:
    """A server of one's own with workflows that end in different ways."""

    def __init__(self) -> None:
        self.local = LocalOmium()
        self.gate = threading.Event()
        self.ran: list[str] = []

        @self.local.workflow("echo")
        async def echo(run):
            await run.step("look", lambda: 1)
            return run.input_data

        @self.local.workflow("fail")
        async def fail(run):
            await run.step("first", lambda: self.ran.append(run.execution_id))
            if run.input_data.get("mended") is None and not self.gate.is_set():
                raise ValueError(NASTY)
            return "mended"

    def create(self, workflow_id: str, input_data: Any = None) -> str:
        with self.client() as omium:
            return omium.executions.run(workflow_id, input_data, poll_interval=0.01).id

    def pending(self, count: int) -> None:
        with self.client() as omium:
            for number in range(count):
                omium.executions.create("nobody", {"number": number})

    def client(self) -> omium_sync.Omium:
        return omium_sync.Omium(self.local.api_key, base_url=self.local.url)


@pytest.fixture
def nasty() -> str:
    return NASTY


@pytest.fixture
def omiumctl(tmp_path, capfdbinary, monkeypatch):
    """Not connected: no key, no URL."""

    def here(cli: CLI, arguments: list[str], stdin: bytes) -> Ended:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("OMIUM", "XDG"))]:
                patch.delenv(name)
            for name, value in cli.environment.items():
                patch.setenv(name, value)
            patch.chdir(cli.home)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            capfdbinary.readouterr()
            code = main(arguments)
            out, err = capfdbinary.readouterr()
        return Ended(code, out.decode(), err.decode())

    cli = CLI(tmp_path, here)
    yield cli
    cli.end_all()


@pytest.fixture
def service():
    service = Service()
    with service.local:
        yield service


@pytest.fixture
def connected(omiumctl, service):
    """`omiumctl` with the key and the URL of the service; no output ever shows that key."""
    key = service.local.api_key
    omiumctl.environment |= {"OMIUM_API_KEY": key, "OMIUM_API_URL": service.local.url}
    outputs: list[str] = []
    original, original_here = omiumctl.ended, omiumctl.here

    def here(*arguments, stdin=b""):
        result = original_here(*arguments, stdin=stdin)
        outputs.extend((result.out, result.err))
        return result

    def ended(process, stdin=None, timeout=100):
        result = original(process, stdin, timeout)
        outputs.extend((result.out, result.err))
        return result

    omiumctl.ended, omiumctl.here = ended, here
    yield omiumctl
    assert not any(key in output for output in outputs)
