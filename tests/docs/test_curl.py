"""Each curl command of the reference sends the requests of its call, and has the same effect."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from omium_async import APIStatusError, AsyncOmium, Checkpoints, Executions, Workflows
from omium_async.local import LocalOmium

from .api import MODULES  # this module makes those of docs/_extensions importable

assert MODULES
CURL: dict[str, tuple[str, str]] = importlib.import_module("curl").CURL
Act = Callable[[AsyncOmium, dict[str, str]], Awaitable[None]]


def test_every_call_that_is_one_request_has_a_command():
    calls = {
        f"{cls.__name__}.{name}"
        for cls in (Executions, Checkpoints, Workflows)
        for name, _ in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }
    of_several_calls = {call for call in calls if call.endswith("_many")} | {"Executions.run"}
    assert set(CURL) == calls - of_several_calls | {"AsyncOmium.request"}


@pytest.fixture
async def local() -> AsyncIterator[LocalOmium]:
    local = LocalOmium()

    @local.workflow("report")
    async def report(run):
        await run.step("load", lambda: run.input_data)
        raise RuntimeError("broken")

    async with local:
        yield local


async def effect(local: LocalOmium, act: Act, *, paused: bool) -> tuple[list[Any], list[Any]]:
    """Return the requests that an act sent to a fresh server, and the executions that it left."""
    await local.reset()
    async with AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.01)) as omium:
        detail = await omium.executions.run("report", {"day": 1})
        names = {detail.id: "EXECUTION_ID", detail.checkpoints[0].id: "CHECKPOINT_ID"}
        if paused:  # it has not ended
            await omium.executions.rollback(detail.id, detail.checkpoints[0].id)
        before = len(local.requests)
        await act(omium, {name: value for value, name in names.items()})
        requests = [
            (
                seen.method,
                [names.get(part, part) for part in seen.path.split("/")],
                sorted((name, names.get(value, value)) for name, value in parse_qsl(seen.query)),
                seen.status,
            )
            for seen in local.requests[before:]
        ]
        rows = [await omium.executions.wait(row.id) async for row in omium.executions.list()]
        return requests, [(row.workflow_id, row.input_data, row.status, len(row.checkpoints)) for row in rows]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("name", CURL)
async def test_the_command_does_what_the_call_does(local, name):
    call, command = CURL[name]

    async def by_call(omium: AsyncOmium, ids: dict[str, str]) -> None:
        owner = {"AsyncOmium": omium}.get(name.partition(".")[0]) or getattr(omium, name.partition(".")[0].lower())
        with contextlib.suppress(APIStatusError):  # of `request`: LocalOmium has no such endpoint
            made = eval(f"owner.{call}", {"owner": owner, **ids})
            if inspect.isawaitable(made):
                await made
            else:
                assert [row async for row in made]

    async def by_curl(omium: AsyncOmium, ids: dict[str, str]) -> None:
        variables = {**os.environ, **ids, "OMIUM_API_URL": local.url, "OMIUM_API_KEY": local.api_key}
        shell = await asyncio.create_subprocess_exec("bash", "-euo", "pipefail", "-c", command, env=variables)
        assert await shell.wait() == (22 if name == "AsyncOmium.request" else 0)

    paused = name == "Executions.cancel"
    done = await effect(local, by_curl, paused=paused)
    assert done == await effect(local, by_call, paused=paused)
    assert done[0]
