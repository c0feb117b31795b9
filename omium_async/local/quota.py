"""How many executions of a tenant run at once: the others are pending, and begin in order of creation.

A write that ends a run also starts the next execution, in the same transaction. So the number of executions with the
status `running` is the number of runs, also after a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from . import store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    from .registry import Registry


@attrs.frozen
class Quota:
    """The executions of each tenant that may run at once.

    :ivar most: how many; ``None``: any number. Then the executions begin by themselves, and nothing here starts one.
    :ivar workflows: the registered workflows; executions of others stay pending.
    """

    most: int | None
    workflows: Registry

    def status_of_new(self, workflow_id: str) -> str:
        """Return the status in which an execution is written; with a limit `start_next` decides when it runs."""
        return "running" if self.most is None and workflow_id in self.workflows else "pending"

    def started(
        self, connection: sqlite3.Connection, tenant: int, execution_id: str, status: str, now: str
    ) -> list[str]:
        """Return the ids of the executions that begin because this one was written with a status."""
        return [execution_id] if status == "running" else self.start_next(connection, tenant, now)

    def start_next(self, connection: sqlite3.Connection, tenant: int, now: str) -> list[str]:
        """Set the oldest pending executions of a tenant to running while the limit permits, and return their ids."""
        if self.most is None:
            return []
        started: list[str] = []
        for _ in range(self.most - _count_running(connection, tenant)):
            position = _oldest_pending(connection, tenant, self.workflows)
            if position is None:
                break
            store.set_status(connection, position, "running", now)
            started += _ids(connection, [position])
        return started

    def start_everywhere(self, connection: sqlite3.Connection, now: str) -> list[str]:
        """Start the next executions of all tenants, and return their ids."""
        return [one for tenant in _tenants(connection) for one in self.start_next(connection, tenant, now)]

    def restart(self, connection: sqlite3.Connection, now: str) -> list[str]:
        """Return the ids of the executions to run after a start of the server.

        Those that an earlier server left running continue first, the oldest first. They become pending if their
        workflow is not registered, or if this server permits fewer.
        """
        kept: list[int] = []
        for tenant in _tenants(connection):
            running = connection.execute(
                "SELECT position, workflow_id FROM executions WHERE tenant = ? AND status = 'running'"
                " ORDER BY position",
                (tenant,),
            ).fetchall()
            continued = [position for position, workflow_id in running if workflow_id in self.workflows][: self.most]
            for position in {position for position, _ in running} - set(continued):
                store.set_status(connection, position, "pending", now)
            kept += continued
        return _ids(connection, kept) + self.start_everywhere(connection, now)


def _tenants(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT id FROM tenants ORDER BY id")]


def _count_running(connection: sqlite3.Connection, tenant: int) -> int:
    (number,) = connection.execute(
        "SELECT count(*) FROM executions WHERE tenant = ? AND status = 'running'", (tenant,)
    ).fetchone()
    return int(number)


def _oldest_pending(connection: sqlite3.Connection, tenant: int, workflows: Iterable[str]) -> int | None:
    """Search by workflow, so that many executions that no workflow runs cost nothing."""
    oldest = (
        connection.execute(
            "SELECT min(position) FROM executions WHERE tenant = ? AND workflow_id = ? AND status = 'pending'",
            (tenant, workflow_id),
        ).fetchone()[0]
        for workflow_id in workflows
    )
    return min((position for position in oldest if position is not None), default=None)


def _ids(connection: sqlite3.Connection, positions: Collection[int]) -> list[str]:
    return [
        connection.execute("SELECT id FROM executions WHERE position = ?", (position,)).fetchone()[0]
        for position in positions
    ]
