"""One attempt in flight: what was seen of it so far, and the time that bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

from .._errors import Attempt
from .._settings.secret import Redactor
from .request import Request

__all__ = ["LiveAttempt"]


class LiveAttempt:
    """What is seen of one attempt while it lasts; the `Attempt` that users get is made from it.

    :ivar number: counts from 1 within the call.
    :ivar request_id: its ``X-Request-ID``.
    :ivar started: by ``time.monotonic``.
    :ivar entered: whether it passed the gate of the pace by entering it, and must leave it.
    :ivar sent: whether it may have reached the server; ``None``: it is in the hands of a session, which has not asked
        for a connection yet.
    :ivar status: of the head of an answer, once that was read.
    :ivar headers: of the same answer.
    :ivar traced: headers by which a trace goes on at the service; ``None``: none.
    :ivar when: it ends then at the latest, by ``time.monotonic``.
    :ivar task: which runs it; ``None`` once it is over.
    :ivar cancelling: how often the task had been asked to end before the attempt.
    :ivar rang: its time was over, and nobody has asked yet whether that ended it.
    """

    # Written out, for one is made for every call. It holds no request: it outlives the call in the task's context, and
    # the body would with it.
    __slots__ = (
        "cancelling", "entered", "headers", "number", "rang", "request_id", "sent", "started", "status", "task",
        "traced", "when",
    )  # fmt: skip

    when: float
    task: asyncio.Task[object] | None
    cancelling: int

    def __init__(self, number: int, request_id: str, started: float, entered: bool = False) -> None:
        self.number = number
        self.request_id = request_id
        self.started = started
        self.entered = entered
        self.sent: bool | None = False
        self.status: int | None = None
        self.headers: Mapping[str, str] | None = None
        self.traced: Mapping[str, str] | None = None
        self.rang = False

    # -- its time ------------------------------------------------------------------------------------------------------

    def ring(self) -> None:
        """The time is over. The task waits within the attempt, for it stops the alarm in the step that leaves it."""
        if self.task is not None:
            self.rang = True
            self.task.cancel()

    def timed_out(self) -> bool:
        """Whether the cancellation that ended it was its alarm's and nobody else's; to be asked once."""
        if not self.rang or self.task is None:
            return False
        self.rang = False
        return self.task.uncancel() <= self.cancelling

    # -- what users get ------------------------------------------------------------------------------------------------

    def record(self, request: Request, redactor: Redactor, **ended: Any) -> Attempt:
        """What users are told of it.

        :param ended: the fields that say how it ended: ``error``, ``outcome_unknown``, ``retry_after``, and
            ``request_id`` where the answer named one.
        """
        fields: dict[str, Any] = {"request_id": self.request_id, **ended}
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
