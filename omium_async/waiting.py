"""Waiting for executions: polls that grow rarer, and end at the status asked for."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, Self

import attrs

from .errors import APITimeoutError, OmiumError, WaitTimeoutError
from .models import Execution, ExecutionDetail
from .transport.retry import could_mend

__all__ = ["Polling", "run_and_wait", "wait_for", "watch_changes"]

Read = Callable[[float | None], Awaitable[ExecutionDetail]]  # given the seconds it may take

_FIRST: Final = 0.5
_LONGEST: Final = 10.0
_GROWTH: Final = 1.5
_LONGEST_OF_GIVEN: Final = 4


@attrs.frozen
class Polling:
    """How long to wait, how often to look, and for which statuses."""

    deadline: float | None  # of time.monotonic
    timeout: float | None
    first: float
    longest: float
    until: frozenset[str]

    @classmethod
    def of(cls, timeout: Any, poll_interval: Any, until: Iterable[str]) -> Self:
        """The arguments of ``wait``, checked.

        :raises TypeError: of the wrong kind. :raises ValueError: out of range.
        """
        seconds = _positive(timeout, "timeout", zero=True)
        interval = _positive(poll_interval, "poll_interval", zero=False)
        statuses = frozenset([until] if isinstance(until, str) else until)
        if not statuses or not all(isinstance(status, str) for status in statuses):
            raise ValueError("until must name at least one status, each as text")
        return cls(
            None if seconds is None else time.monotonic() + seconds,
            seconds,
            interval or _FIRST,
            _LONGEST if interval is None else interval * _LONGEST_OF_GIVEN,
            statuses,
        )

    def left(self) -> float | None:
        """Seconds until the deadline, at least 0; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def intervals(self) -> Iterator[float]:
        """Seconds between looks: growing, and jittered so that many waiters do not look at once."""
        interval = self.first
        while True:
            yield interval * random.uniform(0.8, 1.2)  # noqa: S311
            interval = min(interval * _GROWTH, self.longest)

    async def sleep(self, seconds: float) -> bool:
        """Sleep, but not past the deadline; whether there is time left."""
        left = self.left()
        if left is None or seconds < left:
            await asyncio.sleep(seconds)
            return True
        await asyncio.sleep(left)
        return False


def _positive(value: Any, name: str, *, zero: bool) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be a number of seconds {'of 0 or more' if zero else 'above 0'}, not {value!r}")
    return float(value)


async def wait_for(read: Read, execution_id: str, polling: Polling) -> ExecutionDetail:
    """Look until the status is one that was asked for.

    :raises WaitTimeoutError: it was not in time; what last went wrong is its cause.
    """
    last: OmiumError | None = None
    for interval in polling.intervals():
        left = polling.left()
        if left != 0:
            try:
                detail = await read(left)
            except OmiumError as error:
                last = error
                if not could_mend(error):
                    raise
            else:
                last = None
                if detail.status in polling.until:
                    return detail
        if not await polling.sleep(interval):
            break
    raise WaitTimeoutError(
        f"execution {execution_id} did not come to {_in_words(polling.until)} within {polling.timeout:g} s",
        pending=(execution_id,),
        execution_id=execution_id,
    ) from last


async def watch_changes(read: Read, polling: Polling) -> AsyncGenerator[ExecutionDetail]:
    """The execution now and after each change, until its status is one that was asked for."""
    before: ExecutionDetail | None = None
    intervals = polling.intervals()
    while True:
        try:
            detail = await read(None)
        except OmiumError as error:
            if not could_mend(error):
                raise
            detail = before
        if detail is not None and detail != before:
            before = detail
            intervals = polling.intervals()  # what just moved is likely to move again soon
            yield detail
            if detail.status in polling.until:
                return
        await asyncio.sleep(next(intervals))


async def run_and_wait(
    create: Callable[[float | None], Awaitable[Execution]], reader: Callable[[str], Read], polling: Polling
) -> ExecutionDetail:
    """Create an execution and wait for it, both within the same time."""
    left = polling.left()
    try:
        created = await create(left)
    except APITimeoutError as error:
        if polling.left() != 0:
            raise
        raise WaitTimeoutError(
            f"the execution was not created within {polling.timeout:g} s",
            request_id=error.request_id,
            idempotency_key=error.idempotency_key,
            attempts=error.attempts,
            outcome_unknown=error.outcome_unknown,
        ) from error
    try:
        return await wait_for(reader(created.id), created.id, polling)
    except OmiumError as error:
        error.execution_id = created.id
        raise


def _in_words(statuses: frozenset[str]) -> str:
    return "one of " + ", ".join(sorted(statuses))
