"""The pace of a whole client: the rules against a clock of the test's own, then real calls against a limited server."""

# ruff: noqa: ASYNC110 - what is waited for happens on the server's side, which has no event for it

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import deque
from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omium_async._transport.allowance import RATE_HEADERS, Allowance, Lesson, rate_headers
from omium_async._transport.attempt import LiveAttempt
from omium_async._transport.slots import Slots

import omium_async as om
from omium_async._transport.pacing import Pacer, TooLate

# -- rules ---------------------------------------------------------------------------------------------------------


def test_nothing_limits_a_client_that_nobody_limited() -> None:
    rules = Allowance(None, 60)
    assert not rules.limits
    rules.learn(0, Lesson(200, {}, None), 5)
    assert not rules.limits


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(0, 1)), max_size=60))
def test_no_window_of_the_servers_ever_holds_more(limit: int, steps) -> None:
    """However long requests take and whenever within them the server counts them."""
    rules = Allowance(limit, 10.0)
    now, under_way, seen = 100.0, [], []
    for wait, duration, arrival in steps:
        now += wait
        for end in sorted(e for e in under_way if e <= now):
            rules.ended(end)
            under_way.remove(end)
        if rules.permits(now, len(under_way)):
            rules.started(now)
            under_way.append(now + duration)
            seen.append(now + duration * arrival)
    seen.sort()
    for index in range(limit, len(seen)):
        assert seen[index] - seen[index - limit] >= 10.0 - 1e-9


def test_a_limit_below_one_a_minute_lengthens_the_window() -> None:
    rules = Allowance(0.5, 60.0)
    rules.started(0)
    rules.ended(0)
    assert not rules.permits(119, 0)
    assert rules.permits(120, 0)


def test_earliest_is_never_later_than_true() -> None:
    rules = Allowance(2, 10.0)
    for end in (1.0, 2.0):
        rules.started(end)
        rules.ended(end)
    assert rules.earliest(3.0, 0, 0) == 11.0
    assert rules.earliest(3.0, 0, 1) == 12.0
    assert rules.earliest(3.0, 0, 2) == 21.0
    assert rules.earliest(100.0, 0, 2) == 110.0  # those that ended long ago count no more
    rules.ended(1.0)
    rules.ended(2.0)
    assert rules.look_again_at(10.0, 0) == 11.0  # the first permit, with nobody before
    assert rules.earliest(11.0, 0, 0) == 11.0


def test_a_block_then_a_probe_then_faster() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {}, 5.0), 3)
    assert rules.limits
    assert not rules.permits(4.9, 0)
    assert rules.permits(5.0, 0)
    rules.started(5.0)
    assert not rules.permits(5.1, 1)  # one probe
    rules.learn(5.2, Lesson(200, {}, None), 0)
    assert rules.permits(5.2, 1)
    assert not rules.permits(5.2, 2)
    for _ in range(3):
        rules.learn(5.2, Lesson(200, {}, None), 0)
    assert rules.permits(5.2, 2)
    assert not rules.permits(5.2, 3)
    for _ in range(2200):
        rules.learn(5.3, Lesson(200, {}, None), 0)
    assert rules.permits(5.3, 1000)
    assert not rules.limits


def test_a_probe_without_an_answer_does_not_hold_up_all_for_ever() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {}, 1.0), 0)
    rules.started(1.0)
    assert not rules.permits(2.0, 1)
    assert rules.look_again_at(2.0, 1) == 6.0
    assert rules.permits(6.0, 1)


def test_429s_of_requests_under_way_are_one_block() -> None:
    rules = Allowance(None, 60)
    for _ in range(100):
        rules.learn(0, Lesson(200, {}, None), 0)
    for retry_after in (2.0, 1.0, 3.0, 2.0):
        rules.learn(1, Lesson(429, {}, retry_after), 0)
    assert rules.blocked_until == 4.0  # the longest that was asked for
    assert rules._left == 100


def test_what_a_window_accepted_is_what_the_next_is_given() -> None:
    rules = Allowance(None, 60)
    for _ in range(5):
        rules.learn(0, Lesson(200, {}, None), 0)
    rules.learn(0, Lesson(429, {}, 10.0), 0)
    let_through(rules, 10, 5)
    assert rules.permits(10, 0)  # to find out whether more is allowed, but
    assert not rules.permits(10, 1)  # one at a time
    rules.learn(12, Lesson(429, {}, 8.0), 0)
    let_through(rules, 20, 4)  # four fifths of the ten seconds were a block
    assert not rules.permits(20, 0)  # the fifth, and single ones to find out, go later: 5 in 10 s are one in 2
    assert rules.look_again_at(20, 0) == rules.earliest(20, 0, 0) == 23
    assert rules.permits(23, 0)
    assert not rules.permits(23, 1)
    rules.learn(23, Lesson(429, {}, 7.0), 0)
    rules.learn(30, Lesson(429, {}, 10.0), 0)  # a probe that fails teaches nothing new
    assert rules._left == 2


@pytest.mark.parametrize("told", [True, False])
def test_after_a_probe_that_was_refused_too_single_ones_go_as_rarely_as_the_server_says(told: bool) -> None:
    """A cycle lasts on, to its second block's end; a guess at how long tells nothing of the server's own cycle."""
    rules, wait = Allowance(None, 60), 2.0 if told else None
    for _ in range(5):
        rules.learn(0, Lesson(200, {}, None), 0)
    rules.learn(0, Lesson(429, {}, wait), 0)
    first = rules.blocked_until
    rules.started(first)
    rules.learn(first, Lesson(429, {}, wait), 0)
    now = rules.blocked_until
    let_through(rules, now, 5)
    assert rules.permits(now, 0) is not told
    assert rules.permits(now + now - first, 0)


def let_through(rules: Allowance, now: float, count: int) -> None:
    for _ in range(count):
        assert rules.permits(now, 0)
        rules.started(now)
        rules.learn(now, Lesson(200, {}, None), 0)


def test_a_first_block_spaces_nothing() -> None:
    """Of what came before it nobody knows how long that took: one accepted may be one of a hundred a second."""
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(200, {}, None), 0)
    rules.learn(0, Lesson(429, {}, 30.0), 0)
    let_through(rules, 30, 100)


def test_hours_without_a_call_are_no_cycle() -> None:
    rules = Allowance(None, 60)
    for now in (0.0, 10.0):
        rules.learn(now, Lesson(200, {}, None), 0)
        rules.learn(now, Lesson(429, {}, 1.0), 0)
    rules.learn(7200, Lesson(429, {}, 1.0), 0)
    let_through(rules, 7201, 30)


def test_what_comes_through_drop_by_drop_is_spaced() -> None:
    rules, now = Allowance(None, 60), 0.0
    for _ in range(4):  # one of two is accepted after each second
        rules.learn(now, Lesson(200, {}, None), 0)
        rules.learn(now, Lesson(429, {}, 1.0), 0)
        now += 1
        rules.started(now)
    rules.learn(now, Lesson(200, {}, None), 0)
    assert not rules.permits(now + 1.4, 0)
    assert rules.permits(now + 1.5, 0)
    for _ in range(20):  # more and more come through: the other clients have ended
        rules.started(now)
        rules.learn(now, Lesson(200, {}, None), 0)
    assert rules.permits(now + 0.1, 0)


def test_a_wait_that_was_too_short_is_stretched_and_one_that_was_not_is_kept() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {}, 1.0), 0)
    assert rules.blocked_until == 1
    rules.learn(1, Lesson(429, {}, 1.0), 0)
    assert 2 < rules.blocked_until <= 3
    for _ in range(20):
        rules.learn(rules.blocked_until, Lesson(429, {}, 1.0), 0)
    now = rules.blocked_until
    rules.learn(now, Lesson(429, {}, 1.0), 0)
    assert 1 <= rules.blocked_until - now <= 5
    rules.learn(now + 5, Lesson(429, {}, 30.0), 0)
    assert rules.blocked_until == now + 35


def test_calm_forgets() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {}, 1.0), 0)
    rules.learn(120, Lesson(200, {}, None), 0)
    assert rules.limits
    rules.learn(121, Lesson(200, {}, None), 0)
    assert not rules.limits


def test_blocks_without_a_retry_after_grow_and_end() -> None:
    rules, now = Allowance(None, 60), 0.0
    lengths = []
    for _ in range(9):
        rules.learn(now, Lesson(429, {}, None), 0)
        lengths.append(rules.blocked_until - now)
        now = rules.blocked_until
    assert 0.5 <= lengths[0] <= 1
    assert 15 <= lengths[-1] <= 30
    rules.learn(now, Lesson(200, {}, None), 0)
    rules.learn(now, Lesson(429, {}, None), 0)
    assert rules.blocked_until - now <= 1


def test_a_429_without_retry_after_heeds_its_reset() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {"ratelimit-remaining": "0", "ratelimit-reset": "7"}, None), 0)
    assert rules.blocked_until == 7
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 2.0), 0)
    assert rules.blocked_until == 2


@pytest.mark.parametrize("reset", ["0", "1700000000"])
def test_a_429_whose_reset_is_over_waits_all_the_same(reset: str) -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {"ratelimit-remaining": "0", "ratelimit-reset": reset}, None), 0)
    assert 0.5 <= rules.blocked_until <= 1


def test_headers_close_the_gate_before_a_429() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "150", "ratelimit-reset": "30"}, None), 20)
    assert not rules.limits
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "23", "ratelimit-reset": "30"}, None), 20)
    for under_way in (20, 21, 22):
        assert rules.permits(1, under_way)
        rules.started(1)
    assert not rules.permits(1, 23)
    rules.learn(1, Lesson(200, {"ratelimit-remaining": "0", "ratelimit-reset": "30"}, None), 0)
    assert not rules.permits(30.9, 0)
    assert rules.permits(31, 0)
    rules.learn(31, Lesson(200, {"ratelimit-remaining": "199", "ratelimit-reset": "60"}, None), 0)
    assert rules.permits(31, 1)


def test_no_more_start_than_are_left_beside_those_under_way() -> None:
    rules = Allowance(None, 60)
    rules.started(0)
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "5", "ratelimit-reset": "30"}, None), 20)
    assert not rules.permits(0, 20)
    assert rules.permits(0, 0)


def test_the_gate_learns_what_passed_while_it_was_open_and_which_calls_come_again() -> None:
    pacer = Pacer(None)
    pacer.passed = 7
    attempt = LiveAttempt(1, "id", 0.0, False)
    attempt.status, attempt.headers = 429, {}
    pacer._learn(0.0, attempt, 5.0)
    assert (pacer.passed, pacer._rules._cycle.at_once, pacer.open) == (0, 7, False)
    pacer = Pacer(None)
    for number, again in ((1, 0), (2, 1), (3, 2)):
        attempt = LiveAttempt(number, "id", 0.0, False)
        attempt.status, attempt.headers = 429, {}
        pacer._learn(0.0, attempt, 0.0)
        assert pacer._rules._refused_again == again


def test_a_wrong_reset_does_not_stop_a_client_for_a_day() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "0", "ratelimit-reset": "86400"}, None), 0)
    assert rules.blocked_until == 60


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, (None, None)),
        ({"ratelimit-remaining": "5"}, (5, None)),
        ({"ratelimit-remaining": "5", "ratelimit-reset": "30"}, (5, 30.0)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "30"}, (5, 30.0)),
        ({"x-ratelimit-remaining-minute": "5", "ratelimit-reset": "30"}, (5, 30.0)),
        (
            {"x-ratelimit-remaining-minute": "5", "date": format_datetime(datetime(2026, 1, 1, 1, 1, 45, tzinfo=UTC))},
            (5, 15.0),
        ),
        ({"x-ratelimit-remaining-minute": "5", "date": "nonsense"}, (5, None)),
        ({"ratelimit": "limit=200, remaining=5, reset=30"}, (5, 30.0)),
        ({"ratelimit": '"default";r=5;t=30'}, (5, 30.0)),
        ({"ratelimit": "nonsense"}, (None, None)),
        ({"ratelimit-remaining": "5", "ratelimit-reset": "1000000"}, (5, 10.0**6)),
        ({"ratelimit-remaining": "5", "ratelimit-reset": "1000001"}, (5, 0.0)),  # a time of day, long past
        ({"ratelimit-remaining": "-1", "ratelimit-reset": "1e9"}, (None, None)),
        ({"ratelimit-remaining": "5, 6", "ratelimit-reset": "30"}, (None, 30.0)),
    ],
)
def test_rate_headers(headers, found) -> None:
    assert rate_headers(headers) == found


def test_a_reset_by_the_time_of_day() -> None:
    _, reset = rate_headers({"x-ratelimit-remaining": "5", "x-ratelimit-reset": str(int(time.time()) + 30)})
    assert reset == pytest.approx(30, abs=2)


def test_what_one_answer_asks_for_holds_others_for_a_minute_at_most() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(429, {}, 99999999999.0), 5)
    assert rules.blocked_until == 60
    assert rules.permits(60, 0)


def test_after_a_window_one_probe_goes_and_not_two() -> None:
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "0", "ratelimit-reset": "5"}), 0)
    assert rules.permits(5, 0)
    rules.started(5)
    assert not rules.permits(5, 1)
    rules = Allowance(None, 60)
    rules.learn(0, Lesson(200, {"ratelimit-remaining": "3", "ratelimit-reset": "5"}), 0)
    assert rules.permits(5, 0)  # the three that were left are past: one finds out
    rules.started(5)
    assert not rules.permits(5, 1)


def test_a_429_that_asks_for_no_wait_means_one_fewer_at_once() -> None:
    rules = Allowance(None, 60)
    rules.started(0)
    rules.learn(0, Lesson(429, {}, 0.0), 9)
    assert rules.permits(0, 8)
    assert not rules.permits(0, 9)
    rules.learn(0, Lesson(429, {}, 0.0), 8)
    assert rules.permits(0, 7)
    assert not rules.permits(0, 8)
    for _ in range(10):
        rules.learn(0, Lesson(200, {}), 7)
    assert rules.permits(0, 8)
    for _ in range(100):
        rules.learn(0, Lesson(200, {}), 7)
    assert rules.permits(0, 15)
    assert not rules.permits(0, 63)


def test_who_ran_into_a_limit_of_many_at_once_counts_until_twice_as_many() -> None:
    rules = Allowance(None, 60)
    rules.started(0)
    rules.learn(0, Lesson(429, {}, 0.0), 100)
    counted = set()
    while rules.limits:
        counted.add(rules._at_once)
        rules.learn(0, Lesson(200, {}), 50)
    assert 199 < max(counted) < 200


@given(st.lists(st.integers(0, 200), max_size=50))
def test_no_refusals_ever_stop_a_client_for_good(under_way) -> None:
    rules = Allowance(None, 60)
    for count in under_way:
        rules.learn(0, Lesson(429, {}, 0.0, again=bool(count % 2)), count)
    assert rules.permits(rules.blocked_until, 0)


def test_refused_again_and_again_without_a_wait_is_waited_for() -> None:
    rules = Allowance(None, 60)
    for _ in range(2):
        rules.learn(0, Lesson(429, {}, 0.0, again=True), 0)
    assert rules.blocked_until == 0
    rules.learn(0, Lesson(200, {}), 0)
    for _ in range(2):
        rules.learn(0, Lesson(429, {}, 0.0, again=True), 0)
    assert rules.blocked_until == 0
    rules.learn(0, Lesson(429, {}, 0.0, again=True), 0)
    assert 0.5 <= rules.blocked_until <= 1


# -- the gate ------------------------------------------------------------------------------------------------------


def seen(status: int | None, *, entered: bool = False) -> LiveAttempt:
    attempt = LiveAttempt(1, "id", 0.0, entered)
    attempt.status, attempt.headers = status, {}
    return attempt


class Calls:
    """Calls of this loop, as the transport makes them: a slot, the gate, and both given back."""

    def __init__(self, pacer: Pacer, size: int = 100) -> None:
        self.pacer, self.slots = pacer, Slots(size)
        pacer.join(asyncio.get_running_loop(), self.slots)

    async def begin(self, deadline: float | None = None, attempts: int = 0) -> None:
        await self.slots.take(None, first=attempts > 0)
        try:
            await self.pacer.enter(deadline, attempts)
        except BaseException:
            self.pacer.ended(self.slots)
            raise

    def end(self, status: int | None = None) -> None:
        self.pacer.ended(self.slots, seen(status, entered=True))

    def nothing_left(self) -> bool:
        pacer = self.pacer
        return not pacer._line and not pacer._waiting and pacer._under_way() == self.slots.busy == 0


@pytest.fixture
def still(patient) -> None:
    """No time passes but in waits: what begins in one turn begins at one time."""
    patient.a_turn = 0.0


def blocked(pacer: Pacer, seconds: float) -> None:
    slots = Slots(1)
    slots.take_now()
    pacer.ended(slots, seen(429), seconds)


@pytest.mark.usefixtures("still")
async def test_first_come_first_served_and_cancelled_ones_leave_no_trace() -> None:
    calls = Calls(Pacer(1, minute=0.1))
    await calls.begin()
    order: list[int] = []

    async def one(number: int) -> None:
        await calls.begin()
        order.append(number)
        calls.end()

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    calls.end()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 3, 4]
    assert calls.nothing_left()


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("probing", [True, False])
async def test_a_call_that_was_refused_goes_first_but_not_where_it_is_refused_again(probing: bool) -> None:
    pacer = Pacer(None if probing else 1, minute=0.02)
    calls = Calls(pacer)
    if probing:
        blocked(pacer, 0.01)
    await calls.begin()
    if probing:
        pacer.ended(calls.slots, seen(429, entered=True), 0.01)
    order: list[int] = []

    async def one(attempts: int) -> None:
        await calls.begin(attempts=attempts)
        order.append(attempts)
        calls.end(200)

    tasks = [asyncio.create_task(one(attempts)) for attempts in (0, 2, 1)]
    await asyncio.sleep(0)
    if not probing:
        calls.end(200)
    await asyncio.gather(*tasks)
    assert order == ([0, 1, 2] if probing else [1, 2, 0])
    assert calls.nothing_left()


@pytest.mark.usefixtures("still")
async def test_a_call_that_was_refused_is_the_first_after_a_block() -> None:
    pacer = Pacer(None)
    calls = Calls(pacer)
    blocked(pacer, 0.02)
    order: list[int] = []

    async def one(attempts: int) -> None:
        await calls.begin(attempts=attempts)
        order.append(attempts)
        calls.end(200)

    await asyncio.gather(*(one(attempts) for attempts in (0, 2, 1)))
    assert order == [1, 2, 0]


@pytest.mark.usefixtures("still")
async def test_to_find_out_whether_more_is_allowed_no_call_goes_that_was_refused_twice() -> None:
    pacer = Pacer(None)
    calls = Calls(pacer)
    blocked(pacer, 0.0005)
    pacer._rules._left, pacer._rules._at_once = 0, 1
    order: list[int] = []

    async def one(attempts: int) -> None:
        await calls.begin(attempts=attempts)
        order.append(attempts)
        calls.end(200)

    await asyncio.gather(*(one(attempts) for attempts in (2, 1, 0)))
    assert order == [1, 0, 2]


async def test_a_call_that_had_a_slot_is_the_next_to_get_one() -> None:
    slots = Slots(1)
    await slots.take(None)
    order: list[str] = []

    async def one(name: str, *, first: bool) -> None:
        await slots.take(None, first=first)
        order.append(name)
        slots.give()

    tasks = [asyncio.create_task(one(name, first=name == "again")) for name in ("new", "newer", "again")]
    await asyncio.sleep(0)
    slots.give()
    await asyncio.gather(*tasks)
    assert order == ["again", "new", "newer"]


@pytest.mark.usefixtures("still")
async def test_cancelled_at_the_moment_of_its_turn_passes_the_turn_on() -> None:
    pacer = Pacer(None)
    calls = Calls(pacer)
    blocked(pacer, 0.02)
    first, second = asyncio.create_task(calls.begin()), asyncio.create_task(calls.begin())
    grant = pacer._grant

    def grant_and_cancel(waiter, now) -> None:
        pacer._grant = grant  # type: ignore[method-assign]
        grant(waiter, now)
        first.cancel()

    pacer._grant = grant_and_cancel  # type: ignore[method-assign]
    await asyncio.wait_for(second, 30)
    assert first.cancelled()
    calls.end()
    assert calls.nothing_left()


async def test_too_late_is_said_at_once() -> None:
    calls = Calls(Pacer(1, minute=60))
    await calls.begin()
    calls.end()
    with pytest.raises(TooLate):
        await calls.begin(time.monotonic() + 30)
    with pytest.raises(TooLate):
        calls.pacer.check(time.monotonic() + 30)
    calls.pacer.check(time.monotonic() + 90)
    assert calls.nothing_left()


async def test_those_that_pass_at_once_are_of_those_that_are_left() -> None:
    pacer = Pacer(None)
    calls = Calls(pacer)
    answer = seen(200)
    answer.headers = {"ratelimit-remaining": "2", "ratelimit-reset": "30"}
    calls.slots.take_now()
    pacer.ended(calls.slots, answer)
    for _ in range(2):
        await calls.begin()
    third = asyncio.create_task(calls.begin())
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()
    await asyncio.wait([third])
    for _ in range(2):
        calls.end()
    assert calls.nothing_left()


async def test_nobody_overtakes_those_in_line_when_time_has_opened_the_gate(monkeypatch) -> None:
    """And no alarm has rung as yet."""
    now = 100.0
    monkeypatch.setattr("omium_async._transport.pacing.time", SimpleNamespace(monotonic=lambda: now))
    pacer = Pacer(None)
    calls = Calls(pacer)
    blocked(pacer, 30.0)
    first = asyncio.create_task(calls.begin())
    await asyncio.sleep(0)
    now = 131.0
    second = asyncio.create_task(calls.begin())
    await asyncio.wait_for(first, 30)
    assert not second.done()
    calls.end(200)
    await asyncio.wait_for(second, 30)
    calls.end(200)
    assert calls.nothing_left()


async def test_whether_it_is_too_late_counts_those_before_and_a_call_that_was_refused_has_none() -> None:
    calls = Calls(Pacer(1, minute=60))
    await calls.begin()
    calls.end()
    waiting = [asyncio.create_task(calls.begin()) for _ in range(2)]  # in one minute, and in two
    await asyncio.sleep(0)
    with pytest.raises(TooLate):
        await asyncio.wait_for(calls.begin(time.monotonic() + 150), 30)  # its turn would be in three
    waiting.append(asyncio.create_task(calls.begin(time.monotonic() + 90, attempts=1)))
    await asyncio.sleep(0)
    assert not waiting[-1].done()  # in one minute, before the others
    for call in waiting:
        call.cancel()
    await asyncio.wait(waiting)
    assert calls.nothing_left()


async def test_who_waits_for_a_slot_is_told_of_a_block_at_once() -> None:
    """It would hold them past their deadline; others wait on."""
    pacer = Pacer(None, minute=60)
    calls = Calls(pacer, size=1)
    await calls.slots.take(None)
    waiting = [asyncio.create_task(calls.slots.take(time.monotonic() + seconds)) for seconds in (10, 50, 20)]
    await asyncio.sleep(0)
    pacer.ended(calls.slots, seen(429), 30.0)  # the first gets its slot, and will ask the gate
    await waiting[0]
    done, _ = await asyncio.wait(waiting[1:], return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert done == {waiting[2]}
    with pytest.raises(TimeoutError):
        await waiting[2]
    calls.slots.give()
    await waiting[1]
    assert calls.slots.busy == 1
    assert calls.slots.waiting == 0


async def test_loops_that_died_hold_nobody_up() -> None:
    """Neither those under way on them nor those in line count any more."""
    pacer = Pacer(None)
    blocked(pacer, 0.05)
    tasks: list[asyncio.Task[None]] = []

    async def begin_three() -> None:
        calls = Calls(pacer)
        tasks.extend(asyncio.ensure_future(calls.begin()) for _ in range(3))
        await asyncio.wait(tasks, timeout=0.2)

    def die() -> None:
        other = asyncio.new_event_loop()
        other.run_until_complete(begin_three())
        other.close()
        for task in tasks:
            task._log_destroy_pending = False

    await asyncio.to_thread(die)
    calls = Calls(pacer)
    started = time.monotonic()
    await asyncio.wait_for(calls.begin(), 30)
    assert time.monotonic() - started < 4  # 5 for a request that is never answered
    calls.end(200)
    assert calls.nothing_left()
    tasks.clear()
    gc.collect()
    assert calls.nothing_left()


def test_one_gate_for_loops_in_several_threads() -> None:
    pacer = Pacer(20, minute=0.3)
    times: list[float] = []

    async def run(count: int) -> None:
        calls = Calls(pacer)

        async def one() -> None:
            await calls.begin()
            times.append(time.monotonic())
            calls.end()

        await asyncio.gather(*(one() for _ in range(count)))

    threads = [threading.Thread(target=asyncio.run, args=(run(25),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(times) == 100
    times.sort()
    assert min(b - a for a, b in zip(times, times[20:], strict=False)) >= 0.29
    assert not pacer._line
    assert pacer._under_way() == 0


# -- real calls ----------------------------------------------------------------------------------------------------


class Limited:
    """Allows so many requests in any window, as gateways do."""

    def __init__(self, raw, most: int, window: float, *, headers: bool = False, silent: bool = False) -> None:
        self.raw = raw
        self.most, self.window = most, window
        self.headers, self.silent = headers, silent
        self.accepted: deque[float] = deque()
        self.refused = 0
        self.blocked_until = 0.0
        self.too_early = 0

    async def __call__(self, request) -> None:
        now = time.monotonic()
        while self.accepted and self.accepted[0] <= now - self.window:
            self.accepted.popleft()
        reset = self.window - (now - self.accepted[0]) if self.accepted else self.window
        if len(self.accepted) >= self.most:
            self.refused += 1
            wait = () if self.silent else (f"retry-after-ms: {reset * 1000:.0f}",)
            await request.send(self.raw.answer(429, b"{}", *wait))
            return
        self.accepted.append(now)
        said = (f"RateLimit-Remaining: {self.most - len(self.accepted)}", f"RateLimit-Reset: {reset:.3f}")
        await request.send(self.raw.answer(200, self.raw.EXECUTION, *(said if self.headers else ())))


@pytest.mark.parametrize("headers", [True, False])
async def test_a_thousand_calls_under_200_a_minute(raw, headers: bool) -> None:
    """The minute is scaled to 1.5 s. All succeed, and few 429s are seen."""
    limited = Limited(raw, 200, 1.5, headers=headers)
    async with raw.pair(limited, timeout=None, max_retries=3) as (omium, server, attempts):
        await asyncio.gather(*(omium.executions.create("wf") for _ in range(1000)))
    assert len(server.requests) == 1000 + limited.refused
    # Without headers the first 429 comes when as many are under way as there are connections.
    assert limited.refused <= (120 if headers else 100 + 100)
    assert max(attempt.number for attempt in attempts) <= 4


async def test_few_429s_when_the_server_says_nothing(raw) -> None:
    limited = Limited(raw, 50, 0.8, silent=True)
    async with raw.pair(limited, timeout=None, max_retries=6, max_connections=10) as (omium, _, _attempts):
        await asyncio.gather(*(omium.executions.create("wf") for _ in range(200)))
    assert limited.refused <= 30


async def test_rate_limit_is_never_exceeded(raw, monkeypatch) -> None:
    monkeypatch.setattr("omium_async._transport.call.Pacer", lambda limit: Pacer(limit, minute=0.4))
    limited = Limited(raw, 20, 0.4)
    async with raw.pair(limited, rate_limit=20, timeout=None) as (omium, _, _attempts):
        await asyncio.gather(*(omium.executions.create("wf") for _ in range(100)))
    assert limited.refused == 0


async def test_one_429_slows_every_call(raw) -> None:
    times: list[float] = []

    async def handler(request) -> None:
        times.append(time.monotonic())
        if request.number == 1:
            await request.send(raw.answer(429, b"{}", "retry-after-ms: 300"))
        else:
            await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_retries=1, max_connections=1) as (omium, _server, _):
        copy = omium.with_options(max_retries=0)
        await asyncio.gather(omium.executions.create("wf"), *(copy.executions.get("e") for _ in range(20)))
    assert len(times) == 22
    assert min(times[1:]) - times[0] >= 0.3


@pytest.mark.parametrize("name", RATE_HEADERS)
async def test_each_header_that_speaks_of_a_limit_is_heeded(raw, name: str) -> None:
    said = "remaining=0, reset=30" if name == "ratelimit" else "0"
    answer = raw.answer(200, raw.EXECUTION, f"{name}: {said}", "ratelimit-reset: 30")
    async with raw.pair(lambda request: request.send(answer), timeout=10) as (omium, server, _):
        await omium.executions.get("e")
        with pytest.raises(om.APITimeoutError, match="rate limit"):
            await omium.executions.get("e")  # refused at once, for there is none within its time-out
        assert len(server.requests) == 1


async def test_cancelled_calls_do_not_hold_the_pace(raw) -> None:
    async with raw.pair(rate_limit=3, timeout=None) as (omium, server, _):
        calls = [asyncio.create_task(omium.executions.get("e")) for _ in range(10)]
        while len(server.requests) < 3:
            await asyncio.sleep(0.001)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        pacer = omium._caller.shared.transport._pacer
        assert pacer._under_way() == 0
        assert not pacer._line
        assert not pacer._waiting


async def test_one_in_a_hundred_refused_without_a_wait_slows_nobody(raw) -> None:
    async def handler(request) -> None:
        await asyncio.sleep(0.002)
        refused = request.number % 100 == 0
        await request.send(raw.answer(429, b"{}", "Retry-After: 0") if refused else raw.answer(body=raw.EXECUTION))

    at_once: list[int] = []
    async with raw.pair(handler, max_retries=3) as (omium, _, _attempts):
        left = iter(range(2000))

        async def work() -> None:
            for _ in left:
                await omium.executions.get("e")
                at_once.append(omium._caller.shared.transport._pacer._under_way())

        await asyncio.gather(*(work() for _ in range(64)))
    assert sum(at_once) / len(at_once) > 40


async def test_an_endless_retry_after_ends_its_call_and_says_what_others_wait(
    raw, caplog, monkeypatch, patient
) -> None:
    monkeypatch.setattr("omium_async._transport.call.Pacer", lambda limit: Pacer(limit, minute=0.2))

    async def handler(request) -> None:
        refused = request.number == 1
        await request.send(
            raw.answer(429, b"{}", "Retry-After: 99999999999") if refused else raw.answer(body=b'{"id": "e"}')
        )

    async with raw.pair(handler, max_retries=3, timeout=30) as (omium, _, attempts):
        with pytest.raises(om.RateLimitError) as caught:
            await omium.executions.create("wf")
        assert caught.value.retry_after == 99999999999
        started = patient()
        await omium.executions.get("e")
        assert 0.1 < patient() - started < 5
    assert len(attempts) == 2
    (warning,) = [record for record in caplog.records if record.name == "omium_async.transport.pace"]
    assert (warning.omium_status, warning.omium_retry_after) == (429, 99999999999)


async def test_a_long_retry_after_is_never_undercut_by_the_call_that_met_it(raw, monkeypatch) -> None:
    monkeypatch.setattr("omium_async._transport.call.Pacer", lambda limit: Pacer(limit, minute=0.05))
    times: list[float] = []

    async def handler(request) -> None:
        times.append(time.monotonic())
        refused = request.number == 1
        await request.send(
            raw.answer(429, b"{}", "retry-after-ms: 300") if refused else raw.answer(body=b'{"id": "e"}')
        )

    async with raw.pair(handler, max_retries=1, timeout=None) as (omium, _, _attempts):
        await omium.executions.get("e")
    assert times[1] - times[0] >= 0.3
