"""Start and stop: the port, interrupted starts, closed event loops, forks."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading

import aiohttp
import anyio
import pytest
from blockbuster import blockbuster_ctx

import omium_sync
from omium_async.local import LocalOmium, LocalOmiumError, PortInUseError

from ..ports import free_port
from .conftest import exchange, in_memory_and_on_file, names, port_of, serving


def threads_left() -> set[str]:
    """The threads of servers that do not end by themselves."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("omium-")]
    for thread in threads:
        thread.join(10)
    return {thread.name for thread in threads if thread.is_alive()}


@in_memory_and_on_file
async def test_nothing_is_left_after_a_stop(local):
    @local.workflow("w")
    async def w(run):
        await run.step("thread", lambda: 1)
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with serving(local) as http:
        for execution_id in [await http.create("w") for _ in range(10)]:
            await http.until(execution_id, "running", checkpoints=1)
    assert asyncio.all_tasks() == before
    assert threads_left() == set()


async def test_a_stop_waits_neither_for_threads_nor_for_requests(local, http):
    entered, gate = threading.Event(), threading.Event()

    def sleep():
        entered.set()
        gate.wait()

    @local.workflow("w")
    async def w(run):
        await run.step("s", sleep)

    async def send():
        with pytest.raises((aiohttp.ClientError, LocalOmiumError)):
            while True:
                await http.create("other")

    await http.create("w")
    await asyncio.to_thread(entered.wait)
    sending = [asyncio.create_task(send()) for _ in range(8)]
    while len(local.requests) < 100:
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await local.stop()
        await asyncio.gather(*sending)
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("omium-"):
            await asyncio.to_thread(thread.join)
    assert threads_left() == set()


async def test_what_is_read_before_the_start_says_so(tmp_path):
    local = LocalOmium(api_keys="key-1")
    assert local.api_key == "key-1"
    assert "not started" in repr(local)
    for read in (lambda: local.url, lambda: LocalOmium(tmp_path / "o.db").api_key):
        with pytest.raises(LocalOmiumError, match="not started"):
            read()
    assert (await LocalOmium().stop()) is None


@in_memory_and_on_file
async def test_a_server_starts_again_after_a_stop_and_not_twice(local):
    async with serving(local) as http:
        key = local.api_key
        await http.create("w")
    async with serving(local) as http:
        assert (await http.total(), local.api_key) == (0 if "memory" in repr(local) else 1, key)
        with pytest.raises(LocalOmiumError, match="started already"):
            await local.start()
    with pytest.raises(LocalOmiumError, match="not started"):
        _ = local.url


async def test_a_taken_port_has_an_error_of_its_own(tmp_path):
    async with LocalOmium() as first:
        second = LocalOmium(tmp_path / "o.db", port=port_of(first))
        with pytest.raises(PortInUseError, match=str(port_of(first))) as caught:
            await second.start()
        assert caught.value.port == port_of(first)
    async with second:  # nothing is left of the failed start
        assert port_of(second) == caught.value.port


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
async def test_it_listens_on_loopback_alone(local, http):
    with socket.socket() as another, pytest.raises(ConnectionRefusedError):
        another.connect(("127.0.0.2", port_of(local)))


async def test_bytes_that_are_not_http_are_answered_400_and_no_key_is_logged(local, http, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "omium_secret_0123456789"
    for head in ("GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\x00\r\n\r\n",
                 "GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key {}\r\n\r\n",
                 "GET {} HTTP/9\r\n\r\n", "{}\r\n\r\n"):  # fmt: skip
        answer = await exchange(local, head.format(secret).encode())
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer
    assert (await http.get()).status == 200
    assert secret not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("which", ["the same", "another"])
def test_a_loop_that_ends_without_a_stop_frees_file_and_port(tmp_path, which):
    path, port = tmp_path / "o.db", free_port()
    local = LocalOmium(path, port=port)

    async def serve(server):
        async with server:
            assert port_of(server) == port

    asyncio.run(local.start())
    asyncio.run(serve(local if which == "the same" else LocalOmium(path, port=port)))
    asyncio.run(local.stop())
    assert threads_left() == set()


async def test_a_cancelled_start_leaves_neither_file_nor_port_in_use(tmp_path):
    """A cancelled scope of anyio cancels again at each turn of the loop, also the clean-up."""
    port, path = free_port(), tmp_path / "o.db"

    def cancel_after(turns, scope):
        asyncio.get_running_loop().call_soon(*((cancel_after, turns - 1, scope) if turns else (scope.cancel,)))

    for turns in range(0, 30, 6):
        with anyio.CancelScope() as scope:
            cancel_after(turns, scope)
            async with LocalOmium(path, port=port):
                await asyncio.Event().wait()
        task = asyncio.create_task(LocalOmium(path, port=port).start())
        for _ in range(turns // 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            pytest.fail(f"the start went on after a cancellation at turn {turns // 3}")
        async with LocalOmium(path, port=port) as local:
            assert local.url
        assert scope.cancelled_caught
    assert threads_left() == set()


async def test_a_cancelled_stop_releases_everything(tmp_path):
    path = tmp_path / "o.db"
    for turns in range(1, 6):
        local = LocalOmium(path)

        @local.workflow("w")
        async def w(run):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)

        async with serving(local) as http:
            await http.create("w")
            port = port_of(local)
            stopping = asyncio.create_task(local.stop())
            for _ in range(turns):
                await asyncio.sleep(0)
            stopping.cancel()
            await asyncio.wait([stopping])
        async with LocalOmium(path, port=port) as again:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await again.stop()
        async with LocalOmium(path, port=port):
            pass


def test_no_call_blocks_the_event_loop(tmp_path, monkeypatch):
    async def main(path):
        async with serving(LocalOmium(path)) as http:

            @http.local.workflow("w")
            async def w(run):
                await run.step("one", lambda: 1)
                raise ValueError

            detail = await http.ended("w")
            await http.rollback(detail["id"], detail["checkpoints"][0]["id"])
            assert await http.total("status=paused") == 1
            await http.local.reset()

    monkeypatch.chdir(tmp_path)
    with blockbuster_ctx():
        asyncio.run(main(None))
        asyncio.run(main("o.db"))


async def test_a_sync_call_that_would_block_its_own_server_is_refused():
    def count(local):
        with omium_sync.Omium(local.api_key, base_url=local.url) as omium:
            return omium.executions.count()

    async with LocalOmium(), LocalOmium() as local:
        with pytest.raises(RuntimeError, match="would wait for itself"):
            count(local)
        assert await asyncio.to_thread(count, local) == 0


def test_ctrl_c_within_a_workflow_ends_the_program_and_the_run_continues_at_the_next_start(tmp_path):
    local, interrupts = LocalOmium(tmp_path / "o.db"), [KeyboardInterrupt]

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        if interrupts:
            raise interrupts.pop()

    async def serve():
        async with serving(local) as http:
            rows = (await http.page())["items"]
            return await http.until(rows[0]["id"] if rows else await http.create("w"), "completed")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(serve())
    assert names(asyncio.run(serve())) == ["one"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads
async def test_a_forked_child_does_not_keep_the_file_and_does_not_harm_it(tmp_path):
    path = tmp_path / "o.db"
    async with serving(LocalOmium(path)) as http:
        child = os.fork()
        if child == 0:
            gc.collect()
            signal.pause()
        created = [await http.create() for _ in range(3)]
    try:
        async with serving(LocalOmium(path)) as http:
            assert [row["id"] for row in (await http.page())["items"]] == created[::-1]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)  # noqa: ASYNC222


@pytest.mark.parametrize(
    ("host", "named", "reached", "warns"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", False),
        ("localhost", "localhost", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1", True),
        ("::1", "[::1]", "[::1]", False),
        ("::", "[::1]", "[::1]", True),
    ],
)
async def test_a_host_is_served_warned_of_and_named_as_clients_reach_it(host, named, reached, warns, caplog):
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    local = LocalOmium(host=host, port=free_port())
    async with local, aiohttp.ClientSession() as session:
        assert local.url == f"http://{named}:{port_of(local)}"
        for url in (local.url, f"http://{reached}:{port_of(local)}"):
            async with session.get(f"{url}/api/v1/executions") as refused:
                assert refused.status == 401
            async with session.get(f"{url}/api/v1/executions", headers={"X-API-Key": local.api_key}) as answered:
                assert answered.status == 200
        with omium_sync.Omium(local.api_key, base_url=local.url) as omium, pytest.raises(RuntimeError, match="itself"):
            omium.executions.count()
        port = port_of(local)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [(each.omium_host, each.omium_port) for each in warnings] == ([(host, port)] if warns else [])


@pytest.mark.parametrize(
    ("host", "error"), [("", ValueError), (None, TypeError), ("a" * 70, LocalOmiumError), ("no host", LocalOmiumError)]
)
async def test_a_host_that_cannot_be_served_is_named(host, error):
    with pytest.raises(error, match="host"):
        await LocalOmium(host=host).start()
