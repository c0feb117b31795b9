"""What clients and runs write, as functions of a connection: the change of the tables, and what begins with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from . import store, wire
from .errors import KeyReusedError

if TYPE_CHECKING:
    import sqlite3

    from .quota import Quota
    from .store import RunState, Submission, Tenant


@attrs.frozen
class IdempotencyKey:
    """The key of a write, its method and path, and a digest of its body."""

    route: str
    key: str
    digest: bytes


@attrs.frozen
class WriteAnswer:
    """The response to a write.

    :ivar execution_id: the execution that it concerns.
    :ivar started: the ids of the executions that begin with it.
    :ivar fresh: the write was done now, not remembered from an earlier request.
    """

    status: int
    body: bytes
    execution_id: str = ""
    started: list[str] = attrs.field(factory=list[str])
    fresh: bool = True


#: A write of a tenant.
Write = Callable[["sqlite3.Connection", "Tenant"], WriteAnswer]


def once(connection: sqlite3.Connection, tenant: Tenant, key: IdempotencyKey | None, write: Write) -> WriteAnswer:
    """Do a write and store its response with it, or return the stored response if the key was used before.

    :raises KeyReusedError: the key was used with another body.
    """
    if key is None:
        return write(connection, tenant)
    kept = connection.execute(
        "SELECT digest, status, body FROM answers WHERE tenant = ? AND route = ? AND key = ?",
        (tenant.id, key.route, key.key),
    ).fetchone()
    if kept is not None:
        digest, status, body = kept
        if digest != key.digest:
            raise KeyReusedError("This Idempotency-Key was used before with another body")
        return WriteAnswer(status, body, fresh=False)
    answer = write(connection, tenant)
    connection.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)",
        (tenant.id, key.route, key.key, key.digest, answer.status, answer.body),
    )
    return answer


def create(
    connection: sqlite3.Connection,
    tenant: Tenant,
    *,
    new: Submission,
    refusal: Exception | None,
    quota: Quota,
    now: str,
) -> WriteAnswer:
    """Add an execution. It runs if its workflow is registered and the quota permits, otherwise it is pending.

    :param refusal: raised instead.
    """
    if refusal is not None:
        raise refusal
    status = quota.status_of_new(new.workflow_id)
    execution_id, created_at = store.create(connection, tenant, new, status=status, now=now)
    started = quota.started(connection, tenant.id, execution_id, status, now)
    status = "running" if execution_id in started else "pending"
    body = wire.created(execution_id, new.workflow_id, status, created_at)
    return WriteAnswer(201, body, execution_id, started)


def replay(
    connection: sqlite3.Connection, tenant: Tenant, *, execution_id: str, checkpoint_id: str, quota: Quota, now: str
) -> WriteAnswer:
    """Continue a failed or paused execution after a checkpoint, as `create` starts one."""
    status = store.replay(connection, tenant, execution_id, checkpoint_id, status_of=quota.status_of_new, now=now)
    started = quota.started(connection, tenant.id, execution_id, status, now)
    status = "running" if execution_id in started else "pending"
    body = wire.moved(execution_id, status, f"Execution replayed from {checkpoint_id}")
    return WriteAnswer(200, body, execution_id, started)


def rollback(
    connection: sqlite3.Connection, tenant: Tenant, *, execution_id: str, checkpoint_id: str, quota: Quota, now: str
) -> WriteAnswer:
    """Roll an execution back to a checkpoint, and exclude its run from further writes."""
    store.rollback(connection, tenant, execution_id, checkpoint_id, now)
    body = wire.moved(execution_id, "paused", f"Execution rolled back to {checkpoint_id}")
    return WriteAnswer(200, body, execution_id, quota.start_next(connection, tenant.id, now))


def cancel(connection: sqlite3.Connection, tenant: Tenant, *, execution_id: str, quota: Quota, now: str) -> WriteAnswer:
    """Cancel an execution that has not ended, and exclude its run from further writes."""
    store.cancel(connection, tenant, execution_id, now)
    body = wire.moved(execution_id, "cancelled", "Execution cancelled")
    return WriteAnswer(200, body, execution_id, quota.start_next(connection, tenant.id, now))


def delete(connection: sqlite3.Connection, tenant: Tenant, *, execution_id: str) -> WriteAnswer:
    """Delete an execution that neither runs nor waits."""
    store.delete(connection, tenant, execution_id)
    return WriteAnswer(204, b"", execution_id)


def finish(
    connection: sqlite3.Connection, run: RunState, *, output: bytes | None, error: str | None, quota: Quota, now: str
) -> list[str]:
    """End a run, and return the ids of the executions that begin then.

    :raises StaleRunError: the run may no longer write.
    """
    tenant = store.finish(connection, run, output=output, error=error, now=now)
    return quota.start_next(connection, tenant, now)
