"""LocalOmium: what its users touch."""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast, overload

from .._data.converter import OmiumConverter
from .arrivals import SeenRequest
from .blocked import started_here, stopped
from .errors import LocalOmiumError
from .faults import Fault
from .handlers import Intake
from .keyring import APIKeys, checked_keys, generated_keys, masked_keys
from .listener import HOST
from .parts import Parts
from .registry import Registered, SharedWorkflow, definition_of
from .run import WorkflowFunction
from .shielded import cancelled_once, to_the_end
from .started import Started
from .tables import explained
from .times import Clock, Times
from .typed import Types

__all__ = ["LocalOmium"]

W = TypeVar("W", bound=WorkflowFunction)


class LocalOmium:
    """An Omium of one's own, for development and tests on one machine.

    .. code-block:: python

        local = LocalOmium()

        @local.workflow("word-count")
        async def word_count(run: WorkflowRun) -> dict[str, int]:
            text = await run.step("read", read_file, run.input_data["path"])
            return {"words": len(text.split())}

        async with local, AsyncOmium(api_key=local.api_key, base_url=local.url) as omium:
            ...

    Plain functions of steps run in up to 32 threads. It may be started again after a stop, on another loop, too. What
    an earlier start left unfinished is taken up at most 1,000 executions at a time; one that takes longer than 10
    seconds makes room for the next.

    :param database: None keeps everything in memory, until the server stops; a path keeps it in a SQLite file, durable
        with each answer and each step, also through `kill -9`: executions that were running go on at the next start.
        The answers that belong to an `Idempotency-Key` are kept as long as the file, or until a `reset`.
    :param port: on 127.0.0.1, up to 65535; 0 takes any free one.
    :param api_keys: a mapping of key to tenant; or keys alone, each for the tenant that it had on this database before,
        a new one for itself. None takes the keys of the last start on this database, or makes one, for the tenant
        `default`. Keys that are given replace those.
    :param clock: returns the present time as an aware datetime, for every time that the server gives; it is tried out
        here, and then read once for each write. If it goes back, `created_at` of a tenant's next execution is that of
        the one before, never earlier, and no time of an execution is earlier than what happened to it before. `Date` of
        an answer is its last reading. None: the system's.
    :param strict: True refuses (422) to create an execution whose workflow is not registered; else it is accepted, and
        stays pending until the workflow is, with a warning.
    :param converter: what `omium_async.make_converter` gives: its hooks read inputs and results of steps into users'
        types, and give results a form in JSON. None: the one that the process shares.
    :raises TypeError: an argument is of a wrong type.
    :raises ValueError: an argument makes no sense.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        api_keys: APIKeys | None = None,
        clock: Clock | None = None,
        strict: bool = False,
        converter: OmiumConverter | None = None,
    ) -> None:
        api_keys = masked_keys(api_keys)  # before anything can fail: a traceback may show local variables
        if type(port) is not int or not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 (any free one) to 65535, not {port!r}")
        if database == ":memory:":
            raise ValueError("':memory:' would be a file of this name; LocalOmium(None) keeps everything in memory")
        if database == "":
            raise ValueError("database is empty; give the path of a file, or None to keep everything in memory")
        # Not Path.absolute(): tests that look for blocking calls in async code take os.getcwd for one.
        self._path = None if database is None else Path(os.fsdecode(os.getcwdb()), database)  # noqa: PTH109
        self._port = port
        self._given_keys: dict[str, str | None] | None = None
        if api_keys is not None:
            self._given_keys = checked_keys(api_keys)
        elif database is None:  # it could keep none from one start to the next
            self._given_keys = generated_keys()
        self._parts = Parts(Times(clock), Types(converter), options=Intake(strict=bool(strict)))
        self._running: Started | None = None
        self._starting = False

    def __repr__(self) -> str:
        if not hasattr(self, "_running"):  # a traceback that shows local variables may come from within the constructor
            return "<LocalOmium not made yet>"
        where = "in memory" if self._path is None else f"on {str(self._path)!r}"
        state = "not started" if self._running is None else f"at http://{HOST}:{self._running.port}"
        return f"<LocalOmium {where}, {state}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where it serves, to be given as ``base_url``.

        :raises LocalOmiumError: it is not started.
        """
        return f"http://{HOST}:{self._started.port}"

    @property
    def api_key(self) -> str:
        """The first of the keys that it accepts.

        :raises LocalOmiumError: it is not started, has a database file, and was given no key: it may be one that is
            kept there.
        """
        if self._given_keys is not None:
            return str.__str__(next(iter(self._given_keys)))
        return self._started.keyring.first

    @property
    def honor_idempotency(self) -> bool:
        """Whether an `Idempotency-Key` does something. False: as on a server that does not know it."""
        return self._parts.options.honor_idempotency

    @honor_idempotency.setter
    def honor_idempotency(self, value: bool) -> None:
        self._parts.options.honor_idempotency = value

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The last 1,000 requests that arrived, oldest first; each is noted at its arrival."""
        return self._parts.log.requests

    @property
    def counts(self) -> dict[str, int]:
        """How many requests arrived of each kind, such as `"POST /executions/*/replay"`, since the construction."""
        return self._parts.log.counts

    @property
    def workflows(self) -> dict[str, WorkflowFunction]:
        """The functions that are registered as workflows, by their ids."""
        return self._parts.workflows.functions()

    @overload
    def workflow(self, name: W, /) -> W: ...
    @overload
    def workflow(self, name: str | SharedWorkflow | None = None) -> Callable[[W], W]: ...
    def workflow(self, name: Any = None) -> Any:
        """A decorator that registers an async function as a workflow, before or after the start. A partial, an object
        with an async `__call__` and a wrapper made with `functools.wraps` are such functions, too.

        The function is given a `WorkflowRun` and, if it has a second argument, the input: in the type that the argument
        is annotated with (an input that does not fit fails the execution), or its default where no input was given.
        What it returns becomes the output by the converter.

        Executions that wait for it begin at once. A name that is registered again means the new function from the
        next run on (also of a replay); runs under way keep the old one. From another thread it works as well.

        :param name: the workflow's id; or a `Workflow` of the client, whose id and input type are used; unless given,
            it is the function's own name. Without parentheses, it is the function.
        :raises TypeError: it is no async function, or its input is of a type that cannot be read from JSON.
        """
        definition = definition_of(name)
        if definition is not None:
            name = definition.workflow_id
        elif callable(name):
            return self._register(None, None, cast("WorkflowFunction", name))
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"a workflow's id is a text that is not empty, not {name!r}")
        return functools.partial(self._register, name, definition)

    def _register(self, name: str | None, definition: SharedWorkflow | None, function: W) -> W:
        workflow_id: str = getattr(function, "__name__", "") if name is None else name
        if not workflow_id:
            raise TypeError(f"{function!r} has no name of its own; give the workflow's id")
        self._parts.workflows.add(workflow_id, Registered(workflow_id, function, self._parts.types, definition))
        return function

    def inject(self, fault: Fault) -> Fault:
        """Adds a fault; where several match a request, the oldest meets it. From any thread, also before the start.

        :param fault: what is to go wrong, and with which requests.
        :return: the same fault.
        """
        self._parts.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Takes all faults back that have not met a request yet."""
        self._parts.faults.clear()

    @property
    def unmet_faults(self) -> tuple[Fault, ...]:
        """The faults that no request has met at all, in the order of `inject`: a test that has any missed its aim."""
        return self._parts.faults.unmet

    async def start(self) -> None:
        """Opens the database, serves, and goes on with what was running.

        :raises LocalOmiumError: it cannot, and says why; nothing is left open then.
        :raises DatabaseInUseError: another LocalOmium has the file.
        :raises PortInUseError: another program has the port.
        """
        if self._running is not None and self._running.pid != os.getpid():
            self._running, self._starting = None, False  # of the process that this one was forked from
        if self._running is not None and self._running.loop.is_closed():
            abandoned, self._running = self._running, None
            await asyncio.to_thread(abandoned.abandon)
        if self._running is not None or self._starting:
            raise LocalOmiumError("this LocalOmium is started already")
        self._starting = True
        try:
            self._running = await cancelled_once(self._start(), Started.close)
            started_here(self._running)
        finally:
            self._starting = False

    async def stop(self) -> None:
        """Stops serving and running; does nothing when it is not started. What is in memory only is gone then.

        A cancellation meanwhile is raised when it has stopped.
        """
        running, self._running = self._running, None
        if running is None or running.pid != os.getpid():
            return
        stopped(running)
        if running.loop.is_closed():
            running.abandon()
        else:
            await to_the_end(running.close())

    async def reset(self) -> None:
        """Makes it as good as new, between tests: requests under way are cut off, also stalled ones, what runs is
        stopped, and all executions, faults, keys of idempotency, `requests` and `counts` are forgotten.

        Registered workflows stay, and the API keys; ids go on growing. Requests that arrive meanwhile are answered
        afterwards. A cancellation meanwhile is raised when it is done.

        :raises LocalOmiumError: it is not started.
        """
        await to_the_end(self._started.reset())

    @property
    def _started(self) -> Started:
        running = self._running
        if running is None:
            raise LocalOmiumError("this LocalOmium is not started; use `async with` it, or `await local.start()`")
        if running.pid != os.getpid():
            raise LocalOmiumError(
                "this LocalOmium was started by the process that this one was forked from, and is served there: take "
                "`url` and `api_key` before the fork, or make a new LocalOmium here"
            )
        return running

    async def _start(self) -> Started:
        try:
            return await Started.start(self._parts, self._path, self._port, self._given_keys)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            where = Path("the database in memory") if self._path is None else self._path
            raise explained(where, error) from error
