"""Checkpoints as a timeline: where each step begins and ends, as parts of the whole."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from omium_async import Checkpoint, ExecutionDetail

__all__ = ["WINDOW", "Step", "Timeline", "timeline"]

WINDOW: Final = 100  # steps that a page shows at once
_TICKS: Final = 200  # of the picture of all of them


@attrs.frozen
class Step:
    """What lies between two checkpoints, or after the last one.

    :ivar number: from 1.
    :ivar checkpoint: the one that ends it, ``None`` for what came after the last.
    :ivar left: where it begins, in percent of the scale.
    :ivar width: how long it took, likewise.
    :ivar seconds: how long it took; ``None`` where a time is missing.
    :ivar later: how many checkpoints come after it.
    """

    number: int
    checkpoint: Checkpoint | None
    left: float
    width: float
    seconds: float | None
    later: int


@attrs.frozen
class Timeline:
    """The steps of an execution, a window of them.

    :ivar steps: those of the window, oldest first.
    :ivar first: the number of the first one.
    :ivar count: how many checkpoints there are.
    :ivar seconds: from begin to end.
    :ivar ticks: where checkpoints lie, in percent of the whole.
    :ivar last: when the last checkpoint was made, or it began.
    :ivar tail: what came after the last checkpoint, where time passed since or something went wrong.
    :ivar window: where the steps of the window begin and end, in percent of the whole; the bars of the steps are to
        scale within it. ``None`` where it is the whole.
    """

    steps: tuple[Step, ...]
    first: int
    count: int
    seconds: float | None
    begin: datetime | None
    end: datetime | None
    last: datetime | None
    ticks: tuple[float, ...]
    tail: Step | None
    window: tuple[float, float] | None

    @property
    def earlier(self) -> int:
        """How many steps lie before the window."""
        return self.first - 1

    @property
    def later(self) -> int:
        """How many steps lie after the window."""
        return self.count - self.first - len(self.steps) + 1


def timeline(execution: ExecutionDetail, first: int | None = None) -> Timeline:
    """The timeline of an execution; without ``first`` the window ends with the last checkpoint: that is where it is."""
    checkpoints = execution.checkpoints
    count = len(checkpoints)
    begin = execution.started_at or execution.created_at
    settled = execution.status is not None and execution.status.is_settled
    last = next((each.created_at for each in reversed(checkpoints) if each.created_at), None)
    end = (execution.completed_at or execution.updated_at or last) if settled else _about_now(begin)
    known = [moment for moment in (begin, end, last) if moment is not None]
    begin, end = begin or min(known, default=None), max(known, default=None)
    whole = _Scale(begin, end)
    first = max(1, count - WINDOW + 1) if first is None else max(1, min(first, max(1, count)))
    final = min(count, first + WINDOW - 1)
    opens = checkpoints[first - 2].created_at if first > 1 else begin
    closes = checkpoints[final - 1].created_at if final < count else end
    part = count > WINDOW and opens is not None and closes is not None
    scale = _Scale(opens, closes) if part else whole
    steps = [
        _step(
            scale, number, begin if number == 1 else checkpoints[number - 2].created_at, checkpoints[number - 1], count
        )
        for number in range(first, final + 1)
    ]
    tail = None
    if not settled or execution.error or execution.status in ("failed", "error", "cancelled"):
        left, width, seconds = scale.place(last or begin, end)
        tail = Step(count + 1, None, left, width, seconds, 0)
    spots = {round(whole.at(each.created_at) * _TICKS / 100) for each in checkpoints if each.created_at}
    ticks = tuple(spot * 100 / _TICKS for spot in sorted(spots))
    window = (whole.at(opens), whole.at(closes)) if part and opens and closes else None
    return Timeline(tuple(steps), first, count, whole.seconds, begin, end, last or begin, ticks, tail, window)


def _about_now(begin: datetime | None) -> datetime:
    """Now, so coarse that what runs for long is not drawn anew at each look."""
    now = datetime.now(UTC)
    if begin is None:
        return now
    grain, seconds = 5.0, (now - begin).total_seconds()
    while seconds > 60 * grain:
        grain *= 2
    return begin + timedelta(seconds=math.ceil(max(0.0, seconds) / grain) * grain)


def _step(scale: _Scale, number: int, begun: datetime | None, checkpoint: Checkpoint, count: int) -> Step:
    left, width, seconds = scale.place(begun, checkpoint.created_at)
    return Step(number, checkpoint, left, width, seconds, count - number)


class _Scale:
    """Moments as percent of the time between two."""

    def __init__(self, begin: datetime | None, end: datetime | None) -> None:
        self._begin = begin
        self.seconds = None if begin is None or end is None else (end - begin).total_seconds()

    def at(self, moment: datetime) -> float:
        if self._begin is None or not self.seconds:
            return 0.0
        return min(100.0, max(0.0, (moment - self._begin).total_seconds() / self.seconds * 100))

    def place(self, begun: datetime | None, ended: datetime | None) -> tuple[float, float, float | None]:
        """Where a span begins, how wide it is, and how many seconds it lasts."""
        if ended is None:
            return 0.0, 0.0, None
        right = self.at(ended)
        if begun is None:
            return right, 0.0, None
        left = min(self.at(begun), right)
        return left, right - left, max(0.0, (ended - begun).total_seconds())
