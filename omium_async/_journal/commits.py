"""What is done in one commit: rows about to be sent, outcomes, and questions, for many tasks at once.

Rows travel as one JSON text: SQLite then works through them without the interpreter's lock, where one call a row would
fight with the event loop over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from operator import attrgetter
from types import NoneType
from typing import Any, Final

import attrs
import msgspec

from .._errors import JournalError
from .schema import INBOX, NAMED

__all__ = ["ENTRY", "Answers", "Entry", "Mark", "Work", "carry_out", "end", "entry_of", "give", "row_of", "text_of"]

_to_json = msgspec.json.Encoder().encode


@attrs.frozen
class Mark:
    """An item about to be sent; the columns of the table say what each is."""

    id: int
    key: str
    position: int
    run: int
    digest: str
    sent_at: float
    within: float | None
    ahead: float | None
    before: str | None


@attrs.frozen
class Entry(Mark):
    """What the journal holds of an item; ``state`` is ``None`` for one that was about to be sent."""

    state: str | None
    execution_id: str | None
    answer: str | None


ENTRY: Final = ", ".join(
    [f"i.{column.name}" for column in attrs.fields(Mark)] + ["o.state", "o.execution_id", "o.answer"]
)
_FIND: Final = (
    f"SELECT {ENTRY} FROM json_each(?) AS j JOIN items AS i ON i.id = j.value "  # noqa: S608
    "LEFT JOIN outcomes AS o ON o.id = i.id"
)
_FIND_NAMED: Final = (
    f"SELECT {ENTRY} FROM json_each(?) AS j JOIN items AS i ON i.key = j.value AND i.id >= {NAMED} "  # noqa: S608
    "LEFT JOIN outcomes AS o ON o.id = i.id"
)

#: Of the columns of an entry: a file may have been written by others.
_KINDS: Final[tuple[Any, ...]] = (
    int,
    str,
    int,
    int,
    str,
    float,
    (float, NoneType),
    (float, NoneType),
    *[(str, NoneType)] * 4,
)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """An entry as it was read.

    :raises JournalError: it was not written by us.
    """
    if not all(map(isinstance, row, _KINDS)):
        raise JournalError("an entry of the journal is not as omium-async writes it", outcome="not_applied")
    return Entry(*row)


@attrs.define(eq=False)
class Work:
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
            give(written, None)
        for item_id, asked in self.ids.items():
            give(asked, found.get(item_id))
        for key, asked in self.names.items():
            give(asked, by_name.get(key))
        for (_, future), result in zip(self.jobs, results, strict=True):
            give(future, result)

    def fail(self, error: JournalError) -> None:
        """Tell everybody that it cannot be done."""
        for told in self.recorded:
            told(error)
        futures: list[asyncio.Future[Any]] = [*self.written, *self.ids.values(), *self.names.values()]
        for future in [*futures, *[future for _, future in self.jobs]]:
            end(future, error)
            if not future.cancelled():
                future.exception()  # whoever was cancelled meanwhile does not look at it


Answers = tuple[dict[int, Entry], dict[str, Entry], list[Any]]


def end(future: asyncio.Future[Any], error: JournalError | None) -> None:
    """Tell the one who waits, if anybody still does, that it is done or cannot be."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def give(future: asyncio.Future[Any], value: Any) -> None:
    """Tell the one who waits, if anybody still does, what was found."""
    if not future.done():
        future.set_result(value)


row_of: Final[Callable[[Mark], tuple[Any, ...]]] = attrgetter(*[field.name for field in attrs.fields(Mark)])


def text_of(value: Any) -> str:
    """JSON for a statement."""
    return _to_json(value).decode()


def carry_out(connection: sqlite3.Connection, text: str | None, work: Work) -> Answers:
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
        found = {row[0]: entry_of(row) for row in connection.execute(_FIND, (text_of(list(work.ids)),))}
    if work.names:
        by_name = {row[1]: entry_of(row) for row in connection.execute(_FIND_NAMED, (text_of(list(work.names)),))}
    return found, by_name, results
