"""What is known of the attempts of a call, and of what it was to write."""

from __future__ import annotations

import enum
from typing import Any

import attrs

from .._data.text import LONGEST_ID, one_line

__all__ = ["Attempt", "Headers", "WriteOutcome"]


class WriteOutcome(enum.StrEnum):
    """What became of what a call was to write; compares equal to its text.

    Only ``"not_applied"`` invites sending again.
    """

    NOT_APPLIED = "not_applied"
    """It was not applied: calling again cannot do it twice. Errors of reads say so too."""
    APPLIED = "applied"
    """It was applied, and what failed came after it: calling again would do it twice."""
    UNKNOWN = "unknown"
    """It may have been applied: look before sending it again."""


class Headers(dict[str, str]):
    """The headers of an answer: names in lower case, looked up in any case (RFC 9110, section 5.1)."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The header's value.

        :param name: of the header, in any case.
        :param default: what to give where the answer had no such header.
        """
        return super().get(name.lower(), default)


def _line(text: str | None) -> str | None:
    return None if text is None else one_line(text)


def _short_line(text: str | None) -> str | None:
    return None if text is None else one_line(text, LONGEST_ID)


@attrs.frozen
class Attempt:
    """One attempt of a call, as it was seen to end.

    :ivar number: counts from 1 within the call.
    :ivar status: the HTTP status, ``None`` when no head of an answer was read.
    :ivar error: what went wrong in words, ``None`` for a success.
    :ivar elapsed: seconds, without the wait for a free connection, pacing or backoff.
    :ivar retry_after: seconds that the answer asked to wait, ``None`` when it did not.
    :ivar sent: whether a connection was handed to the request.
    :ivar outcome_unknown: whether a write may have been applied although it did not succeed; ``False`` on reads.
    :ivar request_id: the id under which the service or its gateway knows the request.
    :ivar idempotency_key: of a write, the same on all attempts of one call.
    :ivar method: the HTTP method of the request, ``""`` where it is not known.
    :ivar path: of the request's URL, without its query, ``""`` where it is not known.
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
