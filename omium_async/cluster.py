"""Batches on a Dask cluster (extra ``dask``), with the same outcomes and promises as on one machine.

.. code-block:: python

    from dask.distributed import Client
    from omium_async import cluster

    with Client("scheduler:8786") as dask:
        for outcome in cluster.create_many(dask, requests, journals="/shared/batch-7", rate_limit=200):
            ...

The requests are split into shards. Each shard is a task that runs ``create_many`` or ``run_many`` on a worker, with its
own journal.
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
from typing import Any, Final, Literal, NamedTuple, Protocol, TypedDict, Unpack, cast

from ._arguments import at_least, many, seconds
from ._batch.verdict import BatchVerdict
from ._client import AsyncOmium
from ._errors.base import OmiumError
from ._journal.settings import Journal
from ._models.outcomes import CreateOutcome, RunOutcome
from ._models.types import ExecutionRequest
from ._settings.declared import Auth

__all__ = ["Cluster", "RunOptions", "WorkerOptions", "create_many", "create_shard", "run_many"]

Rate = float | tuple[float, float] | None

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


class RunOptions(TypedDict, total=False):
    """Options of the workers' clients, as in `AsyncOmium`: those that contain no secret, except ``timeout``."""

    auth: Auth
    attempt_timeout: float | None
    max_retries: int
    retry_ambiguous_writes: bool
    max_connections: int
    agent_id: str | None
    allow_insecure_http: bool
    patience: float | None
    backoff: tuple[float, float]


class WorkerOptions(RunOptions, total=False):
    """Options of the workers' clients, as in `AsyncOmium`: those that contain no secret."""

    timeout: float | None


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
    folder = _checked(cluster, requests, journals, shard_size, options)
    at_least(1, concurrency, "concurrency")
    seconds(settle, "settle", zero=True)
    distributed = _distributed()
    workers = max(1, len(cluster.nthreads()))
    shard = _Shard("create_many", {"concurrency": concurrency, "settle": settle}, _share(rate_limit, workers), options)
    return _outcomes(distributed, _tasks(cluster, iter(requests), folder, shard_size, shard), workers)


def run_many(
    cluster: Cluster,
    requests: Iterable[ExecutionRequest],
    *,
    journals: str | os.PathLike[str],
    shard_size: int = 1000,
    max_running: int = 10,
    timeout: float | None = None,
    poll_interval: float | None = None,
    rate_limit: float | tuple[float, float] | None = None,
    settle: float | None = None,
    **options: Unpack[RunOptions],
) -> Iterator[RunOutcome[Any]]:
    """Run an execution for each request on the workers of a Dask cluster, and yield outcomes as shards end.

    As many shards run at once as there are workers at the start, but not more than ``max_running``. The requests are
    read lazily, one shard at a time.

    :param cluster: a ``distributed.Client`` that is not asynchronous.
    :param requests: the requests, in any iterable.
    :param journals: an existing folder that all workers reach by this path. It gets one file for each shard.
    :param shard_size: requests in a shard, from 1; the same at each start with these journals.
    :param max_running: executions of all workers together that have not ended, in equal shares. The shard of a worker
        that dies keeps the share that it had.
    :param timeout: seconds for each execution, as in ``executions.run_many``. The time-out of calls is that of the
        workers' settings.
    :param poll_interval: as in ``executions.run_many``.
    :param rate_limit: as in `create_many`.
    :param settle: as in ``executions.run_many``.
    :param options: options of the workers' clients. ``timeout`` is that of each execution here.
    :raises TypeError: as `create_many`.
    :raises OmiumError: as `create_many`.
    :raises ImportError: Dask's ``distributed`` is not installed.
    """
    given = cast("WorkerOptions", options)
    folder = _checked(cluster, requests, journals, shard_size, given)
    at_least(1, max_running, "max_running")
    seconds(timeout, "timeout", zero=False)
    seconds(poll_interval, "poll_interval", zero=False)
    seconds(settle, "settle", zero=True)
    distributed = _distributed()
    workers = min(max(1, len(cluster.nthreads())), max_running)
    arguments = {
        "max_running": max_running // workers,
        "timeout": timeout,
        "poll_interval": poll_interval,
        "settle": settle,
    }
    shard = _Shard("run_many", arguments, _share(rate_limit, workers), given)
    return _outcomes(distributed, _tasks(cluster, iter(requests), folder, shard_size, shard), workers)


def _checked(
    cluster: Cluster,
    requests: Iterable[ExecutionRequest],
    journals: str | os.PathLike[str],
    shard_size: int,
    options: WorkerOptions,
) -> Path:
    """Check the arguments that both calls have, and return the folder of the journals."""
    _reject_unknown(options)
    if getattr(cluster, "asynchronous", False):
        raise TypeError(
            "cluster: this Dask client is asynchronous, but the result is a plain iterator; give a distributed.Client "
            "without asynchronous=True"
        )
    many(requests, "requests", "ExecutionRequest items")
    at_least(1, shard_size, "shard_size")
    folder = Path(journals)
    if not folder.is_dir():
        raise ValueError(f"journals: {folder} is not an existing folder; create it, or give another")
    return folder.absolute()


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError("omium_async.cluster needs the extra `dask`: pip install 'omium-async[dask]'") from error


def _share(rate_limit: Rate, workers: int) -> Rate:
    if isinstance(rate_limit, tuple):
        a_minute, an_hour = rate_limit
        return a_minute / workers, an_hour / workers
    return None if rate_limit is None else rate_limit / workers


def _reject_unknown(options: WorkerOptions) -> None:
    unknown = sorted({*options} - WorkerOptions.__annotations__.keys())
    if unknown:
        cast("dict[str, Any]", options).clear()  # a value may be a key, and tracebacks show local variables
        raise TypeError(
            f"there is no option {unknown[0]!r}; give {', '.join(WorkerOptions.__annotations__)}. Workers read "
            "key, URL and proxy from their environment"
        )


def _tasks(
    cluster: Cluster, requests: Iterator[ExecutionRequest], folder: Path, size: int, shard: _Shard
) -> Iterator[Any]:
    """Submit a task for each shard, one at each iteration."""
    batch = uuid.uuid4().hex[:12]
    for number in itertools.count():
        taken = list(itertools.islice(requests, size))
        if not taken:
            return
        journal = str(folder / f"shard-{number:06}.journal")
        yield cluster.submit(shard.run, taken, journal, key=f"omium-{batch}-{number}", pure=False)


def _outcomes(distributed: Any, tasks: Iterator[Any], workers: int) -> Iterator[Any]:
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
    shard = _Shard("create_many", {"concurrency": concurrency, "settle": settle}, rate_limit, wanted)
    outcomes, failure = shard.run(requests, journal)
    if failure is not None:
        raise failure
    return outcomes


class _Shard(NamedTuple):
    """How each shard of a batch is run.

    :ivar call: the method of ``executions``.
    :ivar arguments: its arguments, except requests and journal.
    :ivar rate_limit: requests per minute, or per minute and per hour, of a process.
    :ivar options: options of its client.
    """

    call: Literal["create_many", "run_many"]
    arguments: dict[str, Any]
    rate_limit: Rate
    options: WorkerOptions

    def run(self, requests: Sequence[ExecutionRequest], journal: str) -> tuple[list[Any], OmiumError | None]:
        """Return the outcomes, and the error that ended the shard early."""
        executions = _client(self.rate_limit, self.options).executions
        begin: Any = executions.create_many if self.call == "create_many" else executions.run_many
        outcomes: list[Any] = []

        async def run() -> None:
            async for outcome in begin(requests, journal=Journal(journal, wait=_WAIT_FOR_JOURNAL), **self.arguments):
                outcomes.append(outcome)  # noqa: PERF401 - kept also when an error ends it

        try:
            asyncio.run(run())
        except OmiumError as error:
            return outcomes, error
        return outcomes, None


_lock = threading.Lock()
_clients: dict[Any, AsyncOmium] = {}


def _client(rate_limit: Rate, options: WorkerOptions) -> AsyncOmium:
    """Return the client of this process with these options; its pacing holds for all shards."""
    wanted = (os.getpid(), rate_limit, tuple(sorted(options.items())))
    with _lock:
        if wanted not in _clients:
            _clients[wanted] = AsyncOmium(rate_limit=rate_limit, **options)
        return _clients[wanted]
