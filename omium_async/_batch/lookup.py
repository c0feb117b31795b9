"""Finding executions at the service by the keys that travelled in their metadata.

What is not found counts as absent only where it would have been seen: the list was read to its end, whatever its order,
and its rows, or else the details, are known to show keys. No clock is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any, Final

import attrs

from .. import _endpoints as endpoints
from .. import _lists as lists
from .._caller import Caller
from .._errors import NotFoundError
from .._models.types import Execution
from .._streaming.filters import Filters

__all__ = ["Lookup", "Sighting"]

_log = logging.getLogger("omium_async.batch")

_PAGE_SIZE: Final = 1000  # of a look to the end
_FIRST_PAGE_SIZE: Final = 100  # of one that only may find
_FIRST_PAGES: Final = 4
_MOST_DETAILS: Final = 256  # read in one look


@attrs.frozen
class Sighting:
    """What a look at the service brought.

    :ivar executions: by key.
    :ivar doubtful: ids of executions that may be one of those looked for, or not: nothing shows their keys. Without
        any, and after a look to the end, what was not found is not there.
    """

    executions: dict[str, Execution]
    doubtful: Sequence[str] = ()


@attrs.define
class _Rows:
    """What the rows of the list show."""

    executions: dict[str, Execution] = attrs.field(factory=dict[str, Execution])
    keyless: dict[str, int] = attrs.field(factory=dict[str, int])  # with their places in the list
    keyed: bool = False  # whether one was seen with a key
    read: int = 0


@attrs.frozen
class Lookup:
    """How to look.

    :ivar reader: gives what to read with.
    :ivar key_field: the key's name in the metadata.
    :ivar known: tells which ids are outcomes of this batch already.
    """

    reader: Callable[[], Caller]
    key_field: str
    known: Callable[[list[str]], Awaitable[AbstractSet[str]]]

    async def find(self, workflow_id: str, keys: AbstractSet[str], *, to_the_end: bool) -> Sighting:
        """Look for executions of a workflow.

        :param to_the_end: read the whole list, unless all are found before; else its first pages, which may only find.
        """
        rows = await self._read_list(workflow_id, keys, to_the_end=to_the_end)
        if len(rows.executions) == len(keys) or not rows.keyless:
            return Sighting(rows.executions)
        known = await self.known(list(rows.keyless))
        if rows.keyed and not known:
            return Sighting(rows.executions)  # rows show keys, and none of ours is known to hide its own
        return await self._read_details(rows, keys, known)

    async def _read_list(self, workflow_id: str, keys: AbstractSet[str], *, to_the_end: bool) -> _Rows:
        rows = _Rows()
        size = _PAGE_SIZE if to_the_end else _FIRST_PAGE_SIZE
        pages = lists.pages(self.reader(), Filters(workflow_id), page_size=size, prefetch=0)
        async with aclosing(pages):
            async for page in pages:
                for row in page.items:
                    self._take(rows, row, keys)
                if len(rows.executions) == len(keys) or (not to_the_end and page.page == _FIRST_PAGES):
                    break
        return rows

    def _take(self, rows: _Rows, row: Execution, keys: AbstractSet[str]) -> None:
        key = self._key_of(row)
        if key is not None:
            rows.keyed = True
            if key in keys:
                _add(rows.executions, key, row)
        else:
            rows.keyless[row.id] = rows.read
        rows.read += 1

    async def _read_details(self, rows: _Rows, keys: AbstractSet[str], known: AbstractSet[str]) -> Sighting:
        """Read details of the rows that may hide a key; those first that stand next to what is known to be ours."""
        found = rows.executions
        candidates = _nearest_first(rows, known)
        doubtful: list[str] = []
        details_show = False
        for execution_id in candidates[:_MOST_DETAILS]:
            try:
                detail = await endpoints.get(self.reader(), execution_id)
            except NotFoundError:
                continue
            key = self._key_of(detail)
            details_show |= key is not None
            if key is not None and key in keys:
                _add(found, key, detail)
                if len(found) == len(keys):
                    return Sighting(found)
            elif key is None and (known or not detail.metadata):
                doubtful.append(execution_id)
        if doubtful and (details_show or await self._details_show(known)):
            doubtful = []
        return Sighting(found, [*doubtful, *candidates[_MOST_DETAILS:]])

    async def _details_show(self, known: AbstractSet[str]) -> bool:
        """Whether details show the key of one that is known to be ours."""
        for execution_id in sorted(known)[:1]:
            return self._key_of(await endpoints.get(self.reader(), execution_id)) is not None
        return False

    def _key_of(self, row: Execution) -> str | None:
        metadata: Mapping[str, Any] = row.metadata or {}
        key = metadata.get(self.key_field)
        return key if isinstance(key, str) else None


def _nearest_first(rows: _Rows, known: AbstractSet[str]) -> list[str]:
    """The rows that may hide a key; what was sent together stands together, in most lists."""
    ours = sorted(rows.keyless[execution_id] for execution_id in known)
    low, high = (ours[0], ours[-1]) if ours else (0, 0)

    def distance(execution_id: str) -> int:
        place = rows.keyless[execution_id]
        if ours:
            return max(low - place, place - high, 0)
        return min(place, rows.read - 1 - place)

    return sorted((execution_id for execution_id in rows.keyless if execution_id not in known), key=distance)


def _add(found: dict[str, Execution], key: str, row: Execution) -> None:
    if key in found:
        _log.warning(
            "executions %s and %s have the same key %s: one of them is a duplicate",
            found[key].id,
            row.id,
            key,
            extra={"omium_execution_id": row.id, "omium_batch_key": key},
        )
    found[key] = row
