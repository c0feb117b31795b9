"""When a call is sent again, after how long, and how often all calls of a client together."""

from __future__ import annotations

import random
import threading
from ssl import SSLCertVerificationError
from typing import Final

from .._errors import APIConnectionError, APIStatusError, InvalidResponseError, OmiumError

__all__ = [
    "Budget",
    "backoff",
    "could_mend",
    "is_outage",
    "read_is_retried",
    "write_status_is_unknown",
    "write_was_refused_for_now",
]

_READ_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529, 530, *range(520, 528)})
_REFUSED_FOR_NOW: Final = frozenset({425, 429})
_TIMED_OUT_BEHIND_A_GATEWAY: Final = frozenset({408, 499})


def read_is_retried(status: int) -> bool:
    """Whether a read that was answered with ``status`` is worth asking again."""
    return status in _READ_RETRIED


def write_was_refused_for_now(status: int) -> bool:
    """Whether ``status`` says of a write that it was not applied and may be sent again."""
    return status in _REFUSED_FOR_NOW


def write_status_is_unknown(status: int) -> bool:
    """Whether a write that was answered with ``status`` (and not with a success that was understood) may have been
    applied all the same.

    A refusal (4xx, 501) is believed, but for those by which gateways tell of a handler that ran too long.
    """
    refused = 400 <= status < 500 and status not in _TIMED_OUT_BEHIND_A_GATEWAY
    return not refused and status != 501


def backoff(retries: int, bounds: tuple[float, float]) -> float:
    """Seconds before the next attempt after ``retries`` earlier ones: exponential, with full jitter.

    :param bounds: the longest pause before the first retry, and before any.
    """
    first, longest = bounds
    return random.uniform(0, min(longest, first * 2.0 ** min(retries, 64)))  # noqa: S311


def could_mend(error: OmiumError) -> bool:
    """Whether asking again later may end otherwise than in this error of a read."""
    if isinstance(error, APIConnectionError):
        return not isinstance(error.__cause__, SSLCertVerificationError)
    if isinstance(error, APIStatusError):
        return read_is_retried(error.status)
    return isinstance(error, InvalidResponseError) and not error.path


def is_outage(error: OmiumError) -> bool:
    """Whether the service did not respond, or could not do its work: a failed connection, a time-out, a 5xx except
    501, or a status by which a server or gateway says so.
    """
    if isinstance(error, APIStatusError):
        status = error.status
        return (status >= 500 and status != 501) or status in _REFUSED_FOR_NOW | _TIMED_OUT_BEHIND_A_GATEWAY
    return isinstance(error, APIConnectionError)


class Budget:
    """A token bucket shared by all calls of a client, so that an outage is not answered by a storm of retries.

    A retry takes tokens; a retry that succeeds gives them back, and every call that succeeds at once adds one. While
    it is empty, failures come out without another attempt. Retries after a 429 are not counted: pacing spaces them.
    """

    CAPACITY: Final = 500
    COST: Final = 5

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = self.CAPACITY
        self.full = True  # read without the lock: the usual call then has nothing to give back

    def take(self) -> bool:
        """Take the tokens for one retry; ``False`` when there are not enough."""
        with self._lock:
            if self._tokens < self.COST:
                return False
            self._tokens -= self.COST
            self.full = False
            return True

    def give(self, retries: int) -> None:
        """A call succeeded after so many retries."""
        with self._lock:
            self._tokens = min(self.CAPACITY, self._tokens + max(1, self.COST * retries))
            self.full = self._tokens == self.CAPACITY
