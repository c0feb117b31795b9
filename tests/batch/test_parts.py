"""The parts of a batch by themselves: the limit and its gate, the pool, the look-up, what is stored."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from omium_async import (
    APIConnectionError,
    ConflictError,
    Execution,
)
from omium_async._batch.keys import content_digest, header_key, item_key
from omium_async._batch.stored import execution_from, refusal_from, stored_answer, stored_refusal
from omium_async._data.shared import shared
from omium_async._pool.limit import Gate, Limit
from omium_async._pool.pool import Pool


class TestLimit:
    def test_it_begins_low_and_doubles_each_round(self):
        limit = Limit(100)
        assert limit.now == 16
        for _ in range(16):
            limit.answered(time.monotonic())
        assert limit.now == 32
        for _ in range(200):
            limit.answered(time.monotonic())
        assert limit.now == 100

    def test_a_small_one_is_given_at_once(self):
        assert Limit(3).now == 3

    def test_a_429_halves_it_once_for_all_calls_under_way(self):
        limit = Limit(64)
        for _ in range(100):
            limit.answered(time.monotonic())
        started = time.monotonic()
        for _ in range(64):
            limit.refused(started - 1)
        assert limit.now == 32
        limit.refused(time.monotonic())
        assert limit.now == 16
        for _ in range(20):
            limit.refused(time.monotonic())
        assert limit.now == 2

    def test_it_grows_back_after_a_429(self):
        limit = Limit(64)
        limit.refused(time.monotonic())
        assert limit.now == 8
        for _ in range(3000):
            limit.answered(time.monotonic() - 0.01)
        assert limit.now == 64

    def test_a_service_that_slows_down_is_given_less(self):
        limit = Limit(64)
        for _ in range(1000):
            limit.answered(time.monotonic() - 0.01)
        assert limit.now == 64
        for _ in range(64):
            limit.answered(time.monotonic() - 0.2)
        assert 64 // 8 <= limit.now < 64
        for _ in range(6000):  # it stays like that: then that is what is usual
            limit.answered(time.monotonic() - 0.2)
        assert limit.now == 64

    async def test_the_gate_is_fair_and_follows_the_limit(self):
        limit = Limit(2)
        gate, inside, order = Gate(limit), [], []
        leave = asyncio.Event()

        async def enter(number):
            async with gate:
                inside.append(number)
                order.append(number)
                await leave.wait()
                inside.remove(number)

        tasks = [asyncio.create_task(enter(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert inside == [0, 1]
        tasks[3].cancel()
        tasks[0].cancel()
        await asyncio.wait([tasks[0], tasks[3]])
        await asyncio.sleep(0)
        assert order == [0, 1, 2]
        leave.set()
        await asyncio.wait(tasks)
        assert order == [0, 1, 2, 4]


class TestPool:
    async def drain(self, pool):
        found = []
        while await pool.more():
            while (result := pool.pop()) is not None:
                found.append(result)
        return found

    async def test_only_as_many_tasks_as_there_is_work(self):
        before = len(asyncio.all_tasks())
        most = 0

        async def work(position, item):
            nonlocal most
            await asyncio.sleep(0)
            most = max(most, len(asyncio.all_tasks()) - before)
            return item * 10

        limit = Limit(10_000)
        limit.now = 10_000
        pool = Pool(range(3), work, limit)
        assert sorted(await self.drain(pool)) == [0, 10, 20]
        await pool.close()
        assert most <= 4
        assert len(asyncio.all_tasks()) == before

    async def test_held_items_keep_it_open_and_can_be_worked_on_again(self):
        worked = []

        async def work(position, item):
            worked.append((position, item))
            return None if worked.count((position, item)) == 1 and item == "b" else item

        pool = Pool("abc", work, Limit(1))
        reading = asyncio.create_task(self.drain(pool))
        while not pool.is_quiet():  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not reading.done()
        pool.again(1, "b")
        assert sorted(await reading) == ["a", "b", "c"]
        assert worked == [(0, "a"), (1, "b"), (2, "c"), (1, "b")]
        await pool.close()

    async def test_an_error_of_the_work_comes_last(self):
        async def work(position, item):
            await asyncio.sleep(0)
            if item == 5:
                raise LookupError("the work is broken")
            return item + 1

        pool = Pool(range(1000), work, Limit(4))
        found = []
        with pytest.raises(LookupError):
            while await pool.more():
                while (result := pool.pop()) is not None:
                    found.append(result)
        assert set(found) >= {1, 2, 3, 4, 5}
        assert len(found) < 20
        await pool.close()

    async def test_an_end_that_is_interrupted_still_leaves_nothing(self):
        started, slow = asyncio.Event(), asyncio.Event()

        async def work(position, item):
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                await slow.wait()

        pool = Pool(range(10), work, Limit(2))
        reading = asyncio.create_task(pool.more())
        await started.wait()
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.sleep(0)
        assert not closing.done()
        slow.set()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert not pool._tasks
        reading.cancel()


def test_keys_are_made_of_batch_position_and_content():
    digest = content_digest({"a": 1, "b": [1.5, None]})
    assert digest == content_digest({"b": [1.5, None], "a": 1})
    assert digest != content_digest({"a": 1, "b": [1.5, 0]})
    keys = {item_key(batch, position, text) for batch in "xy" for position in (1, 2) for text in (digest, "other")}
    assert len(keys) == 8
    assert header_key("a b") == "a b"
    assert header_key(" a") != " a"


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_stored_comes_back():
    execution = Execution("exec_1", "work", "running", created_at=NOW, input_data={"a": "b" * 9000}, error="e")
    found = execution_from(shared())(stored_answer(execution))
    assert (found.id, found.status, found.created_at, found.error, found.input_data) == (
        "exec_1",
        "running",
        NOW,
        "e",
        None,
    )
    body = b'{"id": "exec_1", "more": [1, 2]}'
    assert execution_from(shared())(stored_answer(execution, body)).extra == {"more": [1, 2]}
    assert (
        execution_from(shared())(stored_answer(execution, b'{"id": "exec_1", "input_data": "' + b"x" * 9000 + b'"}'))
        == found
    )
    error = ConflictError(
        "no",
        status=409,
        body=b"\xff\x00",
        headers={"a": "b"},
        method="POST",
        url="u",
        request_id="r",
        outcome="not_applied",
    )
    back = refusal_from(stored_refusal(error))
    assert type(back) is ConflictError
    assert (back.message, back.status, back.body, back.headers, back.request_id) == (
        "no",
        409,
        b"\xff\x00",
        {"a": "b"},
        "r",
    )
    assert str(back) == str(error)


def test_a_refusal_that_is_no_text_is_stored_all_the_same():
    """Headers and reasons of an answer may hold bytes that are no UTF-8, which arrive as lone surrogates."""
    error = ConflictError(
        "\udcff no", status=409, headers={"x-\udce4": "\udcfc"}, request_id="\udc80", outcome="not_applied"
    )
    back = refusal_from(stored_refusal(error))
    assert (back.message, back.headers, back.request_id) == ("\ufffd no", {"x-\udce4": "\udcfc"}, "\ufffd")
    str(back).encode()
    assert stored_refusal(APIConnectionError("x")) is None
