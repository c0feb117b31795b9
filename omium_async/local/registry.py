"""The workflows of a server: registered functions, and modules of workflows that are served by name."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import attrs

from .errors import LocalOmiumError
from .run import SyncWorkflowRun, WorkflowRun, is_async
from .typed import ABSENT, input_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .run import WorkflowFunction
    from .runner import Runner
    from .store import RunState
    from .threads import Threads
    from .typed import InputArgument, Types

_log = logging.getLogger("omium_async.local")


class WorkflowDefinition(Protocol):
    """What server and client share of a workflow. A `Workflow` of the client, bound or not, has it."""

    @property
    def workflow_id(self) -> str: ...
    @property
    def input_type(self) -> Any: ...
    @property
    def output_type(self) -> Any: ...


class Registered:
    """A registered workflow function.

    :ivar function: the function as it was registered.
    :ivar description: the first line of its docstring, or None.
    :raises TypeError: it is not a function, or its input has a type that cannot be read.
    """

    def __init__(
        self, workflow_id: str, function: WorkflowFunction, types: Types, definition: WorkflowDefinition | None = None
    ) -> None:
        if not _is_workflow(function):
            raise TypeError(f"workflow {workflow_id!r} must be a function, `async def` or `def`, not {function!r:.200}")
        self.function = function
        self.description = (inspect.getdoc(function) or "").partition("\n")[0] or None
        self._id = workflow_id
        self._types = types
        self._is_async = is_async(function) or is_async(inspect.unwrap(function))
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

    async def call(self, state: RunState, runner: Runner, threads: Threads) -> bytes:
        """Call the function, and return the JSON text of its result.

        :param threads: for plain functions; they are apart from those of steps, which a plain workflow needs.

        :raises TypeError: the input does not fit, or JSON cannot hold the result; the message names the place.
        """
        run = (WorkflowRun if self._is_async else SyncWorkflowRun)(state, runner, self._types)
        arguments = () if self._input is None else (self._read(self._input, run.input_data),)
        if self._is_async:
            result = await self.function(run, *arguments)
        else:
            result = await threads.run(self.function, run, *arguments)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    f"workflow {self._id!r} returned a coroutine: wrap an async workflow with functools.wraps"
                )
        return self._types.written(result, f"workflow {self._id!r} returned")

    def _read(self, argument: InputArgument, given: Any) -> Any:
        if argument.default is not ABSENT and (given is None or given == {}):
            return argument.default
        return self._types.read(given, argument.type, "input_data")


def _is_workflow(function: object) -> bool:
    inner = inspect.unwrap(function) if callable(function) else function
    is_generator = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
    return callable(function) and not isinstance(function, type) and not is_generator


class Registry:
    """The registered workflows by id. Any thread may add workflows, before the start and after it."""

    def __init__(self) -> None:
        self._workflows: dict[str, Registered] = {}
        self._listener: Callable[[str], None] | None = None

    def __contains__(self, workflow_id: object) -> bool:
        return workflow_id in self._workflows

    def __getitem__(self, workflow_id: str) -> Registered:
        return self._workflows[workflow_id]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._workflows))

    def __bool__(self) -> bool:
        return bool(self._workflows)

    def functions(self) -> dict[str, WorkflowFunction]:
        """Return the functions by id."""
        return {workflow_id: one.function for workflow_id, one in list(self._workflows.items())}

    def add(self, workflow_id: str, workflow: Registered) -> None:
        """Register a workflow for all runs that begin from now on, and notify the listener."""
        self._workflows[workflow_id] = workflow
        listener = self._listener
        if listener is not None:
            listener(workflow_id)

    def notify(self, listener: Callable[[str], None] | None) -> None:
        """Call the listener for each workflow that is registered from now on, in the registering thread."""
        self._listener = listener

    def warn_of(self, workflow_id: str, execution_id: str) -> None:
        """Log that no workflow runs an execution."""
        known = ", ".join(map(repr, self)) or "none"
        _log.warning(
            "%s stays pending: there is no workflow %.200r; registered: %s",
            execution_id,
            workflow_id,
            known,
            extra={"omium_execution_id": execution_id, "omium_workflow_id": workflow_id},
        )


def definition_of(thing: object) -> WorkflowDefinition | None:
    """Return the argument if it has the attributes of a definition; functions have no `input_type`."""
    defined = all(hasattr(thing, name) for name in ("workflow_id", "input_type", "output_type"))
    return cast("WorkflowDefinition", thing) if defined and not isinstance(thing, str) else None


# -- modules -----------------------------------------------------------------------------------------------------------

_NAME = "workflows"


def load_module(
    module_name: str, served_by: Callable[[object], Mapping[str, WorkflowFunction]]
) -> dict[str, WorkflowFunction]:
    """Return the workflows that a module defines: see `load_workflows` of the package.

    :param served_by: returns the workflows of a LocalOmium, and nothing for other objects.
    """
    if module_name.endswith(".py"):
        module_name, module = _from_file(Path(module_name))
    else:
        module = _imported(module_name, Path.cwd())
    found: Any = getattr(module, _NAME, None)
    registered: dict[str, WorkflowFunction] = {}
    for value in list(vars(module).values()):
        registered |= served_by(value)
    if not isinstance(found, Mapping) or not found:
        if registered:
            return registered
        raise LocalOmiumError(
            f"the module {module_name} has no {_NAME}: add a dict of workflow id to function, such as"
            f' {_NAME} = {{"word-count": word_count}}, or a LocalOmium with its workflows'
        )
    mapping: Mapping[Any, Any] = found  # pyright: ignore[reportUnknownVariableType] - user data, checked below
    for name, function in mapping.items():
        if not isinstance(name, str) or not name:
            raise LocalOmiumError(f"the module {module_name}: {name!r} in {_NAME} is not a workflow id")
        if not _is_workflow(function):
            raise LocalOmiumError(f"the module {module_name}: {name!r} in {_NAME} is not a function")
    return {**registered, **mapping}


def _from_file(path: Path) -> tuple[str, ModuleType]:
    if not path.is_file():
        raise LocalOmiumError(f"there is no file {path}")
    module = _imported(path.stem, path.absolute().parent)
    origin: str | None = getattr(module, "__file__", None)  # None for a built-in module
    if origin is None or not path.samefile(origin):
        raise LocalOmiumError(f"{path} has the name of another module ({origin or 'built in'}): rename it")
    return path.stem, module


def _imported(module_name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - code of the user may raise anything
        raise LocalOmiumError(f"the module {module_name} cannot be imported: {_described(error)}") from None


def _described(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # it names the place itself
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_import(frame.filename)]
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text


def _is_import(filename: str) -> bool:
    return filename.startswith("<frozen ") or filename in (__file__, importlib.__file__)
