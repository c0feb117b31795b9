"""A service in memory that a batch can die on at any step, with what that does to requests under way."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from omium_async._errors import APIConnectionError, UnprocessableEntityError
from omium_async._executions import Executions
from omium_async._settings.declared import Options
from omium_async._transport.answers import RawResponse

OPTIONS = Options(
    timeout=5.0,
    attempt_timeout=5.0,
    max_retries=0,
    retry_ambiguous_writes=False,
    agent_id=None,
    on_attempt=None,
    patience=300.0,
    backoff=(0.5, 8.0),
    poll_interval=(0.5, 10.0),
)


def is_refused(number: int) -> bool:
    """Whether the service refuses this item, today and tomorrow."""
    return number % 11 == 7


class Service:
    """Executions in memory, newest last; survives the client."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.late: list[asyncio.TimerHandle] = []

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        row = {
            "id": f"exec_{len(self.rows)}",
            "workflow_id": body["workflow_id"],
            "status": "running",
            "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        self.rows.append(row | {"input_data": body["input_data"], "metadata": body.get("metadata")})
        return row

    def applied(self) -> Counter[int]:
        return Counter(row["input_data"] for row in self.rows)


class Connection:
    """What a client calls the service through; stands in for a `Caller`. Every call is two steps at least."""

    def __init__(self, service: Service, chance: random.Random, step: Any, *, shows: str = "everything") -> None:
        self.service = service
        self.chance = chance
        self.step = step
        self.shows = shows  # or "nothing in lists", "nothing"
        self.options = OPTIONS
        self.shared = SimpleNamespace(settings=SimpleNamespace(base_url="https://fake/api/v1"))
        self.dead = False
        self.sent: list[dict[str, Any]] = []
        self.details = 0
        self.lists = 0

    def executions(self) -> Executions:
        return Executions(self)  # type: ignore[arg-type]

    async def write(self, path: str, body: dict[str, Any], decode: Any, key: str | None, _: Any) -> Any:
        assert path == "/executions"
        if self.dead:  # nothing begins after a death
            raise asyncio.CancelledError
        self.sent.append(body)
        number = body["input_data"]
        fate = self.chance.random()
        try:
            self.step("a request is under way")
            await asyncio.sleep(0)
            if self.dead:
                raise asyncio.CancelledError  # noqa: TRY301
            if is_refused(number):
                raise UnprocessableEntityError(
                    "no such number", status=422, body=b'{"detail": "no"}', method="POST", outcome="not_applied"
                )
            if fate < 0.08:
                raise APIConnectionError("refused", idempotency_key=key, outcome="not_applied")
            if fate < 0.16:
                raise APIConnectionError("dropped before the commit", idempotency_key=key, outcome="unknown")
            row = self.service.apply(body)
        except asyncio.CancelledError:
            self._finish_late(body)
            raise
        self.step("a request is committed")
        await asyncio.sleep(0)
        if fate < 0.28:
            raise APIConnectionError("dropped after the commit", idempotency_key=key, outcome="unknown")
        return decode(json.dumps(row).encode())

    def _finish_late(self, body: dict[str, Any]) -> None:
        """The batch died with the request under way: it is lost, or committed now, or a little later."""
        fate = self.chance.random()
        if is_refused(body["input_data"]):
            return
        if fate < 0.3:
            self.service.apply(body)
        elif fate < 0.6:
            asyncio.get_running_loop().call_later(self.chance.uniform(0, 0.02), self.service.apply, body)

    async def raw(self, method: str, path: str, **_: Any) -> RawResponse:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return RawResponse(200, {"date": date}, b"{}", None)

    async def read(self, path: str, decode: Any, _: Any) -> Any:
        self.step("a look")
        await asyncio.sleep(0)
        parts = urlsplit(path)
        if parts.path != "/executions":
            self.details += 1
            wanted = parts.path.rsplit("/", 1)[1]
            row = next(row for row in self.service.rows if row["id"] == wanted)
            return decode(json.dumps(self._shown(row, "nothing")).encode())
        self.lists += 1
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        rows = [row for row in reversed(self.service.rows) if row["workflow_id"] == query.get("workflow_id")]
        size, page = int(query["page_size"]), int(query["page"])
        items = [self._shown(row, "nothing in lists") for row in rows[(page - 1) * size : page * size]]
        answer = {"items": items, "total": len(rows), "page": page, "page_size": size}
        return decode(json.dumps(answer).encode())

    def _shown(self, row: dict[str, Any], hides: str) -> dict[str, Any]:
        hidden = self.shows in {"nothing", hides}
        return {**row, "metadata": None} if hidden else row
