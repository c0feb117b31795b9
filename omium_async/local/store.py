"""Changes to the executions in the tables, as functions of a connection.

The writer calls each function within one transaction (see `database`). A function either makes all of its change or
raises before the first part of it.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import attrs

from .._statuses import ACTIVE, ENDED, REPLAYABLE
from .errors import BadCheckpointError, MissingError, StaleRunError, WrongStateError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Container

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


def create(
    connection: sqlite3.Connection, tenant: Tenant, new: Submission, *, status: str, now: str
) -> tuple[str, str]:
    """Add an execution as the newest of its tenant, and return its id and created_at.

    If the clock went back, created_at is that of the execution before, so that both orders agree.
    """
    latest = connection.execute(
        "SELECT created_at FROM executions WHERE tenant = ? ORDER BY position DESC LIMIT 1", (tenant.id,)
    ).fetchone()
    created_at = now if latest is None else max(now, latest[0])
    execution_id = new_execution_id(connection)
    connection.execute(
        "INSERT INTO executions (tenant, id, workflow_id, status, created_at, updated_at, started_at, agent_id,"
        " metadata, input_data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (tenant.id, execution_id, new.workflow_id, status, created_at, created_at,
         created_at if status == "running" else None, new.agent_id, new.metadata, new.input_data),
    )  # fmt: skip
    return execution_id, created_at


def new_execution_id(connection: sqlite3.Connection) -> str:
    """Return a new id of at most 36 characters, because the official command line cuts longer ones.

    It begins with a number that only grows, so that ids sort in order of creation and are neighbours in the index. The
    number follows the system's time in milliseconds, so that ids also grow from one database in memory to the next.
    """
    milliseconds = time.time_ns() // 1_000_000
    (latest,) = connection.execute(
        "UPDATE ids SET latest = max(latest + 1, ?) RETURNING latest", (milliseconds << 16,)
    ).fetchone()
    return f"exec_{latest:016x}{secrets.token_hex(8)[:15]}"


def new_checkpoint_id() -> str:
    """Return a new id; checkpoints are listed by their number, not by id."""
    return f"chk_{secrets.token_hex(16)}"


def replay(
    connection: sqlite3.Connection,
    tenant: Tenant,
    execution_id: str,
    checkpoint_id: str,
    *,
    status_of: Callable[[str], str],
    now: str,
) -> str:
    """Set a failed or paused execution to the status in which one of its workflow begins, and return that status.

    Checkpoints after the given one are discarded.
    """
    position, workflow_id, before = _find(connection, tenant, execution_id)
    if before not in REPLAYABLE:
        raise WrongStateError(f"Execution is {before}; only a failed or paused execution can be replayed")
    _discard_after(connection, position, checkpoint_id)
    status = status_of(workflow_id)
    set_status(connection, position, status, now)
    return status


def rollback(connection: sqlite3.Connection, tenant: Tenant, execution_id: str, checkpoint_id: str, now: str) -> None:
    """Set an execution to paused, whatever its status, and discard the checkpoints after the given one."""
    position, _, _ = _find(connection, tenant, execution_id)
    _discard_after(connection, position, checkpoint_id)
    set_status(connection, position, "paused", now)


def cancel(connection: sqlite3.Connection, tenant: Tenant, execution_id: str, now: str) -> None:
    """Set an execution that has not ended to cancelled, and exclude its run from further writes."""
    position, _, before = _find(connection, tenant, execution_id)
    if before in ENDED:
        raise WrongStateError(f"Execution is {before}; it has ended and cannot be cancelled")
    set_status(connection, position, "cancelled", now)
    connection.execute("UPDATE executions SET completed_at = updated_at WHERE position = ?", (position,))


def delete(connection: sqlite3.Connection, tenant: Tenant, execution_id: str) -> None:
    """Delete an execution that neither runs nor waits, with its checkpoints."""
    position, _, before = _find(connection, tenant, execution_id)
    if before in ACTIVE:
        raise WrongStateError(f"Execution is {before}; cancel it before you delete it")
    connection.execute("DELETE FROM checkpoints WHERE position = ?", (position,))
    connection.execute("DELETE FROM executions WHERE position = ?", (position,))


def unfinished(connection: sqlite3.Connection, *, workflow_id: str, after: int, limit: int) -> list[tuple[int, str]]:
    """Return (position, id) of pending and running executions of all tenants behind the position `after`."""
    return connection.execute(
        "SELECT position, id FROM executions WHERE workflow_id = ? AND status IN ('pending', 'running')"
        " AND position > ? ORDER BY position LIMIT ?",
        (workflow_id, after, limit),
    ).fetchall()


def begin(
    connection: sqlite3.Connection, execution_id: str, registered: Container[str], now: str, *, pending: bool
) -> RunState | None:
    """Begin a new generation of an execution that is running, if its workflow is registered.

    :param pending: also begin an execution that is pending.
    """
    found = connection.execute(
        "SELECT position, status, generation, workflow_id, agent_id, metadata, input_data FROM executions"
        " WHERE id = ? AND status IN ('pending', 'running')",
        (execution_id,),
    ).fetchone()
    if found is None or found[3] not in registered or (found[1] == "pending" and not pending):
        return None
    position, status, generation, workflow_id, agent_id, metadata, input_data = found
    if status == "pending":
        set_status(connection, position, "running", now)
    else:
        connection.execute("UPDATE executions SET generation = generation + 1 WHERE position = ?", (position,))
    results = connection.execute("SELECT name, result FROM checkpoints WHERE position = ?", (position,))
    recorded: dict[str, bytes] = dict(results.fetchall())
    return RunState(position, generation + 1, execution_id, workflow_id, agent_id, metadata, input_data, recorded)


def record(connection: sqlite3.Connection, run: RunState, name: str, result: bytes, now: str) -> None:
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
        (run.position, new_checkpoint_id(), name, row[0], result, run.position),
    )


def finish(connection: sqlite3.Connection, run: RunState, *, output: bytes | None, error: str | None, now: str) -> int:
    """End a run as completed, or as failed if there is an error, and return its tenant.

    :raises StaleRunError: the run may no longer write.
    """
    status = "completed" if error is None else "failed"
    row = connection.execute(
        "UPDATE executions SET status = ?, updated_at = max(updated_at, ?), completed_at = max(updated_at, ?),"  # noqa: S608
        f" output_data = ?, error = ? WHERE {_THIS_RUN} RETURNING tenant",
        (status, now, now, output, error, run.position, run.execution_id, run.generation),
    ).fetchone()
    if row is None:
        raise StaleRunError(run.execution_id)
    tenant: int = row[0]
    return tenant


def wipe(connection: sqlite3.Connection) -> None:
    """Delete all executions and stored responses. Tenants and API keys stay, and ids continue to grow."""
    for table in ("executions", "checkpoints", "answers"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608


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


def set_status(connection: sqlite3.Connection, position: int, status: str, now: str) -> None:
    """Set a status, clear the results of the last run, and exclude that run from further writes."""
    started = now if status == "running" else None
    connection.execute(
        "UPDATE executions SET status = ?, generation = generation + 1, updated_at = max(updated_at, ?),"
        " started_at = coalesce(started_at, max(updated_at, ?)), completed_at = NULL, output_data = NULL, error = NULL"
        " WHERE position = ?",
        (status, now, started, position),
    )
