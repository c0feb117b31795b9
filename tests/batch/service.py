"""A service in memory whose client can die at any step, with requests in flight."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import math
import random
from collections import Counter
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import attrs
from multidict import CIMultiDict

from omium_async import APIConnectionError, Attempt, Executions, UnprocessableEntityError
from omium_async._data.converter import shared
from omium_async._outage import Outage
from omium_async._settings.declared import Options
from omium_async._transport.admission import Gate, Lane
from omium_async._transport.pacing import Pacer

OPTIONS = Options(
    timeout=5.0,
    attempt_timeout=5.0,
    max_retries=0,
    retry_ambiguous_writes=False,
    agent_id=None,
    headers=CIMultiDict(),
    on_attempt=None,
    patience=300.0,
    backoff=(0.002, 0.01),
    poll_interval=(0.5, 10.0),
)
#: Of a request that failed: an error without attempts would mean that the client sent nothing.
ONE: Final = (Attempt(1),)


def is_refused(number: int) -> bool:
    """Whether the service always refuses this item."""
    return number % 11 == 7


class Service:
    """Executions in memory; survives the client.

    :param order: of its lists: "newest first", "oldest first" or "shuffled"; the place of a row never changes.
    """

    def __init__(self, *, order: str = "newest first") -> None:
        self.rows: list[dict[str, Any]] = []
        self.places: list[float] = []
        self.order = order
        self.chance = random.Random(17)

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        row = {
            "id": f"exec_{len(self.rows)}",
            "workflow_id": body["workflow_id"],
            "status": "running",
            "created_at": "2025-01-01T12:00:00Z",
        }
        place = {"newest first": -len(self.rows), "oldest first": len(self.rows)}.get(self.order, self.chance.random())
        self.places.append(place)
        self.rows.append(row | {"input_data": body["input_data"], "metadata": body.get("metadata")})
        return row

    def listed(self, workflow_id: str | None) -> list[dict[str, Any]]:
        """Return the rows in the order of the list."""
        found = sorted(zip(self.places, self.rows, strict=True), key=lambda pair: pair[0])
        return [row for _, row in found if workflow_id in {None, row["workflow_id"]}]

    def applied(self) -> Counter[int]:
        return Counter(row["input_data"] for row in self.rows)


class MemoryCaller:
    """Replaces a `Caller`, without a connection."""

    def __init__(self) -> None:
        self.options = OPTIONS
        self.telemetry = None
        self.shared = SimpleNamespace(settings=SimpleNamespace(base_url="https://fake/api/v1", converter=None))
        self.converter = shared()
        self._gate = Gate(Pacer(None), 1000)
        self._lane: Lane | None = None
        self._outage = Outage()

    def outage(self) -> Outage:
        return self._outage

    def in_lane(self, lane: Lane, **changes: Any) -> Self:
        found = self.with_options(attrs.evolve(self.options, **changes))
        found._lane = lane
        return found

    @contextlib.asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None]:
        """Wait as a call of a real client does until its lane lets it begin."""
        period = await self._gate.enter(self._lane, math.inf, first=False)
        try:
            yield
        finally:
            self._gate.leave(self._lane, period, sent=True)

    def within(self, _: float | None) -> Self:
        return self

    def with_options(self, options: Options) -> Self:
        found = copy.copy(self)
        found.options = options
        return found

    def rate_limit_delay(self) -> float:
        return 0.0


class Connection(MemoryCaller):
    """Connects a client with the service. Every call takes at least two steps."""

    def __init__(self, service: Service, chance: random.Random, step: Any, *, shows: str = "everything") -> None:
        super().__init__()
        self.service = service
        self.chance = chance
        self.step = step
        self.shows = shows  # or "nothing in lists", "nothing", "empty in lists", "a part in lists"
        self.seen = SimpleNamespace(dead=False, sent=[], details=0, lists=0)  # shared by all copies

    def executions(self) -> Executions:
        return Executions(self)  # type: ignore[arg-type]

    async def write(self, method: str, path: str, body: dict[str, Any], decode: Any, key: str | None, _: Any) -> Any:
        assert path == "/executions"
        async with self.admitted():
            if self.seen.dead:  # nothing begins after the client died
                raise asyncio.CancelledError
            return await self._write(body, decode)

    async def _write(self, body: dict[str, Any], decode: Any) -> Any:
        self.seen.sent.append(body)
        number = body["input_data"]
        fate = self.chance.random()
        try:
            self.step("a request is in flight")
            await asyncio.sleep(0)
            if self.seen.dead:
                raise asyncio.CancelledError  # noqa: TRY301
            if is_refused(number):
                raise UnprocessableEntityError(
                    "no such number", status=422, body=b'{"detail": "no"}', method="POST", outcome="not_applied"
                )
            if fate < 0.08:
                raise APIConnectionError("refused", outcome="not_applied", attempts=ONE)
            if fate < 0.16:
                raise APIConnectionError("dropped before the commit", outcome="unknown", attempts=ONE)
            row = self.service.apply(body)
        except asyncio.CancelledError:
            self._finish_late(body)
            raise
        self.step("a request is committed")
        await asyncio.sleep(0)
        if fate < 0.28:
            raise APIConnectionError("dropped after the commit", outcome="unknown", attempts=ONE)
        return decode(json.dumps(row).encode())

    def _finish_late(self, body: dict[str, Any]) -> None:
        """The client died with the request in flight: it is lost, or committed now, or a little later."""
        fate = self.chance.random()
        if is_refused(body["input_data"]):
            return
        if fate < 0.3:
            self.service.apply(body)
        elif fate < 0.6:
            asyncio.get_running_loop().call_later(self.chance.uniform(0, 0.02), self.service.apply, body)

    async def read(self, path: str, decode: Any, _: Any) -> Any:
        async with self.admitted():
            return await self._read(path, decode)

    async def _read(self, path: str, decode: Any) -> Any:
        self.step("a read")
        await asyncio.sleep(0)
        parts = urlsplit(path)
        if parts.path != "/executions":
            self.seen.details += 1
            wanted = parts.path.rsplit("/", 1)[1]
            row = next(row for row in self.service.rows if row["id"] == wanted)
            return decode(json.dumps(self._shown(row, "nothing")).encode())
        self.seen.lists += 1
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        rows = self.service.listed(query.get("workflow_id"))
        size, page = int(query["page_size"]), int(query["page"])
        items = [self._shown(row, "nothing in lists") for row in rows[(page - 1) * size : page * size]]
        answer = {"items": items, "total": len(rows), "page": page, "page_size": size}
        return decode(json.dumps(answer).encode())

    def _shown(self, row: dict[str, Any], hides: str) -> dict[str, Any]:
        if self.shows == "empty in lists" and hides == "nothing in lists":
            return {**row, "metadata": {}}
        if self.shows == "a part in lists" and hides == "nothing in lists":
            return {**row, "metadata": {"source": "api"}}
        return {**row, "metadata": None} if self.shows in {"nothing", hides} else row
