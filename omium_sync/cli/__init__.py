"""`omiumctl`: executions from the command line, on the facade. It needs the extra ``cli``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. 0: done, 1: the service refused or failed, 2: wrong usage, 130: interrupted.

    :param arguments: those after the program's name; ``None``: those of this process.
    """
    try:
        # Only the extra brings click and rich: whoever installed without it is told so, not shown a traceback.
        missing = [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]
        if missing:
            needs = " and ".join(missing)
            print(f"omiumctl: it needs {needs}: pip install 'omium-async[cli]'", file=sys.stderr)  # noqa: T201
            return 2
        from .entry import run  # noqa: PLC0415 - see above

        return run(arguments)
    except KeyboardInterrupt:  # while all the rest was still being imported
        return 130
