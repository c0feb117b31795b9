"""Batches on a Dask cluster (extra ``dask``): beyond one machine, with the same outcomes and the same promise.

.. code-block:: python

    from dask.distributed import Client
    from omium_async import cluster

    with Client("scheduler:8786") as dask:
        for outcome in cluster.create_many(dask, requests, journals="/shared/batch-7", rate_limit=200):
            ...

The requests are cut into shards; each is a task that runs ``create_many`` on a worker with a journal of its own. A
worker that dies takes nothing with it: its shard runs again elsewhere and goes on from the journal, so that nothing is
sent twice; and so does the whole batch when it is started again with the same requests, shard size and folder.

No key travels in a task. Workers take key and URL from their own environment or configuration file.
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
from ._errors import OmiumError
from ._journal.settings import Journal
from ._models.outcomes import CreateOutcome
from ._models.types import ExecutionRequest
from ._settings.declared import Auth

__all__ = ["Cluster", "WorkerOptions", "create_many", "create_shard"]

#: Seconds for which a shard waits for its journal: the worker that held it may have been given up before it was dead.
_WAIT_FOR_JOURNAL: Final = 60.0


class Cluster(Protocol):
    """What is used of a ``distributed.Client`` (one that is not asynchronous)."""

    def submit(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a task on some worker.

        :param function: what the task calls.
        :param args: what it is called with.
        :param kwargs: what it is called with, by name, and Dask's own options.
        """
        ...

    @property
    def asynchronous(self) -> bool:
        """Whether its methods must be awaited."""
        ...

    def nthreads(self) -> Any:
        """The workers there are, by their addresses."""
        ...


class WorkerOptions(TypedDict, total=False):
    """Options of the workers' clients, as `AsyncOmium` takes them: all that can travel without a secret in it."""

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
    rate_limit: float | None = None,
    settle: float | None = None,
    **options: Unpack[WorkerOptions],
) -> Iterator[CreateOutcome]:
    """Create an execution for each request, on the workers of a Dask cluster; outcomes come as the shards end.

    As many shards are under way as there are workers at the start, and the requests are taken as lazily.

    :param cluster: a ``distributed.Client`` that is not asynchronous.
    :param requests: what to create: any iterable, taken a shard at a time.
    :param journals: a folder that all workers reach under this path; one file a shard. It must exist.
    :param shard_size: requests a shard, from 1; the same at every start with these journals.
    :param concurrency: calls at once on each worker.
    :param rate_limit: requests a minute of all workers together, each of which gets an equal share; ``None``: each
        worker learns from the answers. A worker that dies may add its share once more in that minute.
    :param settle: as in ``executions.create_many``.
    :param options: of the workers' clients.
    :raises TypeError: the Dask client is asynchronous.
    :raises OmiumError: what ended a shard, after the outcomes known by then; its ``outcome`` is that of all items told.
        Likewise Dask's own ``KilledWorker`` when workers die under a shard again and again. Start again with the same
        journals then.
    :raises ImportError: Dask's ``distributed`` is not installed.
    :raises TypeError: an option is none that may travel, such as ``api_key``: it would be in the graph of tasks.
    """
    _refuse_unknown(options)
    if getattr(cluster, "asynchronous", False):
        raise TypeError(
            "cluster: this Dask client is asynchronous, and outcomes come from a plain iterator; give a "
            "distributed.Client made without asynchronous=True"
        )
    many(requests, "requests", "ExecutionRequest items")
    at_least(1, concurrency, "concurrency")
    seconds(settle, "settle", zero=True)
    folder = Path(journals)
    at_least(1, shard_size, "shard_size")
    if not folder.is_dir():
        raise ValueError(f"journals must be a folder that exists; {folder} is none")
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError("omium_async.cluster needs the extra `dask`: pip install 'omium-async[dask]'") from error
    workers = max(1, len(cluster.nthreads()))
    share = None if rate_limit is None else rate_limit / workers
    tasks = _tasks(cluster, iter(requests), folder.absolute(), shard_size, (concurrency, share, settle, dict(options)))
    return _outcomes(distributed, tasks, workers)


def _refuse_unknown(options: WorkerOptions) -> None:
    unknown = sorted({*options} - WorkerOptions.__annotations__.keys())
    if unknown:
        options.clear()  # type: ignore[attr-defined] # a value may be a key, and tracebacks may show it
        raise TypeError(
            f"create_many has no option {unknown[0]!r}; the workers' clients take "
            f"{', '.join(WorkerOptions.__annotations__)}, and key, URL and proxy from their own environment"
        )


def _tasks(
    cluster: Cluster, requests: Iterator[ExecutionRequest], folder: Path, size: int, arguments: tuple[Any, ...]
) -> Iterator[Any]:
    """A task for each shard, submitted as it is asked for."""
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
    under_way: set[Any] = set(running.futures)
    try:
        for task in running:
            under_way.discard(task)
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
                    under_way.add(following)
                    running.add(following)
            for outcome in outcomes:
                verdict.count(outcome.state)
                yield outcome
            task.release()
    finally:
        for task in under_way:
            task.cancel()  # those that have not begun; the others end by themselves, and their journals know
    if failure is not None:
        if isinstance(failure, OmiumError):
            verdict.set_on(failure)
        raise failure


def create_shard(
    requests: Sequence[ExecutionRequest],
    journal: str,
    concurrency: int = 32,
    rate_limit: float | None = None,
    settle: float | None = None,
    options: WorkerOptions | None = None,
) -> list[CreateOutcome]:
    """One shard, on the worker that calls this: ``executions.create_many`` with a client of the worker's own settings.

    For engines other than Dask, too: it needs nothing but the arguments and the file.

    :param requests: of the shard; the same at every start with this journal.
    :param journal: path of the shard's journal. It is waited for while another process holds it, for a minute.
    :param concurrency: calls at once.
    :param rate_limit: requests a minute of this process: one client serves all shards that it runs.
    :param settle: as in ``executions.create_many``.
    :param options: of this process's client.
    :raises TypeError: an option is none of `WorkerOptions`.
    :raises OmiumError: what ended the shard; start it again with the same journal.
    """
    wanted: WorkerOptions = {} if options is None else {**options}
    _refuse_unknown(wanted)
    outcomes, failure = _shard(requests, journal, concurrency, rate_limit, settle, wanted)
    if failure is not None:
        raise failure
    return outcomes


def _shard(
    requests: Sequence[ExecutionRequest],
    journal: str,
    concurrency: int,
    rate_limit: float | None,
    settle: float | None,
    options: WorkerOptions | None,
) -> tuple[list[CreateOutcome], OmiumError | None]:
    """The outcomes known in the end, and what ended it before its time."""
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


def _client(rate_limit: float | None, options: WorkerOptions) -> AsyncOmium:
    """This process's client with these options; what it has learned about the pace outlives a shard."""
    wanted = (os.getpid(), rate_limit, tuple(sorted(options.items())))
    with _lock:
        if wanted not in _clients:
            _clients[wanted] = AsyncOmium(rate_limit=rate_limit, **options)
        return _clients[wanted]
