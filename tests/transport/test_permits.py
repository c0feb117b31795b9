"""Permits: calls that had to wait for their turn are asked whether they still may begin, and can be called back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs
import pytest
from omium_async._permit import CalledBack, Permit

import omium_async as om
from omium_async import _endpoints as endpoints
from omium_async._caller import Caller


class Leave:
    """May be taken back, from calls with at least so many attempts behind them.

    :ivar asked: with how many each time. :ivar waits: how many waits were told of.
    """

    def __init__(self) -> None:
        self.denied_from: int | None = None
        self.asked: list[int] = []
        self.waits = 0
        self.permit = Permit(self._allows, self._note)

    def _allows(self, attempts: Sequence[om.Attempt]) -> bool:
        self.asked.append(len(attempts))
        return self.denied_from is None or len(attempts) < self.denied_from

    def _note(self, since: float, until: float) -> None:
        assert since <= until
        self.waits += 1

    def caller(self, omium: om.AsyncOmium) -> Caller:
        return omium._caller.with_options(attrs.evolve(omium._caller.options, permit=self.permit))


async def lined_up(omium: om.AsyncOmium, leave: Leave, server, *, calls: int) -> list[asyncio.Task[om.ExecutionDetail]]:
    """So many calls, of which the first has the only connection and the rest waits."""
    tasks = [asyncio.create_task(endpoints.get(leave.caller(omium), f"e{number}")) for number in range(calls)]
    while not server.requests or omium._caller._transport._sessions.known().slots.waiting < calls - 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return tasks


async def test_who_waits_is_called_back_at_once_and_takes_nobodys_place(raw) -> None:
    release, leave = asyncio.Event(), Leave()

    async def handler(request) -> None:
        await release.wait()
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_connections=1) as (omium, server, attempts):
        first, *others = await lined_up(omium, leave, server, calls=4)
        leave.permit.call_back()  # all may go on: nobody is
        leave.denied_from = 0
        leave.permit.call_back()
        leave.permit.call_back()
        ends = await asyncio.gather(*others, return_exceptions=True)
        assert [type(end) for end in ends] == [CalledBack] * 3
        assert not first.done()
        release.set()
        await first
        await omium.executions.get("e")
    assert len(server.requests) == len(attempts) == 2
    assert leave.waits == 3


async def test_who_is_denied_at_the_end_of_the_wait_gives_the_turn_back(raw) -> None:
    release, leave = asyncio.Event(), Leave()

    async def handler(request) -> None:
        await release.wait()
        await request.send(raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler, max_connections=1, rate_limit=1000) as (omium, server, _):
        first, *others = await lined_up(omium, leave, server, calls=3)
        leave.denied_from = 0
        release.set()
        await first
        ends = await asyncio.gather(*others, return_exceptions=True)
        assert [type(end) for end in ends] == [CalledBack] * 2
        await omium.executions.get("e")
    assert len(server.requests) == 2


async def test_who_is_denied_behind_the_gate_lets_the_next_through(raw, monkeypatch) -> None:
    monkeypatch.setattr("omium_async._transport.allowance._PATIENCE", 3600.0)  # else the next goes after that time
    leave = Leave()
    leave.denied_from = 0

    async def handler(request) -> None:
        refused = request.number == 1
        await request.send(raw.answer(429, b"{}", "retry-after-ms: 100") if refused else raw.answer(body=raw.EXECUTION))

    async with raw.pair(handler) as (omium, server, _):
        with pytest.raises(om.RateLimitError):
            await omium.executions.get("e")
        denied = asyncio.create_task(endpoints.get(leave.caller(omium), "e"))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await omium.executions.get("e")
        with pytest.raises(CalledBack):
            await denied
    assert len(server.requests) == 2


async def test_who_tried_already_ends_with_that(raw) -> None:
    leave = Leave()
    leave.denied_from = 1

    async def handler(request) -> None:
        await request.send(raw.answer(503))

    async with raw.pair(handler, max_retries=3) as (omium, server, attempts):
        with pytest.raises(om.ServerError) as caught:
            await endpoints.get(leave.caller(omium), "e")
    assert caught.value.attempts == tuple(attempts)
    assert len(server.requests) == len(attempts) == 1


async def test_who_waits_for_nothing_is_not_asked(raw) -> None:
    leave = Leave()
    async with raw.pair() as (omium, _, _):
        await endpoints.get(leave.caller(omium), "e")
    assert leave.asked == []
    assert leave.waits == 0
