"""`omiumctl`, the command line of Omium executions. It needs the extra ``cli``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    The status is 0 if the command is done, 1 if the service refused or failed, 2 for wrong usage, and 130 if it was
    interrupted.

    :param arguments: the arguments after the program's name; ``None`` takes those of this process.
    """
    try:
        # click and rich come with the extra only. Without them one line says what to install.
        missing = [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]
        if missing:
            needed = " and ".join(missing)
            print(f"omiumctl: it needs {needed}: pip install 'omium-async[cli]'", file=sys.stderr)  # noqa: T201
            return 2
        from .app import run  # noqa: PLC0415 - it imports click

        return run(arguments)
    except KeyboardInterrupt:  # during the imports
        return 130
