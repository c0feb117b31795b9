"""The length of the next pause, where something is repeated less and less often."""

from __future__ import annotations

import random
from typing import Final

_MOST_DOUBLINGS: Final = 64  # a larger power would overflow


def growing_pause(
    pauses: int,
    bounds: tuple[float, float],
    *,
    growth: float = 1.5,
    spread: tuple[float, float] = (0.8, 1.2),
) -> float:
    """Return the seconds of the next pause: exponential, and jittered to spread many clients.

    :param pauses: the pauses so far.
    :param bounds: the first and the longest pause, before jitter.
    :param growth: each pause is so many times as long as the one before.
    :param spread: the range of the factor by which chance changes the pause.
    """
    first, longest = bounds
    return min(longest, first * growth ** min(pauses, _MOST_DOUBLINGS)) * random.uniform(*spread)  # noqa: S311
