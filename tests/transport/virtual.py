"""Minutes in a moment: an event loop whose time passes when nothing is left to do, and a service without a wire."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from multidict import CIMultiDict

from omium_async._transport import alarm, attempt, call
from omium_async._transport.exchange import Exchange
from omium_async._transport.failures import Refused

T = TypeVar("T")

ANSWER = b'{"id": "exec_1", "workflow_id": "wf", "status": "running"}'


class Clock:
    """Stands in for ``time.monotonic``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Leaping(selectors.DefaultSelector):
    """Waits for nobody: the clock moves on instead."""

    clock: Clock

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            return super().select(None)
        if not found:
            self.clock.now += timeout or 0.0
        return found


@contextlib.contextmanager
def _virtual_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", clock)
        for module in (call, alarm, attempt):  # imported by now: else their own would be this clock for ever
            patched.setattr(module, "monotonic", clock)
        yield


def run(work: Coroutine[Any, Any, T], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> T:
    """``asyncio.run`` in virtual time, with the same chances in every run."""
    random.seed(0)

    def new_loop() -> asyncio.AbstractEventLoop:
        selector = _Leaping()
        selector.clock = clock
        return asyncio.SelectorEventLoop(selector)

    with _virtual_time(clock, monkeypatch), asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work)


class Service:
    """Lets ``most`` requests a minute through, for all who ask; a refusal says when to come again.

    :param drops: its allowance fills up drop by drop, as a bucket does; else all at once, each minute of the clock.
    :ivar accepted: how many came through. :ivar refused: and how many did not.
    """

    LATENCY = 0.02

    def __init__(self, clock: Clock, most: int, *, drops: bool) -> None:
        self._clock = clock
        self._most = most
        self._drops = drops
        self._left = float(most)
        self._at = clock()
        self.accepted = self.refused = 0

    def serve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what all clients talk to."""

        async def exchange(_: Exchange, __: object, attempt: Any, ___: object) -> bytes:
            await asyncio.sleep(self.LATENCY)
            wait = self._take()
            attempt.sent, attempt.status = True, 200 if wait is None else 429
            attempt.headers = CIMultiDict({} if wait is None else {"Retry-After": f"{int(-(-wait // 1))}"})
            if wait is not None:
                raise Refused("Too Many Requests", b"{}", cut=False)
            return ANSWER

        monkeypatch.setattr(Exchange, "run", exchange)

    def _take(self) -> float | None:
        """``None``: it comes through; else the seconds until one might."""
        now = self._clock()
        if self._drops:
            self._left = min(self._most, self._left + (now - self._at) * self._most / 60)
            wait = (1 - self._left) * 60 / self._most
        else:
            if now // 60 > self._at // 60:
                self._left = self._most
            wait = 60 - now % 60
        self._at = now
        if self._left >= 1:
            self._left -= 1
            self.accepted += 1
            return None
        self.refused += 1
        return wait
