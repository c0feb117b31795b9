"""When a request is sent again: which errors allow it, backoff, and the retry budget of a client."""

from __future__ import annotations

import threading
from ssl import SSLCertVerificationError
from typing import Final

from .._errors.base import OmiumError
from .._errors.calls import APIConnectionError, APIStatusError, InvalidResponseError
from .._errors.statuses import status_meaning
from .._pause import growing_pause


def is_retryable(error: OmiumError) -> bool:
    """Whether the same request may succeed later. A write also needs a known outcome to be sent again."""
    if isinstance(error, APIConnectionError):
        return not isinstance(error.__cause__, SSLCertVerificationError)
    if isinstance(error, APIStatusError):
        return status_meaning(error.status).retries_read
    return isinstance(error, InvalidResponseError) and not error.path


def is_outage(error: OmiumError) -> bool:
    """Whether the error says that the service has a problem: no response, a 5xx except 501, 408, 425, 429 or 499."""
    if isinstance(error, APIStatusError):
        return status_meaning(error.status).outage
    return isinstance(error, APIConnectionError)


def backoff(retries: int, bounds: tuple[float, float]) -> float:
    """Return the seconds before the next attempt: exponential, with full jitter.

    :param retries: the retries so far.
    :param bounds: the upper limit of the first delay, and of any.
    """
    return growing_pause(retries, bounds, growth=2.0, spread=(0.0, 1.0))


class Budget:
    """A token bucket shared by all calls of a client, so that an outage does not cause a storm of retries.

    A retry takes tokens. A retry that succeeds returns them, and every call that succeeds at once adds one. While the
    bucket is empty, failures are raised without another attempt. Retries after a 429 take no tokens: pacing delays
    them.
    """

    CAPACITY: Final = 500
    COST: Final = 5

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = self.CAPACITY
        self.full = True  # read without the lock: most calls have nothing to return

    def take(self) -> bool:
        """Take the tokens for one retry; return False if there are not enough."""
        with self._lock:
            if self._tokens < self.COST:
                return False
            self._tokens -= self.COST
            self.full = False
            return True

    def give(self, retries: int) -> None:
        """Return tokens after a call that succeeded with so many retries."""
        with self._lock:
            self._tokens = min(self.CAPACITY, self._tokens + max(1, self.COST * retries))
            self.full = self._tokens == self.CAPACITY
