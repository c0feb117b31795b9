"""The journal as a batch uses it: many small writes, few flushes to the disk, and the event loop never blocked.

What tasks ask for while the writing thread is busy is committed together as soon as it is free, so a slow disk makes
larger commits and not a slower batch.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from .._errors import JournalError
from .._pool.ending import ended
from .commits import ENTRY, Answers, Entry, Mark, Work, carry_out, end, entry_of, give, row_of, text_of
from .schema import MARK, MARK_AGAIN, RECORD, Identity, OpenJournal, trouble
from .writer import Writer

__all__ = ["Entry", "JournalFile", "Mark"]

T = TypeVar("T")

_KNOWN: Final = "SELECT execution_id FROM outcomes WHERE execution_id IN (SELECT value FROM json_each(?))"
_STATES: Final = "SELECT DISTINCT o.state FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id"


class JournalFile:
    """One run's hold on a journal.

    :ivar batch: the batch's own id. :ivar run: counts the starts. :ivar highest: see `OpenJournal`.
    """

    def __init__(self, path: Path, opened: OpenJournal, thread: Writer, interval: float) -> None:
        self.path = path
        self.batch = opened.batch
        self.run = opened.run
        self.highest = opened.highest
        self._next_named = opened.next_named
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._next = Work()
        self._has_work = False
        self._writing = False
        self._handed_over = 0.0
        self._interval = interval
        self._emptied: asyncio.Future[None] | None = None  # whoever closes it waits until all is written
        self._broken: JournalError | None = None

    @classmethod
    async def open(cls, path: Path, identity: Identity, interval: float = 0.0, wait: float = 0.0) -> JournalFile:
        """Open or create the journal, and begin a run in it.

        :param wait: seconds to wait for another that holds it.
        :param interval: seconds at least between commits: the more there is to write, the more it pays to wait for it.
        :raises JournalError: it cannot be used; nothing was changed.
        """
        writer = Writer(path)
        try:
            opened = await writer.run(lambda: writer.open(identity, wait))
        except BaseException:
            await writer.end()
            raise
        return cls(path, opened, writer, interval)

    async def close(self) -> None:
        """Write what is still to be written, and let go of the file."""
        try:
            if self._has_work or self._writing:
                self._emptied = self._loop.create_future()
                await ended([self._emptied])
        finally:
            self._broken = self._broken or JournalError(f"the journal {self.path} is closed", outcome="not_applied")
            await self._thread.end()

    # -- questions -----------------------------------------------------------------------------------------------

    async def find(self, item_id: int) -> Entry | None:
        """What is held of an item without a key of its own."""
        return await self._ask(self._next.ids.setdefault(item_id, self._loop.create_future()))

    async def find_named(self, key: str) -> Entry | None:
        """What is held of an item with this key of its own."""
        return await self._ask(self._next.names.setdefault(key, self._loop.create_future()))

    async def known(self, execution_ids: list[str]) -> set[str]:
        """Those of the executions that are an outcome here."""

        def look(connection: sqlite3.Connection) -> set[str]:
            return {row[0] for row in connection.execute(_KNOWN, (text_of(execution_ids),))}

        return await self.do(look)

    async def states(self) -> set[str | None]:
        """The states of all items; ``None``: about to be sent."""

        def look(connection: sqlite3.Connection) -> set[str | None]:
            return {row[0] for row in connection.execute(_STATES)}

        return await self.do(look)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """The next items behind that id, in the order in which they were recorded."""
        statement = (
            f"SELECT {ENTRY} FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id "  # noqa: S608
            "WHERE i.id > ? ORDER BY i.id LIMIT ?"
        )

        def look(connection: sqlite3.Connection) -> list[Entry]:
            return [entry_of(row) for row in connection.execute(statement, (after, limit))]

        return await self.do(look)

    def reading(self, read: Callable[[str | None], T], text: str | None) -> T:
        """What ``read`` makes of the text of an entry.

        :raises JournalError: nothing; it was not written by us.
        """
        try:
            return read(text)
        except Exception as error:
            said = f"the journal {self.path} holds an answer that cannot be read ({error}); it was changed by others"
            raise JournalError(said, outcome="not_applied") from error

    async def do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job on the connection, after what was asked for before."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._next.jobs.append((job, future))
        return await self._ask(future)

    # -- writes: durable when they return --------------------------------------------------------------------------

    def new_id(self) -> int:
        """The id of a new item with a key of its own."""
        self._next_named += 1
        return self._next_named - 1

    async def mark(self, mark: Mark, *, again: bool) -> None:
        """The item is about to be sent.

        :param again: it may be here already; any outcome that it had counts no longer.
        """
        self._next.writes.append((MARK_AGAIN if again else MARK, *row_of(mark)))
        await self._write()

    async def record(self, item_id: int, state: str, execution_id: str | None, answer: str | None) -> None:
        """The item's outcome."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.record_soon(item_id, state, execution_id, answer, lambda error: end(future, error))
        await future

    def record_soon(
        self,
        item_id: int,
        state: str,
        execution_id: str | None,
        answer: str | None,
        done: Callable[[JournalError | None], None],
    ) -> None:
        """The same without waiting: ``done`` is called when it is durable, or cannot become so."""
        if self._broken is not None:
            done(self._broken)
            return
        self._next.writes.append((RECORD, item_id, state, execution_id, answer))
        self._next.recorded.append(done)
        self._schedule()

    async def touch(self, item_id: int, position: int) -> None:
        """The item was seen in this run, at this position."""
        run = self.run
        await self.do(
            lambda connection: connection.execute(
                "UPDATE items SET run = ?, position = ? WHERE id = ?", (run, position, item_id)
            )
        )

    # -- inside --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._next.written.append(future)
        await self._ask(future)

    async def _ask(self, future: asyncio.Future[T]) -> T:
        if self._broken is not None:
            self._next = Work()
            raise self._broken
        self._schedule()
        return await future

    def _schedule(self) -> None:
        if not self._has_work:
            self._has_work = True
            if not self._writing:
                self._plan()

    def _plan(self) -> None:
        """Hand over what has come together: at the end of this turn, or a moment after the last time."""
        wait = self._handed_over + self._interval - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._hand_over)
        else:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        work, self._next = self._next, Work()
        text = text_of(work.writes) if work.writes else None
        self._has_work = False
        self._writing = True
        self._handed_over = self._loop.time()
        self._thread.submit(lambda connection: carry_out(connection, text, work), lambda done: self._finish(work, done))

    def _finish(self, work: Work, done: Answers | BaseException) -> None:
        self._writing = False
        if isinstance(done, BaseException):
            work.fail(self._break(done))
        else:
            work.answer(*done)
        if self._has_work:
            self._plan()
        elif self._emptied is not None:
            give(self._emptied, None)

    def _break(self, error: BaseException) -> JournalError:
        if self._broken is None:
            found = error if isinstance(error, JournalError) else None
            if isinstance(error, (sqlite3.Error, OSError)):
                found = trouble(self.path, error)
                found.__cause__ = error
            self._broken = found or JournalError(
                f"the journal {self.path} cannot be used: {error}", outcome="not_applied"
            )
        return self._broken
