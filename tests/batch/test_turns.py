"""Calls of a batch that wait for their turn within the client: that is no outage, and none goes out into one.

In virtual time, against a service without a wire.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from multidict import CIMultiDict

from omium_async import APITimeoutError, AsyncOmium, AuthenticationError, OmiumError, ServerError
from omium_async._transport.exchange import Exchange
from omium_async._transport.failures import Refused

from ..transport.virtual import Clock, run
from .conftest import numbered

SECONDS_ONE_WRITE = 0.5
PAGE = b'{"items": [], "total": 0, "page": 1, "page_size": 1}'


@attrs.frozen
class Answer:
    status: int = 201
    seconds: float = SECONDS_ONE_WRITE
    headers: dict[str, str] = attrs.Factory(dict)


HEALTHY = Answer()
AWAY = Answer(503, 0.01)
NEVER = Answer(seconds=1e6)


class Service:
    """Answers the writes as they are numbered, from 1; and reads well, but while it is away.

    :ivar writes: when each arrived. :ivar reads: how many.
    """

    def __init__(self, clock: Clock, answer: Callable[[int], Answer], *, is_away: Callable[[int], bool]) -> None:
        self._clock = clock
        self._answer = answer
        self._is_away = is_away
        self.writes: list[float] = []
        self.reads = 0

    async def answer(self, request: Any, attempt: Any) -> bytes:
        attempt.sent = True
        if request.method == "GET":
            self.reads += 1
            answer = AWAY if self._is_away(len(self.writes)) else Answer(200, 0.01)
        else:
            self.writes.append(self._clock())
            answer = self._answer(len(self.writes))
        await asyncio.sleep(answer.seconds)
        attempt.status, attempt.headers = answer.status, CIMultiDict(answer.headers)
        if answer.status >= 400:
            raise Refused("No", b"{}", cut=False)
        return PAGE if request.method == "GET" else json.dumps({"id": f"exec_{self._clock()}"}).encode()


@attrs.define
class Told:
    """How a batch went.

    :ivar tasks: how many it left.
    """

    service: Service
    states: Counter[str] = attrs.Factory(Counter)
    seconds: float = 0.0
    error: OmiumError | None = None
    tasks: int = 0


@pytest.fixture
def batch(monkeypatch):
    """Run a batch in virtual time."""

    def go(
        answer: Callable[[int], Answer],
        *,
        items: int = 20,
        concurrency: int = 8,
        is_away: Callable[[int], bool] = lambda writes: False,
        leave_after: int | None = None,
        **options: Any,
    ) -> Told:
        clock = Clock()
        told = Told(Service(clock, answer, is_away=is_away))

        async def exchange(_: Exchange, request: Any, attempt: Any, __: object) -> bytes:
            return await told.service.answer(request, attempt)

        async def work() -> None:
            started = clock()
            async with AsyncOmium("key_of_a_test", base_url="http://127.0.0.1:9", **options) as omium:
                outcomes = omium.executions.create_many(numbered(items), concurrency=concurrency)
                try:
                    async for outcome in outcomes:
                        told.states[outcome.state] += 1
                        if told.states.total() == leave_after:
                            break
                except OmiumError as error:
                    told.error = error
                await outcomes.aclose()
                told.tasks = len(asyncio.all_tasks()) - 1
            told.seconds = clock() - started

        monkeypatch.setattr(Exchange, "run", exchange)
        run(work(), clock, monkeypatch)
        return told

    return go


NO_TIMEOUTS: dict[str, Any] = {"timeout": None, "attempt_timeout": None}


@pytest.mark.parametrize("patience", [0, 2.0, 60.7, None])
def test_waiting_for_the_pace_takes_nothing_of_the_time_of_a_write(batch, patience):
    told = batch(lambda number: HEALTHY, rate_limit=3, items=9, patience=patience, **NO_TIMEOUTS)
    assert (told.states, told.error) == ({"created": 9}, None)
    assert told.seconds > 120


@pytest.mark.parametrize("timeouts", [{}, NO_TIMEOUTS], ids=["usual", "none"])
def test_waiting_as_the_service_asks_takes_nothing_of_it_either(batch, timeouts):
    refused = Answer(429, 0.1, {"Retry-After": "3"})
    told = batch(lambda number: refused if number == 8 else HEALTHY, patience=3.2, **timeouts)
    assert (told.states, told.error) == ({"created": 20}, None)


def test_what_waits_for_the_pace_is_not_sent_into_an_outage(batch):
    told = batch(
        lambda number: HEALTHY if number <= 4 else AWAY,
        is_away=lambda writes: writes > 4,
        rate_limit=4,
        items=40,
        concurrency=16,
        patience=20.0,
        timeout=None,
    )
    assert isinstance(told.error, ServerError)
    assert told.states == {"created": 4, "unknown": 4}
    assert len(told.service.writes) == 8


def test_what_was_called_back_goes_when_the_outage_is_over(batch):
    told = batch(
        lambda number: AWAY if 4 < number <= 8 else HEALTHY, rate_limit=4, items=40, concurrency=16, timeout=None
    )
    assert (told.states, told.error) == ({"created": 36, "unknown": 4}, None)


def test_nothing_is_sent_once_a_batch_has_ended_and_its_end_waits_for_no_turn(batch):
    told = batch(
        lambda number: Answer(401, 0.01) if number == 5 else HEALTHY,
        rate_limit=6,
        items=40,
        concurrency=16,
        timeout=None,
    )
    assert isinstance(told.error, AuthenticationError)
    assert len(told.service.writes) == 6
    assert told.seconds < 5


def test_patience_counts_from_the_sending_of_what_failed_and_not_from_the_wait_before_it(batch):
    """One 503 among those that waited as asked, which takes longer than patience."""
    answers = {2: Answer(429, 0.01, {"Retry-After": "3"}), 9: AWAY}
    told = batch(lambda number: answers.get(number, HEALTHY), patience=2.0)
    assert (told.states, told.error) == ({"created": 19, "unknown": 1}, None)


@pytest.mark.parametrize("timeout", [None, 5.0], ids=["waits", "gives up waiting"])
def test_a_look_and_a_lone_item_that_wait_for_the_pace_use_up_no_patience(batch, timeout):
    told = batch(
        lambda number: AWAY if number in {3, 4} else HEALTHY,
        rate_limit=4,
        items=8,
        concurrency=1,
        patience=3.0,
        timeout=timeout,
    )
    assert (told.states, told.error) == ({"created": 6, "unknown": 2}, None)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"patience": 2.0, **NO_TIMEOUTS}, 2.0),
        ({"patience": 2.0, **NO_TIMEOUTS, "retry_ambiguous_writes": True}, 2.0),
        ({"patience": 50.0, **NO_TIMEOUTS}, 50.0),
        ({"patience": 2.0, "timeout": 3600, "attempt_timeout": 3600}, 2.0),
        ({"patience": 2.0, "timeout": 3600, "attempt_timeout": None}, 2.0),
        ({"patience": 2.0, "timeout": None, "attempt_timeout": 20.0}, 20.0),
        ({"patience": 0.01, **NO_TIMEOUTS}, 1.0),
        ({"patience": 0, **NO_TIMEOUTS}, 30.0),
    ],
)
def test_a_black_hole_ends_a_batch(batch, options, seconds):
    told = batch(lambda number: NEVER, is_away=lambda writes: True, **options)
    assert isinstance(told.error, APITimeoutError)
    assert told.states == {"unknown": 8}
    assert len(told.service.writes) == 8
    assert seconds <= told.seconds < seconds + 0.1


@pytest.mark.parametrize("options", [{"patience": 2.0}, {"patience": 0, **NO_TIMEOUTS}])
def test_slow_writes_are_no_outage(batch, options):
    told = batch(lambda number: Answer(seconds=8.0), **options)
    assert (told.states, told.error) == ({"created": 20}, None)


def test_leaving_waits_for_no_turn_and_leaves_nothing(batch):
    told = batch(lambda number: HEALTHY, rate_limit=4, items=40, concurrency=16, timeout=None, leave_after=4)
    assert told.states == {"created": 4}
    assert len(told.service.writes) == 4
    assert told.seconds == pytest.approx(SECONDS_ONE_WRITE)
    assert told.tasks == 0
