"""What may watch calls from outside, as `omium_async.otel.Telemetry` does; nothing here is called while nobody watches.

None of these methods may raise or block: they run within the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ._errors import Attempt
    from ._transport.request import Request

__all__ = ["CallSpan", "Telemetry"]


class CallSpan(Protocol):
    """Watches one call, in the task that makes it."""

    def waits(self) -> None:
        """The call waits for a free connection or for the pace. In the end comes `waited`, whatever happens."""

    def waited(self) -> None:
        """That wait is over."""

    def attempt_starts(self, number: int) -> Mapping[str, str] | None:
        """An attempt begins.

        :param number: counts from 1 within the call.
        :return: headers by which the trace goes on at the service; those that a user gives by hand win.
        """

    def attempt_ended(self, attempt: Attempt) -> None:
        """An attempt ended: answered, failed or cancelled."""

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
