"""Finding executions at the service by the keys in their metadata.

An item that was not found counts as absent only if it would have been seen: the list was read to its end, and its rows
or else the details show keys. The order of the list and the service's clocks do not matter.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import attrs

from .. import _endpoints as endpoints
from .._caller import Caller
from .._errors.calls import NotFoundError
from .._filters import Filters
from .._journal.file import JournalFile
from .._lists import streams as lists
from .._models.types import Execution, ExecutionDetail
from .calls import Calls

_log = logging.getLogger("omium_async.batch")

_PAGE_SIZE: Final = 1000
_MOST_DETAILS: Final = 256  # read in one look-up


class Found(NamedTuple):
    """The result of a look-up.

    :ivar executions: by key.
    :ivar unclear: ids of executions whose keys are not shown, so that each may be one of those looked for. If there
        are none and the whole list was read, what was not found does not exist.
    """

    executions: dict[str, Execution]
    unclear: Sequence[str] = ()


@attrs.define
class _ReadRows:
    """The rows read so far.

    :ivar keyless: places in the list of rows that show no key, by id.
    :ivar shows_keys: whether any row had a key.
    """

    executions: dict[str, Execution] = attrs.field(factory=dict[str, Execution])
    keyless: dict[str, int] = attrs.field(factory=dict[str, int])
    shows_keys: bool = False
    count: int = 0


class Lookup(NamedTuple):
    """Looks up executions.

    :ivar key_field: the name of the key in the metadata.
    :ivar file: the journal, with the executions that are outcomes of this batch.
    """

    caller: Caller
    calls: Calls
    key_field: str
    file: JournalFile

    async def find(self, workflow_id: str, keys: AbstractSet[str]) -> Found:
        """Look up executions of a workflow: the whole list is read, unless all are found before its end."""
        seen = await self._read_list(workflow_id, keys)
        if len(seen.executions) == len(keys) or not seen.keyless:
            return Found(seen.executions)
        known = await self.file.known(list(seen.keyless))
        if seen.shows_keys and not known:
            return Found(seen.executions)  # rows show keys, and no row of this batch is known to hide its own
        return await self._read_details(seen, keys, known)

    async def _read_list(self, workflow_id: str, keys: AbstractSet[str]) -> _ReadRows:
        seen = _ReadRows()
        fetch = lists.windows(self.caller, Filters(workflow_id), page=self.calls.page)
        rows = lists.stream_rows(fetch, page_size=_PAGE_SIZE, prefetch=0)
        async with aclosing(rows):
            async for row in rows:
                self._take(seen, row, keys)
                if len(seen.executions) == len(keys):
                    break
        return seen

    def _take(self, seen: _ReadRows, row: Execution, keys: AbstractSet[str]) -> None:
        key = self._key_of(row)
        if key is None:
            seen.keyless[row.id] = seen.count
        else:
            seen.shows_keys = True
            if key in keys:
                _add(seen.executions, key, row)
        seen.count += 1

    async def _read_details(self, seen: _ReadRows, keys: AbstractSet[str], known: AbstractSet[str]) -> Found:
        """Read details of the rows that show no key, first those next to rows of this batch."""
        found = seen.executions
        candidates = _nearest_first(seen, known)
        unclear: list[str] = []
        details_show_keys = False
        for execution_id in candidates[:_MOST_DETAILS]:
            try:
                detail = await self._get(execution_id)
            except NotFoundError:
                continue
            key = self._key_of(detail)
            details_show_keys |= key is not None
            if key is not None and key in keys:
                _add(found, key, detail)
                if len(found) == len(keys):
                    return Found(found)
            elif key is None and (known or not detail.metadata):
                unclear.append(execution_id)
        if unclear and (details_show_keys or await self._details_show_keys(known)):
            unclear = []
        return Found(found, [*unclear, *candidates[_MOST_DETAILS:]])

    async def _details_show_keys(self, known: AbstractSet[str]) -> bool:
        """Whether the details of an execution of this batch show its key."""
        for execution_id in sorted(known)[:1]:
            return self._key_of(await self._get(execution_id)) is not None
        return False

    async def _get(self, execution_id: str) -> ExecutionDetail:
        return await self.calls.read(lambda caller: endpoints.get(caller, execution_id))

    def _key_of(self, row: Execution) -> str | None:
        metadata: Mapping[str, Any] = row.metadata or {}
        key = metadata.get(self.key_field)
        return key if isinstance(key, str) else None


def _nearest_first(seen: _ReadRows, known: AbstractSet[str]) -> list[str]:
    """Sort the rows that show no key: in most lists, executions that were created together stand together."""
    ours = sorted(seen.keyless[execution_id] for execution_id in known)
    low, high = (ours[0], ours[-1]) if ours else (0, 0)

    def distance(execution_id: str) -> int:
        place = seen.keyless[execution_id]
        if ours:
            return max(low - place, place - high, 0)
        return min(place, seen.count - 1 - place)

    return sorted((execution_id for execution_id in seen.keyless if execution_id not in known), key=distance)


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
