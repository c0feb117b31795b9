"""The real files that the demo works on: chosen from a folder, which is only ever read."""

from __future__ import annotations

import os
import stat
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Corpus", "choose"]

_LARGEST: Final = 512 * 1024  # bytes: the demo is there to be watched, not to be waited for
_LOOK_AT: Final = 20_000  # names; a folder may hold millions
_PARSED: Final = frozenset({".py", ".pyi", ".json", ".toml"})
_PASSED_OVER: Final = frozenset({"site-packages", "__pycache__", "node_modules"})
_TESTS: Final = frozenset({"test", "tests", "idle_test"})
#: Files of the standard library's own tests that do not parse, as they must not: real failures, where they are there.
_BROKEN_ON_PURPOSE: Final = (
    "test/tokenizedata/badsyntax_pep3120.py",
    "test/test_future_stmt/badsyntax_future8.py",
    "test/bad_coding.py",
    "test/badsyntax_pep3120.py",
    "lib2to3/tests/data/py2_test_grammar.py",
)


@attrs.frozen
class Corpus:
    """What was found in a folder, and what of it was chosen."""

    folder: Path
    files: tuple[Path, ...]
    found: int
    too_large: int
    unreadable: int
    all_seen: bool

    @property
    def remarks(self) -> list[str]:
        """What is worth telling about the choice."""
        said: list[str] = []
        if self.found > len(self.files):
            said.append(
                f"{len(self.files)} of the {self.found:,} files found were chosen, spread over the whole folder"
            )
        if not self.all_seen:
            said.append(f"only the first {_LOOK_AT:,} names were looked at")
        if self.too_large:
            said.append(f"{self.too_large:,} larger than {_LARGEST // 1024} KiB were left out")
        if self.unreadable:
            said.append(f"{self.unreadable:,} folders or files could not be looked at")
        return said


def choose(folder: Path | None, wanted: int, *, without: Path) -> Corpus:
    """At most ``wanted`` files of a folder, those first that can be parsed; by default of the standard library.

    :param without: a folder to keep out: the demo's own.
    """
    standard_library = folder is None
    root = Path(sysconfig.get_path("stdlib")) if folder is None else folder.absolute()
    look = _Look(root, without)
    found = list(look.files())
    if standard_library:
        broken = [root / name for name in _BROKEN_ON_PURPOSE if (root / name).is_file()]
        found = [path for path in found if path.suffix == ".py" and _TESTS.isdisjoint(path.relative_to(root).parts)]
    else:
        broken = []
    parsed = [path for path in found if path.suffix in _PARSED]
    others = [path for path in found if path.suffix not in _PARSED]
    room = max(wanted - len(broken), 0)
    chosen = _spread(parsed, room)
    chosen += _spread(others, room - len(chosen))
    return Corpus(
        root, tuple(chosen + broken), len(found) + len(broken), look.too_large, look.unreadable, look.looked <= _LOOK_AT
    )


def _spread(paths: list[Path], wanted: int) -> list[Path]:
    """So many of them, at equal distances, and always the same."""
    if len(paths) <= wanted:
        return list(paths)
    return [paths[index * len(paths) // wanted] for index in range(wanted)]


class _Look:
    """One walk through a folder, in the order of names; links to folders are not followed."""

    def __init__(self, root: Path, without: Path) -> None:
        self._root = root
        self._without = without
        self.looked = 0
        self.too_large = 0
        self.unreadable = 0

    def files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self._root, onerror=self._count):
            here = Path(folder)
            folders[:] = sorted(
                name
                for name in folders
                if name not in _PASSED_OVER and not name.startswith(".") and here / name != self._without
            )
            for name in sorted(names):
                self.looked += 1
                if self.looked > _LOOK_AT:
                    return
                if not name.startswith(".") and self._suits(here / name):
                    yield here / name

    def _count(self, _error: OSError) -> None:
        self.unreadable += 1

    def _suits(self, path: Path) -> bool:
        try:
            state = path.stat()
            os.fspath(path).encode()  # a name that is no text can be no input
        except (OSError, UnicodeError):
            self.unreadable += 1
            return False
        if not stat.S_ISREG(state.st_mode):  # a pipe or a device would keep its reader waiting
            return False
        self.too_large += state.st_size > _LARGEST
        return 0 < state.st_size <= _LARGEST
