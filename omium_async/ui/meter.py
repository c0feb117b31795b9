"""What the client does for the console: its attempts, how many a minute, what failed, what it warned about."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import attrs

from omium_async import Attempt

__all__ = ["Cost", "Meter", "Minute", "SeenAttempt", "Told", "Warned"]

_KEPT_ATTEMPTS: Final = 20_000  # half an hour of them at ten a second
_KEPT_TROUBLE: Final = 50


@attrs.frozen
class SeenAttempt:
    """An attempt, and when it ended."""

    when: datetime
    attempt: Attempt

    @property
    def failed(self) -> bool:
        """Whether no success came of it."""
        return self.attempt.error is not None

    @property
    def what(self) -> str:
        """Method and path."""
        return f"{self.attempt.method} {self.attempt.path}"


@attrs.frozen
class Warned:
    """A warning that the client logged."""

    when: datetime
    logger: str
    message: str


@attrs.frozen
class Minute:
    """How many attempts ended within one minute, and how many of them failed."""

    ends: datetime
    attempts: int
    failed: int


class Cost:
    """Counts the requests of what is asked for within `Meter.counting`."""

    def __init__(self) -> None:
        self.requests = 0
        self._most: int | None = None
        self._spent: asyncio.Future[None] | None = None

    def spent_after(self, requests: int) -> asyncio.Future[None]:
        """A future that is done once so many requests have ended."""
        self._most = requests
        self._spent = asyncio.get_running_loop().create_future()
        return self._spent

    def add(self) -> None:
        """One more request has ended."""
        self.requests += 1
        if self._most is not None and self.requests >= self._most and self._spent and not self._spent.done():
            self._spent.set_result(None)


#: Warnings that what runs in this context has logged: the first of each by its logger and its text without arguments.
Told: TypeAlias = dict[tuple[str, str], logging.LogRecord]

_CLIENT: Final = logging.getLogger("omium_async")
_LISTS: Final = logging.getLogger("omium_async.lists")

_counting: contextvars.ContextVar[tuple[Cost, ...]] = contextvars.ContextVar("_counting", default=())
_telling: contextvars.ContextVar[tuple[Meter, Told] | None] = contextvars.ContextVar("_telling", default=None)


class Meter(logging.Handler):
    """Sees every attempt of the console's client, as its ``on_attempt``, and its warnings, as a handler of its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.began = datetime.now(UTC)
        self.total = 0
        self.retries = 0
        self.failures: deque[SeenAttempt] = deque(maxlen=_KEPT_TROUBLE)
        self.warnings: deque[Warned] = deque(maxlen=_KEPT_TROUBLE)
        self.held_until: datetime | None = None
        self._attempts: deque[SeenAttempt] = deque(maxlen=_KEPT_ATTEMPTS)

    def open(self) -> None:
        """Begin to listen to warnings."""
        _CLIENT.addHandler(self)
        _LISTS.addFilter(self._is_news)

    def detach(self) -> None:
        """Listen no more."""
        _CLIENT.removeHandler(self)
        _LISTS.removeFilter(self._is_news)

    def saw(self, attempt: Attempt) -> None:
        """An attempt has ended."""
        seen = SeenAttempt(datetime.now(UTC), attempt)
        self._attempts.append(seen)
        self.total += 1
        self.retries += attempt.number > 1
        if seen.failed:
            self.failures.append(seen)
        if attempt.retry_after is not None:
            self.held_until = seen.when + timedelta(seconds=min(attempt.retry_after, 86400))
        for cost in _counting.get():
            cost.add()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning for the page."""
        self.warnings.append(Warned(datetime.fromtimestamp(record.created, UTC), record.name, record.getMessage()))

    @property
    def outage(self) -> SeenAttempt | None:
        """The latest attempt, if it met a service that does not answer as it should, or asks for a pause."""
        if not self._attempts:
            return None
        latest = self._attempts[-1]
        status = latest.attempt.status
        return latest if latest.failed and (status is None or status >= 500 or status == 429) else None

    @contextlib.contextmanager
    def counting(self) -> Generator[Cost]:
        """Count the requests of all that is awaited within, also by tasks that it starts."""
        cost = Cost()
        token = _counting.set((*_counting.get(), cost))
        try:
            yield cost
        finally:
            _counting.reset(token)

    @contextlib.contextmanager
    def telling_once(self, told: Told) -> Generator[None]:
        """Let a list that is read again and again warn of each thing once: what is in ``told`` is not logged again."""
        token = _telling.set((self, told))
        try:
            yield
        finally:
            _telling.reset(token)

    def _is_news(self, record: logging.LogRecord) -> bool:
        meter, told = _telling.get() or (None, {})
        return meter is not self or told.setdefault((record.name, str(record.msg)), record) is record

    def in_the_last(self, seconds: float) -> int:
        """How many attempts ended within so many seconds."""
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        return sum(1 for _ in self._newer_than(since))

    def elapsed(self) -> list[float]:
        """Seconds that each success of the last ten minutes took, in rising order."""
        since = datetime.now(UTC) - timedelta(minutes=10)
        return sorted(seen.attempt.elapsed for seen in self._newer_than(since) if not seen.failed)

    def minutes(self, count: int) -> list[Minute]:
        """The last so many minutes, oldest first."""
        now = datetime.now(UTC)
        attempts, failed = [0] * count, [0] * count
        for seen in self._newer_than(now - timedelta(minutes=count)):
            ago = min(int((now - seen.when).total_seconds() // 60), count - 1)
            attempts[ago] += 1
            failed[ago] += seen.failed
        return [Minute(now - timedelta(minutes=ago), attempts[ago], failed[ago]) for ago in reversed(range(count))]

    def _newer_than(self, since: datetime) -> Iterator[SeenAttempt]:
        for seen in reversed(self._attempts):
            if seen.when < since:
                return
            yield seen
