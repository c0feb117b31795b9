"""Batches on a Dask cluster: in one process with a stand-in, and (slow) on a real cluster of several processes."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from omium_async import AuthenticationError, ConfigurationError, ExecutionRequest, JournalError, cluster
from omium_async.local import Fault
from omium_sync import LocalOmium, Omium

from .conftest import numbered, states


@pytest.fixture(scope="module")
def running():
    with LocalOmium() as local:
        yield local


@pytest.fixture
def server(running, monkeypatch):
    """A server whose key and URL the workers find in their environment."""
    running.reset()
    running.honor_idempotency = False
    monkeypatch.setenv("OMIUM_API_KEY", running.api_key)
    monkeypatch.setenv("OMIUM_API_URL", running.url)
    return running


class Shard:
    """A finished future of Dask."""

    def __init__(self, result: Any = ([], None), *, died: Exception | None = None) -> None:
        self.exception = lambda: died
        self.result = lambda: result
        self.release = self.cancel = lambda: None


class Completed(list[Shard]):
    """Stands in for ``distributed.as_completed``."""

    futures = property(list)
    add = list.append


class Dask:
    """Runs each task at once, and keeps what would be sent to the workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, workers: int = 1) -> None:
        monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(as_completed=Completed))
        self.workers = workers
        self.sent: list[bytes] = []

    def nthreads(self) -> dict[int, int]:
        return dict.fromkeys(range(self.workers), 2)

    def submit(self, function: Any, *arguments: Any, **_: Any) -> Shard:
        self.sent.append(pickle.dumps((function, arguments)))
        function, arguments = pickle.loads(self.sent[-1])
        return Shard(function(*arguments))


def test_shards_are_sent_as_there_are_workers_without_the_key_and_with_a_share_of_the_rate(
    server, tmp_path, monkeypatch
):
    dask, taken = Dask(monkeypatch, workers=3), []

    def requests():
        for request in numbered(60):
            taken.append(request)
            yield request

    outcomes = cluster.create_many(dask, requests(), journals=tmp_path, shard_size=10, rate_limit=600)
    next(outcomes)
    assert len(dask.sent) == 4  # one more for the shard that has ended
    assert len(taken) == 40
    assert states(outcomes) == {("created", False): 59}
    assert not any(server.api_key.encode() in task for task in dask.sent)
    assert {pickle.loads(task)[0].__self__.rate_limit for task in dask.sent} == {200.0}


def test_run_many_shares_the_running_executions_and_continues(server, tmp_path, monkeypatch):
    @server.workflow("work")
    async def work(run):
        return run.input_data

    dask = Dask(monkeypatch, workers=3)
    for resumed in (False, True):
        outcomes = cluster.run_many(
            dask, numbered(30), journals=tmp_path, shard_size=10, max_running=7, poll_interval=0.02
        )
        found = list(outcomes)
        assert states(found) == {("completed", resumed): 30}
        assert all(outcome.output == outcome.request.input_data for outcome in found)
    assert server.counts["POST /executions"] == 30
    assert {pickle.loads(task)[0].__self__.arguments["max_running"] for task in dask.sent} == {2}


def test_run_many_begins_no_more_shards_than_executions_may_run(server, tmp_path, monkeypatch):
    dask = Dask(monkeypatch, workers=3)
    outcomes = cluster.run_many(dask, numbered(9), journals=tmp_path, shard_size=1, max_running=2, timeout=0.05)
    next(outcomes)
    assert len(dask.sent) == 3  # one more for the shard that has ended
    assert len(list(outcomes)) == 8


def test_shards_have_a_share_of_a_limit_for_minute_and_hour(server, tmp_path, monkeypatch):
    dask = Dask(monkeypatch, workers=2)
    assert states(cluster.create_many(dask, numbered(4), journals=tmp_path, rate_limit=(600, 3000)))
    assert pickle.loads(dask.sent[0])[0].__self__.rate_limit == (300.0, 1500.0)


def test_a_batch_started_again_sends_nothing_twice(server, tmp_path, monkeypatch):
    for resumed in (False, True):
        outcomes = cluster.create_many(Dask(monkeypatch), numbered(40), journals=tmp_path, shard_size=20)
        assert states(outcomes) == {("created", resumed): 40}
    assert server.counts["POST /executions"] == 40


def test_outcomes_known_when_a_shard_ended_are_yielded_before_its_error(server, tmp_path, monkeypatch):
    dask = Dask(monkeypatch)
    submit = dask.submit

    def submit_and_refuse_the_second(*arguments: Any, **options: Any) -> Shard:
        if dask.sent:
            server.inject(Fault(method="POST", status=401))
        return submit(*arguments, **options)

    monkeypatch.setattr(dask, "submit", submit_and_refuse_the_second)
    outcomes = cluster.create_many(dask, numbered(40), journals=tmp_path, shard_size=20)
    found = [next(outcomes) for _ in range(20)]
    with pytest.raises(AuthenticationError) as caught:
        found.extend(outcomes)
    assert states(found)["rejected", False] == 1
    assert states(found).keys() == {("created", False), ("rejected", False)}
    assert caught.value.outcome == "applied"


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        (Shard(died=RuntimeError("the worker died")), "unknown"),
        (Shard(([], JournalError("broken", outcome="unknown"))), "unknown"),
        (Shard(([], JournalError("broken", outcome="applied"))), "applied"),
        (Shard(died=ConfigurationError("no key", outcome="not_applied")), "not_applied"),
    ],
    ids=["a dead worker", "unknown", "applied", "no key"],
)
def test_the_error_that_ends_a_batch_has_the_outcome_of_all_shards(tmp_path, monkeypatch, other, outcome):
    refused = AuthenticationError("no", status=401, outcome="not_applied")
    dask, shards = Dask(monkeypatch, workers=2), iter([Shard(([], refused)), other])
    monkeypatch.setattr(dask, "submit", lambda *_, **__: next(shards))
    with pytest.raises(AuthenticationError) as raised:
        list(cluster.create_many(dask, numbered(2), journals=tmp_path, shard_size=1))
    assert raised.value.outcome == outcome


def test_create_shard_raises_the_error_that_ended_the_shard(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OMIUM_API_KEY", "omium_not_the_key_of_this_server")
    with pytest.raises(AuthenticationError):
        cluster.create_shard(list(numbered(3)), str(tmp_path / "shard"), options={"max_retries": 0})


def test_bad_arguments_are_rejected_at_the_call(tmp_path):
    for kind, bad in (
        (ValueError, {"journals": tmp_path / "missing"}),
        (ValueError, {"shard_size": 0}),
        (ValueError, {"concurrency": 0}),
        (ValueError, {"settle": -1}),
    ):
        with pytest.raises(kind):
            cluster.create_many(object(), [], **({"journals": tmp_path} | bad))
    with pytest.raises(TypeError):
        cluster.create_many(object(), ExecutionRequest("work"), journals=tmp_path)
    with pytest.raises(TypeError, match="without asynchronous=True"):
        cluster.create_many(SimpleNamespace(asynchronous=True), numbered(3), journals=tmp_path)


def test_a_key_is_rejected_and_not_shown(tmp_path):
    key = "omium_live_0123456789"
    with pytest.raises(TypeError, match="no option 'api_key'") as caught:
        cluster.create_many(None, [], journals=tmp_path, api_key=key)
    assert key not in str(caught.value)
    assert not any(key in repr(step.frame.f_locals) for step in caught.traceback[1:])


@pytest.mark.slow
@pytest.mark.timeout(120)
# Dask leaves sockets and processes to the garbage collector, and warns of ports that are taken.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*port.*:UserWarning")
def test_a_killed_worker_loses_nothing_and_repeats_nothing(server, tmp_path):
    distributed = pytest.importorskip("distributed")
    server.inject(Fault(method="POST", action="delay", delay=0.02, times=None))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as workers,
        distributed.Client(workers) as dask,
    ):
        pids = dask.run(os.getpid)

        def kill_one_in_the_middle() -> None:
            while server.counts.get("POST /executions", 0) < 60:
                time.sleep(0.005)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        killer = threading.Thread(target=kill_one_in_the_middle)
        killer.start()
        outcomes = list(
            cluster.create_many(dask, numbered(240), journals=tmp_path, shard_size=40, concurrency=4, settle=3)
        )
        killer.join()
    assert {outcome.request.input_data["number"] for outcome in outcomes} == set(range(240))
    assert {outcome.state for outcome in outcomes} == {"created"}
    assert any(outcome.resumed for outcome in outcomes)  # the shard of the killed worker continued from its journal
    with Omium(server.api_key, base_url=server.url) as omium:
        rows = omium.executions.list(workflow_id="work", page_size=1000)
        assert Counter(row.input_data["number"] for row in rows) == Counter(range(240))
