"""Attempts to send a request, in progress, and their time-outs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from .._errors.attempts import Attempt
from .._request import Request
from .._settings.secret import Redactor
from .answers import joined
from .keys import IssuedKey

LONGEST_PAUSE: Final = 1e8  # seconds, three years; event loops cannot count much further


class LiveAttempt:
    """An attempt in progress, with its time-out.

    :ivar number: counts from 1 within the call.
    :ivar request_id: its ``X-Request-ID``.
    :ivar started: by ``time.monotonic``.
    :ivar timeout: seconds from then; infinity: no limit.
    :ivar task: the task that makes it, from the start of its time-out to its end.
    :ivar sent: whether the request may have reached the server; ``None`` while the session has not yet asked for a
        connection.
    :ivar status: of the response, once its head was read.
    :ivar headers: of the same response.
    :ivar key: the key of the request, if the ``api_key`` function returned it; ``None``: the client has a fixed one.
    :ivar traced: trace headers to send; ``None``: none.
    """

    # The attempt does not hold the request: it stays in the task's context after the call, and the body would too.
    __slots__ = (
        "_cancelling", "_timed_out", "headers", "key", "number", "request_id", "sent", "started", "status", "task",
        "timeout", "traced",
    )  # fmt: skip

    task: asyncio.Task[Any] | None

    def __init__(self, number: int, request_id: str, started: float) -> None:
        self.number = number
        self.request_id = request_id
        self.started = started
        self.key: IssuedKey | None = None
        self.sent: bool | None = False
        self.status: int | None = None
        self.headers: Mapping[str, str] | None = None
        self.traced: Mapping[str, str] | None = None
        self.task = None

    # -- its time-out --------------------------------------------------------------------------------------------------

    def begin(self, task: asyncio.Task[Any], timeout: float) -> None:
        """Note the task that the time-out cancels."""
        self.task = task
        self.timeout = timeout
        self._timed_out = False
        self._cancelling = task.cancelling()

    def time_out(self) -> None:
        """Cancel the task."""
        if self.task is not None:
            self._timed_out = True
            self.task.cancel()

    def take_time_out(self) -> bool:
        """Whether the cancellation that was just raised is that of the time-out alone. Asking again returns False."""
        if not self._timed_out or self.task is None:
            return False
        self._timed_out = False
        return self.task.uncancel() <= self._cancelling

    # -- its report ----------------------------------------------------------------------------------------------------

    def record(self, request: Request, redactor: Redactor, *, with_headers: bool = True, **result: Any) -> Attempt:
        """Return the `Attempt` that users receive.

        :param with_headers: whether anybody can see the headers of the response.
        :param result: the fields ``error``, ``outcome_unknown``, ``retry_after``, and the response's ``request_id``.
        """
        fields: dict[str, Any] = {"request_id": self.request_id, **result}
        if with_headers and self.headers is not None:
            fields["headers"] = redactor.headers(joined(self.headers))
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


class Timeouts:
    """The time-outs of all attempts of one event loop, on one timer.

    A timer for each attempt, as of ``asyncio.timeout``, takes a tenth of a call, and nearly none ever fires.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._attempts: set[LiveAttempt] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._when = math.inf  # of the timer

    def start(self, attempt: LiveAttempt, timeout: float) -> None:
        """Start the time-out of an attempt, which cancels the current task. `stop` must follow.

        :param timeout: seconds from the start of the attempt; infinity: no limit.
        :raises RuntimeError: no task is running that could be cancelled.
        """
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError(
                "a call must be awaited in a task, because its timeout cancels the task: start it with asyncio.run, "
                "asyncio.create_task or loop.run_until_complete"
            )
        attempt.begin(task, timeout)
        self._attempts.add(attempt)
        if attempt.started + timeout < self._when:
            self._set_timer(attempt.started + timeout)

    def stop(self, attempt: LiveAttempt) -> bool:
        """Stop a time-out; return whether it was started.

        The task is released: its context may hold the attempt, which would be a cycle.
        """
        begun = attempt.task is not None
        self._attempts.discard(attempt)
        attempt.task = None
        return begun

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = self._loop.call_later(min(when - monotonic(), LONGEST_PAUSE), self._fire)

    def _fire(self) -> None:
        now = monotonic()
        for attempt in [each for each in self._attempts if each.started + each.timeout <= now]:
            self._attempts.discard(attempt)
            attempt.time_out()
        self._timer, self._when = None, math.inf
        if self._attempts and (soonest := min(each.started + each.timeout for each in self._attempts)) < math.inf:
            self._set_timer(soonest)
