"""Start and stop: the port, interrupted starts, closed event loops, forks."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading

import aiohttp
import anyio
import pytest
from blockbuster import blockbuster_ctx

import omium_sync
from omium_async.local import LocalOmium, LocalOmiumError, PortInUseError

from ..development import complaints
from ..ports import free_port
from .conftest import exchange, in_memory_and_on_file, port_of, serving


def threads_left() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("omium-")}


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


def test_a_port_is_a_whole_number_from_0_to_65535():
    for port in (-1, 65536, "8000", None, True):
        with pytest.raises(ValueError, match="port must be"):
            LocalOmium(port=port)


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


SCRIPT = """
import asyncio, sys, time
from omium_async.local import LocalOmium, Fault
import aiohttp

async def main(path):
    local = LocalOmium(path)
    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        await run.step("two", time.sleep, 600)
    async with local, aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
        url = local.url + "/api/v1/executions"
        for _ in range(5):
            async with session.post(url, json={"workflow_id": "w"}) as response:
                assert response.status == 201
        local.inject(Fault(action="stall"))
        stalled = asyncio.create_task(session.get(url))
        while len(local.requests) < 6:
            await asyncio.sleep(0.001)
    await asyncio.gather(stalled, return_exceptions=True)

async def interrupted(local):
    local.workflow("x")(interrupt)
    async with local, aiohttp.ClientSession(headers={"X-API-Key": local.api_key}) as session:
        await session.post(local.url + "/api/v1/executions", json={"workflow_id": "x"})
        await asyncio.sleep(20)

async def interrupt(run):
    raise KeyboardInterrupt

asyncio.run(main(None))
asyncio.run(main(sys.argv[1]))
try:
    asyncio.run(interrupted(LocalOmium()))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_a_program_ends_at_once_and_without_warnings_although_its_threads_sleep(tmp_path, root):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, str(tmp_path / "o.db")],
        capture_output=True, text=True, timeout=90, check=False, cwd=root,
    )  # fmt: skip
    assert (done.returncode, done.stdout, complaints(done.stderr)) == (0, "interrupted\n", "")


FORK = """
import asyncio, os, sys, time
from omium_async.local import LocalOmium, LocalOmiumError
import omium_sync

async def main(path):
    async with LocalOmium(path) as local:
        begun, begin = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                local.url
            except LocalOmiumError as error:
                said = str(error)
            with omium_sync.LocalOmium() as own:
                os.write(begin, f"{own.url}|{said}".encode())
            time.sleep(100)
            os._exit(0)
        print(child, (await asyncio.to_thread(os.read, begun, 1000)).decode(), sep="|", flush=True)
        if sys.argv[2] == "killed":
            await asyncio.Event().wait()
    async with LocalOmium(path):
        pass
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_forked_child_does_not_keep_the_file_and_may_start_another_server(tmp_path, root, end):
    path = tmp_path / "o.db"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(path), end]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)  # noqa: ASYNC220
    child, url, said = (await asyncio.to_thread(server.stdout.readline)).strip().split("|")
    try:
        if end == "killed":
            server.kill()
        assert await asyncio.to_thread(server.wait) == (-signal.SIGKILL if end == "killed" else 0)
        async with LocalOmium(path):
            assert url.startswith("http://127.0.0.1:")
            assert "fork" in said
    finally:
        os.kill(int(child), signal.SIGKILL)
        server.kill()
        server.stdout.close()
