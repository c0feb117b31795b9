"""Writes of the console: each form takes effect once, and each execution has at most one write at a time.

Every form that writes carries a token that is good for one write. It is signed with a secret of this process. After a
restart the console does not know which forms it has sent, so it refuses older tokens instead of sending them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import attrs

from omium_async import OmiumError, WriteOutcome

from . import words
from .words import cut

K = TypeVar("K")
V = TypeVar("V")

_GOOD_FOR: Final = 12 * 3600.0  # seconds for which a form may be left open
_REMEMBERED_FOR: Final = 2 * _GOOD_FOR  # longer than its token is good for, so a forgotten form cannot be sent again
_LAST_RESULTS: Final = 5.0  # seconds for writes in progress to end when the console stops
_LONGEST_MESSAGE: Final = 2_000  # characters
_REMEMBERED_WRITES: Final = 100_000
_REMEMBERED_ERRORS: Final = 1_000


class StaleFormError(Exception):
    """The form is older than the console remembers, or another process made it."""


class SentOtherwiseError(Exception):
    """The form was sent before with other content.

    :ivar result: the result of that write.
    """

    def __init__(self, result: Result) -> None:
        super().__init__("this form was sent before with other content")
        self.result = result


def _shortened(text: str) -> str:
    return cut(text, _LONGEST_MESSAGE)


@attrs.frozen
class Result:
    """The result of a write.

    :ivar outcome: whether it was applied. :ivar message: what the service said, or what went wrong.
    :ivar execution_id: the execution to show next, if there is one. :ivar origin: the execution that was written to.
    :ivar request_id: the id to quote to the service's support.
    :ivar headline: what went wrong, in a few words. :ivar advice: what can be done about it.
    """

    outcome: WriteOutcome
    message: str = attrs.field(converter=_shortened)
    execution_id: str | None = None
    origin: str | None = None
    request_id: str | None = None
    headline: str = ""
    advice: str = ""

    @classmethod
    def of(cls, error: OmiumError) -> Result:
        """Return the result of a write that failed."""
        headline, advice = words.headline(error), words.advice(error)
        return cls(error.outcome, error.message, error.execution_id, None, error.request_id, headline, advice)


@attrs.define
class _SentForm:
    content: bytes
    task: asyncio.Task[Result]
    when: float


class Forms:
    """The forms that were sent, and their results."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._sent: dict[str, _SentForm] = {}

    def token(self) -> str:
        """Return a token for one form."""
        text = f"{os.urandom(12).hex()}.{time.monotonic():.0f}"
        return f"{text}.{self._signature(text)}"

    def result(self, receipt: str) -> Result | None:
        """Return the result of the write with this receipt, if the write has ended."""
        sent = self._sent.get(receipt)
        has_ended = sent is not None and sent.task.done() and not sent.task.cancelled() and not sent.task.exception()
        return sent.task.result() if sent is not None and has_ended else None

    @staticmethod
    def receipt(token: str) -> str:
        """Return the part of a token that names the write; an address may contain it."""
        return token.partition(".")[0]

    async def send(self, token: str, content: Any, write: Callable[[str], Awaitable[Result]]) -> Result:
        """Send the form's write unless it was sent before, and return its result.

        :param content: everything that the form says. :param write: sends it with the given idempotency key.
        :raises StaleFormError: the console does not know whether the form was sent.
        :raises SentOtherwiseError: the form was sent with other content.
        """
        self._check(token)
        receipt, digest = self.receipt(token), hashlib.sha256(repr(content).encode("utf-8", "replace")).digest()
        sent = self._sent.get(receipt)
        if sent is None:
            self._forget()
            task = asyncio.create_task(_result(write(f"console-{receipt}")))
            sent = self._sent[receipt] = _SentForm(digest, task, time.monotonic())
        result = await asyncio.shield(sent.task)  # the write continues if the browser does not wait for it
        if sent.content != digest:
            raise SentOtherwiseError(result)
        return result

    async def close(self) -> None:
        """Wait a moment for writes in progress, then cancel them."""
        tasks = [sent.task for sent in self._sent.values() if not sent.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_RESULTS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _check(self, token: str) -> None:
        text, _, signature = token.rpartition(".")
        is_own = hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(text).encode())
        if not is_own or time.monotonic() - float(text.partition(".")[2]) > _GOOD_FOR:
            raise StaleFormError

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def _forget(self) -> None:
        old = time.monotonic() - _REMEMBERED_FOR
        for receipt, sent in list(self._sent.items()):
            if sent.when > old:
                return  # the forms are in the order in which they were sent
            if sent.task.done():
                del self._sent[receipt]


async def _result(write: Awaitable[Result]) -> Result:
    try:
        return await write
    except OmiumError as error:
        return Result.of(error)
    except (TypeError, ValueError) as error:  # before anything was sent
        return Result(WriteOutcome.NOT_APPLIED, str(error))
    except asyncio.CancelledError:
        return Result(WriteOutcome.UNKNOWN, "The console was stopped while the write was in progress.")


@attrs.frozen
class Earlier:
    """How an execution stood before the last write of this console.

    :ivar when: the time of the write.
    """

    when: datetime
    status: str
    error: str


class Writes:
    """The replays, rollbacks and cancels of this console: at most one at a time of an execution.

    Every write has a number. Pages and plans keep the number that was the last when they were made (`mark`), so that
    a later write to the same execution is noticed, also if the service does not show it.
    """

    def __init__(self) -> None:
        self.mark = 0
        self._last: dict[bytes, int] = {}
        self._earlier: dict[bytes, Earlier] = {}
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def last(self, execution_id: str) -> int:
        """Return the number of the last write to an execution; 0: it has had no write."""
        return self._last.get(_digest(execution_id), 0)

    def in_progress(self, execution_id: str) -> bool:
        """Whether a write to an execution is in progress."""
        lock = self._locks.get(_digest(execution_id))
        return lock is not None and lock.locked()

    def earlier(self, execution_id: str) -> Earlier | None:
        """Return how an execution stood before the last write of this console."""
        return self._earlier.get(_digest(execution_id))

    def lock(self, execution_id: str) -> asyncio.Lock:
        """Return the lock to hold from reading an execution until the write to it has ended."""
        return self._locks.setdefault(_digest(execution_id), asyncio.Lock())

    def begin(self, execution_id: str, status: str | None, error: str | None) -> None:
        """Number a write that is about to be sent to an execution, and remember how the execution stands."""
        digest = _digest(execution_id)
        earlier = Earlier(datetime.now(UTC), cut(status or "", 60), cut(error or "", 500))
        _remember(self._earlier, digest, earlier, _REMEMBERED_ERRORS)
        self._number(digest)

    def end(self, execution_id: str) -> None:
        """Number the end of a write: what was read before it may be out of date."""
        self._number(_digest(execution_id))

    def _number(self, digest: bytes) -> None:
        self.mark += 1
        _remember(self._last, digest, self.mark, _REMEMBERED_WRITES)


def _digest(execution_id: str) -> bytes:
    return hashlib.blake2b(execution_id.encode("utf-8", "replace"), digest_size=16).digest()


def _remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    """Add a value; if there are too many, forget the oldest."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > most:
        del memory[next(iter(memory))]
