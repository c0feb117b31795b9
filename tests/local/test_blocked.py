"""A call that would block the loop of the very server that it asks is told so, and no other call."""

from __future__ import annotations

import asyncio
import threading

import pytest

from omium_async.local import LocalOmium
from omium_async.local.blocked import check_not_blocked


async def test_on_the_loop_of_its_server_until_that_has_stopped():
    async with LocalOmium() as local:
        port = local.url.rpartition(":")[2].partition("/")[0]
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(RuntimeError, match=f"wait for itself.*:{port} "):
                check_not_blocked(f"http://{host}:{port}/api")
        check_not_blocked(f"http://example.org:{port}")
        check_not_blocked(f"http://127.0.0.1:{int(port) - 1}")
        check_not_blocked("http://127.0.0.1")
        await asyncio.to_thread(check_not_blocked, local.url)
    check_not_blocked(f"http://127.0.0.1:{port}")


async def test_of_several_servers_each_is_known():
    async with LocalOmium(), LocalOmium() as second, LocalOmium():
        with pytest.raises(RuntimeError, match="wait for itself"):
            check_not_blocked(second.url)


def test_a_loop_that_stands_still_or_runs_in_another_thread():
    loop = asyncio.new_event_loop()
    local = LocalOmium()
    loop.run_until_complete(local.start())
    with pytest.raises(RuntimeError, match="wait for itself"):  # it stands still: nobody answers
        check_not_blocked(local.url)
    going, over = threading.Event(), asyncio.Event()

    async def go_on():
        going.set()
        await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[go_on()])
    thread.start()
    assert going.wait(30)
    check_not_blocked(local.url)
    loop.call_soon_threadsafe(over.set)
    thread.join(30)
    loop.run_until_complete(local.stop())
    loop.close()
