"""Files that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

__all__ = ["state_folder", "write_private"]


def state_folder() -> Path:
    """Create the folder in which `omiumctl` keeps files between runs; without a home folder, a temporary one."""
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "omiumctl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # it may have existed
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="omiumctl-"))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that is closed to other users.

    :raises OSError: the system refuses.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # the file may have existed
        file.write(content)
