"""Files and folders that nobody but their owner may read: what goes into them may be private."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["make_private_folder", "open_private", "write_private"]


def make_private_folder(path: Path) -> None:
    """Create the folder if need be, and close it to others.

    :raises OSError: the system refuses.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def open_private(path: Path) -> BinaryIO:
    """The file, empty, to be written; an existing one is closed to others. A device or pipe stays as it is.

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
    """All of the file.

    :raises OSError: the system refuses.
    """
    with open_private(path) as file:
        file.write(content)
