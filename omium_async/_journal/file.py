"""The journal of one run: many small writes in few commits, made by a thread so that the event loop is not blocked.

Everything that tasks ask for while a commit is in progress goes into the next one. So a slow disk makes commits larger
and not the batch slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar

import attrs
import msgspec

from .._errors.others import JournalError
from .._tasks import wait_until_done
from .schema import FIRST_NAMED, FORGET, MARK, RECORD, Identity, OpenJournal, open_journal, trouble

T = TypeVar("T")


@attrs.frozen
class Mark:
    """An item that is about to be sent: the columns of the table ``items``."""

    id: int
    key: str
    position: int
    run: int
    digest: str
    sent_at: float
    before: str | None


@attrs.frozen
class Entry(Mark):
    """An item in the journal; ``state`` is ``None`` if it was about to be sent."""

    state: str | None
    execution_id: str | None
    answer: str | None


_row_of: Final[Callable[[Mark], tuple[Any, ...]]] = attrgetter(*[field.name for field in attrs.fields(Mark)])
_ENTRIES: Final = (
    f"SELECT {', '.join(f'i.{field.name}' for field in attrs.fields(Mark))}, o.state, o.execution_id, o.answer "  # noqa: S608
    "FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id "
)
_KNOWN: Final = "SELECT execution_id FROM outcomes WHERE execution_id IN (SELECT value FROM json_each(?))"
_EARLIER_STATES: Final = (
    "SELECT DISTINCT o.state FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id WHERE i.run < ?"
)
_COUNT: Final = "SELECT count(*) FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id WHERE o.state IS NOT 'rejected'"
_OPTIONAL_TEXT: Final = (str, NoneType)
_TYPES: Final[tuple[Any, ...]] = (int, str, int, int, str, float, *[_OPTIONAL_TEXT] * 4)
_encode = msgspec.json.Encoder().encode


@attrs.define(eq=False)
class _Commit:
    """What one commit does; each job has a future for its result."""

    marks: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    outcomes: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    jobs: list[Callable[[sqlite3.Connection], Any]] = attrs.field(factory=list[Callable[[sqlite3.Connection], Any]])
    results: list[asyncio.Future[Any]] = attrs.field(factory=list[asyncio.Future[Any]])
    written: list[asyncio.Future[None]] = attrs.field(factory=list[asyncio.Future[None]])

    @property
    def is_empty(self) -> bool:
        return not (self.results or self.written)

    def run(self, connection: sqlite3.Connection) -> list[Any]:
        """Write all rows, then run the jobs, in one transaction."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in ((MARK, self.marks), (FORGET, self.marks), (RECORD, self.outcomes)):
                if rows:
                    connection.execute(statement, (_encode(rows).decode(),))
            results = [job(connection) for job in self.jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        return results

    def succeed(self, results: list[Any]) -> None:
        for future in self.written:
            if not future.done():
                future.set_result(None)
        for future, result in zip(self.results, results, strict=True):
            if not future.done():
                future.set_result(result)

    def fail(self, error: JournalError) -> None:
        futures: list[asyncio.Future[Any]] = [*self.written, *self.results]
        for future in futures:
            if not future.done():
                future.set_exception(error)
                future.exception()  # not reported if its task was cancelled meanwhile


class JournalFile:
    """A journal that is open for one run.

    :ivar batch: as in `OpenJournal`.
    :ivar run: as in `OpenJournal`.
    :ivar highest: as in `OpenJournal`.
    """

    def __init__(self, path: Path, opened: OpenJournal, thread: ThreadPoolExecutor, interval: float) -> None:
        self.path = path
        self.batch = opened.batch
        self.run = opened.run
        self.highest = opened.highest
        self._next_named = opened.next_named
        self._connection = opened.connection
        self._thread = thread
        self._interval = interval
        self._next = _Commit()
        self._committed_at = 0.0
        self._committer: asyncio.Task[None] | None = None
        self._broken: JournalError | None = None

    @classmethod
    async def open(cls, path: Path, identity: Identity, interval: float = 0.0, wait: float = 0.0) -> JournalFile:
        """Open or create the journal, and begin a run in it.

        :param interval: least number of seconds between commits; larger commits are cheaper.
        :param wait: seconds to wait until another process releases it.
        :raises JournalError: it cannot be used; nothing was changed.
        """
        thread = ThreadPoolExecutor(1, "omium-journal")
        given_up = threading.Event()
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(thread, open_journal, path, identity, time.time(), wait, given_up)
        try:
            opened = await asyncio.shield(opening)
        except BaseException:
            given_up.set()
            try:
                await wait_until_done([opening])
            finally:
                if not opening.cancelled() and opening.exception() is None:
                    await _release(thread, opening.result().connection)
                thread.shutdown()
            raise
        return cls(path, opened, thread, interval)

    async def close(self) -> None:
        """Write everything that is still to be written, and release the file."""
        try:
            while not self._next.is_empty or self._is_committing():
                self._schedule()
                if self._committer is not None:
                    await wait_until_done([self._committer])
        finally:
            self._broken = self._broken or JournalError(f"the journal {self.path} is closed", outcome="not_applied")
            await _release(self._thread, self._connection)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def find(self, item_id: int) -> Entry | None:
        """Return the item with this id."""
        return await self._find(f"{_ENTRIES} WHERE i.id = ?", item_id)

    async def find_named(self, key: str) -> Entry | None:
        """Return the item with this key of the user's."""
        return await self._find(f"{_ENTRIES} WHERE i.key = ? AND i.id >= {FIRST_NAMED}", key)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """Return the next items after this id, in the order in which they were recorded."""
        statement = f"{_ENTRIES} WHERE i.id > ? ORDER BY i.id LIMIT ?"
        return await self.do(lambda connection: [_entry(row) for row in connection.execute(statement, (after, limit))])

    async def known(self, execution_ids: list[str]) -> set[str]:
        """Return those of the executions that are outcomes in this journal."""
        ids = _encode(execution_ids).decode()
        return await self.do(lambda connection: {row[0] for row in connection.execute(_KNOWN, (ids,))})

    async def count(self) -> int:
        """Return the number of items that are not sent again."""
        return await self.do(lambda connection: int(connection.execute(_COUNT).fetchone()[0]))

    async def earlier_states(self) -> set[str | None]:
        """Return the states of items that only earlier runs recorded; ``None``: about to be sent, or not readable.

        It also works after a commit has failed, as on a full disk.
        """

        def read() -> set[str | None]:
            return {row[0] for row in self._connection.execute(_EARLIER_STATES, (self.run,))}

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
        except sqlite3.Error:
            return {None}

    def reading(self, read: Callable[[str | None], T], text: str | None) -> T:
        """Return the result of ``read`` for the text of an entry.

        :raises JournalError: the text cannot be read.
        """
        try:
            return read(text)
        except Exception as error:
            raise JournalError(
                f"the journal {self.path} contains a response that cannot be read ({error}); another program has "
                "changed it",
                outcome="not_applied",
            ) from error

    async def do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function with the connection, after everything that was asked for before."""
        future: asyncio.Future[T] = self._new_future()
        self._next.jobs.append(job)
        self._next.results.append(future)
        return await future

    # -- writing: durable when it returns --------------------------------------------------------------------------

    def new_id(self) -> int:
        """Return the id for a new item with a key of the user's."""
        self._next_named += 1
        return self._next_named - 1

    async def mark(self, mark: Mark) -> None:
        """Record that an item is about to be sent; an earlier outcome is deleted."""
        future: asyncio.Future[None] = self._new_future()
        self._next.written.append(future)
        self._next.marks.append(_row_of(mark))
        await future

    async def record(self, item_id: int, state: str, execution_id: str | None, answer: str | None) -> None:
        """Record the outcome of an item."""
        future: asyncio.Future[None] = self._new_future()
        self._next.written.append(future)
        self._next.outcomes.append((item_id, state, execution_id, answer))
        await future

    async def touch(self, item_id: int, position: int) -> None:
        """Record that this run read the item, at this position."""
        values = (self.run, position, item_id)
        await self.do(
            lambda connection: connection.execute("UPDATE items SET run = ?, position = ? WHERE id = ?", values)
        )

    # -- committing ------------------------------------------------------------------------------------------------

    async def _find(self, statement: str, value: int | str) -> Entry | None:
        row = await self.do(lambda connection: connection.execute(statement, (value,)).fetchone())
        return None if row is None else _entry(row)

    def _new_future(self) -> asyncio.Future[Any]:
        """Return a future for the next commit.

        :raises JournalError: the journal cannot be used any more.
        """
        if self._broken is not None:
            raise self._broken
        self._schedule()
        return asyncio.get_running_loop().create_future()

    def _is_committing(self) -> bool:
        return self._committer is not None and not self._committer.done()

    def _schedule(self) -> None:
        if not self._is_committing():
            self._committer = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        """Commit until there is nothing to commit."""
        while not self._next.is_empty:
            await asyncio.sleep(max(0.0, self._committed_at + self._interval - time.monotonic()))
            commit, self._next = self._next, _Commit()
            self._committed_at = time.monotonic()
            if self._broken is not None:
                commit.fail(self._broken)
            else:
                await self._commit(commit)

    async def _commit(self, commit: _Commit) -> None:
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, commit.run, self._connection)
        except BaseException as error:
            commit.fail(self._break(error))
            if not isinstance(error, Exception):
                raise
        else:
            commit.succeed(results)

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


async def _release(thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
    try:
        await wait_until_done([asyncio.get_running_loop().run_in_executor(thread, connection.close)])
    finally:
        thread.shutdown()


def _entry(row: tuple[Any, ...]) -> Entry:
    """:raises JournalError: the row was not written by this package."""
    if not all(map(isinstance, row, _TYPES)):
        raise JournalError(
            "the journal contains an entry that omium-async did not write; another program has changed it",
            outcome="not_applied",
        )
    return Entry(*row)
