"""The thread that owns a journal's connection."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._pool.ending import ended
from .commits import give
from .schema import Identity, OpenJournal, open_journal

__all__ = ["Writer"]


class Writer:
    """Runs jobs on the connection, one after the other, and tells the event loop of each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[..., Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name="omium-journal", daemon=True)
        self._thread.start()

    def open(self, identity: Identity, wait: float) -> OpenJournal:
        """In the thread: open the journal."""
        opened = open_journal(self._path, identity, time.time(), wait, self._ending)
        self._connection = opened.connection
        return opened

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run a function in the thread and wait for what it gives."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(result: Any) -> None:
            if future.done():
                return
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

        def job(_: sqlite3.Connection) -> Any:
            return function()

        self._jobs.put((job, done))
        return await future

    def submit(self, job: Callable[[sqlite3.Connection], Any], done: Callable[[Any], None]) -> None:
        """Run a job in the thread; ``done`` receives, on the loop, what it gave or raised."""
        self._jobs.put((job, done))

    async def end(self) -> None:
        """Let the thread end after the jobs that it has, and wait until it has let go of the file."""
        self._ending.set()
        self._jobs.put(None)
        try:
            await ended([self._ended])
        finally:
            self._thread.join()  # it has said that it ends: its last instructions

    def _live(self) -> None:
        while (found := self._jobs.get()) is not None:
            job, done = found
            try:
                result: Any = job(self._connection)
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who asked, whatever it is
                result = error
            self._tell(done, result)
            del found, job, done, result
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._tell(give, self._ended, None)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)
