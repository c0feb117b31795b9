"""Batches on a Dask cluster (extra ``dask``), with the same outcomes and promises as on one machine.

.. code-block:: python

    from dask.distributed import Client
    from omium_async import cluster

    with Client("scheduler:8786") as dask:
        for outcome in cluster.create_many(dask, requests, journals="/shared/batch-7", rate_limit=200):
            ...

The requests are split into shards. Each shard is a task that runs ``create_many`` on a worker, with its own journal.
If a worker dies, its shard continues from the journal on another worker, and nothing is sent twice. The same holds for
the whole batch, when it is started again with the same requests, shard size and folder.

A task does not contain the key. Workers read key and URL from their environment or configuration file.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict, Unpack

from ._arguments import at_least, many, seconds
from ._batch.verdict import BatchVerdict
from ._client import AsyncOmium
from ._errors.base import OmiumError
from ._journal.settings import Journal
from ._models.outcomes import CreateOutcome
from ._models.types import ExecutionRequest
from ._settings.declared import Auth

__all__ = ["Cluster", "WorkerOptions", "create_many", "create_shard"]

#: Seconds for which a shard waits for its journal: Dask may give up a worker before its process has ended.
_WAIT_FOR_JOURNAL: Final = 60.0


class Cluster(Protocol):
    """The part of a synchronous ``distributed.Client`` that batches use."""

    def submit(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a task on a worker.

        :param function: the function that the task calls.
        :param args: its positional arguments.
        :param kwargs: its keyword arguments, and Dask's options.
        """
        ...

    @property
    def asynchronous(self) -> bool:
        """Whether the methods of the client must be awaited."""
        ...

    def nthreads(self) -> Any:
        """Return the number of threads of each worker, by its address."""
        ...


class WorkerOptions(TypedDict, total=False):
    """Options of the workers' clients, as in `AsyncOmium`: those that contain no secret."""

    auth: Auth
    timeout: float | None
    attempt_timeout: float | None
    max_retries: int
    retry_ambiguous_writes: bool
    max_connections: int
    agent_id: str | None
    allow_insecure_http: bool
    patience: float | None
    backoff: tuple[float, float]


def create_many(
    cluster: Cluster,
    requests: Iterable[ExecutionRequest],
    *,
    journals: str | os.PathLike[str],
    shard_size: int = 1000,
    concurrency: int = 32,
    rate_limit: float | tuple[float, float] | None = None,
    settle: float | None = None,
    **options: Unpack[WorkerOptions],
) -> Iterator[CreateOutcome]:
    """Create an execution for each request on the workers of a Dask cluster, and yield outcomes as shards end.

    As many shards run at once as there are workers at the start. The requests are read lazily, one shard at a time.

    :param cluster: a ``distributed.Client`` that is not asynchronous.
    :param requests: the requests, in any iterable.
    :param journals: an existing folder that all workers reach by this path. It gets one file for each shard.
    :param shard_size: requests in a shard, from 1; the same at each start with these journals.
    :param concurrency: calls in flight on each worker.
    :param rate_limit: requests per minute of all workers together, in equal shares, or a pair: per minute and per
        hour; ``None``: each worker waits as responses say. The shard of a worker that dies may use its share twice in
        that time.
    :param settle: as in ``executions.create_many``.
    :param options: options of the workers' clients.
    :raises TypeError: the Dask client is asynchronous; or an option is not one of `WorkerOptions`, such as ``api_key``,
        which would be readable in the task graph.
    :raises OmiumError: the error that ended a shard, after the outcomes known by then; its ``outcome`` is that of all
        items. Start again with the same journals. Dask raises ``KilledWorker`` if workers die under a shard repeatedly.
    :raises ImportError: Dask's ``distributed`` is not installed.
    """
    _reject_unknown(options)
    if getattr(cluster, "asynchronous", False):
        raise TypeError(
            "cluster: this Dask client is asynchronous, but create_many is a plain iterator; give a "
            "distributed.Client without asynchronous=True"
        )
    many(requests, "requests", "ExecutionRequest items")
    at_least(1, concurrency, "concurrency")
    seconds(settle, "settle", zero=True)
    folder = Path(journals)
    at_least(1, shard_size, "shard_size")
    if not folder.is_dir():
        raise ValueError(f"journals: {folder} is not an existing folder; create it, or give another")
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError("omium_async.cluster needs the extra `dask`: pip install 'omium-async[dask]'") from error
    workers = max(1, len(cluster.nthreads()))
    share = _share(rate_limit, workers)
    tasks = _tasks(cluster, iter(requests), folder.absolute(), shard_size, (concurrency, share, settle, dict(options)))
    return _outcomes(distributed, tasks, workers)


def _share(rate_limit: float | tuple[float, float] | None, workers: int) -> float | tuple[float, float] | None:
    if isinstance(rate_limit, tuple):
        a_minute, an_hour = rate_limit
        return a_minute / workers, an_hour / workers
    return None if rate_limit is None else rate_limit / workers


def _reject_unknown(options: WorkerOptions) -> None:
    unknown = sorted({*options} - WorkerOptions.__annotations__.keys())
    if unknown:
        options.clear()  # type: ignore[attr-defined] # a value may be a key, and tracebacks show local variables
        raise TypeError(
            f"create_many has no option {unknown[0]!r}; give {', '.join(WorkerOptions.__annotations__)}. Workers read "
            "key, URL and proxy from their environment"
        )


def _tasks(
    cluster: Cluster, requests: Iterator[ExecutionRequest], folder: Path, size: int, arguments: tuple[Any, ...]
) -> Iterator[Any]:
    """Submit a task for each shard, one at each iteration."""
    batch = uuid.uuid4().hex[:12]
    for number in itertools.count():
        shard = list(itertools.islice(requests, size))
        if not shard:
            return
        journal = str(folder / f"shard-{number:06}.journal")
        yield cluster.submit(_shard, shard, journal, *arguments, key=f"omium-{batch}-{number}", pure=False)


def _outcomes(distributed: Any, tasks: Iterator[Any], workers: int) -> Iterator[CreateOutcome]:
    running = distributed.as_completed(list(itertools.islice(tasks, workers)))
    failure: BaseException | None = None
    verdict = BatchVerdict()
    unfinished: set[Any] = set(running.futures)
    try:
        for task in running:
            unfinished.discard(task)
            failed = task.exception()
            if failed is not None:
                failure = failure or failed
                verdict.count_error(failed)
                continue
            outcomes, failed = task.result()
            if failed is not None:
                failure = failure or failed
                verdict.count_error(failed)
            if failure is None:
                for following in itertools.islice(tasks, 1):
                    unfinished.add(following)
                    running.add(following)
            for outcome in outcomes:
                verdict.count(outcome.state)
                yield outcome
            task.release()
    finally:
        for task in unfinished:
            task.cancel()  # if it has not begun; the others end, and their outcomes are in their journals
    if failure is not None:
        if isinstance(failure, OmiumError):
            verdict.set_on(failure)
        raise failure


def create_shard(
    requests: Sequence[ExecutionRequest],
    journal: str,
    concurrency: int = 32,
    rate_limit: float | tuple[float, float] | None = None,
    settle: float | None = None,
    options: WorkerOptions | None = None,
) -> list[CreateOutcome]:
    """Run one shard in this process: ``executions.create_many`` with a client from the settings of the process.

    It can be used with engines other than Dask.

    :param requests: the requests of the shard; the same at each start with this journal.
    :param journal: path of the shard's journal. If another process has it open, the shard waits up to a minute.
    :param concurrency: calls in flight.
    :param rate_limit: requests per minute of this process, or a pair: per minute and per hour; all its shards share one
        client.
    :param settle: as in ``executions.create_many``.
    :param options: options of the client.
    :raises TypeError: an option is not one of `WorkerOptions`.
    :raises OmiumError: the error that ended the shard; start it again with the same journal.
    """
    wanted: WorkerOptions = {} if options is None else {**options}
    _reject_unknown(wanted)
    outcomes, failure = _shard(requests, journal, concurrency, rate_limit, settle, wanted)
    if failure is not None:
        raise failure
    return outcomes


def _shard(
    requests: Sequence[ExecutionRequest],
    journal: str,
    concurrency: int,
    rate_limit: float | tuple[float, float] | None,
    settle: float | None,
    options: WorkerOptions | None,
) -> tuple[list[CreateOutcome], OmiumError | None]:
    """Return the outcomes, and the error that ended the shard early."""
    client = _client(rate_limit, options or {})
    outcomes: list[CreateOutcome] = []

    async def run() -> None:
        kept = Journal(journal, wait=_WAIT_FOR_JOURNAL)
        found = client.executions.create_many(requests, concurrency=concurrency, journal=kept, settle=settle)
        async for outcome in found:
            outcomes.append(outcome)  # noqa: PERF401 - kept also when an error ends it

    try:
        asyncio.run(run())
    except OmiumError as error:
        return outcomes, error
    return outcomes, None


_lock = threading.Lock()
_clients: dict[Any, AsyncOmium] = {}


def _client(rate_limit: float | tuple[float, float] | None, options: WorkerOptions) -> AsyncOmium:
    """Return the client of this process with these options; its pacing holds for all shards."""
    wanted = (os.getpid(), rate_limit, tuple(sorted(options.items())))
    with _lock:
        if wanted not in _clients:
            _clients[wanted] = AsyncOmium(rate_limit=rate_limit, **options)
        return _clients[wanted]
