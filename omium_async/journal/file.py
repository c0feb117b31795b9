"""The journal as a batch uses it: many small writes, few flushes to the disk, and the event loop never blocked.

One thread owns the connection. What tasks ask for while it is busy is committed together as soon as it is free, so a
slow disk makes larger commits and not a slower batch. Rows travel as one JSON text a statement: SQLite then works
through them without the interpreter's lock, where one call a row would fight with the event loop over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import msgspec

from .schema import INBOX, MARK, MARK_AGAIN, NAMED, RECORD, Identity, Opened, open_journal, trouble
from .settings import JournalError

__all__ = ["Entry", "JournalFile", "Mark"]

T = TypeVar("T")

_to_json = msgspec.json.Encoder().encode

_ENTRY: Final = (
    "i.id, i.key, i.position, i.run, i.digest, i.sent_at, i.latest_at, i.before, o.state, o.execution_id, o.answer"
)
_FIND: Final = (
    f"SELECT {_ENTRY} FROM json_each(?) AS j JOIN items AS i ON i.id = j.value "  # noqa: S608
    "LEFT JOIN outcomes AS o ON o.id = i.id"
)
_FIND_NAMED: Final = (
    f"SELECT {_ENTRY} FROM json_each(?) AS j JOIN items AS i ON i.key = j.value AND i.id >= {NAMED} "  # noqa: S608
    "LEFT JOIN outcomes AS o ON o.id = i.id"
)
_KNOWN: Final = "SELECT execution_id FROM outcomes WHERE execution_id IN (SELECT value FROM json_each(?))"


@attrs.frozen
class Mark:
    """An item about to be sent."""

    id: int
    key: str
    position: int
    run: int
    digest: str
    sent_at: float
    latest_at: float | None
    before: str | None


@attrs.frozen
class Entry(Mark):
    """What the journal holds of an item; ``state`` is ``None`` for one that was about to be sent."""

    state: str | None
    execution_id: str | None
    answer: str | None


@attrs.define(eq=False)
class _Work:
    """What is done in one commit."""

    writes: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    written: list[asyncio.Future[None]] = attrs.field(factory=list[asyncio.Future[None]])
    recorded: list[Callable[[JournalError | None], None]] = attrs.field(
        factory=list[Callable[[JournalError | None], None]]
    )
    ids: dict[int, asyncio.Future[Entry | None]] = attrs.field(factory=dict[int, asyncio.Future[Entry | None]])
    names: dict[str, asyncio.Future[Entry | None]] = attrs.field(factory=dict[str, asyncio.Future[Entry | None]])
    jobs: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = attrs.field(
        factory=list[tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]]
    )

    def answer(self, found: dict[int, Entry], by_name: dict[str, Entry], results: list[Any]) -> None:
        """Tell everybody that it is done."""
        for told in self.recorded:
            told(None)
        for written in self.written:
            _give(written, None)
        for item_id, asked in self.ids.items():
            _give(asked, found.get(item_id))
        for key, asked in self.names.items():
            _give(asked, by_name.get(key))
        for (_, future), result in zip(self.jobs, results, strict=True):
            _give(future, result)

    def fail(self, error: JournalError) -> None:
        """Tell everybody that it cannot be done."""
        for told in self.recorded:
            told(error)
        futures: list[asyncio.Future[Any]] = [*self.written, *self.ids.values(), *self.names.values()]
        for future in [*futures, *[future for _, future in self.jobs]]:
            _end(future, error)
            if not future.cancelled():
                future.exception()  # whoever was cancelled meanwhile does not look at it


class JournalFile:
    """One run's hold on a journal.

    :ivar batch: the batch's own id. :ivar run: counts the starts. :ivar highest: see `Opened`.
    """

    def __init__(self, path: Path, opened: Opened, thread: _Writer, interval: float) -> None:
        self.path = path
        self.batch = opened.batch
        self.run = opened.run
        self.highest = opened.highest
        self.last_clock = opened.clock
        self._next_named = opened.next_named
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._next = _Work()
        self._has_work = False
        self._writing = False
        self._handed_over = 0.0
        self._interval = interval
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken: JournalError | None = None

    @classmethod
    async def open(cls, path: Path, identity: Identity, interval: float = 0.0, wait: float = 0.0) -> JournalFile:
        """Open or create the journal, and begin a run in it.

        :param wait: seconds to wait for another that holds it.
        :param interval: seconds at least between commits: the more there is to write, the more it pays to wait for it.
        :raises JournalError: it cannot be used; nothing was changed.
        """
        writer = _Writer(path)
        try:
            opened = await writer.run(lambda: writer.open(identity, wait))
        except BaseException:
            writer.stop()
            raise
        return cls(path, opened, writer, interval)

    async def close(self) -> None:
        """Write what is still to be written, and let go of the file."""
        try:
            await self._idle.wait()
        finally:
            self._broken = self._broken or JournalError(f"the journal {self.path} is closed")
            self._thread.stop()
        await self._thread.ended()

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
            return {row[0] for row in connection.execute(_KNOWN, (_text(execution_ids),))}

        return await self.do(look)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """The next items behind that id, in the order in which they were recorded."""
        statement = (
            f"SELECT {_ENTRY} FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id "  # noqa: S608
            "WHERE i.id > ? ORDER BY i.id LIMIT ?"
        )

        def look(connection: sqlite3.Connection) -> list[Entry]:
            return [Entry(*row) for row in connection.execute(statement, (after, limit))]

        return await self.do(look)

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
        self._next.writes.append((MARK_AGAIN if again else MARK, *_row(mark)))
        await self._write()

    async def record(self, item_id: int, state: str, execution_id: str | None, answer: str | None) -> None:
        """The item's outcome."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.record_soon(item_id, state, execution_id, answer, lambda error: _end(future, error))
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

    async def set_clock(self, ahead: float) -> None:
        """How far the service's clock was found to be ahead of this machine's."""
        run = self.run
        await self.do(lambda connection: connection.execute("UPDATE runs SET clock = ? WHERE run = ?", (ahead, run)))

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
            self._next = _Work()
            raise self._broken
        self._schedule()
        return await future

    def _schedule(self) -> None:
        if not self._has_work:
            self._has_work = True
            self._idle.clear()
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
        work, self._next = self._next, _Work()
        text = _text(work.writes) if work.writes else None
        self._has_work = False
        self._writing = True
        self._handed_over = self._loop.time()
        self._thread.submit(
            lambda connection: _carry_out(connection, text, work), lambda done: self._finish(work, done)
        )

    def _finish(self, work: _Work, done: _Done) -> None:
        self._writing = False
        if isinstance(done, BaseException):
            work.fail(self._break(done))
        else:
            work.answer(*done)
        if self._has_work:
            self._plan()
        else:
            self._idle.set()

    def _break(self, error: BaseException) -> JournalError:
        if self._broken is None:
            found = error if isinstance(error, JournalError) else None
            if isinstance(error, (sqlite3.Error, OSError)):
                found = trouble(self.path, error)
                found.__cause__ = error
            self._broken = found or JournalError(f"the journal {self.path} cannot be used: {error}")
        return self._broken


_Found = tuple[dict[int, Entry], dict[str, Entry], list[Any]]
_Done = _Found | BaseException


def _end(future: asyncio.Future[Any], error: JournalError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _give(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


_row: Final[Callable[[Mark], tuple[Any, ...]]] = attrgetter(*[field.name for field in attrs.fields(Mark)])


def _text(value: Any) -> str:
    return _to_json(value).decode()


def _carry_out(connection: sqlite3.Connection, text: str | None, work: _Work) -> _Found:
    """All writes, then the jobs, then the answers to all questions."""
    if text is not None:
        connection.execute(INBOX, (text,))  # a transaction of its own
    results: list[Any] = []
    if work.jobs:
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [job(connection) for job, _ in work.jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
    found: dict[int, Entry] = {}
    by_name: dict[str, Entry] = {}
    if work.ids:
        found = {row[0]: Entry(*row) for row in connection.execute(_FIND, (_text(list(work.ids)),))}
    if work.names:
        by_name = {row[1]: Entry(*row) for row in connection.execute(_FIND_NAMED, (_text(list(work.names)),))}
    return found, by_name, results


class _Writer:
    """The thread that owns the connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[..., Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._live, name="omium-journal", daemon=True)
        self._thread.start()

    def open(self, identity: Identity, wait: float) -> Opened:
        """In the thread: open the journal."""
        opened = open_journal(self._path, identity, time.time(), busy=wait)
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

    def stop(self) -> None:
        """Let the thread end after the jobs that it has."""
        self._jobs.put(None)

    async def ended(self) -> None:
        """Wait until the thread has let go of the file."""
        await asyncio.shield(self._ended)
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
        self._tell(_give, self._ended, None)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)
