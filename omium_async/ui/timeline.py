"""The checkpoints of an execution as a timeline: where each step begins and ends, in percent of the whole."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Final

import attrs

from omium_async import Checkpoint, ExecutionDetail

from .._statuses import UNSUCCESSFUL

WINDOW: Final = 100  # steps that a page shows at once
_GRAIN: Final = 5.0  # seconds by which "now" moves at least, so that a page does not change at each look


@attrs.frozen
class Step:
    """What lies between two checkpoints, or after the last one.

    :ivar number: from 1.
    :ivar checkpoint: the one that ends it; ``None`` for what came after the last one.
    :ivar left: where it begins, in percent of the scale. :ivar width: its duration, in percent of the scale.
    :ivar seconds: its duration; ``None`` if a time is missing.
    :ivar later: the number of checkpoints after it.
    """

    number: int
    checkpoint: Checkpoint | None
    left: float
    width: float
    seconds: float | None
    later: int


@attrs.frozen
class Timeline:
    """A window of the steps of an execution, drawn to the scale of the window.

    :ivar steps: the oldest first. :ivar first: the number of the first one.
    :ivar count: the number of all checkpoints. :ivar seconds: from begin to end.
    :ivar last: when the last checkpoint was made, or the execution began.
    :ivar tail: what came after the last checkpoint, if the execution goes on or stopped there.
    """

    steps: tuple[Step, ...]
    first: int
    count: int
    seconds: float | None
    end: datetime | None
    last: datetime | None
    tail: Step | None

    @property
    def earlier(self) -> int:
        """The number of steps before the window."""
        return self.first - 1

    @property
    def later(self) -> int:
        """The number of steps after the window."""
        return self.count - self.first - len(self.steps) + 1


def timeline(execution: ExecutionDetail, first: int | None = None) -> Timeline:
    """Return the timeline of an execution.

    :param first: the number of the first step shown; by default the window ends with the last checkpoint.
    """
    checkpoints, count = execution.checkpoints, len(execution.checkpoints)
    moments = [each.created_at for each in checkpoints]
    last = next((moment for moment in reversed(moments) if moment), None)
    is_settled = execution.status is not None and execution.status.is_settled
    finished = (execution.completed_at or execution.updated_at or last) if is_settled else None
    begun = execution.started_at or execution.created_at
    begin = _seconds(begun)
    end = _seconds(finished) if is_settled else _about_now(begin)
    known = [moment for moment in (begin, end, _seconds(last)) if moment is not None]
    whole = _Scale(begin if begin is not None else min(known, default=None), max(known, default=None))

    first = max(1, count - WINDOW + 1) if first is None else max(1, min(first, max(1, count)))
    final = min(count, first + WINDOW - 1)
    edges = [whole.begin, *map(_seconds, moments)]  # edges[n - 1] and edges[n] are those of step n
    opens, closes = edges[first - 1], edges[final] if final < count else whole.end
    scale = whole if count <= WINDOW or opens is None or closes is None else _Scale(opens, closes)
    steps = tuple(
        Step(number, checkpoints[number - 1], *scale.place(edges[number - 1], edges[number]), count - number)
        for number in range(first, final + 1)
    )
    tail = None
    if not is_settled or execution.error or execution.status in UNSUCCESSFUL:
        tail = Step(count + 1, None, *scale.place(_seconds(last or begun), whole.end), 0)
    return Timeline(steps, first, count, whole.seconds, finished, last or begun, tail)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _about_now(begin: float | None) -> float:
    now = time.time()
    if begin is None:
        return now
    grain, seconds = _GRAIN, max(0.0, now - begin)
    while seconds > 60 * grain:
        grain *= 2
    return begin + math.ceil(seconds / grain) * grain


class _Scale:
    """Times as percent of the time between two."""

    def __init__(self, begin: float | None, end: float | None) -> None:
        self.begin = begin
        self.end = end
        self.seconds = None if begin is None or end is None else end - begin

    def percent(self, moment: float) -> float:
        """Return where a time is."""
        if self.begin is None or not self.seconds:
            return 0.0
        return min(100.0, max(0.0, (moment - self.begin) / self.seconds * 100))

    def place(self, begin: float | None, end: float | None) -> tuple[float, float, float | None]:
        """Return where a span begins, how wide it is, and its seconds."""
        if end is None:
            return 0.0, 0.0, None
        right = self.percent(end)
        if begin is None:
            return right, 0.0, None
        left = min(self.percent(begin), right)
        return left, right - left, max(0.0, end - begin)
