"""SQLite files of this package: readable by their owner only, and checked before they are used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, Final, NamedTuple


class UnusableFileError(Exception):
    """A file cannot be used. Its text follows the file's name in messages: "is read-only; ...".

    :ivar is_locked: whether another program has locked it, so that it may be usable later.
    """

    def __init__(self, said: str, *, is_locked: bool = False) -> None:
        super().__init__(said)
        self.is_locked = is_locked


class Format(NamedTuple):
    """The format of a kind of file.

    :ivar application_id: marks files of this kind.
    :ivar version: the version of the tables.
    :ivar tables: the statements that create the tables.
    """

    application_id: int
    version: int
    tables: str


_LOCKED: Final = "is in use by another program; wait for its end, or give another path"
_DISK: Final = "cannot be written ({0}); free space on the disk, then start again with this file"
_READ_ONLY: Final = "is read-only; make it writable, or give another path"
_SAID: Final = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; nothing was changed, give another path",
    sqlite3.SQLITE_CORRUPT: "is damaged ({0}); put a good copy in its place, or give another path",
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
}


def unusable(error: Exception) -> UnusableFileError:
    """Return why the file cannot be used, from an error of SQLite or of the system."""
    if isinstance(error, UnusableFileError):
        return error
    if isinstance(error, OSError):
        return UnusableFileError(f"cannot be used: {error.strerror or error}")
    # The low byte is the kind of error. Python's sqlite3 module itself raises errors without a code.
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    said = _SAID.get(code & 0xFF, "cannot be used: {0}")
    return UnusableFileError(said.format(error), is_locked=said is _LOCKED)


def check_file(path: Path) -> None:
    """Create the file, or check that it can be written. Only its owner may read it from then on.

    An existing file is not opened: closing it would drop a lock that this process may hold on it.

    :raises UnusableFileError: the file cannot be used.
    :raises OSError: the system refuses.
    """
    if not path.parent.is_dir():
        raise UnusableFileError(f"cannot be created: there is no folder {path.parent}; create it first")
    try:
        # SQLite creates its other files with the same permissions.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _check_existing(path)


def _check_existing(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnusableFileError("is not a file; give the path of one")
    # The superuser could write a file that is marked read-only.
    if not found.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise UnusableFileError(_READ_ONLY)
    for name in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        with contextlib.suppress(FileNotFoundError, PermissionError):  # owned by another user
            mode = stat.S_IMODE(name.stat().st_mode)
            if mode & 0o077:
                name.chmod(mode & 0o700)


def connect(path: Path, **how: Any) -> sqlite3.Connection:
    """Open a connection, to be used by one thread at a time. SQL in a foreign schema has no access to functions.

    :param how: arguments of ``sqlite3.connect``.
    """
    connection: sqlite3.Connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, **how)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, form: Format) -> None:
    """Create the tables in an empty file, or check existing ones. Every commit is durable from then on.

    After an error nothing is changed, once the connection is closed.

    :raises UnusableFileError: the file has another format.
    :raises sqlite3.Error: the file cannot be used.
    """
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != form.application_id:
        raise UnusableFileError("is a SQLite database of another program; nothing was changed, give another path")
    if not empty and version != form.version:
        age = "a newer" if version > form.version else "an older"
        raise UnusableFileError(
            f"was written by {age} omium-async (its format is {version}, this one reads {form.version}); use that "
            "version, or give another path"
        )
    if not empty:
        _check_shape(connection, form)
    connection.execute("PRAGMA journal_mode = WAL").fetchall()  # it writes after its row, and may fail there
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a crash of the machine
    if empty:
        # In one transaction: if the process is killed, the file is still empty.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {form.application_id}; PRAGMA user_version = {form.version};"
            f"{form.tables} COMMIT;"
        )


def _check_shape(connection: sqlite3.Connection, form: Format) -> None:
    """Reject foreign triggers and views, which would run with every statement."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(form.tables)
        differing = sorted(_shape(model) ^ _shape(connection))
    if differing:
        kind, name, *_ = differing[0]
        raise UnusableFileError(
            f"is not as omium-async made it (see its {kind} {name}); nothing was changed, give another path"
        )


def _shape(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    parts = connection.execute(
        "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    found: set[tuple[str, ...]] = set(parts.fetchall())
    for kind, name, _ in list(found):
        if kind == "table":
            columns = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (name,))
            found.update(("column", f"{name}.{column}", *map(str, how)) for column, *how in columns)
    return found
