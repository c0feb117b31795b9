"""Which journal a batch keeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import attrs

from .._waiting.polling import seconds_argument

__all__ = ["DEFAULT_KEY_FIELD", "DEFAULT_SETTLE", "Journal"]

DEFAULT_KEY_FIELD: Final = "omium_batch_key"
DEFAULT_SETTLE: Final = 30.0  # seconds, where the client has no attempt_timeout


def _path(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"path must be a path, not {type(value).__name__}")
    text: Any = os.fspath(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if not isinstance(text, str):
        raise TypeError("path must be text, not bytes")
    if not text:
        raise ValueError("path must not be empty")
    return Path(text).absolute()  # also for SQLite, to which some relative names mean no file at all


def _key_field(_: Any, __: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"key_field must be text, not {type(value).__name__}")
    if not value:
        raise ValueError("key_field must not be empty")


def _seconds(value: Any) -> float:
    return seconds_argument(value, "wait", zero=True) or 0.0


@attrs.frozen
class Journal:
    """The journal of one batch, where more than its path is to be said.

    :param path: of the SQLite file; it is created when it is not there. One batch a file, one process at a time.
    :param key_field: under which name each item's key travels in the ``metadata`` of its execution, by which it is
        found again at the service.
    :param wait: seconds to wait for a journal that another process holds, before that is an error.
    """

    path: Path = attrs.field(converter=_path)
    key_field: str = attrs.field(default=DEFAULT_KEY_FIELD, validator=_key_field)
    wait: float = attrs.field(default=0.0, converter=_seconds)
