"""The lines of a batch: each becomes a request, or is malformed; read as they come, none kept."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

import attrs

from omium_sync import ExecutionRequest

from .arguments import parse_json
from .failures import Failure

__all__ = ["Line", "Malformed", "Source"]

_CHUNK: Final = 64 * 1024
_LONGEST: Final = 16 * 2**20  # bytes of a line: no service takes a larger body
_LOOK_UP: Final = 0.2  # seconds without input after which the reader looks whether it should stop
_FIELDS: Final = frozenset({"workflow_id", "input_data", "metadata", "agent_id", "key"})


@attrs.frozen
class Line:
    """A line that is a request."""

    number: int
    request: ExecutionRequest


@attrs.frozen
class Malformed:
    """A line that is none."""

    number: int
    why: str


class Source:
    """The lines of a file or pipe.

    :param whole: each line is a whole request, an object with ``input_data`` and the like; else it is the input alone.
    :param stopping: asked between lines, and while no input comes.
    """

    def __init__(self, descriptor: int, workflow_id: str | None, *, whole: bool, stopping: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._workflow_id = workflow_id
        self._whole = whole
        self._stopping = stopping
        self.is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.is_file else 0  # of stdin, others may have read

    def count(self) -> int | None:
        """How many lines are not blank, before any is read; ``None`` where that cannot be known."""
        if not self.is_file:
            return None
        found = sum(content is None or content.strip() != b"" for content in self._contents())
        self.rewind()
        return found

    def rewind(self) -> None:
        """Back to the first line of a file."""
        os.lseek(self._descriptor, self._start, os.SEEK_SET)

    def lines(self) -> Iterator[Line | Malformed]:
        """Each line that is not blank."""
        for number, content in enumerate(self._contents(), 1):
            if self._stopping():
                return
            if content is None:
                yield Malformed(number, f"it is longer than {_LONGEST:,} bytes")
            elif content.strip():
                try:
                    yield Line(number, self._request(number, content))
                except (TypeError, ValueError) as error:
                    yield Malformed(number, str(error))

    def _request(self, number: int, content: bytes) -> ExecutionRequest:
        try:
            value = parse_json(content.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None
        except ValueError as error:
            raise ValueError(f"it is not JSON: {error}") from None
        if not self._whole:
            value = {"input_data": value}
        if not isinstance(value, Mapping):
            raise TypeError("it is not an object")
        fields = cast("Mapping[str, Any]", value)
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown:
            raise ValueError(f"a request has no {unknown[0]!r}, only {', '.join(sorted(_FIELDS))}")
        workflow_id = fields.get("workflow_id") or self._workflow_id
        if not isinstance(workflow_id, str):
            raise TypeError("it names no workflow_id" if workflow_id is None else "its workflow_id is no text")
        request: dict[str, Any] = {**fields, "workflow_id": workflow_id}
        return ExecutionRequest(**request)

    def _contents(self) -> Iterator[bytes | None]:
        """The bytes of each line; ``None`` for one that is too long."""
        kept: list[bytes] = []
        length = 0
        for chunk in self._chunks():
            *ended, rest = chunk.split(b"\n")
            for end in ended:
                length += len(end)
                yield None if length > _LONGEST else b"".join((*kept, end))
                kept.clear()
                length = 0
            length += len(rest)
            if length <= _LONGEST:
                kept.append(rest)
            else:
                kept.clear()
        if length:
            yield None if length > _LONGEST else b"".join(kept)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            if not self.is_file:
                # Not by Python's own reader: one that is blocked in a read cannot be told to stop.
                while not select.select([self._descriptor], [], [], _LOOK_UP)[0]:
                    if self._stopping():
                        return
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except OSError as error:
                raise Failure(f"the input cannot be read any further: {error.strerror}") from None
            if not chunk:
                return
            yield chunk
