"""Executions that wait for a workflow, taken up a bounded number at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from . import store

if TYPE_CHECKING:
    from collections.abc import Callable

    from .database import Database

__all__ = ["Resuming"]

_AT_ONCE: Final = 1000
_READ_AT_ONCE: Final = 200
_LONG: Final = 10.0  # seconds after which a run makes room, though it has not ended: others may be what it waits for


class Resuming:
    """Takes up what an earlier server, or a time without the workflow, left unfinished.

    :param launch: starts the task of an execution; None: it has one already.
    """

    def __init__(self, database: Database, launch: Callable[[str], asyncio.Task[None] | None]) -> None:
        self._database = database
        self._launch = launch
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, workflow_id: str) -> None:
        """Takes up the executions of this workflow, in the background."""
        task = asyncio.get_running_loop().create_task(self._take_up(workflow_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Takes up nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_up(self, workflow_id: str) -> None:
        after = 0
        while found := await self._database.read(
            lambda c: store.unfinished(c, workflow_id=workflow_id, after=after, limit=_READ_AT_ONCE)  # noqa: B023
        ):
            after = found[-1][0]
            for _, execution_id in found:
                await self._room.acquire()
                task = self._launch(execution_id)
                if task is None:
                    self._room.release()
                else:
                    self._give_back(task)

    def _give_back(self, task: asyncio.Task[None]) -> None:
        """The room that the run takes, when it ends or has gone on for long."""
        left = [self._room]

        def release(_: object = None) -> None:
            if left:
                left.pop().release()

        timer = asyncio.get_running_loop().call_later(_LONG, release)
        task.add_done_callback(release)
        task.add_done_callback(lambda _: timer.cancel())
