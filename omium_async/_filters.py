"""The filters of a list: their checks, the rows that pass, and times as people type them.

A new filter is a field of `Filters`, checked in `of`, applied in `passes` and described in `in_words`. `_executions.py`
and `_options.py` name it in calls and types, `cli/options.py` in the command line, `ui/view.py` and
`ui/templates/list.html` in the console.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

import attrs

from . import _arguments as check
from ._data.plain import plain

if TYPE_CHECKING:
    from ._data.converter import OmiumConverter
    from ._models.types import Execution

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

    @classmethod
    def of(
        cls,
        workflow_id: object = None,
        status: Any = None,
        since: Any = None,
        before: Any = None,
        metadata: Any = None,
        *,
        converter: OmiumConverter | None = None,
    ) -> Filters:
        """Validate the filters of a list; metadata takes the form in which the converter sends it."""
        if workflow_id is not None:
            check.text(workflow_id, "workflow_id")
        ages = (_age(since), _age(before))
        since, before = _time(since, "since"), _time(before, "before")
        if since is not None and before is not None and since > before:
            problem = f"{since} is after before ({before}), so no execution can pass; give an earlier one"
            raise ValueError(f"since: {problem}")
        if metadata is not None and not isinstance(metadata, Mapping):
            given = check.shown(metadata)
            raise TypeError(f"metadata: {given} is not a mapping; give keys and the values they must have")
        wanted = None if not metadata else plain(metadata, "metadata", converter)
        workflow_id = None if workflow_id is None else str(workflow_id)
        return cls(workflow_id, _statuses(status), since, before, wanted, ages)

    @property
    def need_client(self) -> bool:
        """Whether the client has to filter."""
        return len(self.statuses) > 1 or bool(self.since or self.before or self.metadata)

    def passes(self, row: Execution) -> bool:
        """Whether a row of the service's list passes the filters that the client applies."""
        if len(self.statuses) > 1 and row.status not in self.statuses:
            return False
        if self.since is not None and (row.created_at is None or row.created_at < self.since):
            return False
        if self.before is not None and (row.created_at is None or row.created_at >= self.before):
            return False
        return not self.metadata or _holds(row.metadata or {}, self.metadata)

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


def one_status(value: Any) -> Any:
    """Validate a single status, or ``None``, for calls in which only the service filters."""
    if value is not None and not isinstance(value, str):
        raise TypeError(
            f"status: {check.shown(value)} is not text; give one status, because the service filters by one (`list` "
            "filters by several)"
        )
    return value


def ids_alone(value: Any, filters: Filters, default_statuses: tuple[str, ...]) -> Any:
    """Validate ids of executions that are given without filters."""
    if filters != Filters(statuses=default_statuses):
        raise ValueError(
            f"execution_ids: they are given together with a filter ({filters.in_words()}); give one of the two"
        )
    return check.execution_ids(value)


def _statuses(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    entries: list[Any] = [value] if isinstance(value, str) else list(check.many(value, "status", "statuses"))
    if not entries:
        raise ValueError("status: it is empty, so no execution can pass; give a status, several, or None for all")
    for entry in entries:
        check.text(entry, "status")
    check.known_statuses(entries, "status")
    return tuple(dict.fromkeys(entries))


def _age(value: Any) -> timedelta | None:
    return value if isinstance(value, timedelta) else None


def _time(value: Any, name: str) -> datetime | None:
    """Validate a time with a time zone; an age counts back from now."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        if value < timedelta():
            raise ValueError(f"{name}: {value} is negative; give an age of 0 or more, or a datetime with a time zone")
        try:
            return time_of(value)
        except OverflowError:
            raise ValueError(f"{name}: {value} is too large; give an age that ends after the year 0") from None
    if not isinstance(value, datetime):
        kind = f"{value!r} is a date" if isinstance(value, date) else f"{check.shown(value)} is not a datetime"
        raise TypeError(f"{name}: {kind}; give a datetime with a time zone, or a timedelta back from now")
    if value.utcoffset() is None:
        raise ValueError(f"{name}: {value} has no time zone; give a datetime with one, such as tzinfo=UTC")
    return value


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
