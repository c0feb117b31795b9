"""The filters that the client applies to rows, because the service does not have them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from .._filters import Filters
from .._models.types import Execution

_log = logging.getLogger("omium_async.lists")

_SURE: Final = 100  # rows older than `since` after which the reading stops; rows without metadata before the WARNING


class ClientFilter:
    """Filters rows in the order of the list.

    :param limit: at most so many pass.
    :ivar ended: no more rows are wanted: the limit is reached, or a hundred rows of a list in descending order of
        creation were created before ``since``.
    """

    def __init__(self, filters: Filters, limit: int | None) -> None:
        self.ended = limit == 0
        self._filters = filters
        self._left = sys.maxsize if limit is None else limit
        self._statuses = frozenset(filters.statuses) if len(filters.statuses) > 1 else None
        self._latest: datetime | None = None  # of the row before
        self._descending = True
        self._past = 0
        self._without_metadata = 0
        self._metadata_seen = not filters.metadata

    def apply(self, rows: list[Execution]) -> list[Execution]:
        """Return those of the next rows that pass."""
        if not self._metadata_seen:
            self._look_for_metadata(rows)
        found: list[Execution] = []
        for row in rows:
            if self.ended:
                break
            self._follow(row.created_at)
            if self._passes(row):
                found.append(row)
                self._left -= 1
                self.ended = self.ended or not self._left
        return found

    def finish(self) -> None:
        """Log the WARNING about metadata if the list ended before it."""
        if not self._metadata_seen and self._without_metadata:
            self._warn()

    def _follow(self, created_at: datetime | None) -> None:
        since = self._filters.since
        if since is None or created_at is None:
            return
        self._descending = self._descending and (self._latest is None or created_at <= self._latest)
        self._latest = created_at
        self._past += created_at < since
        self.ended = self.ended or (self._descending and self._past >= _SURE)

    def _passes(self, row: Execution) -> bool:
        filters = self._filters
        if self._statuses is not None and row.status not in self._statuses:
            return False
        if filters.since is not None and (row.created_at is None or row.created_at < filters.since):
            return False
        if filters.before is not None and (row.created_at is None or row.created_at >= filters.before):
            return False
        return not filters.metadata or _holds(row.metadata or {}, filters.metadata)

    def _look_for_metadata(self, rows: list[Execution]) -> None:
        self._without_metadata += len(rows)
        if any(row.metadata for row in rows):
            self._metadata_seen = True
        elif self._without_metadata >= _SURE:
            self._warn()

    def _warn(self) -> None:
        self._metadata_seen = True  # one WARNING is enough
        _log.warning(
            "none of the first %d executions of the list shows metadata, so none passes the metadata filter; the "
            "service may show metadata only in the details of an execution",
            self._without_metadata,
            extra={"omium_rows": self._without_metadata},
        )


def _holds(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(key in metadata and _equal(metadata[key], value) for key, value in wanted.items())


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of plain JSON data are equal; ``True`` does not equal 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        ours, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return ours.keys() == theirs.keys() and all(_equal(value, theirs[key]) for key, value in ours.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))  # pyright: ignore[reportUnknownArgumentType]
    return bool(one == other)
