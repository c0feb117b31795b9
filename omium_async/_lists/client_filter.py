"""The filters that the client applies to rows, because the service does not have them."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from typing import Final

from .._filters import Filters
from .._models.types import Execution

_log = logging.getLogger("omium_async.lists")

_SURE: Final = 100  # rows older than `since` after which the reading stops; rows without metadata before the WARNING


class ClientFilter:
    """Filters rows in the order of the list.

    :param limit: at most so many pass.
    :ivar ended: no more rows are wanted: the limit is reached, or a hundred rows of a list in descending order of
        creation were created before ``since``.
    :ivar shows_metadata: whether a row had metadata; known only if they are filtered by it.
    """

    def __init__(self, filters: Filters, limit: int | None) -> None:
        self.ended = limit == 0
        self.shows_metadata = False
        self._filters = filters
        self._left = sys.maxsize if limit is None else limit
        self._latest: datetime | None = None  # of the row before
        self._descending = True
        self._past = 0
        self._rows = 0
        self._warned = not filters.metadata

    def apply(self, rows: list[Execution]) -> list[Execution]:
        """Return those of the next rows that pass."""
        self._rows += len(rows)
        if self._filters.metadata and not self.shows_metadata:
            self.shows_metadata = any(row.metadata for row in rows)
        found: list[Execution] = []
        for row in rows:
            if self.ended:
                break
            self._follow(row.created_at)
            if self._filters.passes(row):
                found.append(row)
                self._left -= 1
                self.ended = self.ended or not self._left
        return found

    def warn(self, *, at_end: bool = False) -> None:
        """Log once that rows show no metadata, if enough of them were read.

        :param at_end: the list has ended: any number is enough.
        """
        if self._warned or self.shows_metadata or self._rows < (1 if at_end else _SURE):
            return
        self._warned = True
        _log.warning(
            "none of the first %d executions of the list shows metadata, so none passes the metadata filter; the "
            "service may show metadata only in the details of an execution",
            self._rows,
            extra={"omium_rows": self._rows},
        )

    def _follow(self, created_at: datetime | None) -> None:
        since = self._filters.since
        if since is None or created_at is None:
            return
        self._descending = self._descending and (self._latest is None or created_at <= self._latest)
        self._latest = created_at
        self._past += created_at < since
        self.ended = self.ended or (self._descending and self._past >= _SURE)
