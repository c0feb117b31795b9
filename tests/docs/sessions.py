"""Records the terminal sessions of the documentation: real commands, in a real terminal, on a LocalOmium.

    python tests/docs/sessions.py [demo look replay batch check interrupt serve]

A recording is `docs/sessions/NAME.ansi` (`cat` shows it in colour). The blocks after `<!-- recorded: NAME -->` in the
pages are made from it, and pictures of the sessions in `PICTURED`. Values that differ between runs are replaced: ids,
times of day, durations, ports, folders. `test_sessions.py` records the sessions again and compares.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "docs" / "pictures"), str(Path(__file__).parent)]
import hashes  # noqa: E402
from canvas import PALETTES, Drawing  # noqa: E402
from terminal import Screen, run  # noqa: E402

from omium_sync import LocalOmium, Omium  # noqa: E402

FOLDER = ROOT / "docs" / "sessions"
PICTURES = ROOT / "docs" / "pictures"
PICTURED = ("look",)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@attrs.define
class Desk:
    """A folder, a service with its own clock, and a terminal that runs commands one after the other."""

    folder: Path
    now: datetime
    local: LocalOmium = attrs.field(init=False)
    columns: int = 118
    shown: list[str] = attrs.field(factory=list)
    status: int = 0
    environment: dict[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.local = LocalOmium(clock=lambda: self.now)

    def types(self, command: str, *, code: int = 0, meanwhile: Callable[[Any, int], None] | None = None) -> None:
        """Run a command, record its output, and check its exit status."""
        arguments = shlex.split(command)
        text, status = run(arguments[1:], self.folder, self.environment, columns=self.columns, meanwhile=meanwhile)
        assert status == code, f"{command}: {status}\n{text}"
        self.status = status
        self.shown.append(f"$ {command}\n{text}")
        if status == -signal.SIGKILL:
            self.shown.append("Killed\n")  # as a shell prints it

    def asks_for_the_status(self) -> None:
        """Run the command that shows the exit status."""
        self.shown.append(f"$ echo $?\n{self.status}\n")

    def moves(self, seconds: float) -> str:
        """Move the service's clock forward, as a step of a workflow."""
        self.now += timedelta(seconds=seconds)
        return f"{seconds:g} s"

    def client(self) -> Omium:
        return Omium(self.local.api_key, base_url=self.local.url, poll_interval=(0.005, 0.05))


def reports(desk: Desk) -> None:
    """Run five executions; one fails."""

    @desk.local.workflow("weekly-report")
    async def weekly_report(run: Any) -> dict[str, Any]:
        for name, seconds in (("collect", 12), ("read", 47), ("draft", 31)):
            await run.step(name, desk.moves, seconds)
        if run.input_data["week"] == 4:
            raise ValueError("week 4 is missing")
        return {"pages": 10 + run.input_data["week"]}

    with desk.client() as omium:
        for week in range(1, 6):
            omium.executions.run("weekly-report", {"week": week}, metadata={"user": "ada"})


def failed(desk: Desk) -> str:
    with desk.client() as omium:
        return next(omium.executions.list(status="failed")).id


def demo(desk: Desk) -> None:
    """Use files that are the same on every machine."""
    corpus = desk.folder / "ledgers"
    corpus.mkdir()
    for number in range(98):
        body = "".join(f"def entry_{each}():\n    return {each * 7919 % 1000}\n\n\n" for each in range(number % 23 + 2))
        (corpus / f"ledger_{number:02}.py").write_text(f'"""Ledger {number}."""\n\n\n{body}')
    (corpus / "ledger_98.py").write_text("def entry_0():\nreturn 7\n")
    desk.types("omiumctl demo ledgers")


def look(desk: Desk) -> None:
    reports(desk)
    desk.types("omiumctl list")
    desk.types("omiumctl count --status failed")
    desk.types(f"omiumctl show {failed(desk)}")


def replay(desk: Desk) -> None:
    reports(desk)
    desk.types("omiumctl replay --status failed --since 1d --dry-run")
    desk.types("omiumctl replay --status failed --since 1d --yes")


def batch(desk: Desk) -> None:
    """Kill a batch, and run it again with its journal."""
    enough = threading.Event()
    ran: list[str] = []

    @desk.local.workflow("report")
    async def report(run: Any) -> None:
        ran.append(run.execution_id)
        if len(ran) == 90:
            enough.set()

    def kill(process: Any, _: int) -> None:
        assert enough.wait(60)
        process.kill()

    days = "".join(json.dumps({"day": day}) + "\n" for day in range(1000))
    (desk.folder / "days.jsonl").write_text(days)
    command = "omiumctl --attempt-timeout 2 batch days.jsonl --workflow-id report --journal days.journal --yes"
    desk.types(command, code=-signal.SIGKILL, meanwhile=kill)
    desk.types(command)
    desk.types("omiumctl count --workflow-id report")


def check(desk: Desk) -> None:
    desk.types("omiumctl check")
    desk.environment["OMIUM_API_KEY"] = "a-key-that-is-unknown"
    desk.types("omiumctl check", code=1)
    desk.asks_for_the_status()


def interrupt(desk: Desk) -> None:
    """Press Ctrl-C during a wait."""

    @desk.local.workflow("research")
    async def research(run: Any) -> None:
        await asyncio.Event().wait()

    def press(_: Any, terminal: int) -> None:
        for _ in range(3000):
            if desk.local.counts.get("GET /executions/*", 0) > 1:
                break
            time.sleep(0.01)
        os.write(terminal, b"\x03")

    desk.types("omiumctl create research --wait", code=130, meanwhile=press)
    desk.asks_for_the_status()


def serve(desk: Desk) -> None:
    (desk.folder / "flows.py").write_text("async def report(run):\n    pass\n\n\nworkflows = {'report': report}\n")

    def press(_: Any, terminal: int) -> None:
        seen = b""
        while b"Stop with Ctrl-C.\r\n" not in seen:
            seen += os.read(terminal, 65536)
        said.append(seen)
        os.write(terminal, b"\x03")

    said: list[bytes] = []
    desk.types("omiumctl serve --workflows flows", code=130, meanwhile=press)
    desk.shown[-1] = desk.shown[-1].replace("\n", "\n" + said[0].decode().replace("\r\n", "\n"), 1)


SESSIONS: dict[str, Callable[[Desk], None]] = {
    each.__name__: each for each in (demo, look, replay, batch, check, interrupt, serve)
}

_REPLACED: list[tuple[str, str]] = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8700"),
    (r"answers in [\d.]+ m?s", "answers in 3 ms"),
    (r"(in|after) [\d.]+ s\b", r"\1 0.4 s"),
    (r"\(\d+ known from an earlier run\)", "(118 known from an earlier run)"),
    (r"[^\n]*sending .*", "\x1b[32m⠼\x1b[0m sending \x1b[32m 118/1000\x1b[0m 190/s"),
    (r"request id \w+", "request id 4c1abf0054693b7ba802"),
    (r"omium_local_\w+", "omium_local_0123456789abcdef"),
]


def normalised(text: str, desk: Desk, started: datetime) -> str:
    """Replace what differs between runs; with text of the same width where tables depend on it."""
    text = text.replace(str(desk.folder), "/home/ada")
    for pattern, instead in _REPLACED:
        text = re.sub(pattern, instead, text)

    def moment(found: re.Match[str]) -> str:
        passed = datetime.fromisoformat(found[0]) - started
        return f"{SHOWN_DAY + passed:%Y-%m-%d %H:%M:%SZ}"

    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", moment, text)
    known: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        digits = len(found[2])
        stands_for = f"019cad{len(known) * 7919 + 0x10_0000:x}" + "5eedf00dcafe4a11" * 2
        return known.setdefault(found[0], f"{found[1]}{stands_for[:digits]}")

    return re.sub(r"(exec_|chk_)([0-9a-f]{20,})", name, text)


def record(name: str) -> str:
    """Run a session and return the screen, with styles."""
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder).resolve(), started)
        with desk.local:
            desk.environment |= {"OMIUM_API_KEY": desk.local.api_key, "OMIUM_API_URL": desk.local.url}
            SESSIONS[name](desk)
        return normalised("\n".join(desk.shown), desk, started)


# -- pages and pictures from a recording -----------------------------------------------------------------------------

_BLOCK = re.compile(r"(<!-- recorded: (\w+) -->\n)```console\n.*?^```$", re.DOTALL | re.MULTILINE)


def recorded(name: str) -> str:
    """Return a stored recording."""
    return (FOLDER / f"{name}.ansi").read_text()


def filled(page: str) -> str:
    """Return a page with the recorded sessions in it."""
    return _BLOCK.sub(lambda found: f"{found[1]}```console\n{Screen().feed(recorded(found[2])).plain()}```", page)


_COLOURS = {"31": "bad", "32": "good", "33": "warn", "35": "bad", "36": "accent", "2": "faint"}
_WIDE, _HIGH = 7.8, 19  # of a character, in units of the picture


def picture(name: str, palette: dict[str, str]) -> str:
    """Draw a recording. Each piece is stretched to its columns, so that the reader's font does not matter."""
    lines = Screen().feed(recorded(name)).runs()
    columns = max(sum(len(text) for text, _ in line) for line in lines)
    width, height = round(columns * _WIDE) + 32, len(lines) * _HIGH + 52
    drawing = Drawing(f"omiumctl: {name}", width, height, palette, family="ui-monospace, monospace")
    drawing.box(1, 1, width - 2, height - 2)
    for number in range(3):
        drawing.bar(16 + number * 18, 14, 10, 10, colour="line")
    for row, line in enumerate(lines):
        column = 0
        for text, style in line:
            colour = next((_COLOURS[each] for each in style.split(";") if each in _COLOURS), "ink")
            typed = line[0][0].startswith("$ ")
            x, y = 16 + column * _WIDE, 46 + row * _HIGH
            lead = len(text) - len(text.lstrip())
            if text.strip():
                drawing.typed(
                    x + lead * _WIDE, y, text.strip(), _WIDE, colour=colour, bold=typed or "1" in style.split(";")
                )
            column += len(text)
    return drawing.svg()


def drawn() -> dict[str, str]:
    """Return each picture of a session by the name of its file."""
    return {
        f"terminal-{name}-{scheme}.svg": picture(name, palette)
        for name in PICTURED
        for scheme, palette in PALETTES.items()
    }


def derive() -> None:
    """Write pages and pictures from the recordings."""
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    for file, text in drawn().items():
        (PICTURES / file).write_text(text)
        name = file.split("-")[1]
        code = [Path(__file__), Path(__file__).with_name("terminal.py"), PICTURES / "canvas.py"]
        hashes.write(PICTURES / file, [*code, FOLDER / f"{name}.ansi"])


def main(names: list[str]) -> Iterator[str]:
    """Record the sessions with these names."""
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        (FOLDER / f"{name}.ansi").write_text(record(name))
        yield name
    derive()


if __name__ == "__main__":
    for done in main(sys.argv[1:] or [*SESSIONS]):
        print(done)
