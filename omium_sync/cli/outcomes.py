"""The outcomes of a batch as they go out: to a report, to stdout, into a tally."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import click

from omium_sync import OmiumError

from .failures import Failure
from .private_files import open_private
from .render import json_line

__all__ = ["Report", "error_fields", "same_file"]


def error_fields(error: BaseException | None) -> dict[str, Any]:
    """What programs want to know of an error; nothing where there is none."""
    if error is None:
        return {}
    if not isinstance(error, OmiumError):
        return {"error": f"{type(error).__name__}: {error}"}
    fields: dict[str, Any] = {"error": f"{type(error).__name__}: {error.message}", "request_id": error.request_id}
    status = getattr(error, "status", None)
    return fields if status is None else {**fields, "http_status": status}


def same_file(one: Path | None, other: Path | None) -> bool:
    """Whether both are one file: to write the one would destroy the other."""
    if one is None or other is None:
        return False
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


class Report:
    """A file with one JSON object a line, written anew by each run; without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = open_private(self._path)
            except OSError as error:
                raise click.UsageError(f"the report {self._path} cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as failure:
                self._fail(failure)

    def write(self, row: dict[str, Any]) -> None:
        """One line."""
        if self._file is not None:
            try:
                self._file.write(json_line(row))
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        raise Failure(f"the report {self._path} cannot be written: {error.strerror}") from None
