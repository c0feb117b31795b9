"""Progress of long work: a bar on a terminal, otherwise a line every few seconds, always on stderr."""

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
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .output import complain
from .tables import screen

T = TypeVar("T")

_SECONDS_BETWEEN_LINES: Final = 5.0
_SECONDS_BETWEEN_UPDATES: Final = 0.1


class ProgressBar:
    """Shows how much of a piece of work is done.

    :param what: the work, such as ``sending``.
    :param total: the number of items, if it is known.
    :param lines: whether to write lines if stderr is not a terminal.
    :param beside: the work writes rows to stdout. If stdout is a terminal, the rows show the progress, not a bar.
    """

    def __init__(self, what: str, total: int | None = None, *, lines: bool = True, beside: bool = False) -> None:
        self._what = what
        self._total = total
        self._lines = lines
        self._written = time.monotonic()
        self._updated = 0.0
        self._bar: Progress | None = None
        self.done = 0
        console = screen(stderr=True)
        # rich shows nothing on a dumb terminal.
        if sys.stderr.isatty() and console.is_interactive and not (beside and sys.stdout.isatty()):
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                redirect_stdout=False,  # stdout may go to a file
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

    @contextlib.contextmanager
    def aside(self) -> Generator[None]:
        """Hide the bar while something else is printed."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None:
            self._bar.start()

    def advance(self, note: str = "") -> None:
        """Count one more item.

        :param note: shown beside the number, such as the rate or the number of failures.
        """
        self.done += 1
        now = time.monotonic()
        if self._bar is not None:
            if now - self._updated > _SECONDS_BETWEEN_UPDATES or self.done == self._total:
                self._updated = now
                self._bar.update(self._task, completed=self.done, note=note)
        elif self._lines and now - self._written > _SECONDS_BETWEEN_LINES:
            self._written = now
            of = "" if self._total is None else f" of {self._total:,}"
            complain(f"{self._what}: {self.done:,}{of}{f', {note}' if note else ''}")

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items and count each."""
        for item in items:
            self.advance()
            yield item
