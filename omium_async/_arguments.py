"""Validators of the arguments of calls. A message has the value, the problem, and what to give instead.

Each raises ``TypeError`` for a value of the wrong kind and ``ValueError`` for one that cannot be used, before
anything is sent or written.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NoReturn, TypeVar, cast
from urllib.parse import quote, unquote, urlencode

from ._data.masked import kind_of
from ._settings import checks
from ._settings.checks import CONTROL, InvalidSettingError
from ._statuses import STATUS_BY_TEXT, ExecutionStatus, StatusText

#: A status as callers write it: a checker sees a typo in a literal.
Status = StatusText | ExecutionStatus
Statuses = Status | Iterable[Status]

T = TypeVar("T")

_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z_-]+")  # nothing to escape, as in most ids
_ROUTES: Final = frozenset({"", ".", "..", "live", "compare"})  # what the service would take for something else
_FITS_A_HEADER: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_PATH_SAFE: Final = "/:@!$&'()*+,;=-._~%"
_QUERY_SAFE: Final = _PATH_SAFE + "?"


def shown(value: object) -> str:
    """Return a value for a message: text and numbers shortened, the type of any other."""
    return checks.shown(value, show_text=True)


def _checked(check: Callable[[Any], T], value: Any, name: str, advice: str) -> T:
    try:
        return check(value)
    except InvalidSettingError as error:
        kind: type[Exception] = TypeError if error.is_type else ValueError
        problem = f"{name}: {error.problem}; {advice}"
    raise kind(problem)


# -- single values -------------------------------------------------------------------------------------------------


def text(value: object, name: str) -> str:
    """Validate text that is not empty and that UTF-8 can encode."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: {shown(value)} is not text; give text")
    if not value:
        raise ValueError(f"{name}: '' is empty; give text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{name}: {shown(value)} contains a lone surrogate, which UTF-8 cannot encode; give text"
        ) from None
    return value


def seconds(value: Any, name: str, *, zero: bool) -> float | None:
    """Validate a number of seconds, or ``None``.

    :param zero: whether it may be 0.
    """
    check = partial(checks.number, zero=zero)
    return None if value is None else _checked(check, value, name, "give a number of seconds, or None for no limit")


def mapping(value: Any, name: str) -> Mapping[Any, Any]:
    """Validate a mapping, or ``None`` for an empty one."""
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name}: {kind_of(value)} is not a mapping; give names and values")
    return {} if value is None else value  # pyright: ignore[reportUnknownVariableType]


def flag(value: Any, name: str) -> bool:
    """Validate ``True`` or ``False``."""
    return _checked(checks.flag, value, name, "give one of them")


def plain_function(value: Any, name: str) -> None:
    """Validate a plain function, or ``None``."""
    if value is not None:
        _checked(checks.hook, value, name, "give a plain function")


def known_statuses(value: Any, name: str) -> frozenset[str]:
    """Validate one status or several; each is a known one or an `ExecutionStatus`."""
    entries: list[Any] = [value] if isinstance(value, str) else list(many(value, name, "statuses"))
    if not entries:
        raise ValueError(f"{name}: it is empty; give at least one status")
    for entry in entries:
        if not isinstance(entry, str):
            raise ValueError(f"{name}: {shown(entry)} is not text; use a status")  # noqa: TRY004 - a bad entry
        if entry not in STATUS_BY_TEXT and not isinstance(entry, ExecutionStatus):
            known = ", ".join(map(repr, STATUS_BY_TEXT))
            raise ValueError(
                f"{name}: {shown(entry)} is not a known status; use one of {known}, or an ExecutionStatus if the "
                "service has this one"
            )
    return frozenset(entries)


def at_least(least: int, value: Any, name: str) -> int:
    """Validate a whole number of ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: {shown(value)} is not a whole number; give one of {least} or more")
    if value < least:
        raise ValueError(f"{name}: {shown(value)} is below {least}; give a whole number of {least} or more")
    return value


def reading(page_size: int = 1, prefetch: int | None = None, limit: int | None = None) -> None:
    """Validate the options of reading a list."""
    at_least(1, page_size, "page_size")
    if prefetch is not None:
        at_least(0, prefetch, "prefetch")
    if limit is not None:
        at_least(0, limit, "limit")


def idempotency_key(value: object) -> str:
    """Validate an idempotency key, which is sent in a header."""
    key = text(value, "idempotency_key")
    if not _FITS_A_HEADER.fullmatch(key):
        raise ValueError(
            f"idempotency_key: {shown(key)} does not fit a header; give visible ASCII, without spaces at its ends"
        )
    return key


def checkpoint_choice(checkpoint_id: object, checkpoint_name: object) -> None:
    """Validate that at most one of the two checkpoint arguments is given."""
    if checkpoint_id is not None and checkpoint_name is not None:
        raise ValueError(
            f"checkpoint_id: {shown(checkpoint_id)} and checkpoint_name: {shown(checkpoint_name)} are both given; "
            "give one of them, not both"
        )
    if checkpoint_id is not None:
        text(checkpoint_id, "checkpoint_id")
    if checkpoint_name is not None:
        text(checkpoint_name, "checkpoint_name")


# -- many at once --------------------------------------------------------------------------------------------------


def many(value: object, name: str, what: str) -> Any:
    """Validate an iterable or async iterable; text and mappings are rejected.

    :param what: the items, in words.
    """
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        found = shown(value)  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(f"{name}: {found} is a single value; give a list (or another iterable) of {what}")
    if not isinstance(value, (Iterable, AsyncIterable)):
        raise TypeError(f"{name}: {shown(value)} is not iterable; give a list (or another iterable) of {what}")
    return value  # pyright: ignore[reportUnknownVariableType]


def execution_ids(value: Any) -> Any:
    """Validate ids of executions; return a list with each id once, or the async iterable."""
    found = many(value, "execution_ids", "ids")
    if isinstance(found, AsyncIterable):
        return found  # pyright: ignore[reportUnknownVariableType]
    entries: list[Any] = list(found)
    for entry in entries:
        execution_segment(entry, "execution_ids")
    return list(dict.fromkeys(entries))


# -- parts of a URL ------------------------------------------------------------------------------------------------


def execution_segment(execution_id: object, name: str = "execution_id") -> str:
    """Return an execution id as one escaped segment of a path; ids that are routes of the service are rejected."""
    if type(execution_id) is str and _PLAIN_ID.fullmatch(execution_id) and execution_id not in _ROUTES:
        return execution_id
    if isinstance(execution_id, str) and execution_id in _ROUTES and execution_id:
        raise ValueError(f"{name}: {execution_id!r} is a route of the service, not the id of an execution; give an id")
    return segment(execution_id, name)


def segment(value: object, name: str) -> str:
    """Return an id as one escaped segment of a path."""
    found = text(value, name)
    if found in (".", ".."):
        raise ValueError(f"{name}: {found!r} is not an id but a part of paths; give an id")
    if CONTROL.search(found):
        raise ValueError(f"{name}: {shown(found)} contains control characters; give the id that the service returned")
    return quote(found, safe="")


def relative_path(path: object, base: str = "") -> str:
    """Return the path of ``request``, escaped and with a leading slash; its query is kept.

    :param base: the path of the base URL, which must not be repeated.
    """
    place, mark, its_query = text(path, "path").partition("?")
    if CONTROL.search(place + its_query) or "\\" in place:
        _reject_path(path, "contains control characters or backslashes")
    if "://" in place or place.startswith("//"):
        _reject_path(path, "has a scheme or a host")
    if "#" in place + its_query:
        _reject_path(path, "has a fragment")
    if any(segment in (".", "..") for segment in _fully_unquoted(place).replace("\\", "/").split("/")):
        _reject_path(path, "contains '.' or '..'")
    below = "/" + _escaped(place, _PATH_SAFE).lstrip("/")
    if base and (below + "/").startswith(base + "/"):
        _reject_path(path, f"begins with {base!r}, which the base URL contains already")
    return below + mark + _escaped(its_query, _QUERY_SAFE)


def _reject_path(path: object, problem: str) -> NoReturn:
    raise ValueError(f"path: {shown(path)} {problem}; give a path below the base URL, such as '/workflows'")


def _escaped(place: str, safe: str) -> str:
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", place), safe=safe)


def _fully_unquoted(place: str) -> str:
    while (plain := unquote(place)) != place:
        place = plain
    return place


def query(params: Mapping[str, Any] | None) -> str:
    """Return ``params`` as a query with its ``?``; ``None`` is left out, a list repeats its key."""
    pairs: list[tuple[str, str]] = []
    for name, value in mapping(params, "params").items():
        entries = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
        pairs += [(name, _query_text(entry, name)) for entry in entries if entry is not None]
    return "?" + urlencode(pairs) if pairs else ""


def _query_text(value: object, name: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return text(value, f"params[{name!r}]") if value else ""
    raise TypeError(f"params[{name!r}]: {shown(value)} cannot be sent in a query; give text or a number")
