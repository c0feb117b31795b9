"""What each status of executions means is written once, and every part of the project reads it there."""

from __future__ import annotations

import typing

import omium_async
from omium_async import SETTLED, ExecutionStatus, _statuses


def test_type_checkers_know_every_status_and_no_other():
    assert typing.get_args(_statuses.StatusText) == tuple(ExecutionStatus) == tuple(_statuses.STATUS_BY_TEXT)


def test_an_execution_has_ended_or_has_not_and_settled_ones_are_those_that_do_not_run():
    assert set(_statuses.ENDED) | set(_statuses.NOT_ENDED) == set(ExecutionStatus)
    assert not set(_statuses.ENDED) & set(_statuses.NOT_ENDED)
    assert set(ExecutionStatus) - set(_statuses.ACTIVE) == SETTLED
    assert set(_statuses.FAILED) < set(_statuses.UNSUCCESSFUL) < set(_statuses.ENDED)


def test_the_public_class_is_the_one_of_the_table():
    assert omium_async.ExecutionStatus is _statuses.ExecutionStatus
    assert ExecutionStatus.__module__ == "omium_async"
