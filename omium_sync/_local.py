"""An Omium of one's own for code that is not async: served by a loop in a thread of its own.

Not by the loop of the clients: a workflow that blocks must not keep a client from its answers.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from omium_async.local import Fault, LocalOmiumError, SeenRequest, WorkflowRun
from omium_async.local import LocalOmium as AsyncLocalOmium
from omium_async.local.run import Workflow

from ._bridge.loop import LoopThread
from ._bridge.process import process
from ._mirrors import documented

if TYPE_CHECKING:
    import os

    from omium_async.local.clock import Clock
    from omium_async.local.keys import APIKeys

__all__ = ["Fault", "LocalOmium", "LocalOmiumError", "SeenRequest", "WorkflowRun"]

W = TypeVar("W", bound=Workflow)


class LocalOmium:
    __doc__ = f"""An Omium of one's own for code that is not async, for development and tests on one machine.

    ```python
    local = LocalOmium()

    @local.workflow("word-count")
    async def word_count(run: WorkflowRun) -> dict[str, int]:
        text = await run.step("read", read_file, run.input_data["path"])
        return {{"words": len(text.split())}}

    with local, Omium(local.api_key, base_url=local.url) as omium:
        ...
    ```

    - `database`: {(AsyncLocalOmium.__doc__ or "").partition("- `database`: ")[2]}"""

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        api_keys: APIKeys | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._core = AsyncLocalOmium(database, port=port, api_keys=api_keys, clock=clock)
        self._thread: LoopThread | None = None
        self._served: AbstractContextManager[None] | None = None
        self._process: int | None = None  # in which it was started
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return repr(self._core)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    @documented(AsyncLocalOmium.url)
    def url(self) -> str:
        self._check_started()
        return self._core.url

    @property
    @documented(AsyncLocalOmium.api_key)
    def api_key(self) -> str:
        try:
            return self._core.api_key
        except LocalOmiumError:
            self._check_started()
            raise

    @property
    @documented(AsyncLocalOmium.honor_idempotency)
    def honor_idempotency(self) -> bool:
        return self._core.honor_idempotency

    @honor_idempotency.setter
    def honor_idempotency(self, value: bool) -> None:
        self._core.honor_idempotency = value

    @property
    @documented(AsyncLocalOmium.requests)
    def requests(self) -> tuple[SeenRequest, ...]:
        return self._core.requests

    @property
    @documented(AsyncLocalOmium.counts)
    def counts(self) -> dict[str, int]:
        return self._core.counts

    @documented(AsyncLocalOmium.workflow)
    def workflow(self, name: str) -> Callable[[W], W]:
        return self._core.workflow(name)

    @documented(AsyncLocalOmium.inject)
    def inject(self, fault: Fault) -> Fault:
        return self._core.inject(fault)

    @documented(AsyncLocalOmium.clear_faults)
    def clear_faults(self) -> None:
        self._core.clear_faults()

    @property
    @documented(AsyncLocalOmium.unmet_faults)
    def unmet_faults(self) -> tuple[Fault, ...]:
        return self._core.unmet_faults

    @documented(AsyncLocalOmium.start)
    def start(self) -> None:
        with self._lock:
            if self._is_served:
                raise LocalOmiumError("this LocalOmium is started already")
            self._check_own()
            # The signals that a program is stopped with must reach the processes that workflows start.
            thread = process.run(LoopThread("omium_sync.LocalOmium", keep_signals=True))
            try:
                served = thread.portal().wrap_async_context_manager(_served(self._core))
                served.__enter__()
            except BaseException:
                process.end(thread)
                raise
            self._thread, self._served, self._process = thread, served, process.number

    @documented(AsyncLocalOmium.stop)
    def stop(self) -> None:
        if self._thread is not None:
            self._thread.check_other_thread()
        with self._lock:
            thread, served, was_served = self._thread, self._served, self._is_served
            if was_served:
                self._thread = None
        if thread is not None and served is not None and was_served:
            try:
                served.__exit__(None, None, None)
            finally:
                process.end(thread)

    @property
    def _is_served(self) -> bool:
        return self._thread is not None and self._thread.alive

    def _check_started(self) -> None:
        self._check_own()
        if not self._is_served:
            raise LocalOmiumError("this LocalOmium is not started; use `with` it, or `local.start()`") from None

    def _check_own(self) -> None:
        if self._thread is not None and self._process != process.number:
            raise LocalOmiumError(
                "this LocalOmium was started before a fork, and is served by the parent process alone: read its `url` "
                "and `api_key` before the fork, or make a new LocalOmium here"
            ) from None


@asynccontextmanager
async def _served(core: AsyncLocalOmium) -> AsyncGenerator[None]:
    from anyio import CancelScope  # noqa: PLC0415 - only who starts one needs it

    await core.start()
    try:
        yield
    finally:
        with CancelScope(shield=True):  # the interpreter may be ending
            await core.stop()
