"""The filters of a list, as data, and times as people type them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import attrs

_AGE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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


def time_or_age(text: str) -> datetime | timedelta:
    """Parse a time, or an age such as ``2h`` back from now. A time without a zone is UTC.

    :raises ValueError: the text is neither, or the age ends before the first date.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            found = timedelta(**{_UNITS[age[2]]: float(age[1])})
            time_of(found)
            return found
        moment = datetime.fromisoformat(text)
    except OverflowError:
        raise ValueError(f"{text!r} is before the first date; give a shorter age") from None
    except ValueError:
        raise ValueError(
            f"{text[:60]!r} is neither a time, such as 2026-11-27T08:30 or 2026-11-27 (UTC unless it has a zone), "
            "nor an age, such as 90s, 30m, 2h, 1d or 1w"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def time_of(value: datetime | timedelta) -> datetime:
    """Return a time; an age counts back from now.

    :raises OverflowError: the age ends before the first date.
    """
    return datetime.now(UTC) - value if isinstance(value, timedelta) else value
