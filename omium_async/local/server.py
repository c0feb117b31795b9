"""LocalOmium, the public class."""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast, overload

from .._data.converter import OmiumConverter
from .._tasks import wait_until_done
from .app import SeenRequest
from .database import explained
from .errors import LocalOmiumError
from .faults import Fault
from .handlers import ServerOptions
from .inputs import is_uuid
from .keyring import APIKeys, checked_keys, generated_keys, masked_keys
from .registry import Registered, WorkflowDefinition, definition_of, load_module
from .run import WorkflowFunction
from .running import Address, Clock, RunningServer, ServerParts, Times
from .typed import Types

W = TypeVar("W", bound=WorkflowFunction)


class LocalOmium:
    """A local Omium server, for development and tests on one machine.

    .. code-block:: python

        local = LocalOmium()

        @local.workflow("word-count")
        async def word_count(run: WorkflowRun) -> dict[str, int]:
            text = await run.step("read", read_file, run.input_data["path"])
            return {"words": len(text.split())}

        async with local, AsyncOmium(api_key=local.api_key, base_url=local.url) as omium:
            ...

    A workflow is an async function, which runs as an asyncio task, or a plain function, which runs in a thread and
    calls ``run.step(...)`` without ``await``. Plain functions of steps run in 32 threads, and in more while none of
    them ends, because they may wait for each other. The server may be started again after a stop, also on another event
    loop.

    :param database: None keeps all data in memory until the server stops. A path keeps it in an SQLite file: each
        response and each step is on disk before it counts, also through ``kill -9``, and executions that were running
        continue at the next start. Responses of an ``Idempotency-Key`` are kept as long as the file, or until a
        `reset`.
    :param host: the IP address, or a name of this machine, at which the server listens. ``"0.0.0.0"`` is all of them,
        for a container; `url` then names 127.0.0.1. An address that is not loopback logs a WARNING. Everything that is
        served needs a key. Clients send a key over plain http to another host than loopback only with
        ``allow_insecure_http=True``.
    :param port: the port, up to 65535; 0 takes any free one. A forked child keeps it in use until it ends.
    :param api_keys: a mapping of key to tenant, or keys alone, each for the tenant that it had on this database before,
        otherwise for a new tenant. None uses the keys of the last start on this database, or generates one for the
        tenant ``default``. Given keys replace those of the last start.
    :param clock: returns the current time as an aware datetime. The server calls it here to check it, then once
        for each write. If it goes back, the next execution has the same ``created_at`` as the one before. None uses
        the clock of the system.
    :param strict: True rejects (422) executions of workflows that are not registered. False accepts them; they stay
        pending until the workflow is registered, and a WARNING names the registered ones. None, the default, is strict
        as soon as one workflow is registered.
    :param max_running: how many executions of a tenant run at once, at least 1. Others are pending, and begin in order
        of creation as soon as one ends. None sets no limit. The service permits 10 by default.
    :param uuids: True rejects (422) executions whose ``workflow_id`` or ``agent_id`` is no UUID, as the service does.
        Workflows are then registered under UUIDs.
    :param converter: from `omium_async.make_converter`: its hooks read inputs and results of steps into users' types,
        and convert results to JSON. None uses the converter that the process shares.
    :raises ConfigurationError: ``converter`` comes from elsewhere.
    :raises TypeError: an argument has a wrong type.
    :raises ValueError: an argument is out of range.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_keys: APIKeys | None = None,
        clock: Clock | None = None,
        strict: bool | None = None,
        max_running: int | None = None,
        uuids: bool = False,
        converter: OmiumConverter | None = None,
    ) -> None:
        api_keys = masked_keys(api_keys)  # before anything can fail: a traceback may show local variables
        if not isinstance(host, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users give anything
            raise TypeError(f"host must be a text such as '127.0.0.1', not {host!r:.80}")
        if not host:
            raise ValueError("host is empty; give an IP address, such as '0.0.0.0' for all addresses of this machine")
        if type(port) is not int or not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 (any free one) to 65535, not {port!r}")
        if max_running is not None and (type(max_running) is not int or max_running < 1):
            raise ValueError(
                f"max_running must be a whole number from 1, or None for no limit, not {max_running!r:.80}"
            )
        if database == ":memory:":
            raise ValueError("':memory:' would be a file of this name; LocalOmium(None) keeps everything in memory")
        if database == "":
            raise ValueError("database is empty; give the path of a file, or None to keep everything in memory")
        # Not Path.absolute(): tools that detect blocking calls report os.getcwd.
        self._path = None if database is None else Path(os.fsdecode(os.getcwdb()), database)  # noqa: PTH109
        self._address = Address(host, port)
        self._given_keys: dict[str, str | None] | None = None
        if api_keys is not None:
            self._given_keys = checked_keys(api_keys)
        elif database is None:  # memory keeps no keys between starts
            self._given_keys = generated_keys()
        options = ServerOptions(strict=strict, uuids=uuids)
        self._settings = ServerParts(Times(clock), Types(converter), max_running, options=options)
        self._running: RunningServer | None = None
        self._starting = False

    def __repr__(self) -> str:
        if not hasattr(self, "_running"):  # a traceback may show an object whose constructor failed
            return "<LocalOmium not constructed>"
        where = "in memory" if self._path is None else f"on {str(self._path)!r}"
        state = "not started" if self._running is None else f"at {self._running.address.url}"
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
        """The URL of the server for clients on this machine, for ``base_url``.

        :raises LocalOmiumError: it is not started.
        """
        return self._started.address.url

    @property
    def api_key(self) -> str:
        """The first accepted API key.

        :raises LocalOmiumError: the key is in the database file, and the server is not started.
        """
        if self._given_keys is not None:
            return str.__str__(next(iter(self._given_keys)))
        return self._started.keyring.first

    @property
    def honor_idempotency(self) -> bool:
        """Whether an `Idempotency-Key` has an effect. False simulates a server that ignores it."""
        return self._settings.options.honor_idempotency

    @honor_idempotency.setter
    def honor_idempotency(self, value: bool) -> None:
        self._settings.options.honor_idempotency = value

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The last 1,000 requests, oldest first; each is recorded at its arrival."""
        return tuple(self._settings.log.seen)

    @property
    def counts(self) -> dict[str, int]:
        """The number of requests of each kind, such as `"POST /executions/*/replay"`, since the last `reset`."""
        return dict(self._settings.log.counts)

    @property
    def workflows(self) -> dict[str, WorkflowFunction]:
        """The registered workflow functions by id."""
        return self._settings.workflows.functions()

    @overload
    def workflow(self, name: W, /) -> W: ...
    @overload
    def workflow(self, name: str | WorkflowDefinition | None = None) -> Callable[[W], W]: ...
    def workflow(self, name: Any = None) -> Any:
        """Register a function as a workflow, as a decorator, before or after the start.

        The function is ``async def``, or a plain ``def`` that runs in a thread. It receives a `WorkflowRun` (a
        `SyncWorkflowRun` if it is plain) and, if it has a second argument, the input: read into the annotated type (an
        input that does not fit fails the execution), or its default if no input was given. The converter writes its
        result.

        Pending executions of the workflow begin at once. Registering a name again replaces the function for later runs,
        also of a replay; runs in progress keep the old one. Any thread may call this.

        :param name: the workflow id; or a `Workflow` of the client, whose id and input type are used; by default the
            name of the function. Without parentheses, it is the function.
        :raises TypeError: it is not a function, or its input has a type that cannot be read from JSON.
        :raises ValueError: the id is no UUID, and this server requires UUIDs.
        """
        definition = definition_of(name)
        if definition is not None:
            name = definition.workflow_id
        elif callable(name):
            return self._register(None, None, cast("WorkflowFunction", name))
        if name is not None and (not isinstance(name, str) or not name):
            raise TypeError(f"a workflow id must be a text that is not empty, not {name!r}")
        return functools.partial(self._register, name, definition)

    def _register(self, name: str | None, definition: WorkflowDefinition | None, function: W) -> W:
        workflow_id: str = getattr(function, "__name__", "") if name is None else name
        if not workflow_id:
            raise TypeError(f"{function!r} has no name; give the workflow id")
        if self._settings.options.uuids and not is_uuid(workflow_id):
            raise ValueError(f"the workflow id {workflow_id!r:.200} is no UUID, which uuids=True requires; give one")
        self._settings.workflows.add(workflow_id, Registered(workflow_id, function, self._settings.types, definition))
        return function

    def inject(self, fault: Fault) -> Fault:
        """Add a fault. If several match a request, the oldest applies. Any thread may call this, also before the start.

        :param fault: the fault, and the requests that it applies to.
        :return: the same fault.
        """
        self._settings.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._settings.faults.clear()

    @property
    def unmet_faults(self) -> tuple[Fault, ...]:
        """The faults that no request has met, in the order of `inject`."""
        return self._settings.faults.unmet

    async def start(self) -> None:
        """Open the database, serve, and continue unfinished executions.

        :raises LocalOmiumError: it cannot; the message says why, and nothing is left open.
        :raises DatabaseInUseError: another LocalOmium uses the file.
        :raises PortInUseError: another program uses the port.
        """
        if self._running is not None and (self._running.pid != os.getpid() or self._running.loop.is_closed()):
            self._running = None  # the server of the parent process, or one that ended with its event loop
        if self._running is not None or self._starting:
            raise LocalOmiumError("this LocalOmium is started already")
        self._starting = True
        try:
            await _to_the_end(self._start())
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            self._starting = False

    async def stop(self) -> None:
        """Stop serving and running; data in memory is lost. A server that is not started ignores it.

        If this is cancelled, it finishes first.
        """
        running, self._running = self._running, None
        if running is not None and running.pid == os.getpid() and not running.loop.is_closed():
            await _to_the_end(running.close())

    async def reset(self) -> None:
        """Return the server to its first state, between tests.

        It cuts off requests in progress, also stalled ones, stops all runs, and forgets executions, faults, idempotency
        keys, `requests` and `counts`. Registered workflows and API keys stay, and ids continue to grow. Requests that
        arrive meanwhile are answered afterwards. A run that ignores its cancellation delays this by up to 5 seconds; a
        WARNING names it. If this is cancelled, it finishes first.

        :raises LocalOmiumError: it is not started.
        """
        await _to_the_end(self._started.reset())

    @property
    def _started(self) -> RunningServer:
        running = self._running
        if running is None:
            raise LocalOmiumError("this LocalOmium is not started; use `async with` it, or `await local.start()`")
        if running.pid != os.getpid():
            raise LocalOmiumError(
                "the parent process serves this LocalOmium: read `url` and `api_key` before the fork, or create a "
                "LocalOmium here"
            )
        return running

    async def _start(self) -> None:
        try:
            self._running = await RunningServer.start(self._settings, self._path, self._address, self._given_keys)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise explained(self._path, error) from error


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run the work in a task that a cancellation of the caller does not reach.

    :raises asyncio.CancelledError: the caller was cancelled meanwhile; raised after the work has ended.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        await wait_until_done([task])
    except asyncio.CancelledError:
        if not task.cancelled():
            task.exception()  # mark it as retrieved
        raise
    task.result()


def load_workflows(module_name: str) -> dict[str, WorkflowFunction]:
    """Return the workflows that a module defines, by id.

    The module defines ``workflows``, a mapping of id to function, or a LocalOmium with registered workflows.

    :param module_name: a module to import, first from the current folder, or the path of a ``.py`` file.
    :raises LocalOmiumError: it cannot be imported, or defines no workflows; one line that says where.
    """
    return load_module(module_name, _workflows_of)


def _workflows_of(value: object) -> Mapping[str, WorkflowFunction]:
    if not isinstance(value, LocalOmium):  # the facade, which this package must not import, keeps one in `_core`
        value = cast("dict[str, object]", getattr(value, "__dict__", {})).get("_core")
    return value.workflows if isinstance(value, LocalOmium) else {}
