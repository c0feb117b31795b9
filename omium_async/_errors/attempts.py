"""The attempts of a call, and the outcome of its write."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from .._data.text import LONGEST_ID, one_line


class WriteOutcome(enum.StrEnum):
    """The outcome of a call's write; compares equal to its text.

    Only ``"not_applied"`` means that calling again cannot apply the write twice.
    """

    NOT_APPLIED = "not_applied"
    """The write was not applied. Errors of reads have this outcome too."""
    APPLIED = "applied"
    """The write was applied, and a later step failed: calling again would apply it twice."""
    UNKNOWN = "unknown"
    """The write may have been applied: check before sending it again."""


class Headers(dict[str, str]):
    """The headers of a response: names in lower case, looked up in any case (RFC 9110, section 5.1)."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        super().__init__({name.lower(): value for name, value in (headers or {}).items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the header's value.

        :param name: the name of the header, in any case.
        :param default: the result if the response has no such header.
        """
        return super().get(name.lower(), default)


def _line(text: str | None) -> str | None:
    return None if text is None else one_line(text)


def _short_line(text: str | None) -> str | None:
    return None if text is None else one_line(text, LONGEST_ID)


@attrs.frozen
class Attempt:
    """One finished attempt of a call.

    :ivar number: the number of the attempt within the call, from 1.
    :ivar status: the HTTP status; ``None`` if no response head was read.
    :ivar error: what went wrong; ``None`` for a success.
    :ivar elapsed: seconds, without the wait for a free connection, pacing or backoff.
    :ivar retry_after: seconds that the response asked to wait; ``None`` if it did not.
    :ivar sent: whether the request got a connection.
    :ivar outcome_unknown: whether a write may have been applied although it did not succeed; ``False`` for a read.
    :ivar request_id: the id of the request at the service or its gateway.
    :ivar idempotency_key: the key of a write, the same on all attempts of one call.
    :ivar method: the HTTP method of the request; ``""`` if it is unknown.
    :ivar path: the path of the request's URL, without its query; ``""`` if it is unknown.
    :ivar headers: the headers of the response, looked up in any case; empty if no response head was read.
    """

    number: int
    status: int | None = None
    error: str | None = attrs.field(default=None, converter=_line)
    elapsed: float = 0.0
    retry_after: float | None = None
    sent: bool = False
    outcome_unknown: bool = False
    request_id: str | None = attrs.field(default=None, converter=_short_line)
    idempotency_key: str | None = None
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = attrs.field(factory=Headers, converter=Headers, repr=False, hash=False)
