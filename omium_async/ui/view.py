"""The filters of the list as its address has them: parsed, checked, and written back into addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import attrs
from multidict import MultiMapping

from .._data.codec import parse_json
from .._filters import Filters, time_or_age
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

    :ivar statuses: empty for all statuses; ``status`` in addresses.
    :ivar since: as typed: a time, or an age such as ``2h``. :ivar before: the same.
    :ivar metadata: as typed: ``key=text`` or ``key:=json`` each.
    :ivar error: the key of a group of failures (see `error_key`), or ``""``.
    :ivar page: from 1.
    :ivar window: the page of the service's list at which a search begins, from 1.
    """

    statuses: tuple[str, ...] = ()
    workflow_id: str = ""
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
        found: dict[str, Any] = {}
        for field in attrs.fields(cls):
            texts = [text.strip() for text in query.getall(_in_addresses(field.name), ())]
            match field.default:
                case tuple():
                    found[field.name] = tuple(dict.fromkeys(filter(None, texts)))
                case int():
                    found[field.name] = page_number(texts[0]) if texts else 1
                case _:
                    found[field.name] = texts[0] if texts else ""
        return cls(**found)

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each field."""
        problems: dict[str, str] = {}
        for name, parse in _ARGUMENTS.items():
            try:
                Filters.of(**{name: parse(self)})
            except (TypeError, ValueError) as error:
                problems[name] = str(error)
        if not problems:
            try:
                self.filters()
            except ValueError as error:  # no execution can pass both
                problems["since"] = str(error)
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
        return bool(set(self._set_fields()) - {"page", "window"})

    @property
    def is_filtered_by_console(self) -> bool:
        """Whether a filter is set that the service does not know and does not count by."""
        return bool(set(self._set_fields()) - {"page", "window", "workflow_id", "statuses", "error"})

    @property
    def needs_search(self) -> bool:
        """Whether the console has to read through the list to find the rows."""
        return self.filters().need_client

    def arguments(self) -> dict[str, Any]:
        """Return the filters as arguments of `list` and `replay_many`; filters that are not set are left out."""
        found = {name: parse(self) for name, parse in _ARGUMENTS.items()}
        return {name: value for name, value in found.items() if value is not None}

    def filters(self) -> Filters:
        """Return the filters of a list, which say which rows pass. Ages count back from now."""
        return Filters.of(**self.arguments())

    def pairs(self) -> list[tuple[str, str]]:
        """Return the filters as names and values of an address."""
        found: list[tuple[str, str]] = []
        for name in self._set_fields():
            value: tuple[str, ...] | str | int = getattr(self, name)
            texts = value if isinstance(value, tuple) else (str(value),)
            found += [(_in_addresses(name), text) for text in texts]
        return found

    def _set_fields(self) -> list[str]:
        return [each.name for each in attrs.fields(type(self)) if getattr(self, each.name) != each.default]

    def group(self, key: str) -> str:
        """Return the query of a group of failures, of any status, time and metadata."""
        return View(workflow_id=self.workflow_id, error=key).query()

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


def _in_addresses(field: str) -> str:
    return "status" if field == "statuses" else field


def _time(view: View, name: str) -> datetime | timedelta | None:
    text = getattr(view, name)
    try:
        return time_or_age(text) if text else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _metadata(view: View) -> dict[str, Any] | None:
    pairs = [_pair(text) for text in view.metadata]
    if len(dict(pairs)) < len(pairs):
        raise ValueError("metadata: it names a key twice, but an execution has one value for it")
    return dict(pairs) or None


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.rstrip(":"):
        raise ValueError(f"metadata: {text[:60]!r} is not KEY=TEXT (or KEY:=JSON)")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], parse_json(value)
    except ValueError as error:
        raise ValueError(f"metadata: {value[:60]!r} is not JSON: {error}") from None


#: The arguments of `list` that a view sets, and how each is parsed; ``None``: it is not set.
_ARGUMENTS: Final[dict[str, Callable[[View], Any]]] = {
    "workflow_id": lambda view: view.workflow_id or None,
    "status": lambda view: view.statuses or None,
    "since": lambda view: _time(view, "since"),
    "before": lambda view: _time(view, "before"),
    "metadata": _metadata,
}
