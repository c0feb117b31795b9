"""The description the server gives of itself, and schemathesis over it: no answer that it does not describe."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import threading

import pytest

from omium_async.local import LocalOmium
from omium_async.local.openapi import DOCUMENT
from omium_async.local.routes import ROUTES


@pytest.fixture(scope="module")
def served():
    """A server in a thread of its own, with executions in several states: schemathesis is not async."""
    local = LocalOmium(api_keys="omium_schemathesis_key_1")
    ready, stop = threading.Event(), None

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        raise ValueError

    async def serve():
        nonlocal stop
        async with local:
            stop = asyncio.Event()
            ready.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    yield local
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_each_path_describes_what_it_takes_and_gives():
    document = json.loads(DOCUMENT)
    assert list(document["paths"]) == [route.path for route in {route.path: route for route in ROUTES}.values()]
    for route in ROUTES:
        described = document["paths"][route.path][route.method.lower()]
        names = {(parameter["in"], parameter["name"]) for parameter in described.get("parameters", [])}
        assert (("path", "execution_id") in names) is ("{execution_id}" in route.path)
        assert ("requestBody" in described) is (route.body is not None)
        assert {str(route.status), *map(str, route.troubles)} == set(described["responses"])


def test_schemathesis_finds_no_failure(served, tmp_path):
    """The whole of it, as its own command runs it: examples, coverage, fuzzing and stateful sequences, all checks."""
    pytest.importorskip("schemathesis")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json",
            "--header", f"X-API-Key: {served.api_key}", "--max-examples", "10", "--seed", "1", "--no-color",
            "--checks", "all",
        ],
        capture_output=True, text=True, timeout=110, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


#: What may be wrong with the body of any write, and how it is answered.
BODIES = {
    400: {"data": b"no gzip", "Content_Encoding": "gzip"},
    401: {"data": b"{}", "X_API_Key": "wrong"},
    413: {"data": gzip.compress(b" " * (2**24 + 1)), "Content_Encoding": "gzip"},
    415: {"data": b"{}", "Content_Encoding": "br"},
    422: {"data": b"no JSON"},
}


@pytest.mark.parametrize("status", BODIES)
async def test_what_may_be_wrong_with_a_body_is_described_of_every_write(connect, status):
    local = LocalOmium()
    async with connect(local) as wire:
        for route in ROUTES:
            if route.body is not None:
                path = route.path.replace("{execution_id}", "exec_1")
                assert (await wire.call(route.method, path, **BODIES[status])).status == status
                assert status in route.troubles


async def test_a_write_that_is_done_is_answered_as_described(connect):
    local = LocalOmium()

    @local.workflow("w")
    async def w(run):
        await run.step("one", lambda: 1)
        raise ValueError

    described = {route.operation: route.status for route in ROUTES}
    async with connect(local) as wire:
        created = await wire.call("POST", "/executions", {"workflow_id": "w"})
        assert created.status == described["create_execution"]
        detail = await wire.until(created.json["id"], "failed")
        for verb in ("rollback", "replay"):
            moved = await wire.move(created.json["id"], verb, detail["checkpoints"][0]["id"])
            assert moved.status == described[f"{verb}_execution"]


async def test_the_least_of_each_parameter_is_the_least_that_is_taken(connect):
    """Schemathesis takes any refusal of a page for a right one."""
    async with connect(LocalOmium()) as wire:
        for parameter in json.loads(DOCUMENT)["paths"]["/executions"]["get"]["parameters"]:
            if "minimum" in parameter["schema"]:
                least = parameter["schema"]["minimum"]
                for value, status in ((least, 200), (least - 1, 422)):
                    assert (await wire.get(f"/executions?{parameter['name']}={value}")).status == status
