"""When the calls of a batch begin, pause, probe and end in an outage; in virtual time, to the second."""

from __future__ import annotations

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
        ({"patience": 2, **NO_TIMEOUTS}, 2),
        ({"patience": 50, **NO_TIMEOUTS}, 50),
        ({"patience": 2, **NO_TIMEOUTS, "retry_ambiguous_writes": True}, 2),
        ({"patience": 2, "timeout": None, "attempt_timeout": 20}, 20),
        ({"patience": 2, "timeout": 10, "attempt_timeout": None}, 10),
        ({"patience": 0.01, **NO_TIMEOUTS}, 1),
        ({"patience": 0, **NO_TIMEOUTS}, 30),
    ],
)
async def test_a_black_hole_ends_a_batch_at_patience_or_when_its_writes_have_ended(options, seconds):
    run = await run_batch(**always(NEVER), **options)
    assert run.end == ({"unknown": 8}, APITimeoutError)
    assert len(run.writes) == 8
    assert seconds <= run.seconds < seconds + 0.5


@pytest.mark.parametrize("patience", [1.5, 5, 20])
@pytest.mark.parametrize("backoff", [(0.5, 8.0), (0.01, 0.05)])
async def test_a_batch_whose_calls_are_all_answered_429_without_a_time_ends_at_patience(patience, backoff):
    run = await run_batch(**always(REFUSED), patience=patience, backoff=backoff)
    assert run.end == ({}, RateLimitError)
    assert run.error is not None
    assert run.error.outcome == "not_applied"
    assert patience <= run.seconds < patience + 0.5


@pytest.mark.parametrize("answer", [AWAY, Answer(408, 0.01), Answer(425, 0.01), Answer(499, 0.01), Answer(None, 0.01)])
async def test_probes_that_fail_do_not_prolong_patience(answer):
    run = await run_batch(**always(answer), patience=30)
    assert 30 <= run.seconds < 30.5
    assert run.states["unknown"] == (0 if answer.status == 425 else 8)


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


async def test_slow_writes_are_no_outage():
    run = await run_batch(lambda number: Answer(seconds=8.0), patience=2.0)
    assert run.end == ({"created": 20}, None)


async def test_without_a_limit_of_patience_it_waits_on():
    run = await run_batch(
        lambda number: HEALTHY if number > 1 else REFUSED,
        read=lambda run: AWAY if len(run.reads) < 100 else HEALTHY,
        patience=None,
        concurrency=1,
    )
    assert run.end == ({"created": 20}, None)
    assert run.seconds > 900


# -- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [8, 32, 64])
async def test_one_outage_makes_only_the_calls_in_flight_unknown(concurrency):
    """Also where the calls that fail began before the last response arrived."""

    def script(number: int) -> Answer:
        return Answer(seconds=0.1 + number / 1000) if number <= concurrency // 2 else Answer(None, 0.4)

    run = await run_batch(script, items=1000, concurrency=concurrency, patience=5, read=lambda run: AWAY)
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


async def test_what_waits_for_the_rate_limit_is_not_sent_into_an_outage():
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


async def test_what_waited_for_the_rate_limit_goes_on_after_the_outage():
    run = await run_batch(lambda number: AWAY if 4 < number <= 8 else HEALTHY, rate_limit=20, items=40, concurrency=16)
    assert run.error is None
    assert run.states["created"] == 40 - run.states["unknown"] >= 36


@pytest.mark.parametrize("patience", [0, 2.0, None])
async def test_waiting_for_the_rate_limit_uses_no_patience(patience):
    run = await run_batch(lambda number: HEALTHY, rate_limit=3, items=9, patience=patience, **NO_TIMEOUTS)
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
