"""One client on several event loops: calls, closing, and no warnings at any end."""

# ruff: noqa: ASYNC110 - what is waited for happens on the server's side, which has no event for it

from __future__ import annotations

import asyncio
import gc
import pickle
import subprocess
import sys
import textwrap
import threading

import aiohttp
import pytest

from omium_async import Attempt
from omium_sync import Omium

from ..development import complaints

SERVER = """
import asyncio, gc, os, sys, threading
from omium_async import AsyncOmium

BODY = b'{"id": "exec_1"}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY

def serve():
    import socket
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    def one(connection):
        with connection:
            while connection.recv(65536):
                connection.sendall(ANSWER)
    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=one, args=(connection,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return "http://127.0.0.1:%d" % listener.getsockname()[1]

url = serve()
clients = []  # never closed, except by some of the ends
"""

ENDS = {
    "three loops in a row, never closed": """
        for _ in range(3):
            asyncio.run(client.executions.get("exec_1"))
    """,
    "closed in the end": """
        async def main():
            async with client:
                await client.executions.get("exec_1")
        asyncio.run(main())
    """,
    "a loop closed without closing its generators": """
        for _ in range(2):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(client.executions.get("exec_1"))
            loop.close()
    """,
    "a client that goes out of use as its loop ends": """
        async def main():
            mine = AsyncOmium("key", base_url=url)
            await asyncio.gather(*(mine.executions.get("exec_1") for _ in range(5)))
        for _ in range(3):
            asyncio.run(main())
    """,
    "a client that goes out of use while its loop runs": """
        async def main():
            for _ in range(3):
                mine = AsyncOmium("key", base_url=url)
                await mine.executions.get("exec_1")
                del mine
                gc.collect()
                await asyncio.sleep(0.05)
        asyncio.run(main())
    """,
    "a client that goes out of use after its loop was closed": """
        mine = AsyncOmium("key", base_url=url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(mine.executions.get("exec_1"))
        loop.close()
        del mine, loop
        gc.collect()
    """,
    "a client in a cycle with its loop's work": """
        async def main():
            mine = AsyncOmium("key", base_url=url)
            holder = {}
            holder["self"], holder["client"] = holder, mine
            await mine.executions.get("exec_1")
        asyncio.run(main())
        gc.collect()
    """,
    "cancelled by the end of the loop": """
        async def main():
            task = asyncio.create_task(client.executions.get("exec_1"))
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "aclose on another loop": """
        asyncio.run(client.executions.get("exec_1"))
        asyncio.run(client.aclose())
    """,
    "aclose while another loop stands still": """
        first = asyncio.new_event_loop()
        first.run_until_complete(client.executions.get("exec_1"))
        asyncio.run(client.aclose())
        first.run_until_complete(asyncio.sleep(0.01))
        first.close()
    """,
    "aclose while another loop stands still, which then ends": """
        with asyncio.Runner() as first:
            first.run(client.executions.get("exec_1"))
            with asyncio.Runner() as second:
                second.run(client.aclose())
    """,
    "aclose while another loop stands still, which then closes its generators": """
        first = asyncio.new_event_loop()
        first.run_until_complete(client.executions.get("exec_1"))
        asyncio.run(client.aclose())
        first.run_until_complete(first.shutdown_asyncgens())
        first.close()
    """,
    "a client that a task drops as its loop ends": """
        async def helper():
            await AsyncOmium("key", base_url=url).executions.get("exec_1")
        async def main():
            await asyncio.create_task(helper())
        asyncio.run(main())
    """,
    "aclose under way as its loop ends": """
        async def main():
            mine = AsyncOmium("key", base_url=url)
            await mine.executions.get("exec_1")
            closing = asyncio.create_task(mine.aclose())
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "aclose on another loop, of which the first has one turn more": """
        mine = AsyncOmium("key", base_url=url)
        with asyncio.Runner() as first:
            first.run(mine.executions.get("exec_1"))
            asyncio.run(mine.aclose())
            first.run(asyncio.sleep(0))
        del mine
        gc.collect()
    """,
    "never used": "AsyncOmium('key', base_url=url)",
    "sys.exit within a call": """
        async def main():
            await client.executions.get("exec_1")
            sys.exit(7)
        asyncio.run(main())
    """,
}


def test_no_noise_at_any_end() -> None:
    """Each end says its name on stderr, where nothing else may appear, also not when the interpreter ends."""
    program = SERVER
    for number, (name, code) in enumerate(ENDS.items()):
        program += f"print({name!r}, file=sys.stderr, flush=True)\nclient = AsyncOmium('key', base_url=url)\n"
        program += f"clients.append(client)\ndef end_{number}(client):\n"
        program += textwrap.indent(textwrap.dedent(code), "    ") + f"\nend_{number}(client)\ngc.collect()\n"
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, complaints(ended.stderr).splitlines()) == (7, [*ENDS])


async def test_after_aclose_every_call_says_so(raw) -> None:
    async with raw.Server() as server:
        client = raw.client(server.url)
        copy = client.with_options(timeout=5)
        await client.executions.get("exec_1")
        await copy.aclose()
        for each in (client, copy):
            with pytest.raises(RuntimeError, match=r"closed .aclose"):
                await each.executions.get("exec_1")
            with pytest.raises(RuntimeError, match=r"closed .aclose"):
                async with each:
                    pass
        await client.aclose()
        assert len(server.requests) == 1


async def test_a_client_that_was_never_used_can_be_closed(raw) -> None:
    client = raw.client("http://127.0.0.1:9")
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.executions.get("exec_1")


def test_a_client_is_not_pickled_and_says_why(raw) -> None:
    for copied in (pickle.dumps, lambda client: client.__dask_tokenize__()):  # Dask's `map` hides errors of pickle
        for client in (raw.client("http://127.0.0.1:9"), Omium("omium_0123456789", base_url="http://127.0.0.1:9")):
            with pytest.raises(TypeError, match=r"(?s)cannot be pickled, because it has a key.*its own settings"):
                copied(client)


def test_several_loops_at_once_on_one_client(raw) -> None:
    """Each thread has its connections, and no number is given to two requests."""
    failures: list[BaseException] = []
    ids: set[str | None] = set()

    def work(client, count: int) -> None:
        async def calls() -> None:
            seen = client.with_options(on_attempt=lambda attempt: ids.add(attempt.request_id))
            await asyncio.gather(*(seen.executions.get("exec_1") for _ in range(count)))

        try:
            asyncio.run(calls())
        except BaseException as error:
            failures.append(error)

    async def main() -> None:
        async with raw.Server() as server, raw.client(server.url, max_connections=4) as client:
            threads = [threading.Thread(target=work, args=(client, 100)) for _ in range(4)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                await asyncio.sleep(0.005)
            assert failures == []
            assert len(server.requests) == len(ids) == 400
            assert server.connections <= 16

    asyncio.run(main())


async def test_loops_that_are_gone_are_forgotten(raw) -> None:
    async with raw.Server() as server:
        client = raw.client(server.url)

        def use() -> None:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(client.executions.get("exec_1"))
            finally:
                loop.close()  # as many programs do, without closing generators

        for _ in range(5):
            await asyncio.to_thread(use)
        await client.executions.get("exec_1")
        sessions = client._caller.shared.transport._sessions
        assert list(sessions._by_loop) == [asyncio.get_running_loop()]
        await client.aclose()
    gc.collect()


async def test_aclose_ends_calls_wherever_they_are(raw) -> None:
    """In flight, in line for a connection, held by the pace, in backoff: all end at once, each with its verdict."""
    arrived = asyncio.Event()

    async def handler(request) -> None:
        if request.number == 1:
            await request.send(raw.answer(503, b"{}", "Retry-After: 1000"))
        else:
            arrived.set()
            await asyncio.Event().wait()

    async with raw.Server(handler) as server:
        attempts: list[Attempt] = []
        client = raw.client(
            server.url,
            max_connections=1,
            max_retries=3,
            timeout=None,
            attempt_timeout=None,
            on_attempt=attempts.append,
        )
        backing_off = asyncio.create_task(client.executions.get("exec_1"))
        while not server.requests:
            await asyncio.sleep(0.001)
        in_flight = asyncio.create_task(client.executions.create("wf"))
        queued = [asyncio.create_task(client.executions.create("wf")) for _ in range(3)]
        await arrived.wait()
        await client.aclose()
        ends = await asyncio.wait_for(
            asyncio.gather(backing_off, in_flight, *queued, return_exceptions=True), timeout=30
        )
    assert ends[0].status == 503
    assert type(ends[1]).__name__ == "APIConnectionError"
    assert ends[1].outcome_unknown
    assert [type(end) for end in ends[2:]] == [RuntimeError] * 3
    assert len(server.requests) == len(attempts) == 2


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_session_of_the_users_that_is_closed_is_said_to_be(raw, when: str) -> None:
    attempts: list[Attempt] = []
    async with raw.Server() as server:
        session = aiohttp.ClientSession()
        async with raw.client(server.url, session=session, on_attempt=attempts.append) as client:
            if when == "meanwhile":
                await client.executions.get("exec_1")
            await session.close()
            with pytest.raises(RuntimeError, match="the session given to this client is closed"):
                await client.executions.get("exec_1")
    assert [attempt.sent for attempt in attempts] == ([] if when == "before" else [True, False])


def test_a_loop_that_continues_after_closing_its_generators_opens_new_connections(raw) -> None:
    loop = asyncio.new_event_loop()

    async def with_server() -> None:
        server.append(await raw.Server().__aenter__())

    server: list = []
    loop.run_until_complete(with_server())
    client = raw.client(server[0].url)
    loop.run_until_complete(client.executions.get("exec_1"))
    loop.run_until_complete(loop.shutdown_asyncgens())
    with pytest.warns(ResourceWarning, match="shutdown_asyncgens"):  # asyncio's own
        loop.run_until_complete(client.executions.get("exec_1"))
    assert len(server[0].requests) == 2
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(server[0].__aexit__(None, None, None))
    loop.close()


async def test_aclose_ends_calls_that_the_pace_holds(raw) -> None:
    async with raw.Server() as server:
        client = raw.client(server.url, rate_limit=1, timeout=None)
        await client.executions.get("exec_1")
        held = [asyncio.create_task(client.executions.create("wf")) for _ in range(3)]
        await asyncio.sleep(0.01)
        await client.aclose()
        ends = await asyncio.wait_for(asyncio.gather(*held, return_exceptions=True), timeout=30)
    assert [type(end) for end in ends] == [RuntimeError] * 3
    assert len(server.requests) == 1


async def test_aclose_from_another_loop_ends_the_calls_of_this_one(raw) -> None:
    arrived = asyncio.Event()

    async def handler(request) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with raw.Server(handler) as server:
        client = raw.client(server.url, timeout=None, attempt_timeout=None)
        call = asyncio.create_task(client.executions.create("wf"))
        await arrived.wait()
        await asyncio.to_thread(asyncio.run, client.aclose())
        (end,) = await asyncio.wait_for(asyncio.gather(call, return_exceptions=True), timeout=30)
    assert end.outcome_unknown
