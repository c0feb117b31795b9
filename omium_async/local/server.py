"""LocalOmium: the parts put together, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from aiohttp import web

from .app import App, Options
from .blocked import started_here
from .clock import Clock, Times
from .database import Database, FileDatabase, MemoryDatabase
from .engine import Engine
from .errors import LocalOmiumError
from .faults import Fault, Faults
from .forks import not_for_children
from .keys import APIKeys, Keyring, checked_keys, generated_keys, load_keys
from .log import RequestLog, SeenRequest
from .run import Workflow, is_workflow
from .sabotage import Saboteur

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["LocalOmium"]

W = TypeVar("W", bound=Workflow)

_log = logging.getLogger("omium_async")

_HOST: Final = "127.0.0.1"
_CLOSE_WITHIN: Final = 0.5  # seconds for answers under way, when the server stops


class _Started:
    """What there is only between start and stop."""

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        engine: Engine,
        saboteur: Saboteur,
        http: web.Server,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.database = database
        self.keyring = keyring
        self.engine = engine
        self.saboteur = saboteur
        self.http = http
        self.listener: asyncio.Server | None = None
        self.port = 0

    async def listen(self, port: int) -> None:
        try:
            listening = socket.create_server((_HOST, port), backlog=1024)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LocalOmiumError(
                    f"port {port} of {_HOST} is taken by another program; choose another, or 0 for any free one"
                ) from None
            raise LocalOmiumError(f"port {port} of {_HOST} cannot be served: {error.strerror or error}") from None
        not_for_children(listening)
        self.listener = await self.loop.create_server(self.http, sock=listening, backlog=1024)
        self.port = listening.getsockname()[1]

    async def _stop_listening(self, listener: asyncio.Server) -> None:
        """Closes the listener after connections that were just accepted have got their transports: asyncio (seen up to
        3.11) fails on one whose server is closed in between, and leaves its socket open."""
        with contextlib.suppress(NotImplementedError, RuntimeError):  # loops of other kinds, without this defect
            for sock in listener.sockets:
                self.loop.remove_reader(sock.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        listener.close()

    async def close(self) -> None:
        """Ends everything, in the order in which nothing is answered that was not done."""
        if self.listener is not None:
            await self._stop_listening(self.listener)
        self.saboteur.stop()
        self.http.pre_shutdown()
        await self.http.shutdown(_CLOSE_WITHIN)
        await self.engine.stop()
        await self.database.close()
        await asyncio.sleep(0)  # closed transports say good-bye in the next turn of the loop


class LocalOmium:
    """An Omium of one's own, for development and tests on one machine.

    ```python
    local = LocalOmium()

    @local.workflow("word-count")
    async def word_count(run: WorkflowRun) -> dict[str, int]:
        text = await run.step("read", read_file, run.input_data["path"])
        return {"words": len(text.split())}

    async with local, AsyncOmium(api_key=local.api_key, base_url=local.url) as omium:
        ...
    ```

    - `database`: None keeps everything in memory, until the server stops; a path keeps it in a SQLite file, durable
      with each answer and each step, also through `kill -9`: executions that were running go on at the next start.
      The answers that belong to an `Idempotency-Key` are kept as long as the file: none is ever removed.
    - `port`: 0 takes any free one.
    - `api_keys`: a mapping of key to tenant; or keys alone, each for the tenant that it had on this database before, a
      new one for itself. None takes the keys of the last start on this database, or makes one, for the tenant
      `default`. Keys that are given replace those.
    - `clock`: returns the present time as an aware datetime, for every time that the server gives; it is tried out
      here, and then read once for each write. If it goes back, `created_at` of a tenant's next execution is that of
      the one before, never earlier, and no time of an execution is earlier than what happened to it before. `Date` of
      an answer is its last reading.

    Plain functions of steps run in up to 32 threads. It may be started again after a stop. Raises TypeError or
    ValueError for arguments that make no sense.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        api_keys: APIKeys | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(port, int) or not 0 <= port <= 65535:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"port must be from 0 (any free one) to 65535, not {port!r}")
        if database == ":memory:":
            raise ValueError("':memory:' would be a file of this name; LocalOmium(None) keeps everything in memory")
        # Two ways to one file (a link) must lead to the same lock.
        self._path = None if database is None else Path(os.path.realpath(database))
        self._port = port
        self._given_keys: _HiddenKeys | None = None
        if api_keys is not None:
            self._given_keys = _HiddenKeys(checked_keys(api_keys))
        elif database is None:  # it could keep none from one start to the next
            self._given_keys = _HiddenKeys(generated_keys())
        self._times = Times(clock)
        self._workflows: dict[str, Workflow] = {}
        self._options = Options()
        self._faults = Faults()
        self._log = RequestLog()
        self._running: _Started | None = None
        self._starting = False

    def __repr__(self) -> str:
        where = "in memory" if self._path is None else f"on {str(self._path)!r}"
        state = "not started" if self._running is None else f"at http://{_HOST}:{self._running.port}"
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
        """Where it serves, to be given as `base_url`. Raises LocalOmiumError before the start."""
        return f"http://{_HOST}:{self._started.port}"

    @property
    def api_key(self) -> str:
        """The first of the keys that it accepts. Raises LocalOmiumError before the start on a database file, if none
        was given: it may be one that is kept there."""
        if self._given_keys is not None:
            return next(iter(self._given_keys.keys))
        return self._started.keyring.first

    @property
    def honor_idempotency(self) -> bool:
        """Whether an `Idempotency-Key` does something. False: as on a server that does not know it."""
        return self._options.honor_idempotency

    @honor_idempotency.setter
    def honor_idempotency(self, value: bool) -> None:
        self._options.honor_idempotency = value

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The last 1,000 requests that arrived, oldest first; each is noted at its arrival."""
        return self._log.requests

    @property
    def counts(self) -> dict[str, int]:
        """How many requests arrived of each kind, such as `"POST /executions/*/replay"`, since the construction."""
        return self._log.counts

    def workflow(self, name: str) -> Callable[[W], W]:
        """A decorator that registers an async function as the workflow with this id, before or after the start. A
        partial, an object with an async `__call__` and a wrapper made with `functools.wraps` are such functions, too.

        Executions that wait for it begin at once. A name that is registered again means the new function from the
        next run on (also of a replay); runs under way keep the old one. From another thread it works as well.
        """
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a workflow's id is a text that is not empty, not {name!r}")

        def register(function: W) -> W:
            if not is_workflow(function):
                raise TypeError(
                    f"workflow {name!r} must be an async function; {function!r} is not (a wrapper of one shows that it "
                    "is by functools.wraps)"
                )
            self._workflows[name] = function
            running = self._running
            if running is not None:
                running.loop.call_soon_threadsafe(running.engine.adopt, name)
            return function

        return register

    def inject(self, fault: Fault) -> Fault:
        """Adds a fault; where several match a request, the oldest meets it. From any thread, also before the start."""
        self._faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Takes all faults back that have not met a request yet."""
        self._faults.clear()

    @property
    def unmet_faults(self) -> tuple[Fault, ...]:
        """The faults that no request has met at all, in the order of `inject`: a test that has any missed its aim."""
        return self._faults.unmet

    async def start(self) -> None:
        """Opens the database, serves, and goes on with what was running. Raises LocalOmiumError that says why not."""
        if self._running is not None or self._starting:
            raise LocalOmiumError("this LocalOmium is started already")
        self._starting = True
        try:
            database = MemoryDatabase() if self._path is None else await FileDatabase.open(self._path)
            try:
                running = await self._assemble(database)
            except BaseException:
                await database.close()
                raise
            try:
                await running.listen(self._port)
                await running.engine.start()
            except BaseException:
                await running.close()
                raise
            self._running = running
            started_here(self)
        finally:
            self._starting = False

    async def stop(self) -> None:
        """Stops serving and running; does nothing when it is not started. What is in memory only is gone then."""
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    @property
    def _started(self) -> _Started:
        if self._running is None:
            raise LocalOmiumError("this LocalOmium is not started; use `async with` it, or `await local.start()`")
        return self._running

    async def _assemble(self, database: Database) -> _Started:
        given = None if self._given_keys is None else self._given_keys.keys
        keyring = await database.write(lambda connection: load_keys(connection, given))
        engine = Engine(database, self._workflows, self._times.now)
        saboteur = Saboteur()
        app = App(
            engine,
            database,
            keyring,
            options=self._options,
            faults=self._faults,
            log=self._log,
            saboteur=saboteur,
            date=self._times.date,
        )
        http = web.Server(app.handle, access_log=None, logger=_log)
        return _Started(database=database, keyring=keyring, engine=engine, saboteur=saboteur, http=http)


class _HiddenKeys:
    """Keys that no repr shows."""

    def __init__(self, keys: dict[str, str | None]) -> None:
        self.keys = keys
