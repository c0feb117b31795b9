"""Which journal a batch keeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import attrs

from .._arguments import seconds, shown, text

__all__ = ["DEFAULT_KEY_FIELD", "DEFAULT_SETTLE", "Journal", "journal_of"]

DEFAULT_KEY_FIELD: Final = "omium_batch_key"
DEFAULT_SETTLE: Final = 30.0  # seconds, where the client has no attempt_timeout


def _path(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"path: {shown(value)} is not a path; give a path")
    given: Any = os.fspath(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not isinstance(given, str):
        raise TypeError("path: it is bytes; give a path as text")
    if not given:
        raise ValueError("path: '' is empty; give a path")
    return Path(given).absolute()  # also for SQLite, to which some relative names mean no file at all


def _key_field(_: Any, __: Any, value: Any) -> None:
    text(value, "key_field")


def _seconds(value: Any) -> float:
    return seconds(value, "wait", zero=True) or 0.0


def journal_of(value: Any) -> Journal | None:
    """A journal, from a path or a `Journal`.

    :raises TypeError: it is neither.
    :raises ValueError: the path is empty.
    """
    if value is None or isinstance(value, Journal):
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"journal: {shown(value)} is neither; give a path or a Journal")
    return Journal(value)  # pyright: ignore[reportUnknownArgumentType]


@attrs.frozen
class Journal:
    """The journal of one batch, where more than its path is to be said.

    Copy it only while no batch uses it, or together with the file of the same name and ``-wal``: what was recorded last
    is in that one, and a copy without it would send it again.

    :param path: of the SQLite file; it is created when it is not there. One batch a file, one process at a time.
    :param key_field: under which name each item's key travels in the ``metadata`` of its execution, by which it is
        found again at the service.
    :param wait: seconds to wait for a journal that another process holds, before that is an error.
    """

    path: Path = attrs.field(converter=_path)
    key_field: str = attrs.field(default=DEFAULT_KEY_FIELD, validator=_key_field)
    wait: float = attrs.field(default=0.0, converter=_seconds)
