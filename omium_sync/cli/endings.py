"""How a command ends: exit statuses, and the exception that carries one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from typing import Final

import click

from .output import complain

REFUSED: Final = 1  # the service refused or failed
USAGE: Final = 2  # the command cannot be run as given
INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells


class CommandFailed(Exception):  # noqa: N818 - the name says how the command ended
    """Ends the command with one line on stderr and an exit status."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def sdk_arguments() -> Generator[None]:
    """Report arguments that the SDK rejects as wrong usage. Nothing was sent then.

    :raises click.UsageError: instead of the SDK's ``TypeError`` or ``ValueError``.
    """
    from omium_sync import OmiumError  # noqa: PLC0415 - `--help` does not need the SDK

    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, OmiumError):
            raise
        raise click.UsageError(str(error)) from None


def notes_of(error: BaseException | None) -> list[str]:
    """Return the notes (PEP 678) of an exception and of the exceptions during which it was raised."""
    found: list[str] = []
    while error is not None:
        found += getattr(error, "__notes__", ())
        error = error.__context__
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def note_at_interrupt(text: str) -> Generator[None]:
    """Add a note to a Ctrl-C that has none, to be printed when the command ends."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not notes_of(interrupt):
            interrupt.add_note(text)
        raise


@contextlib.contextmanager
def say_if_unwritten(text: str) -> Generator[None]:
    """Print the text to stderr if stdout cannot be written: the user must learn what was done."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        complain(text)
        raise
