"""What there is to say at the end of a batch: counts, latencies, the errors that came most often; in flat memory."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any, Final

import attrs

from omium_sync import Attempt, OmiumError

from .render import printable

__all__ = ["Latencies", "Tally", "reason"]

_BUCKETS_PER_E: Final = 50  # about 2 % from one to the next
_KINDS: Final = 500  # of errors told apart
_REASON: Final = 160
_SHOWN: Final = 5


class Latencies:
    """How long writes took, to within 2 %: a count for each size, not a list of all."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def attempt(self, attempt: Attempt) -> None:
        """For ``on_attempt``: counts the writes that were answered."""
        if attempt.idempotency_key is not None and attempt.status is not None:
            self._counts[round(math.log(max(attempt.elapsed, 1e-6)) * _BUCKETS_PER_E)] += 1

    def percentile(self, share: float) -> float | None:
        """Seconds within which that share of them was answered; ``None`` if there were none."""
        left = math.ceil(self._counts.total() * share)
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return math.exp(bucket / _BUCKETS_PER_E)
        return None


@attrs.define
class Tally:
    """Outcomes counted as they come."""

    latencies: Latencies = attrs.field(factory=Latencies)
    states: Counter[str] = attrs.field(factory=Counter[str])
    errors: Counter[str] = attrs.field(factory=Counter[str])
    resumed: int = 0
    started: float = attrs.field(factory=time.monotonic)

    def add(
        self, state: str, error: BaseException | str | None = None, *, resumed: bool = False, about: str | None = None
    ) -> None:
        """One more outcome.

        :param about: the id that its error may name.
        """
        self.states[state] += 1
        self.resumed += resumed
        if error is not None:
            why = reason(error, about)
            self.errors[why if why in self.errors or len(self.errors) < _KINDS else "(others)"] += 1

    @property
    def note(self) -> str:
        """For a progress bar: the rate, and what went wrong so far."""
        fresh = self.states.total() - self.resumed
        rate = fresh / max(time.monotonic() - self.started, 0.001)
        wrong = ", ".join(
            f"{number:,} {state}"
            for state, number in self.states.items()
            if state in ("rejected", "unknown", "malformed")
        )
        return f"{rate:,.0f}/s{f', {wrong}' if wrong else ''}"

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        percentiles = {f"p{share}": self.latencies.percentile(share / 100) for share in (50, 90, 99)}
        return {
            "states": dict(self.states),
            "resumed": self.resumed,
            "seconds": round(time.monotonic() - self.started, 3),
            "latency_seconds": {
                name: None if value is None else round(value, 6) for name, value in percentiles.items()
            },
            "errors": [{"error": why, "count": number} for why, number in self.errors.most_common(_SHOWN)],
        }

    def lines(self) -> list[str]:
        """For people."""
        seconds = time.monotonic() - self.started
        states = ", ".join(f"{number:,} {state}" for state, number in self.states.most_common()) or "nothing to do"
        earlier = f" ({self.resumed:,} known from an earlier run)" if self.resumed else ""
        said = [f"{states}{earlier} in {seconds:,.1f} s"]
        found = {share: self.latencies.percentile(share / 100) for share in (50, 90, 99)}
        if found[50] is not None:
            shown = ", ".join(f"{value * 1000:,.0f} ms for {share} %" for share, value in found.items() if value)
            said.append(f"answered within {shown} of the requests")
        for why, number in self.errors.most_common(_SHOWN):
            said.append(f"  {number:,} x {printable(why)}")
        return said


def reason(error: BaseException | str, about: str | None = None) -> str:
    """Why, in one line and without what differs from item to item, so that equal reasons can be counted.

    :param about: the id of the item, left out.
    """
    if isinstance(error, str):
        return error[:_REASON]
    status = getattr(error, "status", None)
    message = error.message if isinstance(error, OmiumError) else str(error)
    if about:
        message = message.replace(about, "\N{HORIZONTAL ELLIPSIS}")
    kind = type(error).__name__
    return f"{kind}{f' {status}' if status else ''}: {message}"[:_REASON]
