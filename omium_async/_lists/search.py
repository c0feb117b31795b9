"""Finding the reading point again after rows before it were inserted or removed.

Rows before the point are known, those behind it are foreign. One window that shows both ends the search. Until then
each probe moves one of two bounds: the guess from the list's growth comes first, then steps that double, then, with a
bound on either side, halving. So the number of requests grows with the logarithm of the burst.

If even the start of the list shows no known row, all known rows were pushed away, or are gone. The search then goes
forward by steps that double, up to the end. If it finds no known row, because they are gone or the steps passed over
them, reading starts again at the start of the list, and reaches the known rows through the new ones.
"""

from __future__ import annotations

_MOST_FORWARD = 40  # probes forward, before reading starts again


class Search:
    """One search. Its bounds are offsets; each may be stale, because the list changes, and is dropped if contradicted.

    :ivar known: rows were known up to here; 0: no known row was found yet.
    :ivar foreign: no row was known from here on.
    """

    def __init__(self, window: int) -> None:
        self.known = 0
        self.foreign: int | None = None
        self._window = window
        self._near = window // 2  # one window shows both of two bounds that are this near to each other
        self._back = max(1, window // 2)
        self._on = 0
        self._probes = 0
        self._guess: int | None = None
        self._extrapolated = False
        self._latest: int | None = None  # the total at the probe before
        self._forward = 0  # probes forward; 0: the start of the list was not seen, or showed a known row
        self._step = window
        self._end: int | None = None  # the list ends here or before

    def saw_known(self, end: int) -> None:
        """A window of nothing but known rows ended here."""
        self.known = max(self.known, end)
        if self.foreign is not None and self.foreign < self.known:
            self.foreign = None

    def saw_foreign(self, start: int) -> None:
        """A window without a known row, or without any row, began here."""
        self.foreign = start if self.foreign is None else min(self.foreign, start)
        if self.known > self.foreign:
            self.known = 0

    def saw_foreign_start(self) -> None:
        """The window that starts the list is full and holds no known row."""
        self.saw_foreign(0)
        self._forward = max(self._forward, 1)

    def saw_end(self, offset: int) -> None:
        """A window without a known row showed that the list ends here."""
        self._end = offset if self._end is None else min(self._end, offset)

    def target(self, point: int, before: int | None, total: int | None) -> int | None:
        """The offset for the next probe; ``None`` if the known rows were not found.

        :param point: the offset of the reading point when the list's total was ``before``.
        """
        self._probes += 1
        growth = 0 if total is None or self._latest is None else total - self._latest
        self._latest = total
        self._forward += self._forward > 0
        if self._forward > _MOST_FORWARD:
            return None
        if before is not None and total is not None and before != total:
            guess = self._guess_by_total(point, before, total, growth)
            if guess is not None:
                return max(guess, 0)
        if self._forward and not self.known:
            beyond, self._step = point + self._step, 2 * self._step
            ends = [end for end in (self._end, total) if end is not None]
            return beyond if beyond < min(ends, default=beyond + 1) else None
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

    def _guess_by_total(self, point: int, before: int, total: int, growth: int) -> int | None:
        """Where the point is, by what the list grew or shrank; ``None``: there is no further guess."""
        if self._probes == 1 and total < before and self.foreign is not None:
            return point * total // before - self._window // 4  # rows were removed everywhere
        last, guess = self._guess, point + total - before  # all that was inserted or removed is before the point
        if last is None and guess > self.known:
            self._guess, self._on = guess, self._window
            return guess
        if last is not None and last != guess and self.foreign is None and self._probes % 2:
            # Two probes on, the difference shows how fast the list moves: aim where it will be, and a little before.
            self._guess = guess
            return guess + (guess - last) // 2 - self._window // 4
        if growth > self._near and self.foreign is not None and self._probes % 2 == 0:
            # The list grows faster than a window reaches: aim where the point will be when this probe is answered.
            self._guess = guess
            aside, self._extrapolated = self._window // 2 if self._extrapolated else 0, True
            return guess + growth - aside
        return None
