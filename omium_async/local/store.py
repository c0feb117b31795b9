"""The executions as the tables hold them: every change that is made to them, as functions of a connection.

Each function that writes is called within one transaction of the writer (see `database`) and either does all of its
change or raises before the first of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import BadCheckpointError, KeyReusedError, MissingError, StaleRunError, WrongStateError
from .tables import POSITIONS_PER_TENANT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Container, Iterable

__all__ = [
    "IdempotencyKey",
    "RunState",
    "Submission",
    "Tenant",
    "WriteAnswer",
    "begin",
    "create",
    "fill",
    "finish",
    "forget",
    "latest_id",
    "once",
    "record",
    "replay",
    "rollback",
    "unfinished",
    "wipe",
]  # fmt: skip

_ADD: Final = (
    "INSERT INTO executions (position, tenant, id, workflow_id, status, created_at, updated_at, started_at, agent_id,"
    " metadata, input_data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
#: The run that may write: not one before it, nor one of an execution that was forgotten and whose position was given
#: away again.
_THIS_RUN: Final = "position = ? AND id = ? AND generation = ? AND status = 'running'"


@attrs.frozen
class Tenant:
    """Whose executions: each sees only its own."""

    id: int
    name: str


@attrs.frozen
class Submission:
    """An execution to create; the JSON texts are stored, and given back, as they are."""

    workflow_id: str
    input_data: bytes
    metadata: bytes
    agent_id: str | None


@attrs.frozen
class RunState:
    """What a run needs to go on: the execution, the generation it may write as, the results recorded so far."""

    position: int
    generation: int
    execution_id: str
    workflow_id: str
    agent_id: str | None
    metadata: bytes
    input_data: bytes
    recorded: dict[str, bytes]


@attrs.frozen
class IdempotencyKey:
    """The key of a write, the route it was sent to, and a digest of the body that it belongs to."""

    route: str
    key: str
    digest: bytes


@attrs.frozen
class WriteAnswer:
    """What is answered to a write. `fresh`: it was done just now, not remembered from an earlier request."""

    status: int
    body: bytes
    fresh: bool


def once(
    connection: sqlite3.Connection, tenant: Tenant, key: IdempotencyKey | None, status: int, write: Callable[[], bytes]
) -> WriteAnswer:
    """Does the write and keeps its answer with it; or gives the answer kept, if the key has been here before."""
    if key is None:
        return WriteAnswer(status, write(), fresh=True)
    kept = connection.execute(
        "SELECT digest, status, body FROM answers WHERE tenant = ? AND route = ? AND key = ?",
        (tenant.id, key.route, key.key),
    ).fetchone()
    if kept is not None:
        if kept[0] != key.digest:
            raise KeyReusedError("This Idempotency-Key was used before with another body")
        return WriteAnswer(kept[1], kept[2], fresh=False)
    body = write()
    connection.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", (tenant.id, key.route, key.key, key.digest, status, body)
    )
    return WriteAnswer(status, body, fresh=True)


def create(
    connection: sqlite3.Connection, tenant: Tenant, execution_id: str, new: Submission, *, status: str, now: str
) -> tuple[int, str]:
    """Adds an execution as the newest of its tenant; its position, and its created_at: `now`, or that of the execution
    before it where the clock went back, so that the order by created_at is the order of creation."""
    number, created_at = connection.execute(
        "UPDATE tenants SET executions = executions + 1, newest = max(newest, ?) WHERE id = ?"
        " RETURNING executions, newest",
        (now, tenant.id),
    ).fetchone()
    position = tenant.id * POSITIONS_PER_TENANT + number
    started_at = created_at if status == "running" else None
    connection.execute(
        _ADD,
        (position, tenant.id, execution_id, new.workflow_id, status, created_at, created_at, started_at, new.agent_id,
         new.metadata, new.input_data),
    )  # fmt: skip
    _count(connection, tenant.id, new.workflow_id, status, 1)
    return position, created_at


def fill(
    connection: sqlite3.Connection, tenant: Tenant, new: Iterable[tuple[str, Submission]], *, status: str, now: str
) -> int:
    """Adds many executions of one status at once, without running them: (id, submission) each, oldest first."""
    first, newest = connection.execute("SELECT executions, newest FROM tenants WHERE id = ?", (tenant.id,)).fetchone()
    created_at = max(now, newest)
    base = tenant.id * POSITIONS_PER_TENANT + first
    tallies: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    for number, (execution_id, one) in enumerate(new, 1):
        tallies[one.workflow_id] = tallies.get(one.workflow_id, 0) + 1
        rows.append((base + number, tenant.id, execution_id, one.workflow_id, status, created_at, created_at, None,
                     one.agent_id, one.metadata, one.input_data))  # fmt: skip
    connection.executemany(_ADD, rows)
    connection.execute(
        "UPDATE tenants SET executions = executions + ?, newest = ? WHERE id = ?", (len(rows), created_at, tenant.id)
    )
    for workflow_id, more in tallies.items():
        _count(connection, tenant.id, workflow_id, status, more)
    return len(rows)


def replay(
    connection: sqlite3.Connection,
    tenant: Tenant,
    execution_id: str,
    checkpoint_id: str,
    *,
    registered: Container[str],
    now: str,
) -> tuple[str, str]:
    """Makes a failed or paused execution running, or pending where its workflow is not registered, with the checkpoints
    up to the given one and no later ones; its status, and the id of its workflow."""
    position, workflow_id, before = _find(connection, tenant, execution_id)
    if before not in {"failed", "paused"}:
        raise WrongStateError(f"Execution is {before}; only a failed or paused execution can be replayed")
    _cut(connection, position, checkpoint_id)
    status = "running" if workflow_id in registered else "pending"
    _change(connection, position, status, now)
    return status, workflow_id


def rollback(connection: sqlite3.Connection, tenant: Tenant, execution_id: str, checkpoint_id: str, now: str) -> None:
    """Makes an execution in any state `paused`, with the checkpoints up to the given one and no later ones."""
    position, _, _ = _find(connection, tenant, execution_id)
    _cut(connection, position, checkpoint_id)
    _change(connection, position, "paused", now)


def unfinished(connection: sqlite3.Connection, *, workflow_id: str, after: int, limit: int) -> list[tuple[int, str]]:
    """(position, id) of executions of all tenants that are pending or running, from the position `after` on."""
    return connection.execute(
        "SELECT position, id FROM executions WHERE workflow_id = ? AND status IN ('pending', 'running')"
        " AND position > ? ORDER BY position LIMIT ?",
        (workflow_id, after, limit),
    ).fetchall()


def begin(connection: sqlite3.Connection, execution_id: str, now: str) -> RunState | None:
    """Makes an execution that is pending or running (cut off earlier) the run of a new generation; None: it is not."""
    found = connection.execute(
        "SELECT position, status, generation, id, workflow_id, agent_id, metadata, input_data FROM executions"
        " WHERE id = ? AND status IN ('pending', 'running')",
        (execution_id,),
    ).fetchone()
    if found is None:
        return None
    position, status, generation, execution_id, workflow_id, agent_id, metadata, input_data = found
    if status == "pending":
        _change(connection, position, "running", now)
    else:
        connection.execute("UPDATE executions SET generation = generation + 1 WHERE position = ?", (position,))
    results = connection.execute("SELECT name, result FROM checkpoints WHERE position = ?", (position,))
    recorded: dict[str, bytes] = dict(results.fetchall())
    return RunState(position, generation + 1, execution_id, workflow_id, agent_id, metadata, input_data, recorded)


def record(
    connection: sqlite3.Connection, run: RunState, *, checkpoint_id: str, name: str, result: bytes, now: str
) -> None:
    """Adds a checkpoint to a run; raises StaleRunError when the run may not write any more."""
    row = connection.execute(
        f"UPDATE executions SET updated_at = max(updated_at, ?) WHERE {_THIS_RUN} RETURNING updated_at",  # noqa: S608
        (now, run.position, run.execution_id, run.generation),
    ).fetchone()
    if row is None:
        raise StaleRunError(run.execution_id)
    connection.execute(
        "INSERT INTO checkpoints SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ? FROM checkpoints"
        " WHERE position = ?",
        (run.position, checkpoint_id, name, row[0], result, run.position),
    )


def forget(connection: sqlite3.Connection, run: RunState, checkpoint_id: str) -> None:
    """Takes a checkpoint back that the run was cut off from, so that run and record agree; not from another run."""
    connection.execute(
        "DELETE FROM checkpoints WHERE position = ? AND id = ?"  # noqa: S608
        f" AND EXISTS (SELECT 1 FROM executions WHERE {_THIS_RUN})",
        (run.position, checkpoint_id, run.position, run.execution_id, run.generation),
    )


def finish(connection: sqlite3.Connection, run: RunState, *, output: bytes | None, error: str | None, now: str) -> None:
    """Ends a run as completed, or as failed where there is an error; raises StaleRunError like `record`."""
    status = "completed" if error is None else "failed"
    row = connection.execute(
        "UPDATE executions SET status = ?, updated_at = max(updated_at, ?), completed_at = max(updated_at, ?),"  # noqa: S608
        f" output_data = ?, error = ? WHERE {_THIS_RUN} RETURNING tenant, workflow_id",
        (status, now, now, output, error, run.position, run.execution_id, run.generation),
    ).fetchone()
    if row is None:
        raise StaleRunError(run.execution_id)
    _count(connection, row[0], row[1], "running", -1)
    _count(connection, row[0], row[1], status, 1)


def wipe(connection: sqlite3.Connection) -> None:
    """Forgets all executions, and the answers that belong to keys of idempotency.

    Tenants and API keys stay, and so does the greatest id, for ids go on growing."""
    latest = latest_id(connection)
    connection.execute("DELETE FROM forgotten")
    connection.execute("INSERT INTO forgotten VALUES (?)", (latest,))
    for table in ("executions", "checkpoints", "tallies", "answers"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.execute("UPDATE tenants SET executions = 0, newest = ''")


def latest_id(connection: sqlite3.Connection) -> str:
    """The greatest id that was ever given out; empty where there is none."""
    found: str | None = connection.execute(
        "SELECT max(id) FROM (SELECT max(id) AS id FROM executions UNION ALL SELECT latest_id FROM forgotten)"
    ).fetchone()[0]
    return found or ""


def _find(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> tuple[int, str, str]:
    row: tuple[int, str, str] | None = connection.execute(
        "SELECT position, workflow_id, status FROM executions WHERE id = ? AND tenant = ?", (execution_id, tenant.id)
    ).fetchone()
    if row is None:
        raise MissingError("Execution not found")
    return row


def _cut(connection: sqlite3.Connection, position: int, checkpoint_id: str) -> None:
    """Discards the checkpoints after the given one. A name is therefore never there twice: a step that runs again
    after a replay records its checkpoint anew, under another id."""
    row = connection.execute(
        "SELECT number FROM checkpoints WHERE position = ? AND id = ?", (position, checkpoint_id)
    ).fetchone()
    if row is None:
        raise BadCheckpointError("Checkpoint not found")
    connection.execute("DELETE FROM checkpoints WHERE position = ? AND number > ?", (position, row[0]))


def _change(connection: sqlite3.Connection, position: int, status: str, now: str) -> None:
    """Gives an execution a status other than an ended one, and shuts out the run that it had."""
    tenant, workflow_id, before = connection.execute(
        "SELECT tenant, workflow_id, status FROM executions WHERE position = ?", (position,)
    ).fetchone()
    started = now if status == "running" else None
    connection.execute(
        "UPDATE executions SET status = ?, generation = generation + 1, updated_at = max(updated_at, ?),"
        " started_at = coalesce(started_at, max(updated_at, ?)), completed_at = NULL, output_data = NULL, error = NULL"
        " WHERE position = ?",
        (status, now, started, position),
    )
    _count(connection, tenant, workflow_id, before, -1)
    _count(connection, tenant, workflow_id, status, 1)


def _count(connection: sqlite3.Connection, tenant: int, workflow_id: str, status: str, more: int) -> None:
    connection.execute(
        "INSERT INTO tallies VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, workflow_id, status) DO UPDATE SET executions = executions + excluded.executions",
        (tenant, workflow_id, status, more),
    )
