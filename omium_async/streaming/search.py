"""Finding the reading point again after the list has moved under it.

Rows before the point are known, those behind it are foreign. One window that shows both ends the search. Until then
each probe moves one of two bounds: the guess from the list's growth comes first, then steps that double, then, with a
bound on either side, halving. So a burst of any size costs requests by its logarithm.
"""

from __future__ import annotations


class Search:
    """One search. Its bounds are offsets; the list moves on, so each may be stale, and gives way where contradicted.

    :ivar known: rows were known up to here; 0: nothing found yet (the start of the list always serves).
    :ivar foreign: nothing was known from here on.
    """

    def __init__(self, window: int, *, poor: bool) -> None:
        self.known = 0
        self.foreign: int | None = None
        self._window = window
        # Bounds this near to each other are met by one window; one that cannot overlap must begin at the lower.
        self._near = window if poor else window // 2
        self._first_step = 0 if poor else window
        self._back = max(1, window // 2)
        self._on = 0
        self._probes = 0
        self._guess: int | None = None

    def saw_known(self, end: int) -> None:
        """A window of nothing but known rows ended here."""
        self.known = max(self.known, end)
        if self.foreign is not None and self.foreign < self.known:
            self.foreign = None

    def saw_foreign(self, start: int) -> None:
        """A window without a known row, or without any, began here."""
        self.foreign = start if self.foreign is None else min(self.foreign, start)
        if self.known > self.foreign:
            self.known = 0

    def target(self, point: int, before: int | None, total: int | None) -> int:
        """The offset to look at next.

        :param point: where the reading point was, when the list's total was what it was ``before``.
        """
        self._probes += 1
        if before is not None and total is not None and before != total:
            guess = self._guess_by_total(point, before, total)
            if guess is not None:
                return max(guess, 0)
        if self.foreign is None:
            step, self._on = self._on, max(2 * self._on, self._window)
            beyond = self.known + step
            return min(beyond, total) if total is not None and total > self.known else beyond
        if not self.known:
            step, self._back = self._back, 2 * self._back
            return max(self.foreign - step, 0)
        if self.foreign - self.known <= self._near:
            return self.known
        return (self.known + self.foreign) // 2

    def _guess_by_total(self, point: int, before: int, total: int) -> int | None:
        """Where the point is, by what the list grew or shrank; ``None`` when there is nothing more to guess."""
        if self._probes == 1 and total < before and self.foreign is not None:
            return point * total // before - self._window // 4  # rows went from everywhere
        last, guess = self._guess, point + total - before  # all that came or went lies before the point
        if last is None and guess > self.known:
            self._guess, self._on = guess, self._first_step
            return guess
        if last is not None and last != guess and self.foreign is None and self._probes % 2:
            # Two probes on, the difference shows how fast the list moves: aim where it will be, and a little before.
            self._guess = guess
            return guess + (guess - last) // 2 - self._window // 4
        return None
