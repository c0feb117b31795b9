"""The filters of a list, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import attrs

__all__ = ["Filters"]


def _wire(filters: Filters) -> str:
    status = filters.statuses[0] if len(filters.statuses) == 1 else None
    wanted = {"workflow_id": filters.workflow_id, "status": status}
    given = {name: str(value) for name, value in wanted.items() if value is not None}
    return f"&{urlencode(given)}" if given else ""


@attrs.frozen
class Filters:
    """The filters of a list; ``None`` or empty: all rows pass.

    :ivar workflow_id: the service filters by it.
    :ivar statuses: the service filters by one, the client by several.
    :ivar since: created then or later; the client filters by it.
    :ivar before: created earlier; the client filters by it.
    :ivar metadata: each of these keys has an equal value, in plain JSON data; the client filters by it.
    :ivar ages: the ages from which ``since`` and ``before`` were computed, if they were given as ages.
    :ivar wire: the filters of the service, as the rest of a query, escaped.
    """

    workflow_id: str | None = None
    statuses: tuple[str, ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    ages: tuple[timedelta | None, timedelta | None] = (None, None)
    wire: str = attrs.field(init=False, default=attrs.Factory(_wire, takes_self=True))

    @property
    def need_client(self) -> bool:
        """Whether the client has to filter."""
        return len(self.statuses) > 1 or bool(self.since or self.before or self.metadata)

    def in_words(self) -> str:
        """A description, the same for the same filters."""
        workflow = "all workflows" if self.workflow_id is None else f"workflow {self.workflow_id}"
        found = f"executions of {workflow} with status {' or '.join(sorted(self.statuses)) or 'any'}"
        for word, time, age in zip(("since", "before"), (self.since, self.before), self.ages, strict=True):
            if time is not None:
                found += f", created {word} {time.isoformat() if age is None else f'{age} ago'}"
        if self.metadata:
            found += f", with metadata {json.dumps(self.metadata, sort_keys=True)}"
        return found
