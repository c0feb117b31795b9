"""What callers give wrongly is told value first, with what to give instead, and nothing is sent."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import AsyncOmium, ExecutionStatus
from omium_async import _arguments as check


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: check.seconds(-1, "timeout", zero=True),
            ValueError,
            "timeout: -1 is below 0; give a number of seconds",
        ),
        (
            lambda: check.seconds(0, "poll_interval", zero=False),
            ValueError,
            "poll_interval: 0 is not above 0; give a number of seconds",
        ),
        (
            lambda: check.seconds("1", "timeout", zero=True),
            TypeError,
            "timeout: '1' is not a number; give a number of seconds",
        ),
        (
            lambda: check.seconds(10**400, "timeout", zero=True),
            ValueError,
            "timeout: a value of type int is too large; give None for no bound",
        ),
        (lambda: check.at_least(1, 0, "page"), ValueError, "page: 0 is below 1; give a whole number of 1 or more"),
        (
            lambda: check.at_least(0, True, "limit"),
            TypeError,
            "limit: True is not a whole number; give one of 0 or more",
        ),
        (
            lambda: check.execution_ids({"exec_1": 1}),
            TypeError,
            "execution_ids: a value of type dict is one thing, not many; give a list (or another iterable) of ids",
        ),
        (
            lambda: check.execution_ids("exec_1"),
            TypeError,
            "execution_ids: 'exec_1' is one thing, not many; give a list (or another iterable) of ids",
        ),
        (
            lambda: check.relative_path("https://x/y"),
            ValueError,
            "path: 'https://x/y' has a scheme or a host; give a path below the base URL, such as '/workflows'",
        ),
        (lambda: check.flag(1, "details"), TypeError, "details: 1 is neither True nor False; give one of them"),
    ],
)
def test_the_value_comes_first(call, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        call()


def test_a_status_that_is_waited_for_is_known_or_meant():
    with pytest.raises(ValueError, match=r"until: 'complete' is not a known status; use one of 'pending', .*'error'"):
        check.known_statuses("complete", "until")
    assert check.known_statuses(ExecutionStatus("weird"), "until") == {"weird"}
    assert check.known_statuses(["failed", ExecutionStatus.PAUSED], "until") == {"failed", "paused"}


@pytest.mark.parametrize("status", [["failed"], ["failed", "error"], frozenset({"failed"}), 3])
async def test_what_the_service_alone_filters_takes_one_status(status):
    omium = AsyncOmium("key", base_url="http://127.0.0.1:9")
    for call in (omium.executions.count, omium.executions.page, omium.workflow("report").count):
        with pytest.raises(TypeError, match=r"status: a value of type .* give one status|status: 3 is not text"):
            await call(status=status)


def test_the_literals_that_checkers_know_are_the_statuses_that_are_known():
    literal, _ = get_args(check.Status)
    assert set(get_args(literal)) == {status.value for status in ExecutionStatus}


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()) | st.binary())
def test_a_message_is_short_whatever_the_value(value):
    assert len(check.shown(value)) < 300
