"""The code blocks of the README and the documentation, and a way to run one in a process of its own.

A Python block is a program. ``# prints X`` names a line of its output. If its first line is a comment with the name of
a file, such as ``# flows.py``, the block is that file for later blocks of the page. pytest runs a file ``test_*.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import sys
import traceback
import warnings
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w/]+\.(?:py|toml|json|jsonl|ini))\n")

#: The server imports these once and forks for each block, which takes a tenth of the time of a new interpreter.
_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["pytest", "omium_async.local", "omium_sync", __name__])


@attrs.frozen
class Block:
    """One block. :ivar files: the files that its page shows before it."""

    page: str
    line: int
    language: str
    code: str
    files: tuple[Block, ...] = ()

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if any."""
        named = _FILE.match(self.code)
        return named["name"] if named else None

    @property
    def prints(self) -> list[str]:
        """Lines that must be in the output."""
        return re.findall(r"# prints (.+)$", self.code, re.MULTILINE)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """Return all blocks, page by page."""
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


def run(block: Block, folder: Path) -> tuple[int, str, str]:
    """Run a Python block in an empty folder. Return its exit status, output and standard error."""
    for file in (*block.files, block):
        path = folder / (file.file or "block.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.code)
    process = _FORKSERVER.Process(target=_run, args=(folder, block.file or "block.py"))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, (folder / "stdout").read_text(), (folder / "stderr").read_text()


def _run(folder: Path, name: str) -> None:
    os.chdir(folder)
    for number, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT, 0o600), number)
    for variable in [each for each in os.environ if each.startswith(("OMIUM_", "PYTHON", "PYTEST"))]:
        del os.environ[variable]
    os.environ |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    sys.path.insert(0, str(folder))
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    warnings.simplefilter("error")
    status = 0
    try:
        if Path(name).name.startswith("test_"):
            status = _pytest(name)
        else:
            runpy.run_path(name, run_name="__main__")
    except BaseException:  # as the interpreter does
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        sys.exit(status)


def _pytest(name: str) -> int:
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # no page needs another plugin
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "omium_async.pytest_plugin", name]))
