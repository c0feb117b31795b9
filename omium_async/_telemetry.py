"""What may watch calls from outside, as `omium_async.otel.Telemetry` does; nothing here is called while nobody watches.

None of these methods may raise or block: they run within the call.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from ._errors import Attempt
    from ._transport.request import Request

__all__ = ["CallSpan", "Telemetry", "spanned", "spanned_each"]

T = TypeVar("T")


class CallSpan(Protocol):
    """Watches one call, in the task that makes it."""

    def waits(self) -> None:
        """The call waits for a free connection or for the pace. In the end comes `waited`, whatever happens."""

    def waited(self) -> None:
        """That wait is over."""

    def attempt_starts(self, number: int) -> Mapping[str, str] | None:
        """An attempt begins.

        :param number: counts from 1 within the call.
        :return: headers by which the trace goes on at the service, in place of the client's own of these names; those
            that a user gives with one request win.
        """

    def attempt_ended(self, attempt: Attempt, error: BaseException | None) -> None:
        """An attempt ended: answered, failed or cancelled.

        :param attempt: what users are told of it.
        :param error: what the call would raise, were it the last; ``None``: it succeeded.
        """

    def ended(self, result: object, error: BaseException | None) -> None:
        """The call is over, after its last attempt.

        :param result: what it gives, where it succeeded.
        :param error: what it raises, a cancellation too; ``None``: it succeeded.
        """


class Telemetry(Protocol):
    """Watches the calls of a client."""

    def call_started(self, request: Request) -> CallSpan | None:
        """A call begins.

        :param request: it has ``method``, ``url``, ``operation`` (name and URL template without ids), ``key`` (of a
            write) and ``execution_id``. Its ``body`` and ``headers`` hold data of the user's, never to be recorded.
        :return: what watches it; ``None``: nothing does.
        """

    def outage_began(self) -> None:
        """A wait, a list or a batch finds that nothing answers."""

    async def around(self, name: str, work: Awaitable[T], *, writes: bool) -> T:
        """Await what makes several calls, within a span around theirs."""
        ...

    def around_each(self, name: str, items: AsyncGenerator[T], *, writes: bool) -> AsyncGenerator[T]:
        """The items of what makes several calls, within a span around theirs, which is no other code's."""
        ...


M = TypeVar("M", bound=Callable[..., Any])


def spanned(*, writes: bool) -> Callable[[M], M]:
    """A method that makes several calls has a span around theirs; its object's ``_telemetry`` says what watches.

    :param writes: whether one of the calls is a write.
    """

    def decorate(method: M) -> M:
        name = _name_of(method)

        @functools.wraps(method)
        async def watched(self: Any, *args: Any, **options: Any) -> Any:
            telemetry: Telemetry | None = self._telemetry
            if telemetry is None:
                return await method(self, *args, **options)
            return await telemetry.around(name, method(self, *args, **options), writes=writes)

        return cast("M", watched)

    return decorate


def spanned_each(*, writes: bool) -> Callable[[M], M]:
    """`spanned` for what gives items; arguments are refused at the call, as ever."""

    def decorate(method: M) -> M:
        name = _name_of(method)

        @functools.wraps(method)
        def watched(self: Any, *args: Any, **options: Any) -> Any:
            items = method(self, *args, **options)
            telemetry: Telemetry | None = self._telemetry
            return items if telemetry is None else telemetry.around_each(name, items, writes=writes)

        return cast("M", watched)

    return decorate


def _name_of(method: Callable[..., Any]) -> str:
    """The public name: ``omium.executions.list`` for ``Executions.list``, and for its private variant ``_list``."""
    resource, _, name = method.__qualname__.partition(".")
    return f"omium.{resource.lower()}.{name.removeprefix('_')}"
