"""One poll for executions that are added while it runs; each waiter gets the details of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, cast

from .._caller import Caller
from .._models.types import ExecutionDetail
from .._transport.admission import LaneClosed
from .many import FEW, WaitSet
from .polling import Polling


class SharedWait:
    """Waits for executions by pages of the list; only one that has settled is read by itself.

    :param start: runs the poll in a task, which may be cancelled after `close`. It runs while someone waits.
    :param fail: receives the error that ends the poll.
    """

    def __init__(
        self,
        caller: Caller,
        polling: Polling,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        fail: Callable[[Exception], object],
    ) -> None:
        self._set = WaitSet(caller, polling, details=True, few=FEW, isolates=True)
        self._start = start
        self._fail = fail
        self._poll: asyncio.Task[None] | None = None
        self._is_closed = False
        self._new: set[str] = set()  # added since the last poll began
        self._is_eager = False  # whether to poll without a pause, because most new executions end at once
        # Several for one execution, if the service answers two creates with the same one.
        self._waiters: dict[str, list[asyncio.Future[ExecutionDetail]]] = {}

    async def settled(self, execution_id: str) -> ExecutionDetail:
        """Return the execution when it has settled.

        :raises OmiumError: it cannot be read; a `NotFoundError` if the service does not know it.
        :raises LaneClosed: the batch ends.
        """
        if self._is_closed:
            raise LaneClosed
        waiter: asyncio.Future[ExecutionDetail] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(execution_id, [])
        waiters.append(waiter)
        self._set.pending.setdefault(execution_id, None)
        self._new.add(execution_id)
        if self._poll is None or self._poll.done():
            self._poll = self._start(self._poll_all())
        try:
            return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters and self._waiters.get(execution_id) is waiters:
                del self._waiters[execution_id]
                self._set.remove(execution_id)

    def close(self) -> None:
        """The batch ends: all waiters raise `LaneClosed`."""
        self._is_closed = True
        for waiter in self._take_waiters(*self._waiters):
            waiter.set_exception(LaneClosed())

    async def _poll_all(self) -> None:
        """Poll until no one waits."""
        try:
            while self._set.pending:
                if not self._is_eager:
                    await self._set.pause()
                new, self._new = self._new, set()
                await self._poll_once()
                self._is_eager = len(new & self._set.pending.keys()) < len(new) / 2
        except Exception as error:  # noqa: BLE001 - the consumer of the batch receives it
            self._fail(error)
        finally:
            self._set.leave()

    async def _poll_once(self) -> None:
        async with aclosing(self._set.poll()) as found:
            async for execution_id, execution in found:
                for waiter in self._take_waiters(execution_id):
                    waiter.set_result(cast("ExecutionDetail", execution))
        for execution_id, error in self._set.failed.items():
            for waiter in self._take_waiters(execution_id):
                waiter.set_exception(error)
        self._set.failed.clear()

    def _take_waiters(self, *execution_ids: str) -> list[asyncio.Future[ExecutionDetail]]:
        taken = [waiter for execution_id in execution_ids for waiter in self._waiters.pop(execution_id, ())]
        return [waiter for waiter in taken if not waiter.done()]
