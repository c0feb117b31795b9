"""The workflows that a server knows, by their ids."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol, cast

import attrs

from .annotations import ABSENT, input_argument
from .run import is_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .annotations import InputArgument
    from .run import WorkflowFunction, WorkflowRun
    from .typed import Types

__all__ = ["Registered", "Registry", "SharedWorkflow", "definition_of"]

_log = logging.getLogger("omium_async.local")


class SharedWorkflow(Protocol):
    """What caller and server share of a workflow: a `Workflow` of the client, bound or not, is one."""

    @property
    def workflow_id(self) -> str: ...
    @property
    def input_type(self) -> Any: ...
    @property
    def output_type(self) -> Any: ...


class Registered:
    """A workflow function, and how it is called.

    :ivar function: as it was registered.
    :raises TypeError: it is no async function, or its input is of a type that cannot be read.
    """

    def __init__(
        self, workflow_id: str, function: WorkflowFunction, types: Types, definition: SharedWorkflow | None = None
    ) -> None:
        if not is_workflow(function):
            raise TypeError(
                f"workflow {workflow_id!r} must be an async function; {function!r} is not (a wrapper of one shows that "
                "it is by functools.wraps)"
            )
        self.function = function
        self._id = workflow_id
        self._types = types
        try:
            found = input_argument(function)
        except TypeError as error:
            raise TypeError(f"workflow {workflow_id!r}: {error}") from error
        if found is not None and found.type is ABSENT and definition is not None:
            given = definition.input_type
            found = attrs.evolve(found, type=ABSENT if given is None or given is Any else given)
        self._input = found
        if found is not None and found.type is not ABSENT:
            types.check(found.type, f"the input of workflow {workflow_id!r}")

    async def call(self, run: WorkflowRun) -> bytes:
        """The JSON text of what the function returns.

        :raises TypeError: the input does not fit, or JSON cannot hold the result; the message names the place.
        """
        arguments = () if self._input is None else (self._read(self._input, run.input_data),)
        return self._types.written(await self.function(run, *arguments), f"workflow {self._id!r} returned")

    def _read(self, argument: InputArgument, given: Any) -> Any:
        if argument.default is not ABSENT and (given is None or given == {}):
            return argument.default
        return self._types.read(given, argument.type, "input_data")


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


def definition_of(thing: object) -> SharedWorkflow | None:
    """The thing, if it has what a definition has; functions have no `input_type`."""
    defined = all(hasattr(thing, name) for name in ("workflow_id", "input_type", "output_type"))
    return cast("SharedWorkflow", thing) if defined and not isinstance(thing, str) else None
