"""Files that only their owner can read, because they may contain private data; and the report of a batch."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import click

from .endings import CommandFailed
from .output import json_line

__all__ = ["ReportFile", "make_private_folder", "open_private", "same_file", "state_folder", "write_private"]


def make_private_folder(path: Path) -> None:
    """Create a folder if it is missing, and close it to other users.

    :raises OSError: the system refuses.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def state_folder() -> Path:
    """Create the folder in which `omiumctl` keeps files between runs; without a home folder, a temporary one."""
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "omiumctl"
        make_private_folder(folder)
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="omiumctl-"))


def open_private(path: Path) -> BinaryIO:
    """Open a file for writing, empty and closed to other users. Devices and pipes are opened as they are.

    :raises OSError: the system refuses.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & 0o700)
        return os.fdopen(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        raise


def write_private(path: Path, content: bytes) -> None:
    """Write a file that is closed to other users.

    :raises OSError: the system refuses.
    """
    with open_private(path) as file:
        file.write(content)


def same_file(one: Path | None, other: Path | None) -> bool:
    """Return whether both paths name one file."""
    if one is None or other is None:
        return False
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


class ReportFile:
    """A file with one JSON object on each line, overwritten by each run. Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = open_private(self._path)
            except OSError as error:
                raise click.UsageError(f"the report {self._path} cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as failure:
                self._fail(failure)

    def write(self, row: dict[str, Any]) -> None:
        """Write one line."""
        if self._file is not None:
            try:
                self._file.write(json_line(row))
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        raise CommandFailed(f"the report {self._path} cannot be written: {error.strerror}") from None
