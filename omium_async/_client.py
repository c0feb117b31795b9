"""The client: settings, transport and resources, put together."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack, overload

import aiohttp
import cattrs

from ._caller import Caller, Shared
from ._data.masked import masked
from ._executions import Executions
from ._generics import In, Out
from ._resources import Checkpoints, Workflows
from ._settings.configure import OptionChanges, changed, configure, takes_settings
from ._settings.declared import (
    DEFAULT_BACKOFF,
    DEFAULT_PATIENCE,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    Auth,
    KeyFunction,
    OnAttempt,
    Options,
    Settings,
)
from ._telemetry import Telemetry
from ._transport.answers import RawResponse
from ._workflow import Definition, Workflow


class AsyncOmium:
    """An async client of the Omium Executions API. Its calls are in `executions`, `checkpoints` and `workflows`.

    It works with and without ``async with``, on any number of event loops, one after the other or at once in several
    threads. Each setting comes from the first of these that has it: the argument, the environment,
    ``~/.omium/config.json``, the default.

    :param api_key: the key, or a function without arguments that returns it, plain or async; otherwise
        ``OMIUM_API_KEY``, or ``api_key`` in the file. The function is called when the first key is needed, and again
        when the service refuses a key: if it returns another one, the refused requests are repeated with that. The
        ``timeout`` of the call includes it. A plain function runs in a thread. Its exceptions are raised as they are.
    :param base_url: the service, with or without ``/api/v1``; otherwise ``OMIUM_API_URL``, ``api_url`` in the file, or
        ``https://api.omium.ai``.
    :param auth: the header with the key: ``"x-api-key"`` (recommended by the service) or ``"bearer"``.
    :param timeout: seconds for one whole call: queueing, attempts, backoff and body; ``None``: no limit. Otherwise
        ``OMIUM_TIMEOUT``, ``timeout`` in the file, or 120.
    :param attempt_timeout: seconds for one attempt, from DNS to the last byte of the body; ``None``: only ``timeout``.
    :param max_retries: attempts after the first, 0 or more. Otherwise ``OMIUM_RETRY_ATTEMPTS``, ``retry_attempts`` in
        the file, or 3.
    :param retry_ambiguous_writes: also retry writes whose outcome is unknown: only for a server that honours
        ``Idempotency-Key``.
    :param max_connections: the largest number of connections on each event loop, from 1.
    :param rate_limit: the largest number of requests in any minute, above 0, or a pair: in any minute and in any hour,
        such as ``(200, 4000)``; ``None``: the client pauses when the service says so.
    :param max_response_bytes: the largest body accepted, decompressed. JSON takes up to 50 times its size in memory,
        and 0.3 seconds for each MiB to decode: use a smaller limit if you do not trust the service.
    :param agent_id: sent with every ``create`` that has no ``agent_id``.
    :param headers: added to every request.
    :param proxy: URL of an HTTP proxy; otherwise that of the environment (``HTTPS_PROXY``, ``NO_PROXY``), except for
        loopback.
    :param ssl: as in aiohttp: an ``SSLContext``, a ``Fingerprint``, or ``False`` to verify nothing.
    :param session: an ``aiohttp.ClientSession`` to use, on its own loop only; the client never closes it.
    :param on_attempt: a plain function that receives every finished `Attempt`, also of a cancelled call.
    :param patience: seconds for which waits, lists and batches wait out an outage; ``None``: no limit. Otherwise
        ``OMIUM_PATIENCE``, or 300.
    :param backoff: seconds: the upper limit of the first retry delay, and of any; 0: no delay.
    :param poll_interval: seconds: the first and the longest delay between two polls of a wait.
    :param allow_insecure_http: allow plain ``http://`` to a host that is not loopback.
    :param converter: a converter from `make_converter`, with hooks for your types; ``None``: the process's shared one.
    :param telemetry: an ``omium_async.otel.Telemetry``, which traces and measures the calls; ``None``: none.
    :raises ConfigurationError: a setting is missing or cannot be used; the message names the setting and its source.
    """

    executions: Executions
    """The calls about executions: create, get, list, wait, replay, roll back, cancel, one or many."""
    checkpoints: Checkpoints
    """The calls about checkpoints and their state."""
    workflows: Workflows
    """The calls about the workflows of the service."""

    @takes_settings(Settings, Options)
    def __init__(
        self,
        api_key: str | KeyFunction | None = None,
        *,
        base_url: str | None = None,
        auth: Auth = "x-api-key",
        timeout: float | None = DEFAULT_TIMEOUT,
        attempt_timeout: float | None = 30.0,
        max_retries: int = DEFAULT_RETRIES,
        retry_ambiguous_writes: bool = False,
        max_connections: int = 100,
        rate_limit: float | tuple[float, float] | None = None,
        max_response_bytes: int = 64 * 2**20,
        agent_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: ssl_module.SSLContext | aiohttp.Fingerprint | bool | None = None,
        session: aiohttp.ClientSession | None = None,
        on_attempt: OnAttempt | None = None,
        allow_insecure_http: bool = False,
        patience: float | None = DEFAULT_PATIENCE,
        backoff: tuple[float, float] = DEFAULT_BACKOFF,
        poll_interval: tuple[float, float] = DEFAULT_POLL_INTERVAL,
        converter: cattrs.Converter | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        settings, options = configure(
            api_key=api_key,
            base_url=base_url,
            auth=auth,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            retry_ambiguous_writes=retry_ambiguous_writes,
            max_connections=max_connections,
            rate_limit=rate_limit,
            max_response_bytes=max_response_bytes,
            agent_id=agent_id,
            headers=headers,
            proxy=proxy,
            ssl=ssl,
            session=session,
            on_attempt=on_attempt,
            allow_insecure_http=allow_insecure_http,
            patience=patience,
            backoff=backoff,
            poll_interval=poll_interval,
            converter=converter,
            telemetry=telemetry,
        )
        self._offer(Caller(Shared(settings), options))

    def _offer(self, caller: Caller) -> None:
        self._caller = caller
        self.executions = Executions(caller)
        self.checkpoints = Checkpoints(caller)
        self.workflows = Workflows(caller)

    @takes_settings(Options)
    def with_options(self, **options: Unpack[OptionChanges]) -> Self:
        """Return a copy with other options. It shares connections, pacing and retry budget; closing one closes both.

        :param options: any of ``timeout``, ``attempt_timeout``, ``max_retries``, ``retry_ambiguous_writes``,
            ``agent_id``, ``on_attempt``, ``patience``, ``backoff``, ``poll_interval``, as in the constructor, and
            ``headers``, which are added to those of this client; one set to ``None`` is left out.
        :raises ConfigurationError: a value is out of range, or a header is set by the client.
        :raises TypeError: there is no such option.
        """
        copy = object.__new__(type(self))
        copy._offer(self._caller.with_options(changed(self._caller.options, options)))
        return copy

    @overload
    def workflow(self, workflow_id: Definition[In, Out]) -> Workflow[In, Out]: ...

    @overload
    def workflow(
        self, workflow_id: str, input_type: type[In] | None = None, output_type: type[Out] | None = None
    ) -> Workflow[In, Out]: ...

    @overload
    def workflow(  # for types that are not classes: the variable has an annotation
        self, workflow_id: str, input_type: Any = None, output_type: Any = None
    ) -> Workflow[In, Out]: ...  # pyright: ignore[reportInvalidTypeVarUse]

    def workflow(self, workflow_id: Any, input_type: Any = None, output_type: Any = None) -> Workflow[Any, Any]:
        """Return a workflow with the types of its input and its output; no request is sent.

        :param workflow_id: the id of the workflow, or a definition (a `Workflow`), which has the types.
        :param input_type: the type of its input, which `Workflow.start` checks; ``None``: anything that can be sent.
        :param output_type: the type into which results are read; ``None``: they are not converted.
        :raises TypeError: a type cannot be structured, also inside optionals and containers.
        """
        if isinstance(workflow_id, Definition):
            if input_type is not None or output_type is not None:
                raise TypeError(f"workflow_id: {workflow_id!r} has its types already; give it alone")
            definition: Definition[Any, Any] = workflow_id  # pyright: ignore[reportUnknownVariableType]
        else:
            definition = Definition(workflow_id, input_type, output_type)
        return definition._bound_to(self._caller)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Call any other endpoint with the same safety. All methods except GET, HEAD and OPTIONS are writes.

        :param method: the HTTP method, such as ``"GET"``.
        :param path: relative to the base URL, such as ``/failures``.
        :param params: the query; ``None`` values are omitted.
        :param json: the body: JSON values and the types that ``create`` accepts in ``input_data``.
        :param headers: for this request; they may contain an ``Idempotency-Key``.
        :return: the response, with a status from 200 to 299.
        :raises APIStatusError: the response has any other status.
        :raises APIConnectionError: no usable response came.
        :raises ValueError: the path leaves the base URL, or a value cannot be sent. Nothing was sent.
        """
        headers = masked(headers)
        return await self._caller.raw(method, path, params=params, json=json, headers=headers)

    async def aclose(self) -> None:
        """Close all connections, also those of copies. Later calls raise ``RuntimeError``."""
        await self._caller.shared.transport.close()

    async def __aenter__(self) -> Self:
        self._caller.shared.check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback that shows local variables may come from within the constructor.
        caller = getattr(self, "_caller", None)
        return f"<{type(self).__name__} {'not initialized' if caller is None else caller.shared.settings.base_url}>"

    def __dask_tokenize__(self) -> NoReturn:
        """Dask's ``map`` calls this, and would otherwise hide why the client cannot be pickled."""
        self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled, because it has a key and connections; create one in the other "
            "process, from its own settings"
        )
