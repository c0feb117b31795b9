"""The facade: each call of the core under the same name, made on the loop and waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, Unpack, overload

from omium_async import SETTLED, AsyncOmium
from omium_async._arguments import Status, Statuses, filters
from omium_async._executions import Executions as AsyncExecutions
from omium_async._settings.configure import OptionChanges
from omium_async._settings.declared import (
    DEFAULT_BACKOFF,
    DEFAULT_PATIENCE,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    Auth,
    OnAttempt,
)
from omium_async._settings.secret import masked
from omium_async._streaming import Batch

from ._bridge.ahead import Ahead
from ._bridge.line import Line
from ._bridge.sources import Gathered, Single, feed_of
from ._documented import documented
from ._iterators import GroupStream, RowStream

if TYPE_CHECKING:
    import os
    import ssl as ssl_module
    from datetime import datetime

    import aiohttp
    import cattrs

    from omium_async import (
        CreateOutcome,
        Execution,
        ExecutionDetail,
        ExecutionPage,
        ExecutionRequest,
        Journal,
        RawResponse,
        ReplayOutcome,
        ReplayResult,
        RollbackResult,
    )

__all__ = ["Executions", "Omium"]


class Executions:
    __doc__ = AsyncExecutions.__doc__

    def __init__(self, line: Line, core: AsyncExecutions) -> None:
        self._line = line
        self._core = core

    @documented(AsyncExecutions.create)
    def create(
        self,
        workflow_id: str,
        input_data: Any = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Execution:
        return self._line.call(
            self._core.create,
            workflow_id,
            input_data,
            metadata=metadata,
            agent_id=agent_id,
            idempotency_key=idempotency_key,
        )

    @documented(AsyncExecutions.get)
    def get(self, execution_id: str) -> ExecutionDetail:
        return self._line.call(self._core.get, execution_id)

    @documented(AsyncExecutions.page)
    def page(
        self, page: int = 1, page_size: int = 20, *, workflow_id: str | None = None, status: Status | None = None
    ) -> ExecutionPage:
        return self._line.call(self._core.page, page, page_size, workflow_id=workflow_id, status=status)

    @documented(AsyncExecutions.count)
    def count(self, *, workflow_id: str | None = None, status: Status | None = None) -> int:
        return self._line.call(self._core.count, workflow_id=workflow_id, status=status)

    @documented(AsyncExecutions.list)
    def list(
        self,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int | None = None,
    ) -> Iterator[Execution]:
        wanted = filters(workflow_id, status, since, before, metadata)

        def read(held: Callable[[], int]) -> AsyncGenerator[Batch]:
            return self._core._batches(held, wanted, page_size, limit, prefetch)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

        return RowStream(self._line, Ahead(read, self._line.notify))

    @documented(AsyncExecutions.pages)
    def pages(
        self,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_size: int = 100,
        prefetch: int | None = None,
    ) -> Iterator[ExecutionPage]:
        source = self._core.pages(
            workflow_id=workflow_id,
            status=status,
            since=since,
            before=before,
            metadata=metadata,
            page_size=page_size,
            prefetch=prefetch,
        )
        return GroupStream(self._line, Single(source))

    @documented(AsyncExecutions.replay)
    def replay(
        self,
        execution_id: str,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReplayResult:
        return self._line.call(
            self._core.replay,
            execution_id,
            checkpoint_id,
            checkpoint_name=checkpoint_name,
            idempotency_key=idempotency_key,
        )

    @documented(AsyncExecutions.rollback)
    def rollback(
        self,
        execution_id: str,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> RollbackResult:
        return self._line.call(
            self._core.rollback,
            execution_id,
            checkpoint_id,
            checkpoint_name=checkpoint_name,
            idempotency_key=idempotency_key,
        )

    @documented(AsyncExecutions.wait)
    def wait(
        self,
        execution_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
    ) -> ExecutionDetail:
        return self._line.call(self._core.wait, execution_id, timeout=timeout, poll_interval=poll_interval, until=until)

    @documented(AsyncExecutions.watch)
    def watch(
        self, execution_id: str, *, poll_interval: float | None = None, until: Statuses = SETTLED
    ) -> Iterator[ExecutionDetail]:
        source = self._core.watch(execution_id, poll_interval=poll_interval, until=until)
        return GroupStream(self._line, Single(source))

    @documented(AsyncExecutions.run)
    def run(
        self,
        workflow_id: str,
        input_data: Any = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        on_created: Callable[[Execution], object] | None = None,
    ) -> ExecutionDetail:
        return self._line.call(
            self._core.run,
            workflow_id,
            input_data,
            metadata=metadata,
            agent_id=agent_id,
            idempotency_key=idempotency_key,
            timeout=timeout,
            poll_interval=poll_interval,
            until=until,
            on_created=on_created,
        )

    @documented(AsyncExecutions.create_many)
    def create_many(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        *,
        concurrency: int = 32,
        journal: str | os.PathLike[str] | Journal | None = None,
        settle: float | None = None,
    ) -> Iterator[CreateOutcome]:
        feed = feed_of(requests)
        source = self._core.create_many(
            requests if feed is None else feed, concurrency=concurrency, journal=journal, settle=settle
        )
        if feed is not None:
            feed.ahead = 4 * concurrency + 64  # the contract's bound
        return GroupStream(self._line, Gathered(source, self._line.notify, feed))

    @documented(AsyncExecutions.replay_many)
    def replay_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = "failed",
        since: datetime | None = None,
        before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        checkpoint_name: str | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> Iterator[ReplayOutcome]:
        source = self._core.replay_many(
            execution_ids,
            workflow_id=workflow_id,
            status=status,
            since=since,
            before=before,
            metadata=metadata,
            checkpoint_name=checkpoint_name,
            limit=limit,
            concurrency=concurrency,
            dry_run=dry_run,
            journal=journal,
        )
        return GroupStream(self._line, Gathered(source, self._line.notify))

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[False] = False,
    ) -> Iterator[Execution]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[True],
    ) -> Iterator[ExecutionDetail]: ...

    @documented(AsyncExecutions.wait_many)
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: bool = False,
    ) -> Iterator[Any]:
        wait_many: Callable[..., AsyncGenerator[Any]] = self._core.wait_many
        source = wait_many(execution_ids, timeout=timeout, poll_interval=poll_interval, until=until, details=details)
        return GroupStream(self._line, Gathered(source, self._line.notify))


class Omium:
    __doc__ = f"""A client of the Omium Executions API for code that is not async.

    Works with and without ``with``, from any number of threads, also inside a running event loop, which it blocks.
    Settings come from the argument, the environment, ``~/.omium/config.json``, the default, in this order. Nothing
    runs until the first call; a loop in a thread of its own serves all clients of the process from then on.

    :param api_key: {(AsyncOmium.__doc__ or "").partition(":param api_key: ")[2]}"""

    executions: Executions

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        auth: Auth = "x-api-key",
        timeout: float | None = DEFAULT_TIMEOUT,
        attempt_timeout: float | None = 30.0,
        max_retries: int = DEFAULT_RETRIES,
        retry_ambiguous_writes: bool = False,
        max_connections: int = 100,
        rate_limit: float | None = None,
        max_response_bytes: int = 64 * 2**20,
        agent_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: ssl_module.SSLContext | aiohttp.Fingerprint | bool | None = None,
        session: aiohttp.ClientSession | None = None,
        on_attempt: OnAttempt | None = None,
        allow_insecure_http: bool = False,
        patience: float | None = DEFAULT_PATIENCE,
        backoff: tuple[float, float] = DEFAULT_BACKOFF,
        poll_interval: tuple[float, float] = DEFAULT_POLL_INTERVAL,
        converter: cattrs.Converter | None = None,
        telemetry: Any = None,
    ) -> None:
        # Masked before anything can fail: a traceback may show local variables.
        api_key, base_url, headers, proxy = masked(api_key), masked(base_url), masked(headers), masked(proxy)
        auth = masked(auth)
        core = AsyncOmium(
            api_key,
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            retry_ambiguous_writes=retry_ambiguous_writes,
            max_connections=max_connections,
            rate_limit=rate_limit,
            max_response_bytes=max_response_bytes,
            agent_id=agent_id,
            headers=headers,
            proxy=proxy,
            ssl=ssl,
            session=session,
            on_attempt=on_attempt,
            allow_insecure_http=allow_insecure_http,
            patience=patience,
            backoff=backoff,
            poll_interval=poll_interval,
            converter=converter,
            telemetry=telemetry,
        )
        self._assemble(core, Line(core, session))

    def _assemble(self, core: AsyncOmium, line: Line) -> None:
        self._core = core
        self._line = line
        self.executions = Executions(line, core.executions)

    @documented(AsyncOmium.with_options)
    def with_options(self, **options: Unpack[OptionChanges]) -> Self:
        core = self._core.with_options(**options)
        self._line.add_copy(core)
        copy = object.__new__(type(self))
        copy._assemble(core, self._line)
        return copy

    @documented(AsyncOmium.request)
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        return self._line.call(self._core.request, method, path, params=params, json=json, headers=headers)

    @documented(AsyncOmium.aclose)
    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        self._line.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)  # none where a setting was refused: a traceback may show this all the same
        return f"<{type(self).__name__} not made>" if core is None else repr(core).replace("AsyncOmium", "Omium", 1)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is not pickled: it holds a key and connections; another process makes its own from "
            "its own settings"
        )
