"""The exit statuses, and how a command ends with one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Final

import click

from omium_sync import OmiumError

__all__ = ["BAD_ENDS", "INTERRUPTED", "REFUSED", "USAGE", "Failure", "sdk_arguments"]

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


@contextlib.contextmanager
def sdk_arguments() -> Generator[None]:
    """A call whose arguments come from the command line: what the SDK refuses of them is wrong usage; nothing was sent.

    :raises click.UsageError: in place of the SDK's ``TypeError`` or ``ValueError``.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, OmiumError):
            raise
        raise click.UsageError(str(error)) from None
