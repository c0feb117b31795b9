"""The parts of a batch by themselves: the limit and its gate, the pool, the look-up, what is stored."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import (
    APIConnectionError,
    APIStatusError,
    AsyncOmium,
    AuthenticationError,
    ConflictError,
    Execution,
    ExecutionRequest,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from omium_async import _endpoints as endpoints
from omium_async._batch.clock import Clocks
from omium_async._batch.items import make_item
from omium_async._batch.keys import content_digest, header_key, item_key, own_key
from omium_async._batch.sending import Sending, is_silence, key_is_refused, was_refused_for_good
from omium_async._batch.stored import execution_from, refusal_from, snapshot_of, stored_answer, stored_refusal
from omium_async._data.shared import shared
from omium_async._errors import status_error_class
from omium_async._journal.commits import Entry
from omium_async._pool.limit import Gate, Limit
from omium_async._pool.pool import Pool, Stopped


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

    @given(st.integers(1, 40), st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=200))
    def test_it_is_never_more_than_was_given_and_never_none(self, most, calls):
        """Whatever is answered after so many seconds, or refused."""
        limit = Limit(most)
        assert limit.now <= most
        for is_answered, seconds in calls:
            (limit.answered if is_answered else limit.refused)(time.monotonic() - seconds)
            assert 1 <= limit.now <= most

    @pytest.mark.parametrize("most", [1, 7, 100])
    def test_a_service_that_slows_down_more_and_more_is_never_given_more_than_was_asked_for(self, most):
        limit = Limit(most)
        for seconds in (0.01, 1.0, 100.0, 10_000.0):
            for _ in range(100):
                limit.answered(time.monotonic() - seconds)
                assert 1 <= limit.now <= most
        assert limit.now <= max(1, most // 8)

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

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_so_many_items_are_taken_ahead_of_the_consumer_and_no_more(self, streamed):
        taken = 0

        def items():
            nonlocal taken
            while True:
                taken += 1
                yield taken

        async def stream():
            for item in items():
                yield item

        async def work(position, item):
            return item

        pool = Pool(stream() if streamed else items(), work, Limit(2))
        await pool.more()
        for popped in range(3):
            for _ in range(500):
                await asyncio.sleep(0)
            assert taken == 4 * 2 + 64 + popped
            pool.pop()
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


def test_keys_are_those_of_journals_that_exist_already():
    assert content_digest({"a": 1, "b": [1.5, None]}) == "64d0c52cd50be12ac487f8a0e7cb3f5a"
    assert item_key("batch", 7, "digest") == "cb54c65ad009f628d26d851a5bd8bcda"
    assert header_key("\xe9") == "d4b1b0202b21bb84e60a3d272ecab0db"
    assert header_key("k" * 200) == "k" * 200
    assert len(header_key("k" * 201)) == 32
    with pytest.raises(ValueError, match="NUL"):
        own_key("a\0b")


def test_what_the_service_refused_for_good_is_a_4xx_about_the_item():
    def refused(status, outcome="not_applied"):
        return was_refused_for_good(APIStatusError("no", status=status, outcome=outcome))

    assert [status for status in range(390, 510) if refused(status)] == [
        status for status in range(400, 500) if status not in (401, 403, 425, 429)
    ]
    assert not refused(400, "unknown")
    assert not was_refused_for_good(APIConnectionError("lost", outcome="not_applied"))


def test_what_is_no_answer_to_the_question_is_silence():
    def silent(status):
        return is_silence(status_error_class(status)("no", status=status))

    assert [status for status in range(300, 600) if silent(status)] == [408, 425, 429, 499, *range(500, 600)]
    assert is_silence(APIConnectionError("lost"))
    assert not is_silence(ValueError("no"))


@pytest.mark.parametrize(
    ("body", "is_refused"),
    [(b'{"detail": "no"}', True), (b"1e999", True), (b"<html>no</html>", False), (b"", False)],
)
def test_a_403_is_about_the_key_where_the_service_says_it_and_not_its_edge(body, is_refused):
    assert key_is_refused(PermissionDeniedError("no", status=403, body=body)) is is_refused
    assert key_is_refused(AuthenticationError("no", status=401, body=body))
    assert not key_is_refused(ConflictError("no", status=409, body=body))


class TestClocks:
    def entry(self, **more):
        mark = {"id": 1, "key": "k", "position": 0, "run": 1, "digest": "d", "sent_at": 1000.0, "within": 30.0}
        fields = mark | {"ahead": 5.0, "before": None, "state": None, "execution_id": None, "answer": None} | more
        return Entry(**fields)

    def clocks(self, monkeypatch, now, ahead):
        monkeypatch.setattr("omium_async._batch.clock.time", SimpleNamespace(time=lambda: now))
        found = Clocks(None)
        found.ahead = ahead
        return found

    @pytest.mark.parametrize(("now", "ahead", "gone"), [(1100.0, 5.0, 70.0), (1100.0, 3.0, 68.0), (1100.0, 9.0, 70.0)])
    def test_what_has_passed_by_both_clocks(self, monkeypatch, now, ahead, gone):
        assert self.clocks(monkeypatch, now, ahead).gone(self.entry()) == gone

    def test_time_does_not_run_backwards(self, monkeypatch):
        assert self.clocks(monkeypatch, 900.0, 5.0).gone(self.entry()) == 0.0

    def test_what_no_clock_tells_counts_for_nothing(self, monkeypatch):
        assert self.clocks(monkeypatch, 1100.0, None).gone(self.entry()) == 0.0
        clocks = self.clocks(monkeypatch, 1100.0, 5.0)
        assert clocks.gone(self.entry(within=None)) == clocks.gone(self.entry(ahead=None)) == 0.0

    @pytest.mark.parametrize(("date", "ahead"), [("Thu, 01 Jan 1970 00:20:00 GMT", 200.0), ("nonsense", None)])
    async def test_the_services_is_read_once_and_between_two_looks_at_our_own(self, monkeypatch, date, ahead):
        asked = []

        async def raw(*about, **more):
            asked.append((*about, more["params"]))
            return SimpleNamespace(headers={"date": date})

        async def call(function):
            return await function()

        clocks = self.clocks(monkeypatch, 1000.0, None)
        clocks._sending = SimpleNamespace(call=call, reader=lambda: SimpleNamespace(raw=raw))
        await asyncio.gather(clocks.read(), clocks.read())
        await clocks.read()
        assert asked == [("GET", "/executions", {"page": 1, "page_size": 1})]
        assert clocks.ahead == ahead


async def test_an_item_is_sent_by_calls_that_do_not_repeat_it_with_pauses_as_the_client_has_them():
    for backoff, pause in (((0.1, 30.0), 0.1), ((0.0, 30.0), 0.01), ((9.0, 30.0), 0.5)):
        async with AsyncOmium("omium_some_key", backoff=backoff) as omium:
            sending = Sending(omium.executions._caller, Limit(4), "create_many")
            assert sending.caller.options.max_retries == 0
            assert sending.reader().options.max_retries > 0
            assert sending._pause == pause
        async with AsyncOmium("omium_some_key", retry_ambiguous_writes=True, max_retries=5) as omium:
            assert Sending(omium.executions._caller, Limit(4), "create_many").caller.options.max_retries == 5


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


class TestWhoLooksInAnOutage:
    """One looks, or goes alone; the others stand in line."""

    @pytest.fixture
    async def sending(self):
        async with AsyncOmium("omium_some_key") as omium:
            sending = Sending(omium.executions._caller, Limit(4), "create_many")
            sending._outage = SimpleNamespace(lasts=True, answered=lambda: None)
            sending._has_scout = True
            yield sending

    async def in_line(self, sending, count):
        waiting = [asyncio.create_task(sending._wait_in_line()) for _ in range(count)]
        await asyncio.sleep(0)
        return waiting

    async def test_the_next_is_handed_the_look(self, sending):
        first, second = await self.in_line(sending, 2)
        sending._hand_over()
        assert await first is True
        assert (second.done(), sending._has_scout) == (False, True)
        sending._hand_over()
        assert await second is True
        sending._hand_over()
        assert sending._has_scout is False

    async def test_who_is_cancelled_when_it_is_handed_the_look_hands_it_on(self, sending):
        first, second = await self.in_line(sending, 2)
        sending._hand_over()
        first.cancel()
        assert await asyncio.wait_for(second, 30) is True
        (third,) = await self.in_line(sending, 1)
        third.cancel()  # it was handed nothing
        await asyncio.gather(first, third, return_exceptions=True)
        sending._hand_over()
        assert sending._has_scout is False

    async def test_an_answer_wakes_all_and_the_end_of_the_batch_too(self, sending):
        for wake in (lambda: sending._take_answer(alone=True), sending._stop):
            waiting = await self.in_line(sending, 3)
            wake()
            assert await asyncio.wait_for(asyncio.gather(*waiting), 30) == [False] * 3
        (waiting,) = await self.in_line(sending, 1)
        sending._take_answer(alone=False)  # to what was sent before the outage
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    async def test_no_look_is_made_once_the_batch_has_ended(self, sending, monkeypatch):
        looks = []

        async def page(*_):
            looks.append("a look")

        monkeypatch.setattr(endpoints, "page", page)
        sending._has_scout = False
        sending._outage.pause = lambda: 3600.0
        turn = asyncio.create_task(sending._turn())
        await asyncio.sleep(0)
        sending._limit.closed = True
        sending._stop()
        with pytest.raises(Stopped):
            await asyncio.wait_for(turn, 30)
        assert looks == []

    async def test_a_look_that_ends_the_batch_hands_on(self, sending, monkeypatch):
        async def look():
            raise ValueError("whatever")

        monkeypatch.setattr(sending, "_look_until_answered", look)
        sending._has_scout = False
        turn = asyncio.create_task(sending._turn())
        with pytest.raises(ValueError, match="whatever"):
            await turn
        assert sending._has_scout is False


def test_what_is_kept_of_an_execution_says_whose_it_is():
    kept = execution_from(shared())(snapshot_of(Execution("exec_1", "work", "failed", agent_id="agent", error="e")))
    assert (kept.agent_id, kept.error, kept.status) == ("agent", "e", "failed")
    assert "agent_id" not in snapshot_of(Execution("exec_1", "work", "failed"))


@pytest.mark.parametrize(("key", "words"), [(None, "item 7"), ("mine", "item 7 (key 'mine')")])
def test_an_item_is_called_by_its_place_and_the_users_key(key, words):
    item = make_item(ExecutionRequest("work", key=key), 7, {"workflow_id": "work"}, "batch", "key")
    assert str(item) == words
    assert item.id == (7 if key is None else None)


async def test_each_answer_lets_one_more_call_out_at_once():
    async with AsyncOmium("omium_some_key") as omium:
        limit = Limit(100)
        sending = Sending(omium.executions._caller, limit, "create_many")
        for more in range(1, 4):
            assert await sending.call(lambda: asyncio.sleep(0, "answer")) == "answer"
            assert limit.now == 16 + more


@pytest.mark.parametrize(("status", "calls"), [(501, 1), (400, 1), (503, 3), (429, 3)])
async def test_what_the_service_cannot_do_at_all_is_not_asked_for_again(status, calls):
    made = []

    async def request():
        made.append(status)
        if len(made) < 3:
            kind = RateLimitError if status == 429 else ServerError if status >= 500 else APIStatusError
            raise kind("no", status=status, outcome="not_applied")
        return "answer"

    async with AsyncOmium("omium_some_key", backoff=(0.001, 0.001)) as omium:
        sending = Sending(omium.executions._caller, Limit(4), "create_many")
        sending._look_until_answered = lambda: asyncio.sleep(0)
        if calls == 1:
            with pytest.raises(APIStatusError):
                await sending.call(request)
        else:
            assert await asyncio.wait_for(sending.call(request), 30) == "answer"
    assert len(made) == calls
