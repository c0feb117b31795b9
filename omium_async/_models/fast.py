"""The fast way from JSON to the models, for answers of the forms that the service is known to send.

msgspec decodes into structs that check every type, and these are turned into the frozen models. An answer that does
not fit is left to the converter, which decides what it means; where both can read an answer they read it alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

import msgspec

from .converter import remember_sent
from .types import Checkpoint, Execution, ExecutionDetail, ExecutionStatus, nested_checkpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DETAIL_FIELDS",
    "ROW_FIELDS",
    "AwareDetail",
    "AwareRow",
    "LooseAwareRow",
    "LooseDetail",
    "LooseRow",
    "WireDetail",
    "WirePage",
    "WireRow",
    "add_unknown",
    "detail_of",
    "executions_of",
    "learn",
]

_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_UNSET = msgspec.UNSET
_NONE: Mapping[str, str] = MappingProxyType({})


class WireRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row with the fields of the document and of the live service."""

    id: str
    workflow_id: str | None = None
    status: ExecutionStatus | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    agent_id: str | None = None
    tenant_id: Any = _UNSET
    error_message: str | msgspec.UnsetType | None = _UNSET


class AwareRow(WireRow, forbid_unknown_fields=True, gc=False):
    """The same where all timestamps have an offset, which saves looking."""

    created_at: _Aware | None = None
    updated_at: _Aware | None = None
    started_at: _Aware | None = None
    completed_at: _Aware | None = None


class LooseRow(WireRow, forbid_unknown_fields=False, gc=False):
    """The same where rows carry fields that nobody has seen yet."""


class LooseAwareRow(AwareRow, forbid_unknown_fields=False, gc=False):
    """Both."""


class _WireCheckpoint(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    name: str | None = None
    created_at: datetime | None = None
    checkpoint_name: str | msgspec.UnsetType | None = _UNSET


class _AwareCheckpoint(_WireCheckpoint, forbid_unknown_fields=True, gc=False):
    created_at: _Aware | None = None


class WireDetail(WireRow, forbid_unknown_fields=True, gc=False):
    """An execution in full."""

    checkpoints: list[_WireCheckpoint] | None = None


class AwareDetail(AwareRow, forbid_unknown_fields=True, gc=False):
    """The same where all timestamps have an offset."""

    checkpoints: list[_AwareCheckpoint] | None = None


class LooseDetail(WireDetail, forbid_unknown_fields=False, gc=False):
    """The same with fields that nobody has seen yet."""


R = TypeVar("R", bound=WireRow)


class WirePage(msgspec.Struct, Generic[R], forbid_unknown_fields=True, gc=False):
    """A page of rows of one of the kinds above."""

    items: list[R]
    total: int | None = None
    page: int | None = None
    page_size: int | None = None


ROW_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(WireRow))
DETAIL_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(WireDetail))


# Setting attributes of a frozen class costs more than all the rest of decoding: models are filled as instances of an
# open subclass without fields of its own and get the frozen class when they are whole.
class _OpenExecution(Execution):
    __slots__ = ()
    if not TYPE_CHECKING:
        __init__ = object.__init__
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__


class _OpenDetail(ExecutionDetail):
    __slots__ = ()
    if not TYPE_CHECKING:
        __init__ = object.__init__
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__


class _OpenCheckpoint(Checkpoint):
    __slots__ = ()
    if not TYPE_CHECKING:
        __init__ = object.__init__
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__


def executions_of(rows: Iterable[WireRow], *, naive: bool, learned: Mapping[str, str] = _NONE) -> list[Execution]:
    """The models of wire rows.

    :param naive: timestamps may be without an offset.
    :param learned: fields of the rows beyond `ROW_FIELDS`, by the attribute that has each.
    """
    found: list[Execution] = _models(rows, _OpenExecution, Execution, naive=naive)
    for attribute, name in learned.items():
        read = attrgetter(attribute)
        for model, value in zip(found, map(read, rows), strict=True):
            if value is not _UNSET:
                model.extra[name] = value
    return found


def detail_of(row: WireDetail | AwareDetail, *, naive: bool) -> ExecutionDetail:
    """The model of an execution in full, with its checkpoints from either place.

    :param naive: timestamps may be without an offset.
    """
    model: Any = _models((row,), _OpenDetail, _OpenDetail, naive=naive)[0]
    if row.checkpoints:
        model.checkpoints = _checkpoints(row.checkpoints, naive=naive)
    else:
        model.checkpoints = _nested(row.metadata)
        sent: list[Any] | None = None if row.checkpoints is None else []
        remember_sent(model, {"checkpoints": (sent, model.checkpoints)})
    model.__class__ = ExecutionDetail
    return model  # type: ignore[no-any-return]


def _nested(metadata: dict[str, Any] | None) -> tuple[Checkpoint, ...]:
    entries: Any = metadata.get("checkpoints") if metadata else None
    if not entries:
        return ()
    try:
        return _checkpoints(msgspec.convert(entries, list[_WireCheckpoint]), naive=True)
    except (msgspec.MsgspecError, RecursionError):
        return nested_checkpoints(metadata)


def _checkpoints(entries: Iterable[_WireCheckpoint], *, naive: bool) -> tuple[Checkpoint, ...]:
    new: Any = _OpenCheckpoint
    found: list[Any] = []
    for entry in entries:
        model = new()
        model.id = entry.id
        model.name = entry.name
        model.created_at = moment = entry.created_at
        if naive and moment is not None and moment.tzinfo is None:
            model.created_at = _EPOCH + (moment - _NAIVE_EPOCH)
        model.extra = extra = {}
        name = entry.checkpoint_name
        if name is not _UNSET:
            extra["checkpoint_name"] = name
            if name is not None and entry.name is None:
                model.name = name
                model._sent = {"name": (None, name)}  # noqa: SLF001
        model.__class__ = Checkpoint
        found.append(model)
    return tuple(found)


def _models(rows: Iterable[WireRow], start: type[Execution], end: type[Execution], *, naive: bool) -> list[Any]:
    # In one piece, for a call a row would cost a tenth of all.
    new: Any = start
    found: list[Any] = []
    for row in rows:
        model = new()
        model.id = row.id
        model.workflow_id = row.workflow_id
        model.status = row.status
        model.created_at = row.created_at
        model.updated_at = row.updated_at
        model.started_at = row.started_at
        model.completed_at = row.completed_at
        model.input_data = row.input_data
        model.output_data = row.output_data
        model.error = row.error
        model.metadata = row.metadata
        model.agent_id = row.agent_id
        model.extra = extra = {}
        if row.tenant_id is not _UNSET:
            extra["tenant_id"] = row.tenant_id
        message = row.error_message
        if message is not _UNSET:
            extra["error_message"] = message
            if message is not None and row.error is None:
                model.error = message
                model._sent = {"error": (None, message)}  # noqa: SLF001
        if naive:
            _make_aware(model)
        model.__class__ = end
        found.append(model)
    return found


# `replace` takes ten times as long on Python 3.11.
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _make_aware(model: Any) -> None:
    moment: datetime | None = model.created_at
    if moment is not None and moment.tzinfo is None:
        model.created_at = _EPOCH + (moment - _NAIVE_EPOCH)
    moment = model.updated_at
    if moment is not None and moment.tzinfo is None:
        model.updated_at = _EPOCH + (moment - _NAIVE_EPOCH)
    moment = model.started_at
    if moment is not None and moment.tzinfo is None:
        model.started_at = _EPOCH + (moment - _NAIVE_EPOCH)
    moment = model.completed_at
    if moment is not None and moment.tzinfo is None:
        model.completed_at = _EPOCH + (moment - _NAIVE_EPOCH)


def learn(kind: type[R], names: Iterable[str]) -> tuple[type[R], dict[str, str]]:
    """A kind of row that has fields of these names too, and the attribute that has each."""
    learned = {f"learned_{number}": name for number, name in enumerate(names)}  # no name can clash with ours
    fields = [(attribute, Any, _UNSET) for attribute in learned]
    made = msgspec.defstruct(
        f"Learned{kind.__name__}", fields, bases=(kind,), rename=learned, forbid_unknown_fields=True, gc=False
    )
    return cast("type[R]", made), learned


def add_unknown(
    models: Iterable[Execution], rows: Iterable[Mapping[str, Any]], known: frozenset[str]
) -> frozenset[str]:
    """Put into ``extra`` what a loose struct that has the ``known`` fields passes over; the names of it."""
    seen: set[str] = set()
    last: tuple[str, ...] = ()
    unknown: list[str] = []
    for model, row in zip(models, rows, strict=True):
        keys = tuple(row)
        if keys != last:  # the rows of a page mostly have the same keys in the same order
            last = keys
            unknown = [name for name in keys if name not in known]
            seen.update(unknown)
        for name in unknown:
            model.extra[name] = row[name]
    return frozenset(seen)
