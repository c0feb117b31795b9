"""How many executions there are of each status, and what the newest failures say."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from typing import Any, Final

import attrs

from omium_async import Execution

from .listing import newest_first
from .questions import Questions, together
from .view import STATUSES

__all__ = ["GROUPED", "Counting", "Failures", "Overview", "grouped"]

GROUPED: Final = 500  # failures that are looked at for what they have in common
_ALL_ANEW: Final = 300.0  # seconds
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
        self._known: Overview | None = None
        self._when = 0.0  # when all of it was read

    async def read(self) -> Overview:
        """The overview as it is now: of all executions where they are few, else of as few counts as tell."""
        whole = await self._questions.whole(self._workflow_id, lately=True)
        if whole is not None:
            return _overview_of(whole)
        watched = self._watched()
        total, *found = await together(*map(self._count, (None, *watched)))
        if total is None:
            return Overview({}, None, *await self._failures(_FAILURES))
        counts = {status: count or 0 for status, count in zip(watched, found, strict=True)}
        known = None if time.monotonic() - self._when > _ALL_ANEW else self._known
        if known and total == known.total and all(known.counts[status] == count for status, count in counts.items()):
            return known
        return await self._all(total, counts, known)

    async def _all(self, total: int, counts: dict[str, int], known: Overview | None) -> Overview:
        """Something moved: all counts, and the failures if it was them."""
        begun = time.monotonic()
        others = [status for status in STATUSES if status not in counts]
        found = await together(*map(self._count, others))
        counts |= {status: count or 0 for status, count in zip(others, found, strict=True)}
        if known and all(counts[status] == known.counts[status] for status in _FAILURES):
            groups, looked_at = known.groups, known.grouped
        else:
            groups, looked_at = await self._failures(status for status in _FAILURES if counts[status])
        self._known = Overview(counts, total, groups, looked_at)
        self._when = self._when if known else begun
        return self._known

    def _watched(self) -> tuple[str, ...]:
        """The statuses to count: those that are active need not be where the newest page shows all of them."""
        newest = self._questions.newest(self._workflow_id)
        if self._known is None or not newest:
            return (*_MENDED, *_ACTIVE)
        shown = Counter(str(execution.status) for execution in newest)
        return (*_MENDED, *(status for status in _ACTIVE if shown[status] != self._known.counts[status]))

    def _count(self, status: str | None) -> Coroutine[Any, Any, int | None]:
        return self._questions.count(self._workflow_id, status)

    async def _failures(self, statuses: Iterable[str]) -> tuple[tuple[Failures, ...], int]:
        found = await together(*map(self._list, statuses))
        newest = newest_first(execution for each in found for execution in each)[:GROUPED]
        return grouped(newest), len(newest)

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
