"""The rule that misses no row and yields none twice, however the list changes while it is read.

Rows keep one relative order; a *staying* row is in the list from the first request to the last. Call a yielded row
*closed* when every staying row before it has been yielded, and claim: every yielded row is closed.

1.  A window that starts the list, or that holds a yielded row, may be yielded. Let *r* be the last yielded row in it
    (the start of the list, if there is none). The staying rows before *r* have been yielded, because *r* is closed.
    Those behind *r* and before the window's end were in the list when it was answered, and a window is contiguous: they
    are in it. So all rows that it adds are closed too.
2.  Nothing in this depends on time. It holds in whatever order windows were requested, answered and taken, and
    whatever was inserted, removed or put back meanwhile.
3.  If such a window is not full, the list ended in it: no staying row is behind it, all have been yielded. `total` is
    not needed for this, and cannot replace it: a row inserted between a server's count and its query makes a full
    last window look like the end.

`Seen` makes it exact: it holds all rows yielded, not only the last few, which a larger burst would push away.
Everything else here is about cost: a window that starts the list and holds no known row may be yielded, but is only
when no known row is found farther on, and only a limited number of times. Offsets and totals are hints.

On a server outside these terms `PlainReading` takes over, with a WARNING.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections import Counter, deque

from .._errors.others import UnstableListError
from .._models.types import Execution, ExecutionPage
from .plain import PlainReading
from .search import Search
from .seen import Seen
from .windows import SAFE_MINIMUM, SERVICE_MAXIMUM, Sizes, Window

_log = logging.getLogger("omium_async.lists")

#: Each restart at the start of the list adds this to the fruitless requests for good, so a list that always moves ahead
#: of the reader ends in an error.
_RESTART = 4
_MOST_FRUITLESS = 64  # requests in a row that neither bring a row nor reach the end
#: So many fruitless requests in an unchanged list that show the same first row: the server is outside the terms.
_MOST_REPEATS = 4
_MOST_KEPT = 16  # windows without a known row that are kept until one of their rows is known
_COMPARED = 100  # rows of two answers whose order is compared


class Reading:
    """One reading of a list: chooses the windows to request, and takes their answers.

    :ivar total: of the latest answer.
    :ivar ended: there is nothing more to read.
    """

    def __init__(self, page_size: int, limit: int | None = None) -> None:
        self.total: int | None = None
        self.ended = limit == 0
        self._left = sys.maxsize if limit is None else limit
        self._seen = Seen()
        self._sizes = Sizes(page_size)
        self._overlap = 1
        # The reading point: the offset behind the last row closed when an answer last showed it, and its total.
        self._point = 0
        self._point_total: int | None = None
        self._planned = 0  # the windows requested reach up to here
        # While one of these is set, one window is requested at a time.
        self._search: Search | None = None
        self._again: Window | None = None  # the total contradicted its answer
        self._plain: PlainReading | None = None
        self._restart = False  # the window requested may start the reading again, because no known row was found
        self._restarts = 0
        self._advanced = False  # the answer at hand brought rows behind all known ones
        self._contradicted: Counter[Window] = Counter()
        self._kept: deque[tuple[Window, ExecutionPage]] = deque(maxlen=_MOST_KEPT)
        self._fruitless = _Fruitless()
        self._last: list[str] = []  # ids at the end of the answer before
        self._warned = False

    # -- which window next ---------------------------------------------------------------------------------------

    @property
    def steady(self) -> bool:
        """Whether windows can be requested ahead: nothing is unusual, and a total says how far."""
        return self.total is not None and not (self._search or self._again or self._plain)

    def needed(self) -> Window:
        """The window without which reading cannot continue; requested when none is in flight."""
        self._planned = self._point
        if self._plain is not None:
            return self._plain.window
        if self._again is not None:
            return self._again
        return self._next() if self._search is None else self._probe(self._search)

    def ahead(self) -> Window | None:
        """The window behind those in flight; ``None`` if it is too early to request more, or enough."""
        if not self.steady or self.total is None or self._planned > self.total:
            return None
        return self._next() if self._planned - self._point < self._left else None

    def _next(self) -> Window:
        window = self._sizes.over(self._planned, self._overlap, self._left - (self._planned - self._point))
        self._planned = window.end
        return window

    def _probe(self, search: Search) -> Window:
        target = search.target(self._point, self._point_total, self.total)
        if target is None:
            self._restart = True
            return self._sizes.first(sys.maxsize)
        return self._sizes.over(target, self._overlap, sys.maxsize)

    # -- what an answer adds -------------------------------------------------------------------------------------

    def take(self, window: Window, answer: ExecutionPage) -> list[Execution]:
        """Return the new rows of this response, in their order; they count as yielded.

        :raises UnstableListError: the list changes faster than it can be read.
        """
        self.total = answer.total
        rows = self._take_plain(self._plain, window, answer) if self._plain else self._take_exact(window, answer)
        rows = rows[: self._left]
        self._left -= len(rows)
        self.ended = self.ended or not self._left
        return rows

    def _take_exact(self, asked: Window, answer: ExecutionPage) -> list[Execution]:
        self._again, self._advanced = None, False
        restart, self._restart = self._restart, False
        window = self._sizes.learn(asked, answer)
        rows: list[Execution] = []
        if window is None:
            rows = self._take_odd(asked, answer)
        elif not answer.items:
            self._take_empty(window)
        elif any(map(self._seen.holds, answer.items)):
            rows = self._take_rows(window, answer)
        elif window.start > 0:
            self._take_foreign(window, answer)
        elif restart or not self._seen or len(answer.items) < window.size:
            self._restarts += bool(self._seen)
            rows = self._take_rows(window, answer)
        else:
            # The start of the list shows new rows only. Reading on from here would read through all known rows later,
            # so those are searched first.
            self._searching().saw_foreign_start()
        if rows and self._kept:
            rows += self._take_kept()
        self._count(asked, answer)
        return rows

    def _take_kept(self) -> list[Execution]:
        """Take windows that held no known row when they came, and do now."""
        rows: list[Execution] = []
        while not (self.ended or self._plain):
            ready = next((entry for entry in self._kept if any(map(self._seen.holds, entry[1].items))), None)
            if ready is None:
                break
            self._kept.remove(ready)
            rows += self._take_rows(*ready)
        return rows

    def _take_rows(self, window: Window, answer: ExecutionPage) -> list[Execution]:
        """Take a window that may be yielded."""
        items, end = answer.items, window.start + len(answer.items)
        inside = self._seen.holds(items[-1])  # then the reading point is farther on
        expected = None if answer.total is None else min(answer.total, len(self._seen) + self._left)
        new = self._seen.add(items, expected)
        self._check_order(answer, len(items) - len(new))
        if not inside:
            self._point, self._point_total = end, answer.total
            self._search = None
            self._advanced = True
            self._contradicted.clear()
        if len(items) >= window.size:
            if inside:
                self._searching().saw_known(end)
            if self._sizes.largest < SAFE_MINIMUM:
                self._read_plainly("the server sends fewer than 20 rows a page")
        elif answer.page_size is None and window.size > self._sizes.delivered:
            self._try_smaller(end)
        elif self._is_contradicted(end):
            self._ask_again(window, proven=True)
        else:
            self.ended = True
        return new

    def _try_smaller(self, end: int) -> None:
        """The server does not say its page size, and may send no more rows than this at once: assume so.

        If the list ends here, a smaller window shows it at the cost of one request.
        """
        self._sizes.largest = self._sizes.delivered
        self._point, self._search = end, None
        if self._sizes.largest < SAFE_MINIMUM:
            self._read_plainly(None)

    def _take_foreign(self, window: Window, answer: ExecutionPage) -> None:
        """Keep a window without a known row: the reading point has moved."""
        self._kept.append((window, answer))
        if self._search is None:
            self._overlap = min(2 * self._overlap, max(1, self._sizes.largest // 4))
        search = self._searching()
        search.saw_foreign(window.start)
        end = window.start + len(answer.items)
        if len(answer.items) < window.size and not self._is_contradicted(end):
            search.saw_end(end)

    def _take_empty(self, window: Window) -> None:
        """An empty window: the list ended before it, or the answer was wrong."""
        if self._is_contradicted(window.start):
            self._ask_again(window, proven=window.start == 0)
        elif window.start == 0:
            self.ended = True
        else:
            self._search_before(window)

    def _take_odd(self, asked: Window, answer: ExecutionPage) -> list[Execution]:
        """The server chose a larger size than requested, so only the offset of a first page is known."""
        new: list[Execution] = []
        if asked.start == 0:
            new = self._seen.add(answer.items)
            self._point = max(self._point, len(answer.items))
        if len(new) < self._left:
            self._read_plainly("the server chooses the page size itself")
        return new

    # -- what is unusual -----------------------------------------------------------------------------------------

    def _searching(self) -> Search:
        """The current search, or a new one."""
        self._search = self._search or Search(self._sizes.largest)
        return self._search

    def _search_before(self, window: Window) -> None:
        search = self._searching()
        search.saw_foreign(window.start)
        search.saw_end(window.start)

    def _is_contradicted(self, end: int) -> bool:
        """Whether the total says that the list continues behind ``end``."""
        return self.total is not None and self.total > end

    def _ask_again(self, window: Window, *, proven: bool) -> None:
        """The total contradicts an end: request the window once more, then accept it.

        :param proven: the rule shows that the list ends there. Otherwise rows before it may have been removed, so known
            rows are searched first.
        """
        self._contradicted[window] += 1
        times = self._contradicted[window]
        if times == 1:
            self._again = window
        elif proven or (times > 2 and not self._fruitless.list_changed):
            self._read_plainly(f"the list ends at offset {window.start} although its total is {self.total}")
        else:
            self._search_before(window)

    def _count(self, asked: Window, answer: ExecutionPage) -> None:
        """Count the consecutive requests that brought no row behind the known rows."""
        if self._advanced or self.ended:
            self._fruitless = _Fruitless(_RESTART * self._restarts)
            return
        same = self._fruitless.add(asked, answer)
        if self._plain is not None:
            return
        many = self._fruitless.count >= _MOST_FRUITLESS
        if many and self._fruitless.list_changed:
            message = (
                f"the list changes faster than it can be read: {_MOST_FRUITLESS} requests in a row found nothing new"
            )
            raise UnstableListError(message, outcome="not_applied")
        if many or (same and self._fruitless.repeats >= _MOST_REPEATS and asked.start > 0):
            # If it ignores the page, the largest first page shows most.
            self._read_plainly("the server shows the same rows on different pages", Window(1, SERVICE_MAXIMUM))
        elif self._fruitless.repeats >= _MOST_REPEATS and asked.start > 0:
            self._again = asked  # the same answer will prove that the list stands still

    def _check_order(self, answer: ExecutionPage, known: int) -> None:
        """Compare the order of rows with that in the answer before; ``known`` of them were known."""
        last, self._last = self._last, [row.id for row in answer.items[-_COMPARED:]]
        if known < 2 or [row.id for row in answer.items[:known]] == last[-known:]:
            return  # nothing to compare, or the two overlap as they should
        place = {id: index for index, id in enumerate(last)}
        places = [place[row.id] for row in answer.items if row.id in place]
        if any(a > b for a, b in itertools.pairwise(places)):
            self._warn("rows change their order between two requests")

    # -- outside the terms ---------------------------------------------------------------------------------------

    def _read_plainly(self, finding: str | None, begin: Window | None = None) -> None:
        """Read on page by page.

        :param finding: for the WARNING; ``None``: there is no certain one yet.
        :param begin: the first page; ``None``: the one that holds the reading point.
        """
        if finding is not None:
            self._warn(finding)
        size = self._sizes.largest
        self._search = self._again = None
        self._plain = PlainReading(begin or Window(self._point // size + 1, size))

    def _take_plain(self, plain: PlainReading, window: Window, answer: ExecutionPage) -> list[Execution]:
        new = plain.take(window, answer, self._seen)
        self.ended = plain.ended
        # It also ends at a page with rows but no new ones: the server ignores the page number.
        if new or (plain.ended and (answer.items or self._is_contradicted(len(self._seen)))):
            self._warn("the server sends fewer rows than requested")
        return new

    def _warn(self, finding: str) -> None:
        """Log once that the guarantee is weakened."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: no execution is yielded twice, but some may be missed if the list changes while it is read",
                finding,
                extra={"omium_finding": finding},
            )


class _Fruitless:
    """Requests in a row that brought nothing.

    :ivar count: how many.
    :ivar list_changed: whether two of their answers show that the list changed meanwhile.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.list_changed = False
        self._total: int | None = None
        self._answers: dict[Window, int] = {}
        self._heads: Counter[str] = Counter()

    @property
    def repeats(self) -> int:
        """How many answers of an unchanged list began with the same row."""
        return 0 if self.list_changed else max(self._heads.values(), default=0)

    def add(self, window: Window, answer: ExecutionPage) -> bool:
        """Count one; return whether the same window was answered with the same rows before."""
        self.count += 1
        ids = hash(tuple([row.id for row in answer.items]))
        before = self._answers.get(window)
        self._answers[window] = ids
        moved = before not in (None, ids) or (len(self._answers) > 1 and answer.total != self._total)
        self.list_changed = self.list_changed or moved
        self._total = answer.total
        if answer.items:
            self._heads[answer.items[0].id] += 1
        return before == ids
