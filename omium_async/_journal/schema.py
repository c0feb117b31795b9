"""The journal's file: created, checked and locked, or refused with a clear message and left as it is.

SQLite's own lock is held from the opening to the end (`locking_mode = EXCLUSIVE`): it vanishes with the process,
however that dies. Nothing here opens an existing file by other means, for closing it again would drop the lock that
this process may hold on it already.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from .._errors import JournalError
from .._settings.addresses import is_loopback

__all__ = [
    "INBOX",
    "MARK",
    "MARK_AGAIN",
    "NAMED",
    "RECORD",
    "SCHEMA_VERSION",
    "Identity",
    "Opened",
    "open_journal",
    "trouble",
]

SCHEMA_VERSION: Final = 1
_LEFT_JUST_NOW: Final = 1.0  # seconds
_BETWEEN_TRIES: Final = 0.02  # seconds between two tries to get the lock
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_APPLICATION_ID: Final = 0x4F6D694A  # "OmiJ": marks the file as ours, whatever its name

#: Items without a key of their own have their position as id, those with one a number from here on. Rows are so
#: written one behind the other and not all over the file, which would make each commit as expensive as a hundred.
NAMED: Final = 2**40

_TABLES: Final = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    started_at REAL NOT NULL,   -- by this machine's clock
    clock REAL                  -- seconds that the service's clock was ahead of it; null where that was not known
);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,  -- in the run that saw the item last
    run INTEGER NOT NULL,       -- that run
    digest TEXT NOT NULL,       -- of the content
    sent_at REAL NOT NULL,      -- it was sent between this time and the next, by the service's clock
    latest_at REAL,             -- null: at any time until the run's end
    before TEXT                 -- what it was before: the execution that is to be replayed
);
CREATE UNIQUE INDEX items_by_name ON items (key) WHERE id >= {NAMED};
CREATE TABLE outcomes (         -- an item without one was about to be sent
    id INTEGER PRIMARY KEY REFERENCES items (id),
    state TEXT NOT NULL,
    execution_id TEXT,
    answer TEXT                 -- JSON: what was answered, or the error
);
"""

#: One statement writes everything that a commit holds: each statement costs the writing thread the interpreter's lock
#: several times, for which it fights with the event loop.
_INBOX: Final = """
CREATE TEMP VIEW inbox AS SELECT 0 AS kind, 0 AS id, 0 AS a, 0 AS b, 0 AS c, 0 AS d, 0 AS e, 0 AS f, 0 AS g;
CREATE TEMP TRIGGER marked INSTEAD OF INSERT ON inbox WHEN NEW.kind <> 2 BEGIN
    INSERT OR REPLACE INTO items VALUES (NEW.id, NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g);
END;
CREATE TEMP TRIGGER marked_again INSTEAD OF INSERT ON inbox WHEN NEW.kind = 1 BEGIN
    DELETE FROM outcomes WHERE id = NEW.id;
END;
CREATE TEMP TRIGGER recorded INSTEAD OF INSERT ON inbox WHEN NEW.kind = 2 BEGIN
    INSERT OR REPLACE INTO outcomes VALUES (NEW.id, NEW.a, NEW.b, NEW.c);
END;
"""

#: The kinds of what `INBOX` takes: an item about to be sent for the first time, again, and an outcome.
MARK: Final = 0
MARK_AGAIN: Final = 1
RECORD: Final = 2

#: Writes a JSON array of arrays: kind, id and the columns.
_COLUMNS: Final = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(9))
INBOX: Final = f"INSERT INTO inbox SELECT {_COLUMNS} FROM json_each(?)"  # noqa: S608


def _without_local_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return url if parts.port is None or not is_loopback(host) else url.replace(f":{parts.port}", "", 1)


@attrs.frozen
class Identity:
    """What batch a journal belongs to: these must be the same at every start.

    :ivar base_url: without the port where it is this machine: servers for tests take a free one at each start.
    """

    kind: str
    base_url: str = attrs.field(converter=_without_local_port)
    key_field: str
    scope: str = ""

    def facts(self) -> dict[str, str]:
        return attrs.asdict(self)


@attrs.frozen
class Opened:
    """A journal that was opened for a run."""

    connection: sqlite3.Connection
    batch: str
    run: int
    highest: int  # position of an item without a key of its own; -1 when there is none
    next_named: int
    clock: float | None  # of the last run that knew it


def open_journal(path: Path, identity: Identity, now: float, wait: float, given_up: threading.Event) -> Opened:
    """Open or create the journal and begin a run in it.

    :param wait: seconds to wait for a lock that another holds, unless ``given_up`` is set meanwhile. A batch of this
        process that was just left may need a moment to let go of it: for that it is waited in any case.
    :raises JournalError: it cannot be used; nothing was changed.
    """
    deadline = time.monotonic() + max(wait, _LEFT_JUST_NOW)
    while True:
        try:
            return _open_now(path, identity, now)
        except (OSError, sqlite3.Error) as error:
            is_locked = isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in _LOCKED
            if not is_locked or time.monotonic() >= deadline or given_up.wait(_BETWEEN_TRIES):
                raise trouble(path, error) from error


def _open_now(path: Path, identity: Identity, now: float) -> Opened:
    _check_file(path)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
        return _begin(connection, path, identity, now)
    except BaseException:
        connection.close()
        raise


def _check_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise JournalError(f"the journal {path} cannot be created: there is no folder {path.parent}")
    try:
        # What was answered is kept in the file: nobody else reads it. SQLite gives its -wal file the same rights.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise JournalError(f"the journal {path} is not a file; give the path of one") from None
        # The superuser may write what is marked read-only; it was marked so that nobody does.
        if not found.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            raise JournalError(f"the journal {path} is read-only; make it writable, or give another path") from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN IMMEDIATE")  # the lock is had now or not at all
    connection.execute("ROLLBACK")
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != _APPLICATION_ID:
        raise JournalError(f"{path} is a database of another program, not a journal; nothing was changed")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"the journal {path} was written by a newer omium-async (its format is {version}, this one knows "
            f"{SCHEMA_VERSION}); upgrade omium-async to go on with it"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA synchronous = FULL")  # what was recorded survives the machine, not only the process
    if empty:
        # In one transaction: killed in between, the file is as empty as before.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            f"{_TABLES} COMMIT;"
        )


def _begin(connection: sqlite3.Connection, path: Path, identity: Identity, now: float) -> Opened:
    connection.execute("BEGIN IMMEDIATE")
    facts: dict[str, str] = dict(connection.execute("SELECT name, value FROM facts").fetchall())
    if not facts:
        facts = {**identity.facts(), "batch": secrets.token_hex(8)}
        connection.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
    _check_identity(path, facts, identity)
    run: int = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchone()[0]
    clock = connection.execute("SELECT clock FROM runs WHERE clock IS NOT NULL ORDER BY run DESC LIMIT 1").fetchone()
    connection.execute("INSERT INTO runs VALUES (?, ?, NULL)", (run, now))
    highest = connection.execute("SELECT max(id) FROM items WHERE id < ?", (NAMED,)).fetchone()[0]
    named = connection.execute("SELECT max(id) FROM items WHERE id >= ?", (NAMED,)).fetchone()[0]
    connection.execute("COMMIT")
    connection.executescript(_INBOX)
    return Opened(
        connection,
        facts["batch"],
        run,
        -1 if highest is None else highest,
        NAMED if named is None else named + 1,
        None if clock is None else clock[0],
    )


def _check_identity(path: Path, facts: dict[str, str], identity: Identity) -> None:
    differing = {name: facts.get(name) for name, value in identity.facts().items() if facts.get(name) != value}
    if not differing:
        return
    name, recorded = next(iter(differing.items()))
    what: dict[str, Any] = {
        "kind": f"it belongs to a batch of another kind ({recorded}, not {identity.kind})",
        "base_url": f"it belongs to a batch at {recorded}, not at {identity.base_url}",
        "key_field": f"its keys travel as {recorded!r}, not as {identity.key_field!r}",
        "scope": f"it belongs to another batch: {recorded}, not {identity.scope}",
    }
    raise JournalError(f"the journal {path} cannot be used here: {what[name]}; nothing was changed")


def trouble(path: Path, error: Exception) -> JournalError:
    """What went wrong with the file, in words."""
    if isinstance(error, OSError):
        return JournalError(f"the journal {path} cannot be used: {error.strerror or error}")
    text = str(error)
    if "not a database" in text:
        return JournalError(f"{path} is not a journal (not a SQLite database); nothing was changed, give another path")
    if "locked" in text or "busy" in text:
        return JournalError(f"the journal {path} is in use by another process, or by another batch of this one")
    if "readonly" in text:
        return JournalError(f"the journal {path} is read-only; make it writable, or give another path")
    if "full" in text or "disk I/O" in text:
        return JournalError(
            f"the journal {path} cannot be written ({text}): nothing more is sent; make room on the disk and start "
            "again with the same journal"
        )
    return JournalError(f"the journal {path} cannot be used: {text}")
