"""JSON: what users give is checked and encoded, what the service answers is decoded into models.

Lists are where decoding costs. A page is decoded by msgspec into wire structs that know every field the live service
was seen to send, and from there into the frozen models. An answer that does not fit (a field never seen before, a
timestamp that is none, a wrong type) takes the converter's path, which decides what it means; where both can read an
answer they read it alike.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import attrs
import msgspec

from .converter import Answer, Misfit, converter
from .models import STATUS_BY_TEXT, Checkpoint, Execution, ExecutionDetail, ExecutionPage, ExecutionStatus

__all__ = ["NotJSON", "decode", "decode_detail", "decode_execution", "decode_json", "decode_page", "encode", "plain"]

A = TypeVar("A", bound=Answer)


class NotJSON(Misfit):  # noqa: N818 - as Misfit
    """The body is no JSON at all, cut off perhaps: of a read it is worth asking again."""


# -- encoding --------------------------------------------------------------------------------------------------------


class _Unsendable(Exception):  # noqa: N818 - becomes a TypeError or ValueError that names the place
    def __init__(self, kind: type[Exception], problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.place = ""


def plain(value: Any, name: str) -> Any:
    """``value`` as plain JSON data, changed in form only: tuples to lists, attrs classes and dataclasses to objects,
    datetimes, UUIDs and enums to their text or value.

    :param name: what messages call it.
    :raises TypeError: for what JSON has no form for. :raises ValueError: for NaN, infinities, lone surrogates,
        integers of more than 4,300 digits, data nested too deeply or holding itself.
    """
    try:
        return _plain(value)
    except _Unsendable as unsendable:
        raise unsendable.kind(f"{name}{unsendable.place}: {unsendable.problem}") from None
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply to be sent as JSON, or holding itself") from None


def encode(value: Any) -> bytes:
    """Plain JSON data, as `plain` gives it, as bytes."""
    return msgspec.json.encode(value)


def _plain(value: Any) -> Any:
    reader = _PLAIN.get(type(value))
    return reader(value) if reader is not None else _plain_other(value)


def _plain_str(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Unsendable(ValueError, "text with a lone surrogate cannot be sent as JSON") from None
    return value


def _plain_int(value: int) -> int:
    if not -_SAFE_INT < value < _SAFE_INT:
        try:
            str(value)
        except ValueError:
            raise _Unsendable(ValueError, "an integer of more than 4,300 digits cannot be sent as JSON") from None
    return value


def _plain_float(value: float) -> float:
    if not math.isfinite(value):
        raise _Unsendable(ValueError, f"{value} has no form in JSON")
    return value


def _plain_dict(value: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        if not isinstance(key, str):
            raise _Unsendable(TypeError, f"the key {key!r} is not text; JSON has no other keys")
        text = _plain_str(_text_of(key))
        try:
            found[text] = _plain(entry)
        except _Unsendable as unsendable:
            unsendable.place = f".{text}{unsendable.place}" if text.isidentifier() else f"[{text!r}]{unsendable.place}"
            raise
    if len(found) != len(value):
        raise _Unsendable(ValueError, "two keys have the same text")
    return found


def _plain_list(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    found: list[Any] = []
    for entry in value:
        try:
            found.append(_plain(entry))
        except _Unsendable as unsendable:
            unsendable.place = f"[{len(found)}]{unsendable.place}"
            raise
    return found


def _text_of(value: str) -> str:
    return cast("str", value.value) if isinstance(value, enum.Enum) else str.__str__(value)


def _plain_other(value: Any) -> Any:
    """Subclasses of JSON's types, and the few other kinds that have one obvious form."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, type):
        raise _Unsendable(TypeError, f"the class {value.__name__} itself cannot be sent as JSON")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if attrs.has(type(value)):
        return _plain_dict({field.name: getattr(value, field.name) for field in attrs.fields(type(value))})
    if dataclasses.is_dataclass(value):
        return _plain_dict({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    for kind, reader in _PLAIN.items():
        if kind not in (bool, type(None)) and isinstance(value, kind):
            return reader(kind(value) if kind in (int, float) else value)
    if isinstance(value, Mapping):
        return _plain_dict(cast("Mapping[Any, Any]", value))
    raise _Unsendable(TypeError, f"{type(value).__name__} cannot be sent as JSON without changing it; convert it first")


_SAFE_INT = 10**4000
_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: lambda value: _plain_str(str.__str__(value)),
    int: _plain_int,
    bool: lambda value: value,
    type(None): lambda value: value,
    float: _plain_float,
    dict: _plain_dict,
    list: _plain_list,
    tuple: _plain_list,
}


# -- decoding --------------------------------------------------------------------------------------------------------


def decode_json(body: bytes) -> Any:
    """Any JSON.

    :raises NotJSON: it is none, or none that Python can hold.
    """
    try:
        return _decode_any(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotJSON(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise NotJSON("the body is JSON nested too deeply") from None


def decode(body: bytes, cls: type[A]) -> A:
    """Any answer, by way of the converter.

    :raises NotJSON: the body is no JSON. :raises Misfit: it is of the wrong form.
    """
    return converter.structure(decode_json(body), cls)


class _WireRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row as the document has it and as the live service sends it."""

    id: str
    workflow_id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    agent_id: str | None = None
    tenant_id: Any = msgspec.UNSET
    error_message: str | None | msgspec.UnsetType = msgspec.UNSET


class _LooseRow(_WireRow, forbid_unknown_fields=False, gc=False):
    """The same where rows carry fields that nobody has seen yet."""


class _WireCheckpoint(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    name: str | None = None
    created_at: datetime | None = None


class _WireDetail(_WireRow, forbid_unknown_fields=True, gc=False, kw_only=True):
    checkpoints: list[_WireCheckpoint]


class _WirePage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    items: list[_WireRow]
    total: int | None = None
    page: int | None = None
    page_size: int | None = None


class _LoosePage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    items: list[_LooseRow]
    total: int | None = None
    page: int | None = None
    page_size: int | None = None


# Setting attributes of a frozen class costs more than all the rest of decoding: rows are built as instances of an
# open subclass without fields of its own and become the frozen class when they are whole.
class _OpenExecution(Execution):
    __slots__ = ()
    __setattr__ = object.__setattr__  # type: ignore[assignment]
    __delattr__ = object.__delattr__  # type: ignore[assignment]


class _OpenDetail(ExecutionDetail):
    __slots__ = ()
    __setattr__ = object.__setattr__  # type: ignore[assignment]
    __delattr__ = object.__delattr__  # type: ignore[assignment]


_UNSET = msgspec.UNSET
_new_execution = _OpenExecution.__new__
_new_detail = _OpenDetail.__new__
_decode_any = msgspec.json.Decoder().decode
_decode_row = msgspec.json.Decoder(_WireRow).decode
_decode_detail = msgspec.json.Decoder(_WireDetail).decode
_decode_page = msgspec.json.Decoder(_WirePage).decode

_ROW_FIELDS = frozenset(field.name for field in msgspec.structs.fields(_WireRow))

_NotFast = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_page(body: bytes) -> ExecutionPage:
    """A page of a list. Raises as `decode` does."""
    try:
        wire = _decode_page(body)
    except _NotFast:
        return _decode_loose_page(body)
    items = tuple([_execution(row) for row in wire.items])
    return ExecutionPage(items, wire.total, wire.page, wire.page_size)


def _decode_loose_page(body: bytes) -> ExecutionPage:
    data = decode_json(body)
    try:
        wire = msgspec.convert(data, _LoosePage)
    except _NotFast:
        return converter.structure(data, ExecutionPage)
    items: list[Execution] = []
    for loose, row in zip(wire.items, data["items"], strict=True):
        found = _execution(loose)
        for name in row:
            if name not in _ROW_FIELDS:
                found.extra[name] = row[name]
        items.append(found)
    return ExecutionPage(tuple(items), wire.total, wire.page, wire.page_size)


def decode_execution(body: bytes) -> Execution:
    """One execution as ``create`` answers it. Raises as `decode` does."""
    try:
        return _execution(_decode_row(body))
    except _NotFast:
        return decode(body, Execution)


def decode_detail(body: bytes) -> ExecutionDetail:
    """One execution in full. Raises as `decode` does."""
    try:
        wire = _decode_detail(body)
    except _NotFast:
        return decode(body, ExecutionDetail)
    if not wire.checkpoints:
        return decode(body, ExecutionDetail)
    found = _new_detail(_OpenDetail)
    _fill(found, wire)
    found.checkpoints = tuple([Checkpoint(c.id, c.name, c.created_at) for c in wire.checkpoints])  # type: ignore[misc]
    found.__class__ = ExecutionDetail  # type: ignore[assignment]
    return found


def _execution(wire: _WireRow) -> Execution:
    found = _new_execution(_OpenExecution)
    _fill(found, wire)
    found.__class__ = Execution  # type: ignore[assignment]
    return found


def _fill(found: Any, wire: _WireRow) -> None:
    # One long function, and `_aware` only where a timestamp is naive: a call a field would double the cost of a row.
    found.id = wire.id
    found.workflow_id = wire.workflow_id
    status = wire.status
    found.status = None if status is None else STATUS_BY_TEXT.get(status) or ExecutionStatus(status)
    moment = wire.created_at
    found.created_at = moment if moment is None or moment.tzinfo is not None else _aware(moment)
    moment = wire.updated_at
    found.updated_at = moment if moment is None or moment.tzinfo is not None else _aware(moment)
    moment = wire.started_at
    found.started_at = moment if moment is None or moment.tzinfo is not None else _aware(moment)
    moment = wire.completed_at
    found.completed_at = moment if moment is None or moment.tzinfo is not None else _aware(moment)
    found.input_data = wire.input_data
    found.output_data = wire.output_data
    error = wire.error
    found.metadata = wire.metadata
    found.agent_id = wire.agent_id
    found.extra = extra = {}
    found._sent = None
    if wire.tenant_id is not _UNSET:
        extra["tenant_id"] = wire.tenant_id
    if wire.error_message is not _UNSET:
        extra["error_message"] = message = wire.error_message
        if error is None and message is not None:
            error = message
            found._sent = {"error": None}
    found.error = error


def _aware(moment: datetime) -> datetime:
    return datetime.combine(moment, moment.time(), UTC)  # `replace` takes ten times as long on Python 3.11
