"""Celery, with a real worker process, a broker on disk and JSON results."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omium_async.local import Fault

from .needs import need


@pytest.fixture
def tasks(example, environment, tmp_path, monkeypatch):
    """The tasks, and a worker that does them."""
    celery = need("celery")
    for name in ("in", "done", "results"):
        (tmp_path / name).mkdir()
    environment["CELERY_BROKER_URL"] = "filesystem://"
    environment["CELERY_RESULT_BACKEND"] = f"file://{tmp_path / 'results'}"
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, environment[name])
    (tmp_path / "worker_settings.py").write_text(
        "from celery_tasks import app\n"
        f"app.conf.broker_transport_options = dict(data_folder_in={str(tmp_path / 'in')!r}, "
        f"data_folder_out={str(tmp_path / 'in')!r}, processed_folder={str(tmp_path / 'done')!r}, "
        f"control_folder={str(tmp_path / 'control')!r})\n"
    )
    module = example("celery_tasks")
    monkeypatch.syspath_prepend(str(tmp_path))
    example("worker_settings")
    environment["PYTHONPATH"] += f":{tmp_path}"
    command = [sys.executable, "-m", "celery", "-A", "worker_settings:app", "worker", "-c", "2", "-l", "warning"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as worker:
        yield module, celery
        worker.terminate()
        worker.wait(30)


def test_a_task_is_tried_again_only_when_nothing_was_written(tasks, local):
    module, _ = tasks
    assert module.start_report.delay(1).get(60).startswith("exec_")

    # Refused for now: not applied, so the task itself tries again, with the same key.
    local.inject(Fault(method="POST", path="/executions", status=501, times=2))
    assert module.start_report.delay(2).get(60).startswith("exec_")
    assert local.counts["POST /executions"] == 4

    # The answer is lost: it is not sent again, and the error is whole at the other end of a JSON result.
    local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
    result = module.start_report.delay(3)
    with pytest.raises(module.OmiumError) as lost:
        result.get(60)
    assert lost.value.outcome == "unknown"
    assert lost.value.idempotency_key == result.id
    assert [attempt.sent for attempt in lost.value.attempts] == [True]
    assert local.counts["POST /executions"] == 5
