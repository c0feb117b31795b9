"""The interface of telemetry, which `omium_async.otel.Telemetry` implements. Without telemetry nothing here is called.

The methods run within the call, so they must not raise and must not block.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from ._errors.attempts import Attempt
    from ._request import Request

T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])


class CallSpan(Protocol):
    """Observes one call, in the task that makes it."""

    def waits(self) -> None:
        """The call waits for a free connection or for pacing; `waited` always follows."""

    def waited(self) -> None:
        """The wait is over."""

    def attempt_starts(self, number: int) -> Mapping[str, str] | None:
        """An attempt begins.

        :param number: counts from 1 within the call.
        :return: headers with the trace context. They replace the client's own of these names, but not those that a
            user gives with one request.
        """

    def attempt_ended(self, attempt: Attempt, error: BaseException | None) -> None:
        """An attempt ended: answered, failed or cancelled.

        :param attempt: what users receive of it.
        :param error: the error that the call would raise if this were its last attempt; ``None``: it succeeded.
        """

    def ended(self, result: object, error: BaseException | None) -> None:
        """The call ended, after its last attempt.

        :param result: what it returns if it succeeded.
        :param error: what it raises, also a cancellation; ``None``: it succeeded.
        """


class Telemetry(Protocol):
    """Observes the calls of a client."""

    def call_started(self, request: Request) -> CallSpan | None:
        """Observe the start of a call.

        :param request: it has ``method``, ``url``, ``operation`` (name and URL template without ids), ``key`` (of a
            write) and ``execution_id``. Its ``body`` and ``headers`` hold user data, which must not be recorded.
        :return: the observer of the call, or ``None``.
        """

    def outage_began(self) -> None:
        """A wait, a list or a batch met an outage."""

    async def around(self, name: str, work: Awaitable[T], *, writes: bool) -> T:
        """Await something that makes several calls, in a span around theirs.

        :param name: the name of the span. :param writes: whether one of the calls is a write.
        """
        ...

    def around_each(self, name: str, items: AsyncGenerator[T], *, writes: bool) -> AsyncGenerator[T]:
        """Yield the items of something that makes several calls, in a span around theirs.

        :param name: the name of the span. :param writes: whether one of the calls is a write.
        """
        ...


def spanned(*, writes: bool) -> Callable[[M], M]:
    """Decorate a method that makes several calls: with telemetry it has a span around theirs.

    :param writes: whether one of the calls is a write.
    """

    def decorate(method: M) -> M:
        name = _name_of(method)

        @functools.wraps(method)
        async def with_span(self: Any, *args: Any, **options: Any) -> Any:
            telemetry: Telemetry | None = self._telemetry
            if telemetry is None:
                return await method(self, *args, **options)
            return await telemetry.around(name, method(self, *args, **options), writes=writes)

        return cast("M", with_span)

    return decorate


def spanned_each(*, writes: bool) -> Callable[[M], M]:
    """Decorate a method that yields items, as `spanned` does. Arguments are still checked when it is called.

    :param writes: whether one of the calls is a write.
    """

    def decorate(method: M) -> M:
        name = _name_of(method)

        @functools.wraps(method)
        def with_span(self: Any, *args: Any, **options: Any) -> Any:
            items = method(self, *args, **options)
            telemetry: Telemetry | None = self._telemetry
            return items if telemetry is None else telemetry.around_each(name, items, writes=writes)

        return cast("M", with_span)

    return decorate


def _name_of(method: Callable[..., Any]) -> str:
    """Return the public name: ``omium.executions.list`` for ``Executions.list``, and for its private variant."""
    resource, _, name = method.__qualname__.partition(".")
    return f"omium.{resource.lower()}.{name.removeprefix('_')}"
