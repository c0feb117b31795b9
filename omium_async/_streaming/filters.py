"""Which executions of a list are wanted: what the service filters, and what is left to the client."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlencode

import attrs

from .._models.types import Execution

__all__ = ["Filters", "Sieve"]

_log = logging.getLogger("omium_async.streaming")

_SURE: Final = 100  # rows: so many past `since`, and the rest is taken to be past it too; so many without metadata


def _wire(filters: Filters) -> str:
    status = filters.statuses[0] if len(filters.statuses) == 1 else None
    wanted = {"workflow_id": filters.workflow_id, "status": status}
    given = {name: str(value) for name, value in wanted.items() if value is not None}
    return f"&{urlencode(given)}" if given else ""


@attrs.frozen
class Filters:
    """The filters of a list; ``None`` or empty: all pass.

    :ivar workflow_id: by the service.
    :ivar statuses: one by the service, several by the client.
    :ivar since: created then or later; by the client.
    :ivar before: created earlier; by the client.
    :ivar metadata: each of these keys has an equal value, in plain JSON data; by the client.
    :ivar wire: what the service is to filter, as more of a query, escaped.
    """

    workflow_id: str | None = None
    statuses: tuple[str, ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    wire: str = attrs.field(init=False, default=attrs.Factory(_wire, takes_self=True))

    @property
    def need_client(self) -> bool:
        """Whether the client has to filter."""
        return len(self.statuses) > 1 or bool(self.since or self.before or self.metadata)

    def in_words(self) -> str:
        """What passes, in words that are the same for the same filters."""
        workflow = "all workflows" if self.workflow_id is None else f"workflow {self.workflow_id}"
        found = f"executions of {workflow} with status {' or '.join(sorted(self.statuses)) or 'any'}"
        if self.since is not None:
            found += f", created since {self.since.isoformat()}"
        if self.before is not None:
            found += f", created before {self.before.isoformat()}"
        if self.metadata:
            found += f", with metadata {json.dumps(self.metadata, sort_keys=True)}"
        return found


class Sieve:
    """What passes the client's filters, of rows in the order in which they come.

    :param limit: at most so many pass.
    :ivar ended: nothing more is wanted: the limit is reached, or all that follows was created before ``since``.

    The latter is believed only of a list in descending order of creation, and only after a hundred such rows.
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

    def sift(self, rows: list[Execution]) -> list[Execution]:
        """Those of the next rows that pass."""
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
        """The list has ended."""
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
        self._metadata_seen = True  # said once
        _log.warning(
            "none of the first %d executions of the list shows any metadata, so none passes the filter by it; where "
            "only details show it, a filter of the list finds nothing",
            self._without_metadata,
            extra={"omium_rows": self._without_metadata},
        )


def _holds(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(key in metadata and _equal(metadata[key], value) for key, value in wanted.items())


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of plain JSON data are equal; ``True`` is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        ours, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return ours.keys() == theirs.keys() and all(_equal(value, theirs[key]) for key, value in ours.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))  # pyright: ignore[reportUnknownArgumentType]
    return bool(one == other)
