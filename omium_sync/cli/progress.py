"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere, always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from .render import complain, console

__all__ = ["Progress"]

T = TypeVar("T")

_SECONDS_BETWEEN_LINES: Final = 5.0
_SECONDS_BETWEEN_UPDATES: Final = 0.1


class Progress:
    """How far a piece of work is.

    :param lines: whether anything is said where there is no terminal.
    :param beside: what is written to stdout meanwhile; on a terminal that alone shows how far it is.
    """

    def __init__(self, what: str, total: int | None = None, *, lines: bool = True, beside: bool = False) -> None:
        self._what = what
        self._total = total
        self._lines = lines
        self._said = time.monotonic()
        self._updated = 0.0
        self._bar: Bar | None = None
        self.done = 0
        if sys.stderr.isatty() and not (beside and sys.stdout.isatty()):
            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console(stderr=True),
                transient=True,
                redirect_stdout=False,  # it may go elsewhere
            )
            self._task = self._bar.add_task(what, total=total, note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def on_terminal(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    @contextlib.contextmanager
    def aside(self) -> Generator[None]:
        """While something else is printed."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None:
            self._bar.start()

    def advance(self, note: str = "") -> None:
        """One more is done; the note says what a number does not, such as failures and the rate."""
        self.done += 1
        now = time.monotonic()
        if self._bar is not None:
            if now - self._updated > _SECONDS_BETWEEN_UPDATES or self.done == self._total:
                self._updated = now
                self._bar.update(self._task, completed=self.done, note=note)
        elif self._lines and now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            of = "" if self._total is None else f" of {self._total:,}"
            complain(f"{self._what}: {self.done:,}{of}{f', {note}' if note else ''}")

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """The items; one more is done with each."""
        for item in items:
            self.advance()
            yield item
