"""The filters of the list as its address has them: parsed, checked, and written back into addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import attrs
from multidict import MultiMapping

from omium_async import Execution, ExecutionStatus

from .._data.codec import parse_json
from .._filters import time_of, time_or_age
from .._statuses import FAILED, STATUS_BY_TEXT

#: The statuses that the service is known to use; those that need attention come first.
STATUSES: Final = tuple(dict.fromkeys((*FAILED, "paused", "running", *STATUS_BY_TEXT)))
FIELDS: Final = ("status", "workflow_id", "since", "before", "metadata", "error", "page", "window")

_LAST_PAGE: Final = 1_000_000
_COMPARED: Final = 2_000  # characters of an error
_WORD: Final = re.compile(r"[\w-]+")
_STATUS_OF_HTTP: Final = re.compile(r"[45]\d\d")


class InvalidView(ValueError):  # noqa: N818 - the view is invalid, the exception is not an error of the program
    """The filters of an address are invalid.

    :ivar problems: what is wrong, by field.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


@attrs.frozen
class View:
    """The filters of a list.

    :ivar statuses: empty for all statuses.
    :ivar since: as typed: a time, or an age such as ``2h``. :ivar before: the same.
    :ivar metadata: as typed: ``key=text`` or ``key:=json`` each.
    :ivar error: the key of a group of failures (see `error_key`), or ``""``.
    :ivar page: from 1.
    :ivar window: the page of the service's list at which a search begins, from 1.
    """

    workflow_id: str = ""
    statuses: tuple[str, ...] = ()
    since: str = ""
    before: str = ""
    metadata: tuple[str, ...] = ()
    error: str = ""
    page: int = 1
    window: int = 1

    @classmethod
    def of(cls, query: MultiMapping[str]) -> View:
        """Parse the query of an address.

        :raises InvalidView: a filter is invalid.
        """
        view = cls.unchecked(query)
        problems = view.problems()
        if problems:
            raise InvalidView(problems)
        return view

    @classmethod
    def unchecked(cls, query: MultiMapping[str]) -> View:
        """Parse the query of an address, also if a filter is invalid."""

        def one(name: str) -> str:
            return query.get(name, "").strip()

        def several(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(text.strip() for text in query.getall(name, ()) if text.strip()))

        return cls(
            workflow_id=one("workflow_id"),
            statuses=several("status"),
            since=one("since"),
            before=one("before"),
            metadata=several("metadata"),
            error=one("error"),
            page=page_number(one("page")),
            window=page_number(one("window")),
        )

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each field."""
        problems: dict[str, str] = {}
        for name, parser, texts in (
            ("since", _moment, (self.since,)),
            ("before", _moment, (self.before,)),
            ("metadata", _pair, self.metadata),
        ):
            for text in texts:
                try:
                    parser(text)
                except ValueError as error:
                    problems[name] = f"{name}: {error}"
        for text in self.statuses:
            if text not in STATUSES:
                problems["status"] = f"status: {text[:60]!r} is not one of {', '.join(STATUSES)}"
        if max(self.page, self.window) > _LAST_PAGE:
            problems["page"] = f"page: at most {_LAST_PAGE:,}"
        if self.error and not re.fullmatch(r"[0-9a-f]{16}", self.error):
            problems["error"] = "error: this address does not name a group of failures; open one from the list"
        return problems

    @property
    def status(self) -> str | None:
        """The only status, which the service filters; ``None`` for all or several."""
        return self.statuses[0] if len(self.statuses) == 1 else None

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set."""
        return bool(self.workflow_id or self.statuses or self.error or self.is_filtered_by_console)

    @property
    def is_filtered_by_console(self) -> bool:
        """Whether a filter is set that the service does not know and does not count by."""
        return bool(self.since or self.before or self.metadata)

    @property
    def needs_search(self) -> bool:
        """Whether the console has to read through the list to find the rows."""
        return self.is_filtered_by_console or len(self.statuses) > 1

    def arguments(self) -> dict[str, Any]:
        """Return the filters as arguments of `list` and `replay_many`; filters that are not set are left out."""
        found: dict[str, Any] = {}
        if self.workflow_id:
            found["workflow_id"] = self.workflow_id
        if self.statuses:
            found["status"] = [ExecutionStatus(text) for text in self.statuses]
        for name, text in (("since", self.since), ("before", self.before)):
            if text:
                found[name] = time_or_age(text)
        if self.metadata:
            found["metadata"] = dict(_pair(text) for text in self.metadata)
        return found

    def predicate(self) -> Callable[[Execution], bool]:
        """Return a function that checks whether an execution passes all filters but the workflow."""
        since, before = _moment(self.since), _moment(self.before)
        metadata = dict(_pair(text) for text in self.metadata)

        def passes(row: Execution) -> bool:
            created = row.created_at
            return (
                (not self.statuses or row.status in self.statuses)
                and (since is None or (created is not None and created >= since))
                and (before is None or (created is not None and created < before))
                and all(_equal((row.metadata or {}).get(key, _MISSING), value) for key, value in metadata.items())
                and (not self.error or error_key(row.error) == self.error)
            )

        return passes

    @property
    def since_moment(self) -> datetime | None:
        """Return the time that ``since`` names."""
        return _moment(self.since)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the filters as names and values of an address."""
        pairs = [("status", text) for text in self.statuses]
        pairs += [(name, value) for name in ("workflow_id", "since", "before") if (value := getattr(self, name))]
        pairs += [("metadata", text) for text in self.metadata]
        pairs += [("error", self.error)] if self.error else []
        pairs += [("page", str(self.page))] if self.page > 1 else []
        pairs += [("window", str(self.window))] if self.window > 1 else []
        return pairs

    def query(self, **changes: Any) -> str:
        """Return the query of an address with these fields changed; ``""`` if nothing is set."""
        pairs = attrs.evolve(self, **changes).pairs()
        return f"?{urlencode(pairs)}" if pairs else ""

    def first_page(self, **changes: Any) -> str:
        """Return the query of the first page, with these fields changed."""
        return self.query(**{"page": 1, "window": 1, **changes})

    def toggled(self, status: str) -> str:
        """Return the query of the first page with this status added, or removed if it is set."""
        others = tuple(text for text in self.statuses if text != status)
        return self.first_page(statuses=others if status in self.statuses else (*others, status), error="")

    def in_words(self) -> str:
        """Describe the filters, for titles and summaries."""
        parts = [" or ".join(text[:60] for text in self.statuses).replace("_", " ")] if self.statuses else []
        parts += ["one group of failures"] if self.error else []
        parts += [f"workflow {self.workflow_id[:200]}"] if self.workflow_id else []
        parts += [f"since {self.since}"] if self.since else []
        parts += [f"before {self.before}"] if self.before else []
        parts += [text[:200] for text in self.metadata]
        return ", ".join(parts) or "all executions"


def page_number(text: str) -> int:
    """Parse the number of a page; 1 if the text is not a number."""
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else 1


def error_key(error: str | None) -> str:
    """Return a key that is equal for errors that differ in ids and numbers only.

    Words with digits count as equal, except statuses of HTTP.
    """

    def mask(word: re.Match[str]) -> str:
        text = word[0]
        is_kept = _STATUS_OF_HTTP.fullmatch(text) or not any(map(str.isdigit, text))
        return text if is_kept else "#"

    masked = _WORD.sub(mask, (error or "")[:_COMPARED])
    return hashlib.blake2b(masked.encode("utf-8", "replace"), digest_size=8).hexdigest()


_MISSING: Final = object()


def _equal(held: Any, wanted: Any) -> bool:
    return held == wanted and isinstance(held, bool) == isinstance(wanted, bool)


def _moment(text: str) -> datetime | None:
    return time_of(time_or_age(text)) if text else None


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.rstrip(":"):
        raise ValueError(f"{text[:60]!r} is not KEY=TEXT (or KEY:=JSON)")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], parse_json(value)
    except ValueError as error:
        raise ValueError(f"{value[:60]!r} is not JSON: {error}") from None
