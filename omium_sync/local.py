"""An Omium of one's own for code that is not async: served by a loop in a thread of its own.

Not by the loop of the clients: a workflow that blocks must not keep a client from its answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from omium_async.local import Fault, LocalOmiumError, SeenRequest, WorkflowRun
from omium_async.local import LocalOmium as AsyncLocalOmium
from omium_async.local.run import Workflow

from .portal import Portal

if TYPE_CHECKING:
    import os

    from omium_async.local.clock import Clock
    from omium_async.local.keys import APIKeys

__all__ = ["Fault", "LocalOmium", "LocalOmiumError", "SeenRequest", "WorkflowRun"]

W = TypeVar("W", bound=Workflow)


class LocalOmium:
    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        api_keys: APIKeys | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._core = AsyncLocalOmium(database, port=port, api_keys=api_keys, clock=clock)
        self._portal: Portal | None = None
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
    def url(self) -> str:
        return self._core.url

    @property
    def api_key(self) -> str:
        return self._core.api_key

    @property
    def honor_idempotency(self) -> bool:
        return self._core.honor_idempotency

    @honor_idempotency.setter
    def honor_idempotency(self, value: bool) -> None:
        self._core.honor_idempotency = value

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        return self._core.requests

    @property
    def counts(self) -> dict[str, int]:
        return self._core.counts

    def workflow(self, name: str) -> Callable[[W], W]:
        return self._core.workflow(name)

    def inject(self, fault: Fault) -> Fault:
        return self._core.inject(fault)

    def clear_faults(self) -> None:
        self._core.clear_faults()

    def start(self) -> None:
        with self._lock:
            if self._portal is not None:
                raise LocalOmiumError("this LocalOmium is started already")
            portal = Portal("omium_sync.LocalOmium")
            portal.start()
            try:
                portal.call(self, self._core.start)
            except BaseException:
                portal.stop()
                raise
            self._portal = portal

    def stop(self) -> None:
        with self._lock:
            portal, self._portal = self._portal, None
        if portal is not None and portal.alive:
            try:
                portal.call(self, self._core.stop)
            finally:
                portal.stop()
