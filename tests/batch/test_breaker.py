"""When a batch pauses, probes, starts again and ends in an outage, in virtual time."""

from __future__ import annotations

import asyncio
import logging
import pickle
from itertools import pairwise
from typing import Any

import pytest

from omium_async import APITimeoutError, AuthenticationError, RateLimitError, ServerError

from .scripted import AWAY, HEALTHY, NEVER, REFUSED, Answer, run_batch

pytestmark = pytest.mark.usefixtures("virtual_time")

NO_TIMEOUTS: dict[str, Any] = {"timeout": None, "attempt_timeout": None}


def always(answer: Answer) -> dict[str, Any]:
    """Both writes and reads get this answer."""
    return {"script": lambda number: answer, "read": lambda run: answer}


# -- when it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"patience": 4}, 30),
        ({"patience": 4, "attempt_timeout": 2}, 4),
        ({"patience": 50, **NO_TIMEOUTS}, 50),
        ({"patience": 2, **NO_TIMEOUTS, "retry_ambiguous_writes": True}, 2),
        ({"patience": 2, "timeout": 10, "attempt_timeout": None}, 10),
        ({"patience": 0, **NO_TIMEOUTS}, 30),
    ],
)
async def test_a_black_hole_ends_a_batch_at_patience_or_when_its_writes_have_ended(options, seconds):
    run = await run_batch(**always(NEVER), **options)
    assert run.end == ({"unknown": 8}, APITimeoutError)
    assert len(run.writes) == 8
    assert seconds <= run.seconds < seconds + 0.5


@pytest.mark.parametrize(("patience", "backoff"), [(20, (0.5, 8.0)), (1.5, (0.01, 0.05))])
async def test_a_batch_whose_calls_are_all_answered_429_without_a_time_ends_at_patience(patience, backoff):
    run = await run_batch(**always(REFUSED), patience=patience, backoff=backoff)
    assert run.end == ({}, RateLimitError)
    assert run.error is not None
    assert run.error.outcome == "not_applied"
    assert patience <= run.seconds < patience + 0.5


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 503, None])
async def test_all_outages_end_a_batch_at_patience(status):
    run = await run_batch(**always(Answer(status, 0.01)), patience=30)
    assert 30 <= run.seconds < 30.5
    assert run.states["unknown"] == (0 if status in {425, 429} else 8)


@pytest.mark.parametrize("status", [400, 409, 501])
async def test_other_answers_are_no_outage(status):
    run = await run_batch(lambda number: Answer(status, 0.01))
    assert run.end == ({"rejected": 20}, None)
    assert run.reads == []


async def test_an_item_that_alone_is_refused_again_and_again_is_rejected_in_the_end():
    run = await run_batch(lambda number: HEALTHY, of_item={3: REFUSED}, items=200, backoff=(0.05, 0.1))
    assert run.end == ({"created": 199, "rejected": 1}, None)
    assert len(run.writes) > 200 + 2


@pytest.mark.parametrize("concurrency", [1, 2, 32])
async def test_a_rate_limit_that_names_no_time_rejects_nothing(concurrency):
    loop = asyncio.get_running_loop()
    free_at = loop.time()

    def script(number: int) -> Answer:
        """One write a second, in bursts of five."""
        nonlocal free_at
        if loop.time() < free_at - 4:
            return REFUSED
        free_at = max(free_at, loop.time()) + 1
        return Answer(seconds=0.05)

    run = await run_batch(script, items=80, concurrency=concurrency)
    assert run.end == ({"created": 80}, None)
    assert len(run.writes) > 100, "the limit refused many"


async def test_successful_probes_do_not_prolong_patience_and_each_costs_one_item():
    run = await run_batch(lambda number: AWAY, items=100, patience=30)
    assert run.end[1] is ServerError
    assert 30 <= run.seconds < 30.5
    assert run.states["unknown"] == len(run.writes) < 8 + 12


async def test_waiting_as_a_response_asks_uses_no_patience():
    refused = Answer(429, 0.1, {"Retry-After": "3"})
    run = await run_batch(lambda number: refused if number <= 8 else HEALTHY, patience=1)
    assert run.end == ({"created": 20}, None)
    assert run.reads == []


async def test_refusals_that_ask_to_wait_again_and_again_end_it():
    run = await run_batch(**always(Answer(429, 0.1, {"Retry-After": "1"})), concurrency=2, patience=2)
    assert run.end == ({}, RateLimitError)


@pytest.mark.parametrize("status", [429, 503])
async def test_without_patience_it_does_not_wait_as_a_response_asks(status):
    run = await run_batch(**always(Answer(status, 0.1, {"Retry-After": "3"})), patience=0)
    assert run.end[1] in (RateLimitError, ServerError)
    assert run.seconds < 1


async def test_slow_writes_are_no_outage():
    run = await run_batch(lambda number: Answer(seconds=8.0), patience=2.0)
    assert run.end == ({"created": 20}, None)


async def test_without_a_limit_of_patience_it_waits_on():
    run = await run_batch(
        lambda number: HEALTHY if number > 1 else REFUSED,
        read=lambda run: AWAY if len(run.reads) < 40 else HEALTHY,
        patience=None,
        concurrency=1,
    )
    assert run.end == ({"created": 20}, None)
    assert run.seconds > 300


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(caplog):
    caplog.set_level(logging.WARNING, logger="omium_async")
    await run_batch(
        lambda number: AWAY if number <= 8 else HEALTHY, read=lambda run: AWAY if len(run.reads) < 5 else HEALTHY
    )
    records = [record for record in caplog.records if hasattr(record, "omium_outage")]
    assert len(records) == 2
    assert all(record.omium_waiting == "create_many" for record in records)
    assert records[1].omium_outage >= 1


# -- what is sent --------------------------------------------------------------------------------------------------


async def test_one_outage_makes_only_the_calls_in_flight_unknown():
    """Also where the calls that fail began before the last response arrived."""
    concurrency = 32

    def script(number: int) -> Answer:
        return Answer(seconds=0.1 + number / 1000) if number <= concurrency // 2 else Answer(None, 0.4)

    run = await run_batch(script, items=200, concurrency=concurrency, patience=5, read=lambda run: AWAY)
    assert run.end[1] is ServerError
    assert len(run.writes) == concurrency // 2 + run.states["unknown"]
    assert run.states["unknown"] <= concurrency


async def test_a_response_to_a_call_in_flight_ends_the_pause_without_a_probe():
    answers = {1: Answer(None, 0.1), 2: Answer(seconds=0.3)}
    run = await run_batch(lambda number: answers.get(number, HEALTHY), items=40, concurrency=2)
    assert run.end == ({"created": 39, "unknown": 1}, None)
    assert run.reads == []
    assert run.writes[3] - run.writes[2] < 0.1, "both calls begin again at once"


async def test_probes_go_one_at_a_time_and_less_and_less_often():
    run = await run_batch(**always(AWAY), patience=60)
    gaps = [later - earlier for earlier, later in pairwise(run.reads)]
    assert 8 <= len(run.reads) <= 20
    assert gaps[-2] > 4 * gaps[0] > 0.01


async def test_after_a_successful_probe_it_starts_with_one_call_and_doubles_with_each_success():
    script = lambda number: AWAY if number <= 8 else HEALTHY  # noqa: E731
    run = await run_batch(script, items=60, concurrency=8)
    assert run.end == ({"created": 52, "unknown": 8}, None)
    began = run.writes[8:]
    waves = [sum(1 for at in began if abs(at - start) < 0.2) for start in (began[0], began[0] + 0.5, began[0] + 1.0)]
    assert waves == [1, 2, 8]


async def test_calls_that_wait_for_the_rate_limit_are_not_sent_into_an_outage():
    run = await run_batch(
        lambda number: HEALTHY if number <= 4 else AWAY,
        read=lambda run: AWAY if len(run.writes) > 4 else Answer(200, 0.01),
        rate_limit=4,
        items=40,
        concurrency=16,
        patience=20.0,
    )
    assert isinstance(run.error, ServerError)
    assert run.states == {"created": 4, "unknown": len(run.writes) - 4}
    assert len(run.writes) <= 8


async def test_calls_that_waited_for_the_rate_limit_are_sent_after_the_outage():
    run = await run_batch(lambda number: AWAY if 4 < number <= 8 else HEALTHY, rate_limit=20, items=40, concurrency=16)
    assert run.error is None
    assert run.states["created"] == 40 - run.states["unknown"] >= 36


async def test_waiting_for_the_rate_limit_uses_no_patience():
    run = await run_batch(lambda number: HEALTHY, rate_limit=3, items=9, patience=2.0, **NO_TIMEOUTS)
    assert run.end == ({"created": 9}, None)
    assert run.seconds > 110


async def test_a_probe_that_waits_for_the_rate_limit_uses_no_patience():
    run = await run_batch(
        lambda number: AWAY if number in {3, 4} else HEALTHY, rate_limit=4, items=8, concurrency=1, patience=3.0
    )
    assert run.end == ({"created": 6, "unknown": 2}, None)


async def test_a_refused_key_ends_it_without_waiting_for_the_rate_limit():
    run = await run_batch(
        lambda number: Answer(401, 0.01) if number == 5 else HEALTHY, rate_limit=6, items=40, concurrency=16
    )
    assert isinstance(run.error, AuthenticationError)
    assert len(run.writes) <= 6
    assert run.seconds < 5


async def test_leaving_waits_for_nothing():
    run = await run_batch(lambda number: HEALTHY, rate_limit=4, items=40, concurrency=16, leave_after=4)
    assert len(run.writes) == 4
    assert run.seconds < 1


async def test_ambiguous_writes_are_sent_again_where_the_server_honours_keys():
    answers = {1: Answer(None, 0.1), 2: Answer(502, 0.1)}
    script = lambda number: answers.get(number, HEALTHY)  # noqa: E731
    run = await run_batch(script, items=10, concurrency=2, retry_ambiguous_writes=True)
    assert run.end == ({"created": 10}, None)
    assert len(run.writes) == 12


async def test_an_error_that_ends_a_batch_gives_the_outcome_of_the_batch_and_not_of_its_last_request():
    run = await run_batch(
        lambda number: HEALTHY if number <= 8 else REFUSED, read=lambda run: REFUSED, items=30, patience=1
    )
    assert isinstance(run.error, RateLimitError)
    assert run.error.outcome == "applied"
    assert "of the batch, some writes were applied" in str(run.error)
    assert str(pickle.loads(pickle.dumps(run.error))) == str(type(run.error)(*run.error.args)) == str(run.error)
