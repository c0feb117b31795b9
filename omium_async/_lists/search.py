"""Finding the reading point again after rows before it were inserted or removed.

Rows before the point are known, those behind it are foreign. One window that shows both ends the search. Until then
each probe moves one of two bounds: the guess from the list's growth comes first, then steps that double, then, with a
bound on either side, halving. So the number of requests grows with the logarithm of the burst.

If even the start of the list shows no known row, all known rows were pushed away, or are gone. The search then goes
forward: by the growth of the total, plus the growth from one request to the next; by steps that double up to the end;
and back from the end, each time a fifth of the way farther. Without a total, new rows before the known ones look like
unread ones behind them, and a known stretch shorter than about a fifth of what is behind it may not be found. If the
search finds nothing, reading starts again at the start of the list.
"""

from __future__ import annotations

#: Probes forward, until the list is read anew from its start.
MOST_FORWARD = 40


class Search:
    """One search. Its bounds are offsets; the list moves on, so each may be stale, and gives way where contradicted.

    :ivar known: rows were known up to here; 0: nothing found yet (the start of the list always serves).
    :ivar foreign: nothing was known from here on.
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
        # What the search forward has seen: the start of the list, the farthest rows, and the list's end.
        self._forward = False
        self._far = 0
        self._end: int | None = None
        self._steps = 0
        self._step = window
        self._from_end = 0

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
        if self._end is None or start < self._end:
            self._far = max(self._far, start)

    def saw_foreign_start(self) -> None:
        """The window that starts the list is full and holds no known row."""
        self.saw_foreign(0)
        self._forward = True

    def saw_end(self, offset: int) -> None:
        """A window with no known row showed that nothing is from here on."""
        self._end = offset if self._end is None else min(self._end, offset)
        self._far = min(self._far, self._end)

    def target(self, point: int, before: int | None, total: int | None) -> int | None:
        """The offset to look at next; ``None`` when the rows known are nowhere to be found.

        :param point: where the reading point was, when the list's total was what it was ``before``.
        """
        self._probes += 1
        growth = 0 if total is None or self._latest is None else total - self._latest
        self._latest = total
        if self._forward:
            self._steps += 1
            if self._steps > MOST_FORWARD:
                return None
        if before is not None and total is not None and before != total:
            guess = self._guess_by_total(point, before, total, growth)
            if guess is not None:
                return max(guess, 0)
        if self._forward and not self.known:
            return self._target_forward(point, total)
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

    def _target_forward(self, point: int, total: int | None) -> int | None:
        if self._end is None:
            beyond = point + self._step
            self._step *= 2
            if total is None or beyond < total:
                return beyond
            self._end = self._far = total
        if self._end - self._far > self._window:
            return (self._end + self._far) // 2
        self._far = self._end  # near enough
        self._from_end = max(self._from_end + self._window, self._from_end * 6 // 5)
        return self._end - self._from_end if self._from_end < self._end else None

    def _guess_by_total(self, point: int, before: int, total: int, growth: int) -> int | None:
        """Where the point is, by what the list grew or shrank; ``None`` when there is nothing more to guess."""
        if self._probes == 1 and total < before and self.foreign is not None:
            return point * total // before - self._window // 4  # rows went from everywhere
        last, guess = self._guess, point + total - before  # all that came or went lies before the point
        if last is None and guess > self.known:
            self._guess, self._on = guess, self._window
            return guess
        if last is not None and last != guess and self.foreign is None and self._probes % 2:
            # Two probes on, the difference shows how fast the list moves: aim where it will be, and a little before.
            self._guess = guess
            return guess + (guess - last) // 2 - self._window // 4
        if growth > self._near and self.foreign is not None and self._probes % 2 == 0:
            # The list grows faster than a window bridges: aim where the point will be when this probe is answered.
            self._guess = guess
            aside, self._extrapolated = self._window // 2 if self._extrapolated else 0, True
            return guess + growth - aside
        return None
