"""Batches on a real Dask cluster of several processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
import time
from collections import Counter

import pytest

from omium_async import (
    AsyncOmium,
    AuthenticationError,
    ConfigurationError,
    ExecutionRequest,
    JournalError,
    cluster,
)
from omium_async.local import Fault, LocalOmium
from omium_sync import Omium

from .conftest import ServerThread, applied, numbered, states

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.timeout(120),
    # Dask's own: sockets and processes that it leaves to the garbage collector, and ports that are taken.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*port.*:UserWarning"),
]


@pytest.fixture(scope="module")
def server():
    local = LocalOmium()
    local.honor_idempotency = False
    with ServerThread(local) as running:
        yield running


@pytest.fixture
def dask(server, monkeypatch):
    """Two worker processes, which find key and URL in their environment."""
    monkeypatch.setenv("OMIUM_API_KEY", server.api_key)
    monkeypatch.setenv("OMIUM_API_URL", server.url)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as local_cluster,
        distributed.Client(local_cluster) as client,
    ):
        yield client
    server.clear_faults()


def counted(server: LocalOmium, workflow: str) -> Counter[int]:
    async def count() -> Counter[int]:
        async with AsyncOmium(server.api_key, base_url=server.url) as omium:
            return await applied(omium, workflow)

    return asyncio.run(count())


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_and_repeats_nothing(server, dask, tmp_path):
    server.inject(Fault(method="POST", action="delay", delay=0.02, times=None))
    pids = dask.run(os.getpid)
    assert len(set(pids.values())) == 2

    def kill_one_in_the_middle() -> None:
        while server.counts.get("POST /executions", 0) < 60:
            time.sleep(0.005)
        os.kill(next(iter(pids.values())), signal.SIGKILL)

    killer = threading.Thread(target=kill_one_in_the_middle)
    killer.start()
    outcomes = list(cluster.create_many(dask, numbered(240), journals=tmp_path, shard_size=40, concurrency=4, settle=3))
    killer.join()
    assert {outcome.request.input_data["number"] for outcome in outcomes} == set(range(240))
    assert {outcome.state for outcome in outcomes} == {"created"}
    assert any(outcome.resumed for outcome in outcomes)  # the killed worker's shard went on from its journal
    assert counted(server, "work") == Counter(range(240))

    again = list(cluster.create_many(dask, numbered(240), journals=tmp_path, shard_size=40, settle=1))
    assert states(again) == {("created", True): 240}
    assert {o.execution.id for o in again} == {o.execution.id for o in outcomes}

    # a shard that cannot go on ends the batch, after what is known
    changed = (ExecutionRequest("work", {"number": -number}) for number in range(240))
    with pytest.raises(Exception, match="belongs to another batch"):
        list(cluster.create_many(dask, changed, journals=tmp_path, shard_size=40))
    assert counted(server, "work") == Counter(range(240))


def test_no_key_travels_and_the_rate_is_divided(server, tmp_path, monkeypatch):
    sent = []

    class Dask:
        """Notes what would travel to the workers."""

        def nthreads(self):
            return {"a": 1, "b": 1, "c": 4}

        def submit(self, function, *args, **kwargs):
            sent.append(pickle.dumps((function, args, kwargs)))
            assert args[3] == pytest.approx(200 / 3)
            return kwargs["key"]

    monkeypatch.setenv("OMIUM_API_KEY", server.api_key)
    monkeypatch.setattr(distributed, "as_completed", lambda futures: pytest.fail(f"enough: {len(futures)}"))
    taken = []

    def requests():
        for number in range(1000):
            taken.append(number)
            yield ExecutionRequest("work", number)

    with pytest.raises(pytest.fail.Exception, match="enough: 3"):
        list(cluster.create_many(Dask(), requests(), journals=tmp_path, shard_size=10, rate_limit=200))
    assert len(sent) == 3
    assert len(taken) == 30  # as lazily as there are workers
    assert not any(server.api_key.encode() in task for task in sent)


class Shard:
    """A future of the cluster's, done."""

    def __init__(self, *, died=None, failed=None):
        self.died = died
        self.failed = failed

    def exception(self):
        return self.died

    def result(self):
        return [], self.failed

    def release(self):
        pass

    cancel = release


class Completed(list):
    """As Dask tells of what is done."""

    @property
    def futures(self):
        return set(self)


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        (Shard(died=RuntimeError("the worker died")), "unknown"),
        (Shard(failed=JournalError("broken", outcome="unknown")), "unknown"),
        (Shard(failed=JournalError("broken", outcome="applied")), "applied"),
        (Shard(died=ConfigurationError("no key", outcome="not_applied")), "not_applied"),
    ],
    ids=["a dead worker", "unknown", "applied", "no key"],
)
def test_the_error_that_ends_it_says_what_became_of_all_shards(monkeypatch, other, outcome):
    refused = Shard(failed=AuthenticationError("no", status=401, outcome="not_applied"))
    monkeypatch.setattr(distributed, "as_completed", Completed)
    with pytest.raises(AuthenticationError) as raised:
        list(cluster._outcomes(distributed, iter([refused, other]), 2))
    assert raised.value.outcome == outcome


def test_a_refused_key_is_told_to_the_one_who_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OMIUM_API_KEY", "omium_not_the_key_of_this_server")
    monkeypatch.setenv("OMIUM_API_URL", server.url)
    with pytest.raises(AuthenticationError):
        cluster.create_shard(list(numbered(3)), str(tmp_path / "shard"), options={"max_retries": 0})


def test_bad_arguments_are_refused_at_the_call(tmp_path):
    good = {"journals": tmp_path}
    for kind, bad in (
        (ValueError, {"journals": tmp_path / "missing"}),
        (ValueError, {"shard_size": 0}),
        (TypeError, {"shard_size": 1.5}),
        (ValueError, {"concurrency": 0}),
        (ValueError, {"settle": -1}),
    ):
        with pytest.raises(kind):
            cluster.create_many(object(), [], **(good | bad))
    with pytest.raises(TypeError):
        cluster.create_many(object(), ExecutionRequest("work"), **good)


def test_an_asynchronous_client_of_dask_is_refused(tmp_path):
    class Asynchronous:
        asynchronous = True

    with pytest.raises(TypeError, match="without asynchronous=True"):
        cluster.create_many(Asynchronous(), numbered(3), journals=tmp_path)


def test_what_was_known_when_a_shard_ended_is_told_before_its_error(server, tmp_path, monkeypatch):
    """And the error says what became of all shards."""
    monkeypatch.setenv("OMIUM_API_KEY", server.api_key)
    monkeypatch.setenv("OMIUM_API_URL", server.url)

    class Task:
        def __init__(self, result):
            self.result = lambda: result
            self.exception = self.release = self.cancel = lambda: None

    class Dask:
        def nthreads(self):
            return {"a": 1}

        def submit(self, function, *args, key, **_):
            if key.endswith("-1"):  # the second shard
                server.inject(Fault(method="POST", status=401))
            return Task(pickle.loads(pickle.dumps(function(*args))))

    class Running(list):
        @property
        def futures(self):
            return list(self)

        add = list.append

    monkeypatch.setattr(distributed, "as_completed", Running)
    outcomes = cluster.create_many(Dask(), numbered(40), journals=tmp_path, shard_size=20, backoff=(0, 0))
    found = [next(outcomes) for _ in range(20)]
    with pytest.raises(AuthenticationError) as caught:
        found.extend(outcomes)
    assert set(states(found)) == {("created", False)}
    assert caught.value.outcome == "applied"
    server.clear_faults()


def test_a_key_is_refused_and_not_shown(tmp_path):
    key = "omium_live_0123456789"
    with pytest.raises(TypeError, match="no option 'api_key'") as caught:
        cluster.create_many(None, [], journals=tmp_path, api_key=key)
    assert key not in str(caught.value)
    step = caught.traceback[-1]
    assert key not in repr(step.frame.f_locals)
    assert key not in repr(caught.traceback[-2].frame.f_locals)


@pytest.mark.parametrize("client", [AsyncOmium, Omium])
def test_a_client_that_is_given_to_map_says_why_it_cannot_be_sent(client):
    """As it does when given to ``submit``."""
    tokenize = pytest.importorskip("dask.tokenize").tokenize
    omium = client("omium_some_key", base_url="http://127.0.0.1:9")
    with pytest.raises(TypeError, match="cannot be pickled, because it has a key"):
        tokenize(omium, ensure_deterministic=True)
