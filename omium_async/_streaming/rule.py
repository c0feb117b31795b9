"""The rule that loses nothing and gives nothing twice, however the list changes while it is read.

Rows keep one relative order; a *staying* row is in the list from the first request to the last. Call a yielded row
*closed* when every staying row before it has been yielded, and claim: every yielded row is closed.

1.  A window that starts the list, or that holds a yielded row, may be yielded. Let *r* be the last yielded row in it
    (the start of the list, if there is none). The staying rows before *r* have been yielded, for *r* is closed. Those
    behind *r* and before the window's end were in the list when it was answered, and a window is contiguous: they are
    in it. So all that it adds is closed too.
2.  Nothing in this speaks of time. It holds in whatever order windows were asked for, answered and looked at, and
    whatever was inserted, removed or put back meanwhile; a window may wait until a row of it becomes known.
3.  If such a window is not full, the list ended in it: no staying row is behind it, all have been yielded. `total` is
    not needed for this, and cannot stand in for it: a row inserted between a server's count and its query makes a full
    last window look like the end.

What makes it exact is `Seen`: all rows yielded, not the last few, of which a burst larger than them knows nothing.
Everything else here is about cost, about servers that break the terms, and about an end: a window that starts the list
and shows nothing known may be yielded, but is only when nothing known is found farther on, and so many times at most.
Offsets and totals are hints.
"""

from __future__ import annotations

import logging
import sys
from collections import deque

from .._errors import UnstableListError
from .._models.types import Execution, ExecutionPage
from .search import Search
from .seen import Seen
from .windows import SERVICE_MAXIMUM, Shown, Sizes, Trial, Window
from .witness import Witness

_log = logging.getLogger("omium_async.streaming")

#: Requests in a row that neither yield nor reach the end. Rows that entered before the reading point do not count: a
#: server that shows the start of a growing list on every page would never end.
MOST_FRUITLESS = 64
#: What starting anew adds to that count for good: a list that is always ahead ends the reading.
_RESTART = 4
#: Empty windows in a row where ``total`` says there are rows.
MOST_EMPTY = 8
_MOST_CONTRADICTED = 3
_MOST_WAITING = 16  # windows without a known row that are kept until one of theirs is


class Reading:
    """One reading of a list: says which window to ask for, and takes what was answered.

    :ivar total: of the latest answer. :ivar ended: there is nothing more to read.
    """

    def __init__(self, page_size: int, limit: int | None = None) -> None:
        self.total: int | None = None
        self.ended = limit == 0
        self._left = sys.maxsize if limit is None else limit
        self._seen = Seen()
        self._sizes = Sizes(page_size)
        self._witness = Witness()
        self._overlap = 1
        # Behind the last row closed, where an answer last showed it, and the total of that answer.
        self._point = 0
        self._point_total: int | None = None
        self._planned = 0  # the windows asked for reach up to here
        self._waiting: deque[tuple[frozenset[str], Shown]] = deque(maxlen=_MOST_WAITING)
        # What is out of the ordinary. While anything is, one window is asked for at a time.
        self._search: Search | None = None
        self._again: Window | None = None
        self._test: Window | None = None  # whether sizes are honoured
        self._trial: Trial | None = None
        self._vain: int | None = None  # where the last trial that found nothing was to go on
        self._elsewhere = False  # the same rows on another page
        self._passing = False  # over a hole: the next window is joined
        self._last = False  # the window asked for is the last, whatever it shows
        self._complete = False  # by the rule the list has ended, but the server says otherwise
        self._restart = False  # the window asked for is to be taken as the start of the list, as nothing known is left
        self._restarts = 0  # windows taken so
        self._fruitless = 0
        self._advanced = False  # the answer at hand brought rows behind all those known
        self._empty = 0
        self._contradicted = 0  # windows that were empty although rows in them had been shown

    # -- which window next ---------------------------------------------------------------------------------------

    @property
    def steady(self) -> bool:
        """Whether windows can be asked for ahead: all goes its ordinary way, and a total says how far."""
        probing = self._search or self._again or self._test or self._trial or self._witness.wants_first
        return not (probing or self._elsewhere or self._passing) and self.total is not None

    def needed(self) -> Window:
        """The window without which reading cannot go on; to be asked for when none is in flight."""
        self._planned = self._point
        return self._probe() or self._next()

    def ahead(self) -> Window | None:
        """The window behind those in flight, ``None`` if it is too early to ask for more, or enough."""
        if not self.steady or self.total is None or self._planned > self.total:
            return None
        return self._next() if self._planned - self._point < self._left else None

    def _next(self) -> Window:
        wanted = self._left - (self._planned - self._point)
        window = self._sizes.over(self._planned, self._overlap, wanted)
        self._planned = window.end
        return window._replace(joined=window.joined or self._passing)

    def _probe(self) -> Window | None:
        if self._again or self._test:
            return self._again or self._test
        if self._witness.wants_first:
            return self._sizes.first(sys.maxsize)
        if self._search is None:
            return None
        target = self._search.target(self._point, self._point_total, self.total)
        if target is None:
            self._restart = True
            return self._sizes.first(sys.maxsize)
        window = self._sizes.over(target, self._overlap, sys.maxsize)
        return window._replace(joined=window.joined and target == self._search.known)

    # -- what an answer adds -------------------------------------------------------------------------------------

    def take(self, window: Window, answer: ExecutionPage) -> list[Execution]:
        """The rows that this answer closes, in their order; they count as yielded.

        :raises UnstableListError: too many answers in a row brought nothing.
        """
        read = self._sizes.read(window, answer)
        if read.joined and read.start > self._point:
            read = read._replace(joined=False)  # asked for ahead, and what was to come before it has not come
        shown = Shown(read, answer, window == self._again, self._trial)
        self.total = answer.total
        self._trial = None
        if shown.again:
            self._again = None
        if window == self._test:
            self._test = None
            if read.size > window.size:
                self._forget_places()
        rows: list[Execution] = []
        restart, self._restart = self._restart, False
        if not answer.items:
            self._take_empty(shown)
        elif self._starts_anew(shown) and not (restart or self._last or self._sizes.poor):
            self._take_foreign_start(shown)
        elif shown.window.start == 0 or shown.window.joined or any(map(self._seen.holds, answer.items)):
            rows = self._take_rows(shown)
        else:
            self._take_foreign(shown)
        self.ended = self.ended or (self._last and shown.again) or len(rows) >= self._left
        return self._count(rows)

    def _starts_anew(self, shown: Shown) -> bool:
        """Whether a window starts the list, which goes on behind it, and holds nothing of what has been yielded."""
        anew = shown.window.start == 0 and shown.full and len(self._seen) > 0
        return anew and not any(map(self._seen.holds, shown.answer.items))

    def _count(self, rows: list[Execution]) -> list[Execution]:
        advanced, self._advanced = self._advanced, False
        self._fruitless = _RESTART * self._restarts if advanced else self._fruitless + 1
        if self._fruitless >= MOST_FRUITLESS and self._complete:
            self.ended = True
        elif self._fruitless >= MOST_FRUITLESS and not self.ended:
            raise UnstableListError(
                f"the list changes faster than it can be read: {MOST_FRUITLESS} requests in a row brought nothing new",
                outcome="not_applied",
            )
        rows = rows[: self._left]
        self._left -= len(rows)
        return rows

    def _take_rows(self, shown: Shown) -> list[Execution]:
        """Of a window that may be yielded."""
        self._restarts += self._starts_anew(shown)
        trial = shown.trial
        inside = self._seen.holds(shown.answer.items[-1])  # then the reading point is farther on
        new = self._add(shown)
        self._empty = 0
        if trial is not None:
            self._conclude(trial, capped=shown.full and bool(new), whole=not shown.full)
        if self._repeats(shown, bool(new)):
            self._read_one_page()
        elif not shown.full:
            self._take_end(shown)
        elif inside:
            self._search_behind(shown.end)
        if new and self._waiting:
            new += self._take_waiting(new)
        return new

    def _repeats(self, shown: Shown, new: bool) -> bool:
        likely = self._sizes.poor and shown.trial is None
        return self._witness.pages_repeat(shown.window.start, shown.answer, new, likely)

    def _add(self, shown: Shown) -> list[Execution]:
        window, items, total = shown.window, shown.answer.items, self.total
        at_point = not self._seen.holds(items[-1])
        expected = None if total is None else min(total, len(self._seen) + self._left)
        new = self._seen.add(items, expected)
        self._witness.look_at_order(shown.answer, len(items) - len(new))
        if new and window.start > 0 and (self._sizes.poor or (window.joined and len(new) == len(items))):
            self._witness.warn("the server's pages cannot be made to overlap")
        if new:
            self._complete = False
            self._contradicted = 0
        if at_point:
            self._advanced = bool(new)
            self._point, self._point_total = shown.end, shown.answer.total
            self._search = self._again = None
            self._elsewhere = self._passing = False
        return new

    def _take_waiting(self, new: list[Execution]) -> list[Execution]:
        """What windows add that waited for one of these rows."""
        rows: list[Execution] = []
        known = {row.id for row in new}
        while self._waiting and not self.ended:
            ready = next((entry for entry in self._waiting if not known.isdisjoint(entry[0])), None)
            if ready is None:
                if not rows:
                    self._waiting.popleft()  # what waits for long waits for nothing
                break
            self._waiting.remove(ready)
            shown = ready[1]
            more = self._add(shown)
            rows += more
            known.update(row.id for row in more)
            self.ended = not (shown.full or shown.denied or self._unproven(shown) or self._sizes.poor)
        return rows

    def _take_foreign(self, shown: Shown) -> None:
        """Of a window without a known row: it is kept, and the reading point has moved."""
        self._test_sizes(shown)
        if shown.trial is not None:
            # Full so far on, it shows that the short window was not the end. Else rows were removed meanwhile.
            self._conclude(shown.trial, capped=shown.full)
        if self._search is None:
            self._overlap = min(2 * self._overlap, max(1, self._sizes.largest // 4))
        self._waiting.append((frozenset(row.id for row in shown.answer.items), shown))
        self._search_before(shown.window.start)
        if not shown.full and not shown.denied:
            self._searching().saw_end(shown.end)

    def _take_foreign_start(self, shown: Shown) -> None:
        """Of a full window that starts the list, without a known row, when some have been yielded.

        It may be yielded, but then all that came before the rows known would be walked over, and a list that grows
        faster than it is read would never end. So they are looked for farther on first.
        """
        if shown.trial is not None:
            self._conclude(shown.trial)
        self._repeats(shown, False)
        self._searching().saw_foreign_start()

    def _take_empty(self, shown: Shown) -> None:
        """Of an empty window: the list ended before it, or has a hole there, or the answer was a slip."""
        window, trial = shown.window, shown.trial
        search, elsewhere = self._search, self._elsewhere
        self._elsewhere = False
        odd = self._again is not None or search is not None
        if trial is not None:
            again_in_vain, self._vain = self._vain == trial.end, trial.end
            self._conclude(trial, whole=window.joined or again_in_vain)
        if window.start == 0 or window.joined:
            self._take_empty_next(shown)
        elif not shown.denied:
            self._test_sizes(shown)
            self._search_before(window.start, end=True)
        elif shown.again:
            # That page may be broken, whatever its size: what else shows these rows has another number.
            self._sizes.broken.add(window.page)
            self._elsewhere, self._search = True, None
        elif not odd and not elsewhere:
            self._again = window
        elif search is not None and search.known > window.start and self._contradicted >= _MOST_CONTRADICTED:
            self._pass_over(window.end)
        else:
            self._contradicted += search is not None and search.known > window.start
            self._search_before(window.start, end=True)

    def _take_empty_next(self, shown: Shown) -> None:
        """Of an empty window before which nothing can be missing, if the list has not shrunk meanwhile."""
        window, total = shown.window, shown.answer.total
        if not shown.denied:
            shrunk = total is not None and total < window.start and not self._passing
            if shrunk and (self._search is None or self._search.known < window.start):
                self._search_before(window.start)
            else:
                self.ended = True
        elif window.start == 0 and not shown.again:
            self._again = window
        else:
            self._empty += 1
            if self._empty < MOST_EMPTY:
                self._pass_over(window.end)
            else:
                self.ended = True
                _log.warning(
                    "the list is taken to end at offset %d: %d pages in a row were empty, although its total is %s",
                    window.start,
                    MOST_EMPTY,
                    total,
                    extra={"omium_offset": window.start, "omium_total": total},
                )

    def _take_end(self, shown: Shown) -> None:
        """Of a window that may be yielded and is not full: the list ends there, if it is not the answer that does."""
        window, _, again, trial = shown
        self._complete = True
        if not shown.denied:
            if self._unproven(shown):
                self._try_smaller(shown)
            else:
                self.ended = True
        elif trial is not None:
            self._pass_over(max(window.end, trial.end))
        elif not again:
            self._again = window
        elif window.size > self._sizes.delivered:
            self._try_smaller(shown)
        else:
            self._pass_over(window.end)

    # -- what is out of the ordinary -----------------------------------------------------------------------------

    def _searching(self) -> Search:
        """The search under way, or a new one."""
        self._search = self._search or Search(self._sizes.largest, poor=self._sizes.poor)
        return self._search

    def _search_before(self, offset: int, *, end: bool = False) -> None:
        search = self._searching()
        search.saw_foreign(offset)
        if end:
            search.saw_end(offset)

    def _search_behind(self, offset: int) -> None:
        self._searching().saw_known(offset)

    def _test_sizes(self, shown: Shown) -> None:
        """A window lacks the known row that it was to overlap. If sizes are not said, they may not be honoured either.

        Then it lay elsewhere than was thought, and nothing else might ever tell: the start of the list, asked for with
        a row less than it has given, does.
        """
        if shown.answer.page_size is None:
            self._test = self._sizes.test()

    def _forget_places(self) -> None:
        """The server gives larger windows than it was asked for: those before lay elsewhere than was thought."""
        self._search = None
        self._waiting.clear()

    def _unproven(self, shown: Shown) -> bool:
        """Whether a window may be short because the server silently gives no more than that at once."""
        return shown.answer.page_size is None and shown.window.size > self._sizes.delivered

    def _try_smaller(self, shown: Shown) -> None:
        self._trial = Trial(self._sizes.largest, shown.window.end)
        self._sizes.largest = len(shown.answer.items)
        self._point, self._search = shown.end, None

    def _conclude(self, trial: Trial, *, capped: bool = False, whole: bool = False) -> None:
        """End a trial: the short window was short by a cap, or showed the whole list; else there may be another one."""
        if capped:
            self._sizes.cap(self._sizes.largest)
            return
        self._sizes.largest = trial.largest
        if whole:
            self._sizes.delivered = max(self._sizes.delivered, trial.largest)  # no reason to try again

    def _pass_over(self, offset: int) -> None:
        """Read on from ``offset``, unless the list has not as many rows."""
        self._point, self._point_total = offset, self.total
        self._search, self._passing = None, True
        self.ended = self.total is None or self.total <= offset

    def _read_one_page(self) -> None:
        """Every page shows the first one: take that once more, as large as the service gives it."""
        self._witness.warn("the server shows the same rows on different pages")
        if self._sizes.poor or self._sizes.largest >= SERVICE_MAXIMUM:
            self.ended = True
        else:
            self._again, self._last = Window(1, SERVICE_MAXIMUM), True
