"""The journal's file: created, checked and locked, or refused with a clear message and left as it is.

SQLite's own lock is held from the opening to the end (`locking_mode = EXCLUSIVE`): it vanishes with the process,
however that dies.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs

from .._data.sqlite import Format, Trouble, UnusableFileError, check_file, connect, prepare, unusable
from .._errors import JournalError, WriteOutcome
from .._settings.addresses import is_loopback

__all__ = [
    "INBOX",
    "MARK",
    "MARK_AGAIN",
    "NAMED",
    "RECORD",
    "SCHEMA_VERSION",
    "Identity",
    "OpenJournal",
    "open_journal",
    "trouble",
]

SCHEMA_VERSION: Final = 1
_LEFT_JUST_NOW: Final = 1.0  # seconds
_BETWEEN_TRIES: Final = 0.02  # seconds between two tries to get the lock

#: Items without a key of their own have their position as id, those with one a number from here on. Rows are so
#: written one behind the other and not all over the file, which would make each commit as expensive as a hundred.
NAMED: Final = 2**40

_TABLES: Final = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    started_at REAL NOT NULL    -- by this machine's clock
);
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,  -- in the run that saw the item last
    run INTEGER NOT NULL,       -- that run
    digest TEXT NOT NULL,       -- of the content
    sent_at REAL NOT NULL,      -- not before this, by the clock of the machine that sent it
    within REAL,                -- and at most so many seconds later; null: at any time until the run's end
    ahead REAL,                 -- seconds that the service's clock was ahead of that machine's; null: not known
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

_FORMAT: Final = Format(0x4F6D694A, SCHEMA_VERSION, _TABLES)  # "OmiJ"

#: One statement writes everything that a commit holds: each statement costs the writing thread the interpreter's lock
#: several times, for which it fights with the event loop.
_INBOX: Final = """
CREATE TEMP VIEW inbox AS SELECT 0 AS kind, 0 AS id, 0 AS a, 0 AS b, 0 AS c, 0 AS d, 0 AS e, 0 AS f, 0 AS g, 0 AS h;
CREATE TEMP TRIGGER marked INSTEAD OF INSERT ON inbox WHEN NEW.kind <> 2 BEGIN
    INSERT OR REPLACE INTO items VALUES (NEW.id, NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.h);
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
_COLUMNS: Final = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(10))
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
class OpenJournal:
    """A journal that was opened for a run."""

    connection: sqlite3.Connection
    batch: str
    run: int
    highest: int  # position of an item without a key of its own; -1 when there is none
    next_named: int


def open_journal(path: Path, identity: Identity, now: float, wait: float, given_up: threading.Event) -> OpenJournal:
    """Open or create the journal and begin a run in it.

    :param wait: seconds to wait for a lock that another holds, unless ``given_up`` is set meanwhile. A batch of this
        process that was just left may need a moment to let go of it: for that it is waited in any case.
    :raises JournalError: it cannot be used; nothing was changed.
    """
    deadline = time.monotonic() + max(wait, _LEFT_JUST_NOW)
    while True:
        try:
            return _open_now(path, identity, now)
        except (OSError, sqlite3.Error, UnusableFileError) as error:
            found = error if isinstance(error, UnusableFileError) else unusable(error)
            may_wait = found.trouble is Trouble.LOCKED and time.monotonic() < deadline
            if not may_wait or given_up.wait(_BETWEEN_TRIES):
                raise trouble(path, error) from error


def _open_now(path: Path, identity: Identity, now: float) -> OpenJournal:
    check_file(path)
    with contextlib.ExitStack() as undo:
        connection = connect(path, timeout=0)
        undo.callback(connection.close)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")  # the lock is had now or not at all
        connection.execute("ROLLBACK")
        prepare(connection, _FORMAT)
        connection.execute("PRAGMA temp_store = MEMORY")
        opened = _begin(connection, path, identity, now)
        undo.pop_all()
        return opened


def _begin(connection: sqlite3.Connection, path: Path, identity: Identity, now: float) -> OpenJournal:
    connection.execute("BEGIN IMMEDIATE")
    facts: dict[str, str] = dict(connection.execute("SELECT name, value FROM facts").fetchall())
    if not facts:
        facts = {**identity.facts(), "batch": secrets.token_hex(8)}
        connection.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))
    _check_identity(path, facts, identity)
    run: int = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchone()[0]
    connection.execute("INSERT INTO runs VALUES (?, ?)", (run, now))
    highest = connection.execute("SELECT max(id) FROM items WHERE id < ?", (NAMED,)).fetchone()[0]
    named = connection.execute("SELECT max(id) FROM items WHERE id >= ?", (NAMED,)).fetchone()[0]
    connection.execute("COMMIT")
    connection.executescript(_INBOX)
    return OpenJournal(
        connection,
        facts["batch"],
        run,
        -1 if highest is None else highest,
        NAMED if named is None else named + 1,
    )


def _check_identity(path: Path, facts: dict[str, str], identity: Identity) -> None:
    differing = {name: facts.get(name) for name, value in identity.facts().items() if facts.get(name) != value}
    if not differing:
        return
    name, recorded = next(iter(differing.items()))
    what = {
        "kind": f"it belongs to a batch of another kind ({recorded}, not {identity.kind})",
        "base_url": f"it does not fit by its base_url: it belongs to a batch at {recorded}, not at {identity.base_url}",
        "key_field": f"it does not fit by its key_field: its keys travel as {recorded!r}, not as "
        f"{identity.key_field!r}",
        "scope": f"it does not fit by what it is about: it belongs to another batch: {recorded}, not {identity.scope}",
    }
    said = f"the journal {path} cannot be used here: {what[name]}; nothing was changed, give another path"
    raise JournalError(said, outcome=WriteOutcome.NOT_APPLIED)


_SAID: Final = {
    Trouble.NO_DATABASE: "is not a journal (not a SQLite database); nothing was changed, give another path",
    Trouble.FOREIGN: "is not a journal but a database of another program; nothing was changed, give another path",
    Trouble.LOCKED: "is in use by another process, or by another batch of this one; wait for its end, or give another "
    "path",
    Trouble.DISK: "cannot be written: nothing more is sent; make room on the disk and start again with the same "
    "journal",
}


def trouble(path: Path, error: Exception) -> JournalError:
    """What went wrong with the file, in words."""
    found = error if isinstance(error, UnusableFileError) else unusable(error)
    return JournalError(f"the journal {path} {_SAID.get(found.trouble, found)}", outcome=WriteOutcome.NOT_APPLIED)
