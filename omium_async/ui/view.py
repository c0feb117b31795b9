"""Which executions a page shows: the filters in its address, checked, and back into an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import attrs
from multidict import MultiMapping

from omium_async import ExecutionStatus

from .strict_json import parse

__all__ = ["STATUSES", "BadView", "View", "number_in"]

#: The statuses that the service is known to use, those that want attention first.
STATUSES: Final = ("failed", "error", "paused", "running", "pending", "completed", "cancelled", "rolled_back")

_AGE: Final = re.compile(r"(\d{1,6}) ?(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DEEPEST: Final = 1_000_000
_MOST_STATUSES: Final = 12  # each is a request


class BadView(ValueError):  # noqa: N818 - it is what the address says that is bad
    """Filters that make no sense.

    :ivar problems: what is wrong with each field, in words.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


@attrs.frozen
class View:
    """The filters of a list as its address has them.

    :ivar statuses: none of them: all.
    :ivar since: as it was typed: a time, or an age such as ``2h``.
    :ivar before: likewise.
    :ivar metadata: as typed: ``key=text`` or ``key:=json`` each.
    :ivar page: from 1.
    :ivar reach: how many times as far as usual a search by the client may go, from 1.
    """

    workflow_id: str = ""
    statuses: tuple[str, ...] = ()
    since: str = ""
    before: str = ""
    metadata: tuple[str, ...] = ()
    page: int = 1
    reach: int = 1

    @classmethod
    def of(cls, query: MultiMapping[str]) -> View:
        """The view of an address.

        :param query: its parameters.
        :raises BadView: one of them makes no sense.
        """
        view = cls(
            workflow_id=query.get("workflow_id", "").strip(),
            statuses=tuple(dict.fromkeys(text.strip() for text in query.getall("status", ()) if text.strip())),
            since=query.get("since", "").strip(),
            before=query.get("before", "").strip(),
            metadata=tuple(dict.fromkeys(text.strip() for text in query.getall("metadata", ()) if text.strip())),
            page=number_in(query.get("page", "")),
            reach=min(number_in(query.get("reach", "")), 100),
        )
        view.check()
        return view

    def check(self) -> None:
        """:raises BadView: a filter makes no sense."""
        problems: dict[str, str] = {}
        for name, text in (("since", self.since), ("before", self.before)):
            try:
                _moment(text)
            except ValueError as error:
                problems[name] = f"{name}: {error}"
        for text in self.metadata:
            try:
                _pair(text)
            except ValueError as error:
                problems["metadata"] = f"metadata: {error}"
        if len(self.statuses) > _MOST_STATUSES:
            problems["status"] = f"status: {len(self.statuses)} of them, at most {_MOST_STATUSES} can be asked for"
        if self.page > _DEEPEST:
            problems["page"] = f"page: at most {_DEEPEST:,}"
        if problems:
            raise BadView(problems)

    @property
    def by_client(self) -> bool:
        """Whether the client filters, so that reading one page may cost many requests."""
        return bool(self.since or self.before or self.metadata)

    @property
    def status(self) -> str | None:
        """The one status that is wanted, which the service filters; ``None``: all, or several."""
        return self.statuses[0] if len(self.statuses) == 1 else None

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.workflow_id or self.statuses or self.by_client)

    def arguments(self) -> dict[str, Any]:
        """The filters as `list` and `replay_many` take them; those not set are left out."""
        found: dict[str, Any] = {}
        if self.workflow_id:
            found["workflow_id"] = self.workflow_id
        if self.statuses:
            found["status"] = [ExecutionStatus(text) for text in self.statuses]
        for name, text in (("since", self.since), ("before", self.before)):
            moment = _moment(text)
            if moment is not None:
                found[name] = moment
        if self.metadata:
            found["metadata"] = dict(_pair(text) for text in self.metadata)
        return found

    def query(self, **changes: Any) -> str:
        """The query of its address, with these fields changed; ``""`` for the view of everything."""
        view = attrs.evolve(self, **changes)
        pairs = [("status", text) for text in view.statuses]
        pairs += [(name, value) for name in ("workflow_id", "since", "before") if (value := getattr(view, name))]
        pairs += [("metadata", text) for text in view.metadata]
        pairs += [(name, str(value)) for name in ("page", "reach") if (value := getattr(view, name)) > 1]
        return f"?{urlencode(pairs)}" if pairs else ""

    def toggled(self, status: str) -> str:
        """The query of the same view with a status more, or less, of the first page."""
        statuses = (
            tuple(text for text in self.statuses if text != status)
            if status in self.statuses
            else (*self.statuses, status)
        )
        return self.query(statuses=statuses, page=1, reach=1)

    def in_words(self) -> str:
        """What it shows, for titles and summaries."""
        parts = [" or ".join(self.statuses).replace("_", " ")] if self.statuses else []
        parts += [f"workflow {self.workflow_id}"] if self.workflow_id else []
        parts += [f"since {self.since}"] if self.since else []
        parts += [f"before {self.before}"] if self.before else []
        parts += list(self.metadata)
        return ", ".join(parts) or "all executions"


def number_in(text: str) -> int:
    """The number of a page as an address says it; 1 where it says none."""
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else 1


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    age = _AGE.fullmatch(text)
    if age is not None:
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        except OverflowError:
            raise ValueError(f"{text} is longer ago than there are dates") from None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is neither a time (2026-01-31T08:00Z) nor an age (30m, 2h, 7d)") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.rstrip(":"):
        raise ValueError(f"{text[:60]!r} is not KEY=TEXT (or KEY:=JSON)")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], parse(value)
    except ValueError as error:
        raise ValueError(f"{value[:60]!r} is not JSON: {error}") from None
