"""The input of a batch: lines of JSON, read as they come. Each is a request, or malformed."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

import attrs

from omium_async._data.codec import parse_json
from omium_sync import ExecutionRequest

from .endings import CommandFailed

_CHUNK: Final = 64 * 1024
_LONGEST: Final = 16 * 2**20  # bytes of a line; no service accepts a larger body
_CHECK: Final = 0.2  # seconds without input after which the reader checks whether it should stop
_FIELDS: Final = frozenset({"workflow_id", "input_data", "metadata", "agent_id", "key"})


@attrs.frozen
class InputLine:
    """A line that is not blank.

    :ivar request: the request; for a malformed line one that the SDK rejects, so that the line keeps its place in the
        batch: the journal knows items by their position, and a corrected line must not move those after it.
    :ivar problem: why the line is malformed, or ``None``.
    """

    number: int
    request: ExecutionRequest
    problem: str | None = None


def _malformed(number: int, problem: str) -> InputLine:
    return InputLine(number, ExecutionRequest(""), problem)


class LineReader:
    """Reads the lines of a file or pipe.

    :param whole: each line is a whole request, an object with ``input_data`` and so on; otherwise its input.
    :param stopping: called between lines, and while no input comes; ``True`` ends the reading.
    """

    def __init__(self, descriptor: int, workflow_id: str | None, *, whole: bool, stopping: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._workflow_id = workflow_id
        self._whole = whole
        self._stopping = stopping
        self.is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        # Another program may have read a part of stdin before.
        self._start = os.lseek(descriptor, 0, os.SEEK_CUR) if self.is_file else 0

    def count(self) -> int | None:
        """Count the lines of a file that are not blank, before any is read; return ``None`` for a pipe."""
        if not self.is_file:
            return None
        found = sum(content is None or content.strip() != b"" for content in self._contents())
        os.lseek(self._descriptor, self._start, os.SEEK_SET)
        return found

    def lines(self) -> Iterator[InputLine]:
        """Yield each line that is not blank."""
        for number, content in enumerate(self._contents(), 1):
            if self._stopping():
                return
            if content is None:
                yield _malformed(number, f"it is longer than {_LONGEST:,} bytes")
            elif content.strip():
                try:
                    yield InputLine(number, self._request(number, content))
                except (TypeError, ValueError) as error:
                    yield _malformed(number, str(error))

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
            raise ValueError(f"a request has no field {unknown[0]!r}, only {', '.join(sorted(_FIELDS))}")
        workflow_id = fields.get("workflow_id") or self._workflow_id
        if not isinstance(workflow_id, str):
            raise TypeError("it has no workflow_id" if workflow_id is None else "its workflow_id is not text")
        request: dict[str, Any] = {**fields, "workflow_id": workflow_id}
        return ExecutionRequest(**request)

    def _contents(self) -> Iterator[bytes | None]:
        """Yield the bytes of each line, and ``None`` for a line that is too long."""
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
                # Not Python's own reader, which cannot stop while it is blocked in a read.
                while not select.select([self._descriptor], [], [], _CHECK)[0]:
                    if self._stopping():
                        return
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except OSError as error:
                raise CommandFailed(f"the input cannot be read: {error.strerror}") from None
            if not chunk:
                return
            yield chunk
