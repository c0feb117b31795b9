"""Callers that ask a service made by a test, without a wire."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from omium_async import Execution, ExecutionDetail, ExecutionPage
from omium_async._data.shared import shared


@attrs.frozen
class FakeOptions:
    """The options of a call that waits and lists look at."""

    timeout: float | None = 60.0
    patience: float | None = 300.0
    poll_interval: tuple[float, float] = (0.5, 10.0)
    max_retries: int = 3
    agent_id: str | None = None


class FakeCaller:
    """Answers reads from methods of its own: ``get(execution_id)`` and ``rows()``."""

    def __init__(self, **options) -> None:
        self.options = FakeOptions(**options)
        self.telemetry = None
        self.converter = shared()

    async def get(self, execution_id: str) -> ExecutionDetail:
        raise NotImplementedError

    async def rows(self, query: dict[str, str]) -> list[Execution]:
        raise NotImplementedError

    async def page(self, number: int, size: int, query: dict[str, str]) -> ExecutionPage:
        rows = await self.rows(query)
        return ExecutionPage(tuple(rows[(number - 1) * size : number * size]), len(rows), number, size)

    def within(self, seconds):
        return self

    def with_options(self, options):
        return self

    async def read(self, path, decode, operation):
        parts = urlsplit(path)
        if parts.path == "/executions":
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            return await self.page(int(query.pop("page")), int(query.pop("page_size")), query)
        return await self.get(unquote(parts.path.removeprefix("/executions/")))


class Scripted(FakeCaller):
    """One execution whose looks follow a script: a status, a detail, or an error to raise."""

    def __init__(self, script, **options) -> None:
        super().__init__(**options)
        self.script = iter(script)

    async def get(self, execution_id: str) -> ExecutionDetail:
        step = next(self.script)
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, ExecutionDetail) else ExecutionDetail(execution_id, status=step)
