"""The bodies of responses in the form of the service. Stored JSON texts are included unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .jsontext import decode, dumps
from .tables import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lists import Checkpoint, ListPage, Row
    from .store import Tenant

__all__ = [
    "checkpoint",
    "checkpoints",
    "created",
    "detail",
    "error",
    "moved",
    "page",
    "workflow",
    "workflows",
]

_JSON: Final = tuple(index for index, column in enumerate(SHOWN) if column.is_json)
_ERROR: Final = [column.name for column in SHOWN].index("error")
_METADATA: Final = [column.name for column in SHOWN].index("metadata")


class _PageBody(msgspec.Struct, gc=False):
    items: list[Any]
    total: int
    page: int
    page_size: int


# The stored columns come as tuples; their types are those of the tables.
_row: Final[Callable[..., Any]] = msgspec.defstruct(
    "Row", [*((str(column.shown), Any) for column in SHOWN), ("tenant_id", str)], gc=False
)
_detail: Final[Callable[..., Any]] = msgspec.defstruct(
    "Detail",
    [
        *((str(column.shown), Any) for column in SHOWN),
        ("tenant_id", str),
        ("error", Any),
        ("checkpoints", list[Any]),
    ],
    gc=False,
)
_Raw = msgspec.Raw


def page(found: ListPage, tenant: Tenant, number: int, size: int) -> bytes:
    """Return the body of a list."""
    return dumps(_PageBody([_row(*_values(one), tenant.name) for one in found.rows], found.total, number, size))


def detail(one: Row, checkpoints: list[Checkpoint], tenant: Tenant) -> bytes:
    """Return the body of details. As on the live service the checkpoints are also in `metadata`, where the official
    command line reads them. A user's own `checkpoints` key stays visible in lists and workflows."""
    values = _values(one)
    values[_METADATA] = {**decode(one[_METADATA]), "checkpoints": checkpoints}
    return dumps(_detail(*values, tenant.name, one[_ERROR], checkpoints))


def created(execution_id: str, workflow_id: str, status: str, created_at: str) -> bytes:
    """Return the body of a create."""
    return dumps({"id": execution_id, "workflow_id": workflow_id, "status": status, "created_at": created_at})


def moved(execution_id: str, status: str, message: str) -> bytes:
    """Return the body of a replay, a rollback or a cancellation."""
    return dumps({"id": execution_id, "status": status, "message": message})


def checkpoint(one: Checkpoint, result: bytes | None = None) -> bytes:
    """Return the body of a checkpoint, with its state if `result` is given."""
    return dumps(_checkpoint(one, result))


def checkpoints(found: list[Checkpoint], total: int, limit: int, offset: int) -> bytes:
    """Return the body of a list of checkpoints."""
    items = [_checkpoint(one) for one in found]
    return dumps({"items": items, "total": total, "limit": limit, "offset": offset})


def _checkpoint(one: Checkpoint, result: bytes | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {**one, "metadata": {}}
    if result is not None:
        shown["state"] = {"current_step": one["name"], "result": _Raw(result)}
    return shown


def workflow(name: str, description: str | None) -> bytes:
    """Return the body of a registered workflow."""
    return dumps({**_workflow(name, description), "definition": {}, "tags": [], "updated_at": None})


def workflows(found: list[tuple[str, str | None]], total: int, page: int, page_size: int) -> bytes:
    """Return the body of a list of workflows, given as pairs of name and description."""
    items = [_workflow(*one) for one in found]
    return dumps({"items": items, "total": total, "page": page, "page_size": page_size})


def _workflow(name: str, description: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "description": description,
        "workflow_type": "custom",
        "status": "published",
        "created_at": None,
    }


def error(detail: object, trace_id: str) -> bytes:
    """Return the body of an error."""
    return dumps({"detail": detail, "trace_id": trace_id})


def _values(one: Row) -> list[Any]:
    values = list(one)
    for index in _JSON:
        if values[index] is not None:
            values[index] = _Raw(values[index])
    return values
