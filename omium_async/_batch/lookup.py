"""Finding executions at the service by the keys that travelled in their metadata."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
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

_log = logging.getLogger("omium_async")

_PAGE_SIZES: Final = (100, 1000)


@attrs.frozen
class Sighting:
    """What a look at the service brought.

    :ivar executions: by key. :ivar doubtful: ids of executions that may be one of those looked for, or not: the
        service shows no metadata of them.
    """

    executions: dict[str, Execution]
    doubtful: list[str]


@attrs.frozen
class Lookup:
    """How to look.

    :ivar key_field: the key's name in the metadata. :ivar known: tells which ids are outcomes of this batch already.
    """

    caller: Caller
    key_field: str
    known: Callable[[list[str]], Awaitable[AbstractSet[str]]]

    async def find(self, workflow_id: str, keys: AbstractSet[str], since: float) -> Sighting:
        """Read the workflow's list from its newest to those created before ``since`` (seconds since 1970).

        Where rows carry no metadata, details are read of those that could be meant.
        """
        found: dict[str, Execution] = {}
        silent: list[Execution] = []  # rows without a key
        shown = False  # whether a row was seen with one
        size = min(max(4 * len(keys), _PAGE_SIZES[0]), _PAGE_SIZES[1])
        async with aclosing(lists.pages(self.caller, Filters(workflow_id), page_size=size, prefetch=0)) as pages:
            async for page in pages:
                rows = [row for row in page.items if not _is_before(row, since)]
                for row in rows:
                    key = self._key_of(row)
                    if key is None:
                        silent.append(row)
                        continue
                    shown = True
                    if key in keys:
                        self._add(found, key, row)
                # One row that is out of order must not hide others: only a page of nothing but old ones ends it.
                if not rows or len(found) == len(keys):
                    break
        if len(found) == len(keys) or not silent:
            return Sighting(found, [])
        return await self._look_closer(found, keys, silent, shown=shown)

    async def _look_closer(
        self, found: dict[str, Execution], keys: AbstractSet[str], silent: list[Execution], *, shown: bool
    ) -> Sighting:
        """Read details of rows that may hide a key: those without metadata, or all, if our own hide theirs as well."""
        known = await self.known([row.id for row in silent])
        hidden = bool(known) and not shown
        doubtful: list[str] = []
        for row in silent:
            if row.id in known or not (row.metadata is None or hidden):
                continue
            try:
                detail = await endpoints.get(self.caller, row.id)
            except NotFoundError:
                continue
            key = self._key_of(detail)
            if key is not None and key in keys:
                self._add(found, key, detail)
            elif detail.metadata is None:
                doubtful.append(row.id)
        return Sighting(found, doubtful)

    def _key_of(self, row: Execution) -> str | None:
        metadata: Mapping[str, Any] = row.metadata or {}
        key = metadata.get(self.key_field)
        return key if isinstance(key, str) else None

    def _add(self, found: dict[str, Execution], key: str, row: Execution) -> None:
        if key in found:
            _log.warning(
                "executions %s and %s have the same key %s: one of them is a duplicate", found[key].id, row.id, key
            )
        found[key] = row  # the later of the rows is the older execution


def _is_before(row: Execution, since: float) -> bool:
    return row.created_at is not None and row.created_at.timestamp() < since
