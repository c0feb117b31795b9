"""The exit statuses, and how a command ends with one of them."""

from __future__ import annotations

from typing import Final

__all__ = ["BAD_ENDS", "INTERRUPTED", "REFUSED", "USAGE", "Failure"]

REFUSED: Final = 1  # the service refused or failed
USAGE: Final = 2  # what was asked for makes no sense
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

#: Statuses of executions that make a command which waited for them end with REFUSED.
BAD_ENDS: Final = frozenset({"failed", "error", "cancelled"})


class Failure(Exception):  # noqa: N818 - how a command ends, not an error of the program
    """A command ends here, with this line for stderr."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code
