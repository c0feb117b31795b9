"""SQLite files of this package: readable by their owner only, and checked before they are used."""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, Final

import attrs

__all__ = ["Format", "Trouble", "UnusableFileError", "check_file", "connect", "prepare", "unusable"]


class Trouble(enum.Enum):
    """The reason why a file cannot be used."""

    NO_FOLDER = enum.auto()
    NO_FILE = enum.auto()
    READ_ONLY = enum.auto()
    NO_DATABASE = enum.auto()
    FOREIGN = enum.auto()
    ALTERED = enum.auto()
    NEWER = enum.auto()
    DAMAGED = enum.auto()
    LOCKED = enum.auto()
    DISK = enum.auto()
    OTHER = enum.auto()


class UnusableFileError(Exception):
    """A file cannot be used. Its text follows the file's name in messages: "is read-only; ...".

    :ivar trouble: the reason.
    """

    def __init__(self, trouble: Trouble, said: str) -> None:
        super().__init__(said)
        self.trouble = trouble


@attrs.frozen
class Format:
    """The format of a kind of file.

    :ivar application_id: marks files of this kind.
    :ivar version: the version of the tables.
    :ivar tables: the statements that create the tables.
    :ivar upgrades: the statements from version 1 to 2, from 2 to 3, and so on.
    """

    application_id: int
    version: int
    tables: str
    upgrades: tuple[str, ...] = ()


_BY_CODE: Final = {
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_READONLY: Trouble.READ_ONLY,
    sqlite3.SQLITE_NOTADB: Trouble.NO_DATABASE,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_FULL: Trouble.DISK,
    sqlite3.SQLITE_IOERR: Trouble.DISK,
}

_SAID: Final = {
    Trouble.LOCKED: "is in use by another program; end that one, or give another path",
    Trouble.READ_ONLY: "is read-only; make it writable, or give another path",
    Trouble.NO_DATABASE: "is not a SQLite database; nothing was changed, give another path",
    Trouble.DAMAGED: "is damaged ({0}); put a good copy in its place, or give another path",
    Trouble.DISK: "cannot be read or written ({0}); make room on the disk, or look after it",
    Trouble.OTHER: "cannot be used: {0}",
}


def unusable(error: Exception) -> UnusableFileError:
    """Return why the file cannot be used, from an error of SQLite or of the system."""
    if isinstance(error, OSError):
        return UnusableFileError(Trouble.OTHER, _SAID[Trouble.OTHER].format(error.strerror or error))
    # The low byte is the kind of error. Python's sqlite3 module itself raises errors without a code.
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    trouble = _BY_CODE.get(code & 0xFF, Trouble.OTHER)
    return UnusableFileError(trouble, _SAID[trouble].format(error))


def check_file(path: Path) -> None:
    """Create the file, or check that it can be written. Only its owner may read it from then on.

    An existing file is not opened: closing it would drop a lock that this process may hold on it.

    :raises UnusableFileError: the file cannot be used.
    :raises OSError: the system refuses.
    """
    if not path.parent.is_dir():
        said = f"cannot be created: there is no folder {path.parent}; create it first"
        raise UnusableFileError(Trouble.NO_FOLDER, said)
    try:
        # SQLite creates its other files with the same permissions.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _check_existing(path)


def _check_existing(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnusableFileError(Trouble.NO_FILE, "is not a file; give the path of one")
    # The superuser could write a file that is marked read-only.
    if not found.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
        raise UnusableFileError(Trouble.READ_ONLY, _SAID[Trouble.READ_ONLY])
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
    """Create the tables in an empty file, or check and upgrade existing ones. Every commit is durable from then on.

    After an error nothing is changed, once the connection is closed.

    :raises UnusableFileError: the file has another format.
    :raises sqlite3.Error: the file cannot be used.
    """
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty and application != form.application_id:
        said = "is a SQLite database of another program; nothing was changed, give another path"
        raise UnusableFileError(Trouble.FOREIGN, said)
    if version > form.version:
        raise UnusableFileError(
            Trouble.NEWER,
            f"was written by a newer omium-async (its format is {version}, this one knows {form.version}); upgrade "
            "omium-async, or give another path",
        )
    if not empty and version < form.version:
        _upgrade(connection, form, version)
    elif not empty:
        _check_shape(connection, form)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a crash of the machine
    if empty:
        # In one transaction: if the process is killed, the file is still empty.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {form.application_id}; PRAGMA user_version = {form.version};"
            f"{form.tables} COMMIT;"
        )


def _upgrade(connection: sqlite3.Connection, form: Format, version: int) -> None:
    """Upgrade in one transaction, which is committed only if the tables are right."""
    steps = "".join(form.upgrades[max(version, 1) - 1 :])
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {form.version};")
    _check_shape(connection, form)
    connection.execute("COMMIT")


def _check_shape(connection: sqlite3.Connection, form: Format) -> None:
    """Reject foreign triggers and views, which would run with every statement."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        model.executescript(form.tables)
        differing = sorted(_shape(model) ^ _shape(connection))
    if differing:
        kind, name, *_ = differing[0]
        said = f"is not as omium-async made it (see its {kind} {name}); nothing was changed, give another path"
        raise UnusableFileError(Trouble.ALTERED, said)


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
