"""Every code block of the README and of the documentation runs as it stands there.

A Python block is a program; ``# prints X`` beside a line of it says what a line of its output is. One whose first line
is a comment with the name of a file, such as ``# myflows.py``, is that file, for the blocks of its page after it; a
file ``test_*.py`` is given to pytest at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w/]+\.(?:py|toml|json|jsonl|ini))\n")


@attrs.frozen
class Block:
    """One block. :ivar page: below the root. :ivar files: those that the page has shown before it."""

    page: str
    line: int
    language: str
    code: str
    files: tuple[Block, ...] = ()

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        named = _FILE.match(self.code)
        return named["name"] if named else None

    @property
    def prints(self) -> list[str]:
        """Lines of its output."""
        return re.findall(r"# prints (.+)$", self.code, re.MULTILINE)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """All blocks, in the order of the pages."""
    found: list[Block] = []
    for page in PAGES:
        text = page.read_text()
        files: list[Block] = []
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            block = Block(str(page.relative_to(ROOT)), line, fence["info"].strip(), fence["code"], tuple(files))
            if block.file is not None:
                files.append(block)
            found.append(block)
    return found


BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]

pytestmark = pytest.mark.timeout(300)

#: What a fence may be called: code that is run, what a terminal shows (which is recorded), data, and MyST's directives.
KINDS = {"python", "sh", "console", "text", "json", "toml", "ini", "yaml"}

_PYTEST = ("-p", "no:cacheprovider", "-p", "no:asyncio")


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM_", "PYTHON", "PYTEST"))}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_DATA_HOME": str(home)}


def test_every_block_is_of_a_known_kind() -> None:
    unknown = [f"{block}: {block.language!r}" for block in BLOCKS if block.language not in KINDS]
    assert [name for name in unknown if "'{" not in name] == []
    assert PYTHON


def write(files: tuple[Block, ...], folder: Path) -> None:
    for file in files:
        assert file.file is not None
        path = folder / file.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.code)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python(block: Block, tmp_path: Path) -> None:
    write(block.files, tmp_path)
    command = [sys.executable, "-W", "error"]
    if block.file is None:
        command += ["-c", block.code]
    else:
        write((block,), tmp_path)
        is_test = Path(block.file).name.startswith("test_")
        # Without pytest-asyncio, which warns where nobody has configured it: no page needs it.
        command += ["-m", "pytest", "-q", *_PYTEST, block.file] if is_test else [block.file]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    for shown in block.prints:
        assert shown in lines, done.stdout
