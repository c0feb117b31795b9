"""The workflows that a server knows, by their ids."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .jsontext import encode_result
from .run import is_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .run import WorkflowFunction, WorkflowRun

__all__ = ["Registered", "Registry"]

_log = logging.getLogger("omium_async.local")


class Registered:
    """A workflow function, and how it is called.

    :ivar function: as it was registered.
    """

    def __init__(self, workflow_id: str, function: WorkflowFunction) -> None:
        if not is_workflow(function):
            raise TypeError(
                f"workflow {workflow_id!r} must be an async function; {function!r} is not (a wrapper of one shows that "
                "it is by functools.wraps)"
            )
        self.function = function
        self._id = workflow_id

    async def call(self, run: WorkflowRun) -> bytes:
        """The JSON text of what the function returns."""
        return encode_result(await self.function(run), f"workflow {self._id!r} returned")


class Registry:
    """May be filled from any thread, before the start and after it."""

    def __init__(self) -> None:
        self._workflows: dict[str, Registered] = {}
        self._listener: Callable[[str], None] | None = None

    def __contains__(self, workflow_id: object) -> bool:
        return workflow_id in self._workflows

    def __getitem__(self, workflow_id: str) -> Registered:
        return self._workflows[workflow_id]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._workflows))

    def functions(self) -> dict[str, WorkflowFunction]:
        """The functions as they were registered."""
        return {workflow_id: one.function for workflow_id, one in list(self._workflows.items())}

    def add(self, workflow_id: str, workflow: Registered) -> None:
        """From the next run on it is this one; the listener is told."""
        self._workflows[workflow_id] = workflow
        listener = self._listener
        if listener is not None:
            listener(workflow_id)

    def tell(self, listener: Callable[[str], None] | None) -> None:
        """Whom to tell of each workflow that is registered from now on, in the thread that registers it."""
        self._listener = listener

    def warn_of(self, workflow_id: str, execution_id: str) -> None:
        """That an execution was created which nothing runs."""
        known = ", ".join(map(repr, self)) or "none at all"
        _log.warning(
            "%s stays pending: there is no workflow %.200r; registered: %s",
            execution_id,
            workflow_id,
            known,
            extra={"omium_execution_id": execution_id, "omium_workflow_id": workflow_id},
        )
