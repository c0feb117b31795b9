"""Changes to the executions in the tables, as functions of a connection.

The writer calls each function within one transaction (see `database`). A function either makes all of its change or
raises before the first part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import BadCheckpointError, KeyReusedError, MissingError, StaleRunError, WrongStateError
from .tables import ENDED, POSITIONS_PER_TENANT

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
    "cancel",
    "create",
    "delete",
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
#: The run that may write. It excludes earlier runs, and executions that a reset deleted and whose position is used
#: again.
_THIS_RUN: Final = "position = ? AND id = ? AND generation = ? AND status = 'running'"


@attrs.frozen
class Tenant:
    """The owner of executions; each tenant sees only its own."""

    id: int
    name: str


@attrs.frozen
class Submission:
    """An execution to create. Its JSON texts are stored and returned unchanged."""

    workflow_id: str
    input_data: bytes
    metadata: bytes
    agent_id: str | None


@attrs.frozen
class RunState:
    """The data of a run: the execution, the generation it writes as, and the results recorded so far."""

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
    """The key of a write, its method and path, and a digest of its body."""

    route: str
    key: str
    digest: bytes


@attrs.frozen
class WriteAnswer:
    """The response to a write. `fresh`: the write was done now, not remembered from an earlier request."""

    status: int
    body: bytes
    fresh: bool


def once(
    connection: sqlite3.Connection, tenant: Tenant, key: IdempotencyKey | None, status: int, write: Callable[[], bytes]
) -> WriteAnswer:
    """Do a write and store its response with it, or return the stored response if the key was used before.

    :raises KeyReusedError: the key was used with another body.
    """
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
    """Add an execution as the newest of its tenant, and return its position and created_at.

    If the clock went back, created_at is that of the execution before, so that both orders agree.
    """
    number, created_at = connection.execute(
        "UPDATE tenants SET executions = executions + 1, latest = latest + 1, newest = max(newest, ?) WHERE id = ?"
        " RETURNING latest, newest",
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
    """Add many executions of one status without running them, as pairs of id and submission, oldest first.

    Benchmarks and tests use it. Return the number of executions added.
    """
    latest, newest = connection.execute("SELECT latest, newest FROM tenants WHERE id = ?", (tenant.id,)).fetchone()
    created_at = max(now, newest)
    base = tenant.id * POSITIONS_PER_TENANT + latest
    tallies: dict[str, int] = {}
    rows: list[tuple[Any, ...]] = []
    for number, (execution_id, one) in enumerate(new, 1):
        tallies[one.workflow_id] = tallies.get(one.workflow_id, 0) + 1
        rows.append((base + number, tenant.id, execution_id, one.workflow_id, status, created_at, created_at, None,
                     one.agent_id, one.metadata, one.input_data))  # fmt: skip
    connection.executemany(_ADD, rows)
    connection.execute(
        "UPDATE tenants SET executions = executions + ?, latest = latest + ?, newest = ? WHERE id = ?",
        (len(rows), len(rows), created_at, tenant.id),
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
    """Set a failed or paused execution to running, or to pending if its workflow is not registered.

    Checkpoints after the given one are discarded. Return the status and the workflow id.
    """
    position, workflow_id, before = _find(connection, tenant, execution_id)
    if before not in {"failed", "paused"}:
        raise WrongStateError(f"Execution is {before}; only a failed or paused execution can be replayed")
    _discard_after(connection, position, checkpoint_id)
    status = "running" if workflow_id in registered else "pending"
    _change(connection, position, status, now)
    return status, workflow_id


def rollback(connection: sqlite3.Connection, tenant: Tenant, execution_id: str, checkpoint_id: str, now: str) -> None:
    """Set an execution to paused, whatever its status, and discard the checkpoints after the given one."""
    position, _, _ = _find(connection, tenant, execution_id)
    _discard_after(connection, position, checkpoint_id)
    _change(connection, position, "paused", now)


def cancel(connection: sqlite3.Connection, tenant: Tenant, execution_id: str, now: str) -> None:
    """Set an execution that has not ended to cancelled, and exclude its run from further writes."""
    position, _, before = _find(connection, tenant, execution_id)
    if before in ENDED:
        raise WrongStateError(f"Execution is {before}; it has ended and cannot be cancelled")
    _change(connection, position, "cancelled", now)
    connection.execute("UPDATE executions SET completed_at = updated_at WHERE position = ?", (position,))


def delete(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> None:
    """Delete an execution that neither runs nor waits, with its checkpoints."""
    position, workflow_id, before = _find(connection, tenant, execution_id)
    if before in {"pending", "running"}:
        raise WrongStateError(f"Execution is {before}; cancel it before you delete it")
    _remember_latest_id(connection)
    connection.execute("DELETE FROM checkpoints WHERE position = ?", (position,))
    connection.execute("DELETE FROM executions WHERE position = ?", (position,))
    connection.execute("UPDATE tenants SET executions = executions - 1 WHERE id = ?", (tenant.id,))
    _count(connection, tenant.id, workflow_id, before, -1)


def unfinished(connection: sqlite3.Connection, *, workflow_id: str, after: int, limit: int) -> list[tuple[int, str]]:
    """Return (position, id) of pending and running executions of all tenants behind the position `after`."""
    return connection.execute(
        "SELECT position, id FROM executions WHERE workflow_id = ? AND status IN ('pending', 'running')"
        " AND position > ? ORDER BY position LIMIT ?",
        (workflow_id, after, limit),
    ).fetchall()


def begin(connection: sqlite3.Connection, execution_id: str, now: str) -> RunState | None:
    """Begin a new generation of an execution that is pending or was cut off while running; otherwise return None."""
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
    """Add a checkpoint to a run.

    :raises StaleRunError: the run may no longer write.
    """
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
    """Remove a checkpoint whose step was interrupted while it was recorded, so that run and record agree."""
    connection.execute(
        "DELETE FROM checkpoints WHERE position = ? AND id = ?"  # noqa: S608
        f" AND EXISTS (SELECT 1 FROM executions WHERE {_THIS_RUN})",
        (run.position, checkpoint_id, run.position, run.execution_id, run.generation),
    )


def finish(connection: sqlite3.Connection, run: RunState, *, output: bytes | None, error: str | None, now: str) -> None:
    """End a run as completed, or as failed if there is an error.

    :raises StaleRunError: the run may no longer write.
    """
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
    """Delete all executions and stored responses. Tenants and API keys stay, and ids continue to grow."""
    _remember_latest_id(connection)
    for table in ("executions", "checkpoints", "tallies", "answers"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.execute("UPDATE tenants SET executions = 0, latest = 0, newest = ''")


def latest_id(connection: sqlite3.Connection) -> str:
    """Return the greatest execution id ever created, or an empty text."""
    found: str | None = connection.execute(
        "SELECT max(id) FROM (SELECT max(id) AS id FROM executions UNION ALL SELECT latest_id FROM forgotten)"
    ).fetchone()[0]
    return found or ""


def _remember_latest_id(connection: sqlite3.Connection) -> None:
    latest = latest_id(connection)
    connection.execute("DELETE FROM forgotten")
    connection.execute("INSERT INTO forgotten VALUES (?)", (latest,))


def _find(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> tuple[int, str, str]:
    row: tuple[int, str, str] | None = connection.execute(
        "SELECT position, workflow_id, status FROM executions WHERE id = ? AND tenant = ?", (execution_id, tenant.id)
    ).fetchone()
    if row is None:
        raise MissingError("Execution not found")
    return row


def _discard_after(connection: sqlite3.Connection, position: int, checkpoint_id: str) -> None:
    """Discard the checkpoints after the given one. So a name occurs once: a step that runs again records a new id."""
    row = connection.execute(
        "SELECT number FROM checkpoints WHERE position = ? AND id = ?", (position, checkpoint_id)
    ).fetchone()
    if row is None:
        raise BadCheckpointError("Checkpoint not found")
    connection.execute("DELETE FROM checkpoints WHERE position = ? AND number > ?", (position, row[0]))


def _change(connection: sqlite3.Connection, position: int, status: str, now: str) -> None:
    """Set a status, clear the results of the last run, and exclude that run from further writes."""
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
