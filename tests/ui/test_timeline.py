"""Timelines: to scale, whatever the service sends."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from omium_async import Checkpoint, ExecutionDetail, ExecutionStatus
from omium_async.ui.timeline import WINDOW, timeline

from .conftest import START

moments = st.none() | st.integers(-1000, 1000).map(lambda seconds: START + timedelta(seconds=seconds))


def execution(checkpoints, **more):
    return ExecutionDetail("exec_1", checkpoints=checkpoints, **{"status": ExecutionStatus.FAILED, **more})


@given(
    st.lists(moments, max_size=250),
    moments,
    moments,
    st.none() | st.integers(-5, 400),
    st.sampled_from(ExecutionStatus),
)
def test_every_bar_lies_within_its_scale(times, begin, end, first, status):
    checkpoints = tuple(Checkpoint(f"chk_{number}", "step", time) for number, time in enumerate(times))
    line = timeline(execution(checkpoints, created_at=begin, completed_at=end, status=status), first)
    assert line.earlier + len(line.steps) + line.later == len(times)
    assert len(line.steps) <= WINDOW
    for step in [*line.steps, *([line.tail] if line.tail else [])]:
        assert 0 <= step.left <= 100
        assert 0 <= step.width <= 100.000001 - step.left
        assert step.seconds is None or step.seconds >= 0
    assert all(0 <= tick <= 100 for tick in line.ticks)


def test_bars_are_as_long_as_the_steps_took():
    times = [START + timedelta(seconds=seconds) for seconds in (1, 4, 5)]
    checkpoints = tuple(Checkpoint(f"chk_{number}", "step", time) for number, time in enumerate(times))
    line = timeline(execution(checkpoints, created_at=START, completed_at=START + timedelta(seconds=10)))
    assert [(step.left, step.width, step.seconds, step.later) for step in line.steps] == [
        (0, 10, 1, 2),
        (10, 30, 3, 1),
        (40, 10, 1, 0),
    ]
    assert (line.tail.left, line.tail.width, line.tail.seconds) == (50, 50, 5)


def test_thousands_of_checkpoints_end_where_the_execution_is():
    checkpoints = tuple(Checkpoint(f"chk_{n}", f"step {n}", START + timedelta(seconds=n)) for n in range(5_000))
    line = timeline(execution(checkpoints, created_at=START, completed_at=START + timedelta(seconds=5_000)))
    assert (line.first, len(line.steps), line.earlier, line.later) == (4_901, 100, 4_900, 0)
    assert line.window is not None
    assert len(line.ticks) <= 201
    assert timeline(execution(checkpoints), 1).later == 4_900
