"""Celery, with a worker, a broker in memory and JSON results on disk."""

from __future__ import annotations

import pytest

from omium_async.local import Fault

from .needs import need


@pytest.fixture
def tasks(example, tmp_path, monkeypatch):
    """The tasks, and a worker in a thread. (The broker on disk may read a message that is half written.)"""
    need("celery")
    from celery.contrib.testing.worker import start_worker

    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", f"file://{tmp_path}")
    module = example("celery_tasks")
    with start_worker(module.app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        yield module


def test_a_task_is_tried_again_only_when_nothing_was_written(tasks, local):
    assert tasks.start_report.delay(1).get(60).startswith("exec_")

    # Refused for now: not applied, so the task itself tries again, with the same key.
    local.inject(Fault(method="POST", path="/executions", status=501, times=2))
    assert tasks.start_report.delay(2).get(60).startswith("exec_")
    assert local.counts["POST /executions"] == 4

    # The answer is lost: it is not sent again, and the error is whole at the other end of a JSON result.
    local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
    result = tasks.start_report.delay(3)
    with pytest.raises(tasks.OmiumError) as lost:
        result.get(60)
    assert lost.value.outcome == "unknown"
    assert lost.value.idempotency_key == result.id
    assert [attempt.sent for attempt in lost.value.attempts] == [True]
    assert local.counts["POST /executions"] == 5
