"""The file of a journal: it is created, checked and locked, or rejected and left unchanged.

SQLite's lock is held until the end (`locking_mode = EXCLUSIVE`). It vanishes with the process, however that dies.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import attrs

from .._data.sqlite import Format, UnusableFileError, check_file, connect, prepare, unusable
from .._errors.attempts import WriteOutcome
from .._errors.others import JournalError
from .._settings.addresses import is_loopback

SCHEMA_VERSION: Final = 1
_LEAST_WAIT: Final = 1.0  # seconds for the lock
_BETWEEN_TRIES: Final = 0.02  # seconds between two attempts to get the lock

#: The id of an item without a key of the user's is its position; items with one are numbered from here. So rows are
#: written one after the other: rows in random order would make a commit a hundred times as expensive.
FIRST_NAMED: Final = 2**40


def _columns(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in range(count))


_TABLES: Final = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    started_at REAL NOT NULL    -- by this machine's clock
);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,  -- in the latest run that read the item
    run INTEGER NOT NULL,       -- that run
    digest TEXT NOT NULL,       -- of the content
    sent_at REAL NOT NULL,      -- when it was about to be sent, by the clock of the machine that sent it
    before TEXT                 -- JSON: the execution before its replay
);
CREATE UNIQUE INDEX items_by_name ON items (key) WHERE id >= {FIRST_NAMED};
CREATE TABLE outcomes (         -- an item without an outcome was about to be sent
    id INTEGER PRIMARY KEY REFERENCES items (id),
    state TEXT NOT NULL,
    execution_id TEXT,
    answer TEXT                 -- JSON: the response or the error
);
"""

_FORMAT: Final = Format(0x4F6D694A, SCHEMA_VERSION, _TABLES)  # "OmiJ"

#: One statement writes many rows, from a JSON array of arrays: a statement for each row would take the interpreter's
#: lock from the event loop each time.
MARK: Final = f"INSERT OR REPLACE INTO items SELECT {_columns(7)} FROM json_each(?)"  # noqa: S608
FORGET: Final = "DELETE FROM outcomes WHERE id IN (SELECT json_extract(value, '$[0]') FROM json_each(?))"
RECORD: Final = f"INSERT OR REPLACE INTO outcomes SELECT {_columns(4)} FROM json_each(?)"  # noqa: S608


def _without_local_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return url if parts.port is None or not is_loopback(host) else url.replace(f":{parts.port}", "", 1)


@attrs.frozen
class Identity:
    """The batch that a journal belongs to: it must be the same at each start.

    :ivar kind: the call, such as ``create_many``.
    :ivar base_url: without the port on loopback, where servers for tests take a free port at each start.
    """

    kind: str
    base_url: str = attrs.field(converter=_without_local_port)
    key_field: str
    scope: str = ""

    def facts(self) -> dict[str, str]:
        return attrs.asdict(self)


class BegunRun(NamedTuple):
    """A run that has begun in a journal.

    :ivar batch: the id of the batch.
    :ivar run: counts the starts.
    :ivar highest: the highest position of an item without a key of the user's; -1 if there is none.
    :ivar next_named: the next free id of an item with one.
    """

    batch: str
    run: int
    highest: int
    next_named: int


@contextlib.contextmanager
def opened_journal(path: Path, wait: float, given_up: threading.Event) -> Generator[sqlite3.Connection]:
    """Open or create the journal.

    :param wait: seconds to wait for the lock, until ``given_up`` is set. It is at least a second, because a batch of
        this process that was left by ``break`` needs a moment to release it.
    :raises JournalError: it cannot be used; nothing was changed.
    """
    deadline = time.monotonic() + max(wait, _LEAST_WAIT)
    connection = None
    while connection is None:
        try:
            connection = _open_now(path)
        except (OSError, sqlite3.Error, UnusableFileError) as error:
            may_wait = unusable(error).is_locked and time.monotonic() < deadline
            if not may_wait or given_up.wait(_BETWEEN_TRIES):
                raise trouble(path, error) from error
    with contextlib.closing(connection):
        yield connection


def _open_now(path: Path) -> sqlite3.Connection:
    check_file(path)
    with contextlib.ExitStack() as undo:
        connection = connect(path, timeout=0)
        undo.callback(connection.close)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")  # fails if another has the lock
        connection.execute("ROLLBACK")
        prepare(connection, _FORMAT)
        connection.execute("PRAGMA temp_store = MEMORY")
        undo.pop_all()
        return connection


def begin_run(connection: sqlite3.Connection, path: Path, identity: Identity, now: float) -> BegunRun:
    """Record that a run begins.

    :raises JournalError: the journal belongs to another batch.
    """
    facts: dict[str, str] = dict(connection.execute("SELECT name, value FROM facts").fetchall())
    if not facts:
        facts = {**identity.facts(), "batch": secrets.token_hex(8)}
        connection.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
    _check_identity(path, facts, identity)
    run: int = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchone()[0]
    connection.execute("INSERT INTO runs VALUES (?, ?)", (run, now))
    highest = connection.execute("SELECT max(id) FROM items WHERE id < ?", (FIRST_NAMED,)).fetchone()[0]
    named = connection.execute("SELECT max(id) FROM items WHERE id >= ?", (FIRST_NAMED,)).fetchone()[0]
    return BegunRun(
        facts["batch"],
        run,
        -1 if highest is None else highest,
        FIRST_NAMED if named is None else named + 1,
    )


def _check_identity(path: Path, facts: dict[str, str], identity: Identity) -> None:
    differing = {name: facts.get(name) for name, value in identity.facts().items() if facts.get(name) != value}
    if not differing:
        return
    name, recorded = next(iter(differing.items()))
    reasons = {
        "kind": f"it belongs to a batch of {recorded}, not of {identity.kind}",
        "base_url": f"it belongs to a batch at {recorded}, not at {identity.base_url}",
        "key_field": f"its key_field is {recorded!r}, not {identity.key_field!r}",
        "scope": f"it belongs to another batch ({recorded}), not to this one ({identity.scope})",
    }
    raise JournalError(
        f"the journal {path} cannot be used: {reasons[name]}; nothing was changed, give another path",
        outcome=WriteOutcome.NOT_APPLIED,
    )


def trouble(path: Path, error: Exception) -> JournalError:
    """Return the error for a problem with the file."""
    return JournalError(f"the journal {path} {unusable(error)}", outcome=WriteOutcome.NOT_APPLIED)
