"""What was done is told, also where the command ends before it could say so."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator

from .failures import INTERRUPTED, Failure
from .render import complain

__all__ = ["told_if_interrupted", "told_if_not_written"]


@contextlib.contextmanager
def told_if_interrupted(what: str) -> Generator[None]:
    """Ctrl-C while an execution is waited for names it: it runs on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Failure(f"interrupted: {what}, and runs on", INTERRUPTED) from None


@contextlib.contextmanager
def told_if_not_written(what: str) -> Generator[None]:
    """What was done is said on stderr where stdout does not take it."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        complain(what)
        raise
