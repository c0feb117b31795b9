"""The texts of the answers, in the service's own form; what is stored as JSON goes through unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from .jsontext import decode, dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .lists import Page
    from .store import Tenant

__all__ = ["created", "detail", "moved", "page", "trouble"]

_Raw = msgspec.Raw


class _Row(msgspec.Struct, gc=False):
    id: str
    workflow_id: str
    status: str
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    agent_id: str | None
    error_message: str | None
    metadata: msgspec.Raw
    input_data: msgspec.Raw
    output_data: msgspec.Raw | None
    tenant_id: str


class _Page(msgspec.Struct, gc=False):
    items: list[_Row]
    total: int
    page: int
    page_size: int


class _Checkpoint(msgspec.Struct, gc=False):
    id: str
    name: str
    created_at: str


class _Detail(_Row, gc=False):
    error: str | None
    checkpoints: list[_Checkpoint]


# The stored columns come as tuples of what the tables hold: there is nothing to check them against.
_row: Callable[..., _Row] = _Row
_detail: Callable[..., _Detail] = _Detail


def page(found: Page, tenant: Tenant, number: int, size: int) -> bytes:
    """The answer of a list."""
    name = tenant.name
    items = [
        _row(*row[:9], _Raw(row[9]), _Raw(row[10]), None if row[11] is None else _Raw(row[11]), name)
        for row in found.rows
    ]
    return dumps(_Page(items, found.total, number, size))


def detail(row: Sequence[Any], checkpoints: list[tuple[str, str, str]], tenant: Tenant) -> bytes:
    """The answer of details. The checkpoints are there twice, as on the live service: the official CLI reads those in
    `metadata`. A user's own `checkpoints` in the metadata stays what lists and workflows see."""
    listed = [_Checkpoint(*checkpoint) for checkpoint in checkpoints]
    metadata = {**decode(row[9]), "checkpoints": listed}
    output = None if row[11] is None else _Raw(row[11])
    return dumps(_detail(*row[:9], _Raw(dumps(metadata)), _Raw(row[10]), output, tenant.name, row[8], listed))


def created(execution_id: str, workflow_id: str, status: str, created_at: str) -> bytes:
    """The answer of a create."""
    return dumps({"id": execution_id, "workflow_id": workflow_id, "status": status, "created_at": created_at})


def moved(execution_id: str, status: str, message: str) -> bytes:
    """The answer of a replay or a rollback."""
    return dumps({"id": execution_id, "status": status, "message": message})


def trouble(detail: object, trace_id: str) -> bytes:
    """The answer of an error."""
    return dumps({"detail": detail, "trace_id": trace_id})
