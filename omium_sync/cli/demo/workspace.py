"""Where the demo keeps things: its database, and a folder of its own beside it for what it writes."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

from ..failures import Failure
from ..private_files import make_private_folder, write_private

__all__ = ["Workspace", "default_database"]

_KEPT_RUNS: Final = 3
_OWN_SOURCE: Final = b'''"""Written by the demo: the folder has no Python file that could stand for it."""


def answer() -> int:
    return 42
'''


def default_database() -> tuple[Path, bool]:
    """The file that the demo uses, and whether the next demo will find it again."""
    try:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "omiumctl"
        make_private_folder(folder)
        if os.access(folder, os.W_OK):
            return folder / "demo.db", True
    except (OSError, RuntimeError):  # no home, or one that is read-only
        pass
    return Path(tempfile.mkdtemp(prefix="omiumctl-")) / "demo.db", False


@attrs.define
class Workspace:
    """The files of one run of the demo. All else that it touches is read only."""

    root: Path
    run: int
    source: bytes  # of a file that parses

    @staticmethod
    def beside(database: Path) -> Path:
        """The folder of all runs on a database."""
        return Path(f"{database.absolute()}.files")

    @classmethod
    def prepare(cls, database: Path, files: Iterable[Path]) -> Workspace:
        """The folder of a new run; those of runs long ago are removed."""
        root = cls.beside(database)
        try:
            make_private_folder(root)
            runs = sorted(int(path.name[4:]) for path in root.glob("run-*") if path.name[4:].isdecimal())
            run = 1 + (runs[-1] if runs else 0)
            for old in runs[: -_KEPT_RUNS + 1]:
                shutil.rmtree(root / f"run-{old}", ignore_errors=True)
            for folder in ("", "inbox", "copies"):
                make_private_folder(root / f"run-{run}" / folder)
        except OSError as error:
            raise Failure(f"the demo cannot write to {root}: {error.strerror}; see --database") from None
        return cls(root / f"run-{run}", run, _whole_source(files))

    @property
    def copies(self) -> Path:
        """Where the workflow puts its working copies."""
        return self.root / "copies"

    @property
    def half_written(self) -> Path:
        """A file that does not parse, until it is mended."""
        return self.root / "inbox" / "half_written.py"

    @property
    def not_there_yet(self) -> Path:
        """A file that is not there, until it arrives."""
        return self.root / "inbox" / "not_there_yet.py"

    def write_half(self) -> None:
        """As if whoever writes the file had got as far as the middle."""
        lines = self.source.splitlines(keepends=True)
        write_private(self.half_written, b"".join(lines[: len(lines) // 2]) + b"\ndef unfinished(\n")

    def mend(self, execution_id: str) -> None:
        """The working copy of that execution, whole."""
        write_private(self.copies / execution_id, self.source)

    def deliver(self) -> None:
        """The file that was not there yet."""
        write_private(self.not_there_yet, self.source)


def _whole_source(files: Iterable[Path]) -> bytes:
    """A real Python file that parses, of a size that one could have written."""
    for path in files:
        if path.suffix == ".py":
            with contextlib.suppress(OSError, ValueError, SyntaxError, RecursionError, MemoryError):
                source = path.read_bytes()
                if 2_000 < len(source) < 50_000 and ast.parse(source):
                    return source
    return _OWN_SOURCE
