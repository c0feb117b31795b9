"""How many executions there are of each status, and what the newest failures say."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from typing import Any, Final

import attrs

from omium_async import Execution

from .listing import newest_first
from .questions import Questions, anew_after, together
from .view import STATUSES

__all__ = ["GROUPED", "Counting", "Failures", "Overview", "grouped"]

GROUPED: Final = 500  # failures that are looked at for what they have in common
_COMPARED: Final = 2_000  # characters of an error
_WORD: Final = re.compile(r"[\w-]+")
_STATUS_OF_HTTP: Final = re.compile(r"[45]\d\d")

#: An execution that changes leaves or enters one of these, or is new: as long as they and the total stay, all do.
_MENDED: Final = ("failed", "paused")
_ACTIVE: Final = ("running", "pending")
_FAILURES: Final = ("failed", "error")


@attrs.frozen
class Failures:
    """Failed executions with the same error, its ids and numbers apart.

    :ivar error: what the newest of them says.
    :ivar alike: whether all say exactly that.
    :ivar count: how many there are.
    :ivar newest: the newest of them.
    :ivar workflows: theirs, the most frequent first.
    """

    error: str
    alike: bool
    count: int
    newest: Execution
    workflows: tuple[str, ...]


@attrs.frozen
class Overview:
    """How many executions there are of each status, and what the newest failures say.

    :ivar counts: by status; none where the service does not count.
    :ivar total: of all; ``None`` where the service does not count.
    :ivar groups: failures by what they say, the largest group first.
    :ivar grouped: how many failures were looked at.
    """

    counts: Mapping[str, int]
    total: int | None
    groups: tuple[Failures, ...]
    grouped: int

    @property
    def other(self) -> int:
        """How many have a status that is none of `STATUSES`."""
        return max(0, (self.total or 0) - sum(self.counts.get(status, 0) for status in STATUSES))


class Counting:
    """The overview of one workflow, or of all, and what is known of it from look to look."""

    def __init__(self, questions: Questions, workflow_id: str) -> None:
        self._questions = questions
        self._workflow_id = workflow_id
        self._failures = _Newest(questions, workflow_id)
        self._known: dict[str | None, int] = {}  # how many there are of each status, and of all
        self._when = 0.0  # when all of these were counted

    async def read(self) -> Overview:
        """The overview as it is now: of all executions where they are few, else of as few counts as tell."""
        whole = await self._questions.whole(self._workflow_id, lately=True)
        if whole is not None:
            return _overview_of(whole)
        total = await self._count(None)
        counts = {} if total is None else await self._counts(total)
        return Overview(counts, total, *await self._failures.read(counts))

    async def _counts(self, total: int) -> dict[str, int]:
        begun = time.monotonic()
        found = {None: total} | await self._counted(self._watched())
        anew = begun - self._when >= anew_after(1, moved=False)
        if anew or any(self._known.get(status) != count for status, count in found.items()):
            found |= await self._counted(status for status in STATUSES if status not in found)
            self._known = found
            self._when = begun if anew else self._when
        return {status: self._known[status] for status in STATUSES}

    def _watched(self) -> tuple[str, ...]:
        """The statuses to count: those that are active need not be where the newest page shows all of them."""
        newest = self._questions.newest(self._workflow_id)
        if not self._known or not newest:
            return (*_MENDED, *_ACTIVE)
        shown = Counter(str(execution.status) for execution in newest)
        return (*_MENDED, *(status for status in _ACTIVE if shown[status] != self._known[status]))

    async def _counted(self, statuses: Iterable[str]) -> dict[str | None, int]:
        wanted = tuple(statuses)
        found = await together(*map(self._count, wanted))
        return {status: count or 0 for status, count in zip(wanted, found, strict=True)}

    def _count(self, status: str | None) -> Coroutine[Any, Any, int | None]:
        return self._questions.count(self._workflow_id, status)


class _Newest:
    """The newest failures of one workflow, or of all, by what they say."""

    def __init__(self, questions: Questions, workflow_id: str) -> None:
        self._questions = questions
        self._workflow_id = workflow_id
        self._found: tuple[tuple[Failures, ...], int] = ((), 0)
        self._sign: Any = None  # what would differ if there were others
        self._cost = 0
        self._when = -math.inf

    async def read(self, counts: Mapping[str, int]) -> tuple[tuple[Failures, ...], int]:
        """The groups, and how many failures were looked at.

        :param counts: by status; none where the service does not count: then its newest failures show whether there
            are others.
        """
        begun = time.monotonic()
        sign = [counts[status] for status in _FAILURES] if counts else await self._first_pages()
        if begun - self._when >= anew_after(self._cost, moved=sign != self._sign):
            with self._questions.meter.counting() as cost:
                statuses = [status for status in _FAILURES if not counts or counts[status]]
                found = await together(*map(self._list, statuses))
            newest = newest_first(execution for each in found for execution in each)[:GROUPED]
            self._found = grouped(newest), len(newest)
            self._sign, self._cost, self._when = sign, cost.requests, begun
        return self._found

    async def _first_pages(self) -> list[tuple[Execution, ...]]:
        pages = await together(*(self._questions.page(self._workflow_id, status) for status in _FAILURES))
        return [page.items for page in pages]

    async def _list(self, status: str) -> list[Execution]:
        async def read(rows: AsyncGenerator[Execution]) -> list[Execution]:
            return [execution async for execution in rows]

        workflow_id = self._workflow_id or None
        return await self._questions.listed(GROUPED, read, workflow_id=workflow_id, status=status, limit=GROUPED)


def _overview_of(items: tuple[Execution, ...]) -> Overview:
    counts = Counter(str(execution.status) for execution in items)
    failures = [execution for execution in items if execution.status in _FAILURES]
    return Overview(dict(counts), len(items), grouped(failures), len(failures))


def grouped(failures: Iterable[Execution]) -> tuple[Failures, ...]:
    """Failures by what they say, ids and numbers apart, the largest group first; of each, the first is the newest."""
    groups: dict[str, list[Execution]] = {}
    for execution in failures:
        groups.setdefault(_masked(execution.error or ""), []).append(execution)
    return tuple(sorted(map(_group, groups.values()), key=lambda group: -group.count))


def _group(members: list[Execution]) -> Failures:
    alike = len({member.error for member in members}) == 1
    workflows = tuple(_by_frequency(member.workflow_id for member in members))
    return Failures(members[0].error or "no error was given", alike, len(members), members[0], workflows)


def _masked(error: str) -> str:
    """An error without what differs from one execution to the next: words with digits, save for statuses of HTTP."""

    def mask(word: re.Match[str]) -> str:
        text = word[0]
        telling = text.isalpha() or _STATUS_OF_HTTP.fullmatch(text) or not any(map(str.isdigit, text))
        return text if telling else "#"

    return _WORD.sub(mask, error[:_COMPARED])


def _by_frequency(names: Iterable[str | None]) -> list[str]:
    return [name for name, _ in Counter(name for name in names if name).most_common()]
