"""Which executions of a list are wanted: what the service filters, and what is left to the client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
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
    """The filters of a list; ``None`` or empty: all pass.

    :ivar workflow_id: by the service.
    :ivar statuses: one by the service, several by the client.
    :ivar since: created then or later; by the client.
    :ivar before: created earlier; by the client.
    :ivar metadata: each of these keys has an equal value; by the client.
    :ivar wire: what the service is to filter, as more of a query, escaped.
    """

    workflow_id: str | None = None
    statuses: tuple[str, ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    wire: str = attrs.field(init=False, default=attrs.Factory(_wire, takes_self=True))
