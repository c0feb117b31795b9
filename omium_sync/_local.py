"""LocalOmium for sync code, served by the event loop of a separate thread.

It does not use the loop of the clients: a workflow that blocks must not delay their responses.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, cast

from omium_async.local import Fault, LocalOmiumError, SeenRequest
from omium_async.local import LocalOmium as AsyncLocalOmium
from omium_async.local.keyring import masked_keys
from omium_async.local.run import WorkflowFunction

from ._dispatcher import Call, run_call
from ._methods import docstring, documented, same_method, signature_of, sync_method
from ._portal import LoopThread, start_thread


class LocalOmium:
    __doc__ = f"""A local Omium server for sync code, for development and tests on one machine.

.. code-block:: python

    local = LocalOmium()

    @local.workflow("word-count")
    async def word_count(run: WorkflowRun) -> dict[str, int]:
        text = await run.step("read", read_file, run.input_data["path"])
        return {{"words": len(text.split())}}

    with local, Omium(local.api_key, base_url=local.url) as omium:
        ...

Plain functions {docstring(AsyncLocalOmium).partition("Plain functions ")[2]}
"""

    @signature_of(AsyncLocalOmium.__init__)
    def __init__(self, *args: Any, **options: Any) -> None:
        # Masked first: a traceback may show local variables.
        options = {name: masked_keys(value) if name == "api_keys" else value for name, value in options.items()}
        self._core = AsyncLocalOmium(*args, **options)
        self._thread: LoopThread | None = None
        self._served: AbstractContextManager[object] | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)  # absent if an argument was rejected; the traceback may show this repr
        return "<LocalOmium not initialized>" if core is None else repr(core)

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

    @property
    @documented(AsyncLocalOmium.workflows)
    def workflows(self) -> dict[str, WorkflowFunction]:
        return self._core.workflows

    @property
    @documented(AsyncLocalOmium.unmet_faults)
    def unmet_faults(self) -> tuple[Fault, ...]:
        return self._core.unmet_faults

    workflow = same_method(AsyncLocalOmium.workflow)
    inject = same_method(AsyncLocalOmium.inject)
    clear_faults = same_method(AsyncLocalOmium.clear_faults)
    reset = sync_method(AsyncLocalOmium.reset)

    @documented(AsyncLocalOmium.start)
    def start(self) -> None:
        with self._lock:
            if self._is_served:
                raise LocalOmiumError("this LocalOmium is started already")
            # Processes that workflows start inherit the signal mask of this thread, and must receive Ctrl-C.
            thread = start_thread(LoopThread("omium_sync.LocalOmium", keep_signals=True))
            try:
                served = thread.portal.wrap_async_context_manager(self._core)
                served.__enter__()
            except BaseException:
                thread.stop()
                raise
            self._thread, self._served = thread, served

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
            except KeyboardInterrupt:  # while it waits for a workflow, which may block the loop for good
                thread.stop(timeout=0)
                raise
            except BaseException:
                thread.stop()
                raise
            thread.stop()

    def _call(self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """Run a coroutine function in the server's loop and return its result."""
        if not self._is_served:
            _ = self.url  # raises the error that says why
        thread = cast("LoopThread", self._thread)
        thread.check_other_thread()
        return run_call(thread, Call(function, args, kwargs))

    @property
    def _is_served(self) -> bool:
        return self._thread is not None and self._thread.alive

    def _check_started(self) -> None:
        # In a forked child the core raises an error which says that the parent serves it.
        if self._thread is None:
            raise LocalOmiumError("this LocalOmium is not started; use `with` it, or `local.start()`") from None
