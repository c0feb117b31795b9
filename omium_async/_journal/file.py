"""The journal of one run: what a batch reads and writes in its file, through `Commits` of `_data/sqlite.py`."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar

import attrs
import msgspec

from .._data.sqlite import Commits
from .._errors.others import JournalError
from .._tasks import wait_until_done
from .schema import FIRST_NAMED, FORGET, MARK, RECORD, BegunRun, Identity, begin_run, opened_journal, trouble

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
_STATES: Final = "SELECT o.state, count(*) FROM items AS i LEFT JOIN outcomes AS o ON o.id = i.id GROUP BY o.state"
_CREATED: Final = "SELECT execution_id FROM outcomes WHERE state = 'created'"
_OPTIONAL_TEXT: Final = (str, NoneType)
_TYPES: Final[tuple[Any, ...]] = (int, str, int, int, str, float, *[_OPTIONAL_TEXT] * 4)
_encode = msgspec.json.Encoder().encode


@attrs.define(eq=False)
class _Rows:
    """The rows that one commit writes, as a job.

    :ivar commit: the number of the commits that had begun before.
    """

    commit: int
    marks: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    outcomes: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    written: asyncio.Future[None] | None = None

    def __call__(self, connection: sqlite3.Connection) -> None:
        for statement, rows in ((MARK, self.marks), (FORGET, self.marks), (RECORD, self.outcomes)):
            if rows:
                connection.execute(statement, (_encode(rows).decode(),))


class JournalFile:
    """A journal that is open for one run.

    :ivar batch: as in `BegunRun`.
    :ivar run: as in `BegunRun`.
    :ivar highest: as in `BegunRun`.
    """

    def __init__(self, path: Path, begun: BegunRun, commits: Commits) -> None:
        self.path = path
        self.batch = begun.batch
        self.run = begun.run
        self.highest = begun.highest
        self._next_named = begun.next_named
        self._commits = commits
        self._rows = _Rows(commits.count)
        self._broken: JournalError | None = None

    @classmethod
    async def open(cls, path: Path, identity: Identity, interval: float = 0.0, wait: float = 0.0) -> JournalFile:
        """Open or create the journal, and begin a run in it.

        :param interval: least number of seconds between commits; larger commits are cheaper.
        :param wait: seconds to wait until another process releases it.
        :raises JournalError: it cannot be used; nothing was changed.
        """
        commits = Commits("omium-journal", interval)
        given_up = threading.Event()
        try:
            await commits.open(partial(opened_journal, path, wait, given_up))
            begun = await commits.do(partial(begin_run, path=path, identity=identity, now=time.time()))
        except BaseException as error:
            given_up.set()
            await _to_the_end(commits.close())
            if isinstance(error, sqlite3.Error):
                raise trouble(path, error) from error
            raise
        return cls(path, begun, commits)

    async def close(self) -> None:
        """Write everything that is still to be written, and release the file."""
        try:
            await _to_the_end(self._commits.close())
        finally:
            self._broken = self._broken or JournalError(f"the journal {self.path} is closed", outcome="not_applied")

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

    async def count_states(self) -> dict[str | None, int]:
        """Return the number of items in each state; ``None``: about to be sent."""
        return await self.do(lambda connection: dict(connection.execute(_STATES).fetchall()))

    async def created(self) -> list[str]:
        """Return the executions that were created and are not known to have ended."""
        return await self.do(lambda connection: [str(row[0]) for row in connection.execute(_CREATED)])

    async def earlier_states(self) -> set[str | None]:
        """Return the states of items that only earlier runs recorded; ``None``: about to be sent, or not readable.

        It also works after a commit has failed, as on a full disk.
        """

        def read(connection: sqlite3.Connection) -> set[str | None]:
            return {row[0] for row in connection.execute(_EARLIER_STATES, (self.run,))}

        try:
            return await self._commits.do(read)
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
        """Run a function with the connection, after everything that was asked for before.

        :raises JournalError: the journal cannot be used any more.
        """
        self._check()
        return await self._committed(self._commits.do(job))

    # -- writing: durable when it returns --------------------------------------------------------------------------

    def new_id(self) -> int:
        """Return the id for a new item with a key of the user's."""
        self._next_named += 1
        return self._next_named - 1

    async def mark(self, mark: Mark) -> None:
        """Record that an item is about to be sent; an earlier outcome is deleted."""
        rows = self._next_rows()
        rows.marks.append(_row_of(mark))
        await self._write(rows)

    async def record(self, item_id: int, state: str, execution_id: str | None, answer: str | None) -> None:
        """Record the outcome of an item."""
        rows = self._next_rows()
        rows.outcomes.append((item_id, state, execution_id, answer))
        await self._write(rows)

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

    def _next_rows(self) -> _Rows:
        """Return the rows of the next commit.

        :raises JournalError: the journal cannot be used any more.
        """
        self._check()
        if self._rows.commit != self._commits.count:
            self._rows = _Rows(self._commits.count)
        return self._rows

    async def _write(self, rows: _Rows) -> None:
        if rows.written is None:
            rows.written = self._commits.do(rows)
        await self._committed(asyncio.shield(rows.written))  # one task that is cancelled must not cancel it for others

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def _committed(self, result: asyncio.Future[T]) -> T:
        """Return the result of a job. After an error nothing can be asked for any more.

        :raises JournalError: the job or its commit failed.
        """
        try:
            return await result
        except JournalError as error:
            self._broken = self._broken or error
            raise
        except Exception as error:
            if isinstance(error, (sqlite3.Error, OSError)):
                found = trouble(self.path, error)
            else:
                found = JournalError(f"the journal {self.path} cannot be used: {error}", outcome="not_applied")
            self._broken = self._broken or found
            raise self._broken from error


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run the work in a task that a cancellation of the caller does not reach."""
    await wait_until_done([asyncio.get_running_loop().create_task(work)])


def _entry(row: tuple[Any, ...]) -> Entry:
    """:raises JournalError: the row was not written by this package."""
    if not all(map(isinstance, row, _TYPES)):
        raise JournalError(
            "the journal contains an entry that omium-async did not write; another program has changed it",
            outcome="not_applied",
        )
    return Entry(*row)
