"""A service without a connection, whose executions settle at given times of the event loop's clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from omium_async import Execution, ExecutionDetail, ExecutionPage, Executions, NotFoundError
from omium_async._data.converter import shared
from omium_async._outage import Outage


@attrs.frozen
class FakeOptions:
    """The options of a call that waits and lists use."""

    timeout: float | None = 60.0
    patience: float | None = 300.0
    poll_interval: tuple[float, float] = (0.5, 10.0)
    max_retries: int = 3
    agent_id: str | None = None


class Fleet:
    """Executions that settle after given seconds; it replaces a client.

    :ivar hidden: ids that the list does not show.
    :ivar others: how many newer executions stand before these in the list.
    :ivar failures: raised by the next reads.
    """

    def __init__(self, ends: dict[str, float], *, hidden: Iterable[str] = (), others: int = 0, **options: Any) -> None:
        self.options = FakeOptions(**options)
        self.telemetry = None
        self.converter = shared()
        self.started = asyncio.get_running_loop().time()
        self.ends, self.hidden, self.others = ends, frozenset(hidden), others
        self.pages = 0
        self.gets: Counter[str] = Counter()
        self.failures: list[Exception] = []
        self.executions = Executions(self)  # type: ignore[arg-type]
        self._outage = Outage()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.started

    @property
    def requests(self) -> int:
        return self.pages + self.gets.total()

    def status(self, execution_id: str) -> str:
        return "completed" if self.ends.get(execution_id, 1e9) <= self.now else "running"

    def within(self, _: float | None) -> Fleet:
        return self

    def with_options(self, _: Any) -> Fleet:
        return self

    def outage(self) -> Outage:
        return self._outage

    def rate_limit_delay(self) -> float:
        return 0.0

    async def read(self, path: str, *_: Any) -> Any:
        await asyncio.sleep(0)
        parts = urlsplit(path)
        if parts.path != "/executions":
            execution_id = unquote(parts.path.removeprefix("/executions/"))
            self.gets[execution_id] += 1
            if self.failures:
                raise self.failures.pop(0)
            if execution_id not in self.ends:
                raise NotFoundError("no such execution", status=404)
            return ExecutionDetail(execution_id, status=self.status(execution_id))
        self.pages += 1
        if self.failures:
            raise self.failures.pop(0)
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
        ids = [f"other-{number}" for number in range(self.others)]
        ids += [execution_id for execution_id in self.ends if execution_id not in self.hidden]
        number, size = query["page"], query["page_size"]
        rows = [Execution(one, status=self.status(one)) for one in ids[(number - 1) * size : number * size]]
        return ExecutionPage(tuple(rows), len(ids), number, size)
