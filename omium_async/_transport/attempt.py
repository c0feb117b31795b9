"""One attempt to send a request, in progress."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from .._errors import Attempt
from .._request import Request
from .._settings.secret import Redactor

__all__ = ["LONGEST_PAUSE", "LiveAttempt"]

LONGEST_PAUSE: Final = 1e8  # seconds, three years; event loops cannot count much further


class LiveAttempt:
    """An attempt in progress, with its time-out.

    The time-out is a timer of the event loop. ``asyncio.timeout`` does the same but takes 4 µs longer, a fifteenth of
    a call.

    :ivar number: counts from 1 within the call.
    :ivar request_id: its ``X-Request-ID``.
    :ivar started: by ``time.monotonic``.
    :ivar sent: whether the request may have reached the server; ``None`` while the session has not yet asked for a
        connection.
    :ivar status: of the response, once its head was read.
    :ivar headers: of the same response.
    :ivar traced: trace headers to send; ``None``: none.
    """

    # The attempt does not hold the request: it stays in the task's context after the call, and the body would too.
    __slots__ = (
        "_cancelling", "_task", "_timed_out", "_timer", "headers", "number", "request_id", "sent", "started", "status",
        "timeout", "traced",
    )  # fmt: skip

    _task: asyncio.Task[Any] | None
    _timer: asyncio.TimerHandle | None

    def __init__(self, number: int, request_id: str, started: float) -> None:
        self.number = number
        self.request_id = request_id
        self.started = started
        self.sent: bool | None = False
        self.status: int | None = None
        self.headers: Mapping[str, str] | None = None
        self.traced: Mapping[str, str] | None = None
        self._task = self._timer = None

    # -- its time-out --------------------------------------------------------------------------------------------------

    def begin(self, loop: asyncio.AbstractEventLoop, timeout: float | None) -> None:
        """Start the time-out, which cancels the current task. `end` must follow.

        :param timeout: seconds; ``None``: no limit.
        :raises RuntimeError: no task is running that could be cancelled.
        """
        self._task = task = asyncio.current_task(loop)
        self._timed_out = False
        self.timeout = timeout
        if task is None:
            raise RuntimeError(
                "a call must be awaited in a task, because its timeout cancels the task: start it with asyncio.run, "
                "asyncio.create_task or loop.run_until_complete"
            )
        self._cancelling = task.cancelling()
        if timeout is not None:
            self._timer = loop.call_later(min(timeout, LONGEST_PAUSE), self._time_out)

    def _time_out(self) -> None:
        if self._task is not None:
            self._timed_out = True
            self._task.cancel()

    def end(self) -> bool:
        """Stop the time-out; return whether it was started.

        The task is released: its context may hold the attempt, which would be a cycle.
        """
        begun = self._task is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task = None
        return begun

    def take_time_out(self) -> bool:
        """Whether the cancellation that was just raised is that of the time-out alone. Asking again returns False."""
        if not self._timed_out or self._task is None:
            return False
        self._timed_out = False
        return self._task.uncancel() <= self._cancelling

    # -- its report ----------------------------------------------------------------------------------------------------

    def record(self, request: Request, redactor: Redactor, **result: Any) -> Attempt:
        """Return the `Attempt` that users receive.

        :param result: the fields ``error``, ``outcome_unknown``, ``retry_after``, and the response's ``request_id``.
        """
        fields: dict[str, Any] = {"request_id": self.request_id, **result}
        return Attempt(
            number=self.number,
            method=request.method,
            path=redactor.text(request.path),
            status=self.status,
            elapsed=monotonic() - self.started,
            sent=bool(self.sent),
            idempotency_key=request.key,
            **fields,
        )
