"""The texts of the answers, in the service's own form; what is stored as JSON goes through unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .columns import SHOWN
from .jsontext import decode, dumps

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lists import Page, Row
    from .store import Tenant

__all__ = ["created", "detail", "moved", "page", "row", "tail", "trouble"]

_JSON: Final = tuple(index for index, column in enumerate(SHOWN) if column.is_json)
_ERROR: Final = [column.name for column in SHOWN].index("error")
_METADATA: Final = [column.name for column in SHOWN].index("metadata")


class _Page(msgspec.Struct, gc=False):
    items: list[Any]
    total: int
    page: int
    page_size: int


class _Checkpoint(msgspec.Struct, gc=False):
    id: str
    name: str
    created_at: str


# The stored columns come as tuples of what the tables hold: there is nothing to check them against.
_row: Final[Callable[..., Any]] = msgspec.defstruct(
    "Row", [*((str(column.shown), Any) for column in SHOWN), ("tenant_id", str)], gc=False
)
_detail: Final[Callable[..., Any]] = msgspec.defstruct(
    "Detail",
    [
        *((str(column.shown), Any) for column in SHOWN),
        ("tenant_id", str),
        ("error", Any),
        ("checkpoints", list[_Checkpoint]),
    ],
    gc=False,
)
_Raw = msgspec.Raw


def page(found: Page, tenant: Tenant, number: int, size: int) -> bytes:
    """The answer of a list; of one with a rest, its beginning, to be followed by each `row` and the `tail`."""
    whole = dumps(_Page([_shown(one, tenant) for one in found.rows], found.total, number, size))
    return whole if not found.rest else whole[: -len(tail(found, number, size))]


def row(one: Row, tenant: Tenant) -> bytes:
    """One more row of a list, behind a comma."""
    return dumps(_shown(one, tenant))


def tail(found: Page, number: int, size: int) -> bytes:
    """The end of a list."""
    return dumps(_Page([], found.total, number, size)).removeprefix(b'{"items":[')


def detail(one: Row, checkpoints: list[tuple[str, str, str]], tenant: Tenant) -> bytes:
    """The answer of details. The checkpoints are there twice, as on the live service: the official CLI reads those in
    `metadata`. A user's own `checkpoints` in the metadata stays what lists and workflows see."""
    listed = [_Checkpoint(*checkpoint) for checkpoint in checkpoints]
    values = _values(one)
    values[_METADATA] = {**decode(one[_METADATA]), "checkpoints": listed}
    return dumps(_detail(*values, tenant.name, one[_ERROR], listed))


def created(execution_id: str, workflow_id: str, status: str, created_at: str) -> bytes:
    """The answer of a create."""
    return dumps({"id": execution_id, "workflow_id": workflow_id, "status": status, "created_at": created_at})


def moved(execution_id: str, status: str, message: str) -> bytes:
    """The answer of a replay or a rollback."""
    return dumps({"id": execution_id, "status": status, "message": message})


def trouble(detail: object, trace_id: str) -> bytes:
    """The answer of an error."""
    return dumps({"detail": detail, "trace_id": trace_id})


def _shown(one: Row, tenant: Tenant) -> Any:
    return _row(*_values(one), tenant.name)


def _values(one: Row) -> list[Any]:
    values = list(one)
    for index in _JSON:
        if values[index] is not None:
            values[index] = _Raw(values[index])
    return values
