"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere, always on stderr."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
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

from .render import complain, console, printable

__all__ = ["Progress"]

T = TypeVar("T")

_SECONDS_BETWEEN_LINES: Final = 5.0
_SECONDS_BETWEEN_UPDATES: Final = 0.1


class Progress:
    """How far a piece of work is.

    :param lines: whether anything is said where there is no terminal.
    :param beside: what is written to stdout meanwhile; on a terminal that alone shows how far it is.
    :param stalled: asked once, from another thread, when nothing was done for five seconds: what there is to say then.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        *,
        lines: bool = True,
        beside: bool = False,
        stalled: Callable[[], str | None] | None = None,
    ) -> None:
        self._what = what
        self._total = total
        self._lines = lines
        self._said = self._advanced = time.monotonic()
        self._updated = 0.0
        self._stalled = stalled
        self._watch: threading.Thread | None = None
        self._over = threading.Event()
        self._bar: Bar | None = None
        self.done = 0
        screen = console(stderr=True)
        # A dumb terminal can show no bar: rich would show nothing there.
        if sys.stderr.isatty() and screen.is_interactive and not (beside and sys.stdout.isatty()):
            self._bar = Bar(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=screen,
                transient=True,
                redirect_stdout=False,  # it may go elsewhere
            )
            self._task = self._bar.add_task(what, total=total, note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        if self._stalled is not None:
            self._watch = threading.Thread(target=self._tell_when_stalled, args=(self._stalled,), daemon=True)
            self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        if self._watch is not None:
            self._watch.join(1)  # it may be writing to a terminal that takes nothing
        if self._bar is not None:
            self._bar.stop()

    def _tell_when_stalled(self, stalled: Callable[[], str | None]) -> None:
        wait = _SECONDS_BETWEEN_LINES
        while not self._over.wait(wait):
            wait = self._advanced + _SECONDS_BETWEEN_LINES - time.monotonic()
            if wait > 0:
                continue
            said = stalled()
            if said is not None:
                if self._bar is not None:
                    self._bar.console.print(f"omiumctl: {printable(said)}")
                else:
                    complain(said)
                return
            wait = _SECONDS_BETWEEN_LINES

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
        now = self._advanced = time.monotonic()
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
