"""A call that is cancelled at any await leaves nothing behind and reports its outcome."""

# ruff: noqa: ASYNC110 - what is waited for happens on the server's side, which has no event for it

from __future__ import annotations

import asyncio
import gc

import pytest

import omium_async as om


def leftovers(omium) -> dict[str, object]:
    transport = omium._caller.shared.transport
    connections = transport._sessions.known()
    if connections is None:  # cancelled before its first step
        return dict(NOTHING)
    return {
        "busy": omium._caller.shared.settings.max_connections - connections.gate._free,
        "line": connections.gate.waiting,
        "acquired": len(connections.session.connector._acquired),
        "pauses": len(connections._pauses),
    }


NOTHING = {"busy": 0, "line": 0, "acquired": 0, "pauses": 0}


def turns_of_the_loop(most: int):
    """Each of the first ones, then ever fewer."""
    turn = 0
    while turn < most:
        yield turn
        turn += 1 + turn // 20


async def sweep(raw, handler, call, *, warm: bool, most: int = 2000, **options) -> set[str]:
    """Cancel after 0, 1, 2, ... turns of the loop, until the call ends before it is cancelled."""
    ends: set[str] = set()
    for turns in turns_of_the_loop(most):
        async with raw.pair(handler, **options) as (omium, server, attempts):
            if warm:
                server.handler = None
                await omium.executions.get("warm-up")
                server.handler = handler
            server.requests.clear()
            attempts.clear()
            task = asyncio.create_task(call(omium))
            for _ in range(turns):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            try:
                await task
                ends.add("answered")
            except asyncio.CancelledError:
                ends.add("cancelled")
            assert leftovers(omium) == NOTHING, turns
            for attempt in attempts:  # each is reported, the cancelled one too
                if attempt.error == "CancelledError":
                    ends.add("reported sent" if attempt.sent else "reported not sent")
                    assert attempt.outcome_unknown is (attempt.sent and attempt.idempotency_key is not None)
            server.handler = None
            await asyncio.gather(*(omium.executions.get("e") for _ in range(3)))
            assert leftovers(omium) == NOTHING
        # None that reached the server was called not sent.
        not_sent = {attempt.request_id for attempt in attempts if not attempt.sent}
        assert not not_sent & {request.headers["x-request-id"] for request in server.requests}
        if done:
            break
    else:
        pytest.fail("never ended by itself")
    gc.collect()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    return ends


async def in_parts(request) -> None:
    """An answer that comes in many turns of the loop."""
    body = b'{"id": "exec_1"}'
    for part in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d\r\n" % len(body), b"\r\n", body[:5], body[5:]):
        await request.send(part)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize("warm", [False, True], ids=["a new connection", "a used one"])
async def test_a_write(raw, warm: bool) -> None:
    ends = await sweep(raw, in_parts, lambda omium: omium.executions.create("wf", {"x": "y" * 100}), warm=warm)
    assert ends >= {"cancelled", "answered", "reported sent"}
    assert ("reported not sent" in ends) is not warm


async def test_a_read_while_its_refusal_is_read(raw) -> None:
    half, ended = asyncio.Event(), asyncio.Event()

    async def handler(request) -> None:
        await request.send(b"HTTP/1.1 409 Conflict\r\nContent-Length: 100\r\n\r\nhalf")
        half.set()
        await ended.wait()

    async with raw.pair(handler) as (omium, _, attempts):
        task = asyncio.create_task(omium.executions.create("wf"))
        await half.wait()
        for _ in range(20):  # the head is read; the body is awaited
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.set()
        assert [(one.error, one.status, one.outcome_unknown) for one in attempts] == [("CancelledError", 409, False)]
        assert leftovers(omium) == NOTHING


async def test_a_large_write(raw) -> None:
    body = {"x": "y" * 1_500_000}
    ends = await sweep(raw, None, lambda omium: omium.executions.create("wf", body), warm=True)
    assert "reported sent" in ends


async def test_a_read_that_is_redirected_and_retried(raw) -> None:
    async def handler(request) -> None:
        match request.number:
            case 1:
                await request.send(raw.answer(503))
            case 2:
                await request.send(raw.answer(307, b"x" * 10, "Location: /elsewhere"))
            case _:
                await in_parts(request)

    ends = await sweep(raw, handler, lambda omium: omium.executions.get("e"), warm=True, max_retries=3)
    assert ends >= {"cancelled", "reported sent"}


async def test_in_line_for_a_connection(raw) -> None:
    async def two(omium) -> None:
        await asyncio.gather(*(omium.executions.get("e") for _ in range(3)))

    ends = await sweep(raw, in_parts, two, warm=True, max_connections=1)
    assert ends >= {"cancelled", "answered"}


async def test_held_by_the_pace(raw, monkeypatch) -> None:
    monkeypatch.setattr("omium_async._transport.pacing.MINUTE", 0.005)

    async def two(omium) -> None:
        await asyncio.gather(*(omium.executions.get("e") for _ in range(3)))

    ends = await sweep(raw, None, two, warm=False, rate_limit=2, timeout=None, most=20_000)
    assert ends >= {"cancelled", "answered"}


async def test_in_backoff(raw) -> None:
    handler = lambda request: request.send(raw.answer(500, b"{}", "Retry-After: 1000"))  # noqa: E731
    async with raw.pair(handler, timeout=None, max_retries=1) as (omium, _, attempts):
        task = asyncio.create_task(omium.executions.get("e"))
        while not attempts:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert leftovers(omium)["pauses"] == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert leftovers(omium) == NOTHING


async def test_a_time_out_of_the_users_own_is_theirs(raw) -> None:
    async def handler(request) -> None:
        await asyncio.Event().wait()

    async with raw.pair(handler) as (omium, _, attempts):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await omium.executions.create("wf")
        assert not isinstance(caught.value, om.OmiumError)
        assert [(attempt.error, attempt.outcome_unknown) for attempt in attempts] == [("CancelledError", True)]


async def test_a_call_thrown_away_half_way_gives_everything_back(raw) -> None:
    """As when a loop is closed with tasks in it: no await is possible any more."""

    async def handler(request) -> None:
        await asyncio.Event().wait()

    async with raw.pair(handler, max_connections=1) as (omium, server, attempts):
        call = omium.executions.create("wf")
        task = asyncio.create_task(call)
        while not server.requests:
            await asyncio.sleep(0)
        task._log_destroy_pending = False
        call.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert attempts[-1].outcome_unknown
        server.handler = None
        await omium.executions.get("e")
