"""When a batch looks for what it is in doubt about, and what it makes of what a look shows, to the second."""

from __future__ import annotations

import asyncio

import pytest

from omium_async import APIConnectionError, AuthenticationError, Execution, ExecutionRequest
from omium_async._batch import doubts
from omium_async._batch.doubts import Doubt, Doubts
from omium_async._batch.items import make_item
from omium_async._batch.lookup import Sighting
from omium_async._pool.pool import Stopped

LOST = APIConnectionError("the connection broke", outcome="unknown")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class Batch:
    """All that surrounds the doubts: what is done about them, and what a look shows."""

    def __init__(self):
        self.quiet = self.is_failed = False
        self.shows = {}  # by workflow: a sighting, or what a look raises
        self.looks, self.done, self.failed = [], [], []
        self.settled = asyncio.Event()
        self.doubts = Doubts(
            self, self, self, is_quiet=lambda: self.quiet, is_failed=lambda: self.is_failed, fail=self.failed.append
        )

    async def call(self, look):
        return await look()

    async def find(self, workflow_id, keys, *, to_the_end):
        self.looks.append((workflow_id, keys, to_the_end))
        found = self.shows.get(workflow_id, Sighting({}))
        if isinstance(found, BaseException):
            raise found
        return found

    async def adopt(self, doubt, execution):
        self._do("adopted", doubt, execution.id)

    def send_again(self, doubt):
        self._do("sent again", doubt)

    def leave(self, doubt, reason, cause):
        self._do("left", doubt, reason, cause)

    def _do(self, *what):
        self.done.append((what[0], what[1].item.key, *what[2:]))
        self.settled.set()

    def add(self, key, due, workflow_id="w", **more):
        item = make_item(ExecutionRequest(workflow_id, key=key), 0, {"workflow_id": workflow_id}, "batch", "key")
        self.doubts.add(Doubt(item, due, LOST, resumed=False, **more))

    def left(self, now):
        return self.doubts._seconds_left(now)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(doubts, "time", clock)
    return clock


@pytest.fixture
def batch(clock):
    return Batch()


def test_while_the_batch_goes_on_the_first_due_is_waited_for_and_looks_are_five_seconds_apart(batch, clock):
    batch.add("a", 1060.0)
    batch.add("b", 1003.0)
    assert batch.left(1000.0) == 3.0
    batch.doubts._not_before = 1005.0
    assert batch.left(1000.0) == 5.0


def test_once_nothing_else_is_left_all_are_looked_for_at_once_and_then_when_they_are_due(batch, clock):
    batch.quiet = True
    batch.add("a", 1060.0)
    batch.add("b", 1050.0, looked=True)
    batch.doubts._not_before = 2000.0  # which only holds while the batch goes on
    assert batch.left(1000.0) == 0.0
    batch.doubts._doubts[0].looked = True
    assert batch.left(1000.0) == 50.0


async def test_what_is_due_and_not_there_is_sent_again(batch, clock):
    batch.add("due", 1000.0)
    batch.add("not yet", 1000.1)
    await batch.doubts._look()
    assert batch.looks == [("w", {"due", "not yet"}, True)]
    assert batch.done == [("sent again", "due")]
    assert [doubt.looked for doubt in batch.doubts._doubts] == [True]
    assert batch.left(1000.0) == 5.0
    await batch.doubts._look()
    assert batch.looks[1] == ("w", {"not yet"}, False)


async def test_a_look_serves_all_of_a_workflow(batch, clock):
    for key, workflow_id in (("a", "w"), ("b", "other"), ("c", "w")):
        batch.add(key, 1000.0, workflow_id)
    batch.shows = {"w": Sighting({"c": Execution("exec_c")}), "other": Sighting({}, ["x", "y", "z"])}
    await batch.doubts._look()
    assert batch.looks == [("w", {"a", "c"}, True), ("other", {"b"}, True)]
    words = "the service shows no metadata, and x, y, z may be it"
    assert batch.done == [("sent again", "a"), ("adopted", "c", "exec_c"), ("left", "b", words, None)]
    assert not batch.doubts._doubts


async def test_of_many_that_may_be_it_three_are_said(batch, clock):
    batch.add("a", 1000.0)
    batch.shows = {"w": Sighting({}, ["x", "y", "z", "u"])}
    await batch.doubts._look()
    assert batch.done == [("left", "a", "the service shows no metadata, and x, y, z and others may be it", None)]


async def test_after_the_fourth_failed_look_in_a_row_what_is_due_stays_unknown(batch, clock, caplog):
    batch.quiet = True
    batch.add("due", 1000.0)
    batch.add("not yet", 1000.1)
    batch.shows = {"w": LOST}
    for number, pause in enumerate((2.0, 4.0, 8.0, 16.0), start=1):
        assert not batch.done
        await batch.doubts._look()
        assert caplog.records[-1].omium_failures == number
        assert batch.doubts._not_before == clock.now + pause
        if number < 4:
            assert batch.left(clock.now) == pause  # also when nothing else is left to do
    assert batch.done == [("left", "due", "the look for it failed", LOST)]
    await batch.doubts._look()
    assert caplog.records[-1].omium_failures == 1
    batch.shows = {}
    await batch.doubts._look()
    assert batch.doubts._failures == 0


async def test_a_refused_key_ends_the_batch(batch, clock):
    refused = AuthenticationError("no", status=401, outcome="not_applied")
    batch.add("a", 1000.0)
    batch.shows = {"w": refused}
    with pytest.raises(AuthenticationError):
        await batch.doubts._look()


@pytest.mark.parametrize("first", ["added", "task"])
async def test_the_task_wakes_when_there_is_something_to_look_for(first):
    batch = Batch()
    batch.quiet = True
    if first == "added":
        batch.add("a", 0.0)
    task = asyncio.create_task(batch.doubts.settle_all())
    await asyncio.sleep(0)
    if first == "task":
        batch.add("a", 0.0)
    await asyncio.wait_for(batch.settled.wait(), 30)
    assert batch.done == [("sent again", "a")]
    batch.settled.clear()
    batch.quiet = False
    batch.add("b", doubts.time.monotonic() + 3600)
    await asyncio.sleep(0)
    batch.shows = {"w": Sighting({"b": Execution("exec_b")})}
    batch.quiet = True
    batch.doubts.wake()
    await asyncio.wait_for(batch.settled.wait(), 30)
    assert batch.done[1:] == [("adopted", "b", "exec_b")]
    task.cancel()


async def test_what_the_task_meets_ends_the_batch_and_then_it_leaves_all_unknown():
    batch = Batch()
    batch.quiet = True
    batch.shows = {"w": ValueError("whatever")}
    batch.add("a", 0.0)
    failed = asyncio.Event()

    def fail(error):
        batch.failed.append(error)
        batch.is_failed = True
        failed.set()

    batch.doubts._fail = fail
    task = asyncio.create_task(batch.doubts.settle_all())
    await asyncio.wait_for(failed.wait(), 30)
    await asyncio.wait_for(batch.settled.wait(), 30)
    assert batch.failed == [batch.shows["w"]]
    assert batch.done == [("left", "a", "the batch ended before it was looked for", None)]
    task.cancel()


async def test_a_look_that_the_end_of_the_batch_stops_is_no_failure():
    batch = Batch()
    batch.quiet = True
    batch.shows = {"w": Stopped()}
    batch.add("a", 0.0)
    find = batch.find

    async def find_and_end(*args, **more):
        batch.is_failed = True
        return await find(*args, **more)

    batch.find = find_and_end
    task = asyncio.create_task(batch.doubts.settle_all())
    await asyncio.wait_for(batch.settled.wait(), 30)
    assert (batch.failed, [what[0] for what in batch.done]) == ([], ["left"])
    task.cancel()
