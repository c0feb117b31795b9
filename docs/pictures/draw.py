"""Draw the diagrams of the explanations and the README, light and dark.

    python docs/pictures/draw.py [overview unknown-writes lists threads journals local-omium]

Hashes of the inputs are stored beside each; `tests/docs/test_pictures.py` reports stale diagrams.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER))
import hashes  # noqa: E402
from canvas import PALETTES, Drawing  # noqa: E402


def overview(palette: dict[str, str]) -> Drawing:
    """Draw the parts of the package and what they use."""
    drawing = Drawing("One client for the hosted service and for a server on your machine", 720, 270, palette)
    drawing.box(10, 20, 180, 60, "your async code\nomium_async", bold=True)
    drawing.box(10, 105, 180, 60, "your sync code\nomium_sync", bold=True)
    drawing.box(10, 190, 180, 60, "omiumctl, console\npytest fixtures", bold=True)
    drawing.box(265, 20, 210, 230, colour="accent", fill="tint")
    drawing.words(370, 48, "the client", bold=True, size=15)
    promises = (
        "the outcome of every write",
        "lists without gaps or repeats",
        "deadlines, pacing, retries",
        "work continues after outages",
        "batches that survive a kill",
        "one client, any event loop",
    )
    for number, text in enumerate(promises):
        drawing.words(370, 82 + number * 29, text, size=13)
    for y in (50, 135, 220):
        drawing.line(192, y, 261, 135 + (y - 135) * 0.75)
    drawing.box(550, 45, 160, 70, "the hosted\nservice", bold=True)
    drawing.box(550, 155, 160, 70, "LocalOmium,\non your machine", bold=True)
    drawing.line(477, 110, 546, 82)
    drawing.line(477, 160, 546, 188)
    return drawing


def unknown_writes(palette: dict[str, str]) -> Drawing:
    """Draw when a write is not applied, unknown, or known."""
    drawing = Drawing("A write whose response is lost may have been applied", 720, 300, palette)
    drawing.box(150, 15, 110, 36, "client", bold=True)
    drawing.box(460, 15, 110, 36, "service", bold=True)
    for x in (205, 515):
        drawing.line(x, 51, x, 290, arrow=False)
    drawing.line(205, 85, 510, 115, colour="accent")
    drawing.words(360, 88, "POST", colour="accent")
    drawing.box(465, 130, 100, 32, "commit", colour="accent", fill="tint")
    drawing.line(515, 185, 330, 205, colour="bad", dashed=True)
    drawing.words(312, 212, "✕", colour="bad", size=18, bold=True)
    drawing.words(420, 222, "201, lost", colour="bad")
    drawing.words(130, 88, "never sent:", align="end", colour="faint")
    drawing.words(130, 107, "not applied", align="end", colour="good", bold=True)
    drawing.words(130, 170, "no response:", align="end", colour="faint")
    drawing.words(130, 189, "unknown", align="end", colour="bad", bold=True)
    drawing.words(130, 262, "response read:", align="end", colour="faint")
    drawing.words(130, 281, "status decides", align="end", colour="good", bold=True)
    drawing.line(145, 120, 195, 120, arrow=False, dashed=True)
    drawing.line(145, 235, 195, 235, arrow=False, dashed=True)
    return drawing


def lists(palette: dict[str, str]) -> Drawing:
    """Draw how pages by number lose a row, and overlapping windows do not."""
    drawing = Drawing("Pages by number lose a row when one leaves; windows that overlap do not", 720, 300, palette)

    def row(y: float, letters: str, gone: str = "", missed: str = "", again: str = "") -> None:
        for number, letter in enumerate(letters):
            kind = "bad" if letter in missed + gone else "accent" if letter in again else "line"
            drawing.box(170 + number * 54, y, 44, 36, letter, colour=kind, fill="tint" if letter in again else "box")

    drawing.words(150, 38, "by number", align="end", bold=True)
    row(15, "abcdefgh", gone="a")
    drawing.line(170, 60, 376, 60, arrow=False, colour="accent")
    drawing.words(273, 78, "page 1", colour="accent", size=12)
    drawing.words(624, 38, "a leaves", colour="bad", align="start", size=13)
    row(92, "bcdefghi", missed="e")
    drawing.line(386, 137, 592, 137, arrow=False, colour="accent")
    drawing.words(489, 155, "page 2", colour="accent", size=12)
    drawing.words(624, 115, "e is lost", colour="bad", align="start", size=13)
    drawing.words(150, 208, "overlapping", align="end", bold=True)
    row(185, "bcdefghi", again="cd")
    drawing.line(224, 230, 592, 230, arrow=False, colour="accent")
    drawing.words(435, 250, "the next window: c and d were seen before, so no row is missing", colour="good", size=13)
    drawing.words(435, 272, "each row is yielded once", colour="faint", size=13)
    return drawing


def threads(palette: dict[str, str]) -> Drawing:
    """Draw calls that cross to one event loop, and results that cross back."""
    drawing = Drawing("Calls of any thread run as tasks on one event loop", 720, 250, palette)
    drawing.words(110, 28, "your threads", bold=True)
    drawing.words(570, 28, "one thread, one event loop", bold=True)
    drawing.box(430, 45, 280, 190, colour="accent", fill="tint")
    calls = {"executions.get(id)": "get", "for row in list()": "pages, read ahead", "create_many(...)": "batch"}
    for number, (call, task) in enumerate(calls.items()):
        y = 60 + number * 60
        drawing.box(10, y, 200, 44, call, size=13)
        drawing.box(460, y, 220, 44, f"task: {task}", size=13)
        drawing.line(212, y + 14, 456, y + 14, colour="accent")
        drawing.line(458, y + 31, 216, y + 31, colour="good")
    drawing.words(335, 66, "call, cancellation", colour="accent", size=12)
    drawing.words(335, 108, "result, page, error", colour="good", size=12)
    return drawing


def journals(palette: dict[str, str]) -> Drawing:
    """Draw what is on disk before and after an item is sent."""
    drawing = Drawing("An item of a batch with a journal: mark, send, response, record", 720, 210, palette)
    steps = {"mark": "on disk", "send": "on the wire", "response": "from the service", "record": "on disk"}
    for number, (step, where) in enumerate(steps.items()):
        x = 15 + number * 180
        disk = where == "on disk"
        drawing.box(
            x, 20, 130, 50, step, bold=True, colour="accent" if disk else "line", fill="tint" if disk else "box"
        )
        drawing.words(x + 65, 90, where, colour="accent" if disk else "faint", size=12)
        if number < 3:
            drawing.line(x + 132, 45, x + 176, 45)
    for x, width, text, colour in (
        (15, 125, "killed here:\nit is sent", "good"),
        (
            160,
            385,
            "killed here: looked for at the service by its key;\nfound, certainly absent, or unknown",
            "bad",
        ),
        (560, 140, "killed here:\nit is known", "good"),
    ):
        drawing.line(x, 125, x + width, 125, arrow=False, colour=colour)
        drawing.words(x + width / 2, 148, text, colour=colour, size=13)
    return drawing


def local_omium(palette: dict[str, str]) -> Drawing:
    """Draw the parts of LocalOmium."""
    drawing = Drawing(
        "LocalOmium: the service's interface, workflows and their steps, on one machine", 720, 250, palette
    )
    drawing.box(10, 85, 140, 60, "your code\nand the client", bold=True)
    drawing.box(230, 15, 480, 220, colour="accent", fill="tint")
    drawing.words(470, 40, "LocalOmium", bold=True, size=15)
    drawing.box(250, 60, 130, 60, "endpoints\nas documented", size=13)
    drawing.box(250, 145, 130, 60, "faults on purpose", size=13, colour="bad")
    drawing.box(420, 60, 130, 145, "your workflow:\na function\n\nstep\nstep\nstep", size=13)
    drawing.box(590, 60, 105, 145, "SQLite file\n\ncheckpoint\ncheckpoint", size=13)
    drawing.line(152, 108, 246, 92, colour="accent")
    drawing.words(196, 84, "HTTP", colour="accent", size=12)
    drawing.line(246, 175, 152, 125, colour="bad", dashed=True)
    drawing.line(382, 90, 416, 90)
    for y in (147, 166):
        drawing.line(552, y, 586, y, colour="good")
    drawing.words(643, 224, "on disk before a step counts", colour="good", size=12, align="end")
    return drawing


DRAWINGS: dict[str, Callable[[dict[str, str]], Drawing]] = {
    "overview": overview,
    "unknown-writes": unknown_writes,
    "lists": lists,
    "threads": threads,
    "journals": journals,
    "local-omium": local_omium,
}


def drawn() -> dict[str, str]:
    """Return every diagram by the name of its file."""
    return {
        f"{name}-{scheme}.svg": draw(palette).svg()
        for name, draw in DRAWINGS.items()
        for scheme, palette in PALETTES.items()
    }


def main(names: list[str]) -> None:
    """Write the diagrams of these names."""
    for file, text in drawn().items():
        if file.rpartition("-")[0] in names:
            (FOLDER / file).write_text(text)
            hashes.write(FOLDER / file, [Path(__file__), FOLDER / "canvas.py"])


if __name__ == "__main__":
    main(sys.argv[1:] or [*DRAWINGS])
