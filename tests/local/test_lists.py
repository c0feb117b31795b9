"""Lists: newest first, exact pages and totals with every filter, a clock for tests, and large rows."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import sys

import aiohttp
import pytest

from omium_async.local import LocalOmium

from .conftest import in_memory_and_on_file, port_of, serving

MIB = 2**20
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def ids(page):
    return [row["id"] for row in page["items"]]


async def finish(run):
    await run.step("one", lambda: 1)


async def fail(run):
    raise ValueError


@in_memory_and_on_file
async def test_a_list_has_the_newest_first_in_pages_of_20(http):
    created = [await http.create("w", n) for n in range(45)]
    pages = [await http.page(f"page={n}") for n in (1, 2, 3, 4)]
    assert [len(page["items"]) for page in pages] == [20, 20, 5, 0]
    assert [one for page in pages for one in ids(page)] == created[::-1] == sorted(created, reverse=True)
    assert [(page["total"], page["page"]) for page in pages] == [(45, n) for n in (1, 2, 3, 4)]


async def test_concurrent_creates_have_one_order(http):
    created = set(await asyncio.gather(*(http.create("w", n) for n in range(100))))
    rows = (await http.page("page_size=1000"))["items"]
    assert {row["id"] for row in rows} == created
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)


async def test_the_place_and_the_creation_time_of_a_row_never_change(local, http):
    local.workflow("w")(finish)
    details = [await http.ended("w") for _ in range(6)]
    before = [(row["id"], row["created_at"]) for row in (await http.page())["items"]]
    for detail in details[::2]:
        await http.rollback(detail["id"], detail["checkpoints"][0]["id"])
    assert [(row["id"], row["created_at"]) for row in (await http.page())["items"]] == before


@in_memory_and_on_file
async def test_filters_by_workflow_and_status_have_exact_pages_and_totals(local, http):
    local.workflow("done")(finish)
    local.workflow("broken")(fail)
    created: dict[str, list[str]] = {"done": [], "broken": [], "none": []}
    for n in range(30):
        name = list(created)[n % 3]
        created[name].append(await http.create(name))
    for name, status in (("done", "completed"), ("broken", "failed"), ("none", "pending")):
        await http.until(created[name][-1], status)
        for query in (f"workflow_id={name}", f"status={status}", f"workflow_id={name}&status={status}"):
            page = await http.page(f"{query}&page_size=4&page=3")
            assert (ids(page), page["total"]) == (created[name][::-1][8:], 10)
    assert await http.total("workflow_id=done&status=failed") == await http.total("workflow_id=") == 0
    assert await http.total("workflow_id=x&workflow_id=done") == 10, "the last of two equal parameters counts"


@in_memory_and_on_file
async def test_ids_and_creation_times_keep_the_order_of_creation_when_the_clock_goes_back(local, tmp_path):
    moment = NEW_YEAR
    in_memory = "memory" in repr(local)
    local = LocalOmium(None if in_memory else tmp_path / "clock.db", clock=lambda: moment)
    async with serving(local) as http:
        created = [await http.create()]
        moment = NEW_YEAR - dt.timedelta(days=365)
        created += [await http.create(), await http.create()]
        moment = dt.datetime(2027, 1, 1, 2, 0, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
        created.append(await http.create())
        rows = (await http.page())["items"]
        assert [row["id"] for row in rows] == created[::-1] == sorted(created, reverse=True)
        earlier = ["2026-01-01T00:00:00.000000Z"] * 3
        assert [row["created_at"] for row in rows] == ["2027-01-01T00:00:00.000001Z", *earlier]


async def test_a_clock_that_goes_back_within_a_run_leaves_its_times_in_order():
    moment = NEW_YEAR
    local = LocalOmium(clock=lambda: moment)

    @local.workflow("w")
    async def w(run):
        nonlocal moment
        moment -= dt.timedelta(days=1)
        await run.step("one", lambda: 1)
        moment -= dt.timedelta(days=1)

    async with serving(local) as http:
        detail = await http.ended("w")
        times = [
            detail["created_at"],
            detail["started_at"],
            detail["checkpoints"][0]["created_at"],
            detail["completed_at"],
        ]
        assert times == sorted(times)


async def test_each_write_takes_the_next_moment_of_a_clock():
    moments = [NEW_YEAR + dt.timedelta(days=day) for day in range(3)]
    async with serving(LocalOmium(clock=iter(moments).__next__)) as http:
        for moment in moments:
            detail = await http.detail(await http.create())
            assert detail["created_at"] == moment.strftime("%Y-%m-%dT00:00:00.000000Z")


@pytest.mark.parametrize(
    ("clock", "error"), [(lambda: NEW_YEAR.replace(tzinfo=None), ValueError), (lambda: None, TypeError), (5, TypeError)]
)
def test_a_clock_must_return_aware_datetimes(clock, error):
    with pytest.raises(error, match="clock"):
        LocalOmium(clock=clock)


@in_memory_and_on_file
@pytest.mark.parametrize("query", ["", "page_size=2&page=2", "workflow_id=w1"])
async def test_a_list_of_large_rows_is_complete(http, query):
    sent = [{"n": n, "text": f"{n}" * MIB} for n in range(5)]
    created = [await http.create(f"w{n % 2}", data) for n, data in enumerate(sent)]
    page = await http.page(query)
    expected = {"": [4, 3, 2, 1, 0], "page_size=2&page=2": [2, 1], "workflow_id=w1": [3, 1]}[query]
    assert ids(page) == [created[n] for n in expected]
    assert [row["input_data"] for row in page["items"]] == [sent[n] for n in expected]


async def test_a_client_that_disconnects_within_a_large_list_harms_no_other(http):
    for _ in range(4):
        await http.create("w", "x" * 2 * MIB)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(http.local))
    writer.write(f"GET /api/v1/executions HTTP/1.1\r\nHost: x\r\nX-API-Key: {http.local.api_key}\r\n\r\n".encode())
    await reader.read(MIB)
    writer.transport.abort()
    assert await http.total() == 4


SERVER = """
import asyncio, sys
from omium_async.local import LocalOmium

def memory(name):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(name)]
    return int(line.split()[1]) // 1024

async def main():
    async with LocalOmium(sys.argv[1]) as local:
        print(local.url, local.api_key, flush=True)
        before = memory("VmRSS")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(memory("VmHWM") - before)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_a_list_of_the_largest_rows_needs_the_memory_of_a_few(tmp_path, root):
    """10 rows of nearly 16 MiB: 64 MiB, on a busy machine 97."""
    async with serving(LocalOmium(tmp_path / "o.db")) as http:
        for _ in range(10):
            await http.create("w", "x" * (15 * MIB))
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(tmp_path / "o.db"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    )
    url, key = (await server.stdout.readline()).decode().split()
    size = 0
    async with (
        aiohttp.ClientSession(headers={"X-API-Key": key}) as session,
        session.get(f"{url}/api/v1/executions?page_size=100") as response,
    ):
        async for piece in response.content.iter_chunked(MIB):
            size += len(piece)
    used, _ = await server.communicate(b"")
    assert size > 10 * 15 * MIB
    assert int(used) < 130


async def test_rows_of_a_list_that_is_still_being_sent_keep_their_status(local, http):
    """The server sends large rows a few at a time; what changes meanwhile must not mix two states."""
    gate = asyncio.Event()

    @local.workflow("w")
    async def w(run):
        await gate.wait()

    created = [await http.create("w", "x" * 2 * MIB) for _ in range(6)]
    async with http.session.get(f"{http.url}/executions?status=running", headers=http.headers) as response:
        first = await response.content.read(1000)
        gate.set()
        for one in created:
            await http.until(one, "completed")
        rows = json.loads(first + await response.read())["items"]
    assert [(row["id"], row["status"], row["completed_at"]) for row in rows] == [
        (one, "running", None) for one in created[::-1]
    ]
