"""A service that answers writes by a script, and a batch that runs against it in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from aiohttp import web

from omium_async import AsyncOmium, OmiumError

from .conftest import numbered

SECONDS_OF_A_WRITE = 0.5


@attrs.frozen
class Answer:
    """``status`` after ``seconds``; without a status the connection is closed."""

    status: int | None = 201
    seconds: float = SECONDS_OF_A_WRITE
    headers: dict[str, str] = attrs.Factory(dict)


HEALTHY = Answer()
AWAY = Answer(503, 0.01)
NEVER = Answer(seconds=1e6)
REFUSED = Answer(429, 0.01)


@attrs.define
class Run:
    """The result of a batch: when each write and read arrived, and the outcomes."""

    writes: list[float] = attrs.Factory(list)
    reads: list[float] = attrs.Factory(list)
    states: Counter[str] = attrs.Factory(Counter)
    seconds: float = 0.0
    error: OmiumError | None = None

    @property
    def end(self) -> tuple[dict[str, int], type[OmiumError] | None]:
        return dict(self.states), None if self.error is None else type(self.error)


async def run_batch(
    script: Callable[[int], Answer],
    *,
    items: int = 20,
    concurrency: int = 8,
    read: Callable[[Run], Answer] = lambda run: Answer(200, 0.01),
    of_item: Mapping[int, Answer] | None = None,
    leave_after: int | None = None,
    **options: Any,
) -> Run:
    """Create ``items`` executions.

    :param script: returns the answer to each write, numbered from 1.
    :param of_item: answers to all writes of single items, numbered from 0.
    """
    run, loop = Run(), asyncio.get_running_loop()

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            run.reads.append(loop.time())
            answer, body = read(run), {"items": [], "total": 0, "page": 1, "page_size": 1}
        else:
            item = (await request.json())["input_data"]["number"]
            run.writes.append(loop.time())
            answer = (of_item or {}).get(item) or script(len(run.writes))
            body = {"id": f"exec_{len(run.writes)}"}
        await asyncio.sleep(answer.seconds)
        if answer.status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(body, status=answer.status or 200, headers=answer.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with AsyncOmium("omium_test_key", base_url=url, **options) as omium:
        started = loop.time()
        outcomes = omium.executions.create_many(numbered(items), concurrency=concurrency)
        try:
            async for outcome in outcomes:
                run.states[outcome.state] += 1
                if run.states.total() == leave_after:
                    break
        except OmiumError as error:
            run.error = error
        await outcomes.aclose()
        run.seconds = loop.time() - started
    await runner.cleanup()
    return run
