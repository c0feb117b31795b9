"""The settings of a journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import attrs

from .._arguments import seconds, shown, text

DEFAULT_KEY_FIELD: Final = "omium_batch_key"
DEFAULT_SETTLE: Final = 30.0  # seconds, if the client has no attempt_timeout


def _path(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"path: {shown(value)} is not a path; give a path")
    given: Any = os.fspath(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not isinstance(given, str):
        raise TypeError("path: it is bytes; give a path as text")
    if not given:
        raise ValueError("path: '' is empty; give a path")
    return Path(given).absolute()  # SQLite takes some relative names, such as :memory:, for no file


def _key_field(_: Any, __: Any, value: Any) -> None:
    text(value, "key_field")


def _seconds(value: Any) -> float:
    return seconds(value, "wait", zero=True) or 0.0


def journal_of(value: Any) -> Journal | None:
    """Return the journal for a path or a `Journal`.

    :raises TypeError: the value is neither.
    :raises ValueError: the path is empty.
    """
    if value is None or isinstance(value, Journal):
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"journal: {shown(value)} is neither a path nor a Journal; give one of them")
    return Journal(value)  # pyright: ignore[reportUnknownArgumentType]


@attrs.frozen
class Journal:
    """The journal of one batch, with more settings than its path.

    Copy the file only while no batch uses it, or together with the file of the same name and ``-wal``, which has the
    latest records. A copy without them would send the same requests again.

    :param path: path of the SQLite file, which is created if necessary. Each batch has its own file, and one process
        at a time can use it.
    :param key_field: the name of each item's key in the ``metadata`` of its execution, by which the execution is found
        at the service.
    :param wait: seconds to wait for a journal that another process uses, before an error is raised.
    """

    path: Path = attrs.field(converter=_path)
    key_field: str = attrs.field(default=DEFAULT_KEY_FIELD, validator=_key_field)
    wait: float = attrs.field(default=0.0, converter=_seconds)
