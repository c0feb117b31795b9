"""The bodies of responses in the form of the service. Stored JSON texts are included unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .jsontext import decode, dumps
from .tables import SHOWN

if TYPE_CHECKING:
    from .lists import Checkpoint, ListPage, Row
    from .store import Tenant

_SHOWN: Final = tuple(str(column.shown) for column in SHOWN)
_JSON: Final = tuple(str(column.shown) for column in SHOWN if column.is_json)
_Raw = msgspec.Raw


def page(found: ListPage, tenant: Tenant, number: int, size: int) -> bytes:
    """Return the body of a list."""
    items = [_execution(row, tenant) for row in found.rows]
    return dumps({"items": items, "total": found.total, "page": number, "page_size": size})


def detail(row: Row, checkpoints: list[Checkpoint], tenant: Tenant) -> bytes:
    """Return the body of details. As on the live service the checkpoints are also in `metadata`, where the official
    command line reads them. A user's own `checkpoints` key stays visible in lists and workflows."""
    shown = _execution(row, tenant)
    metadata = {**decode(bytes(shown["metadata"])), "checkpoints": checkpoints}
    return dumps({**shown, "metadata": metadata, "error": shown["error_message"], "checkpoints": checkpoints})


def _execution(row: Row, tenant: Tenant) -> dict[str, Any]:
    shown: dict[str, Any] = dict(zip(_SHOWN, row, strict=True))
    for name in _JSON:
        if shown[name] is not None:
            shown[name] = _Raw(shown[name])
    shown["tenant_id"] = tenant.name
    return shown


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
