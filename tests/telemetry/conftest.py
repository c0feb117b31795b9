"""A client whose spans and metrics OpenTelemetry's SDK records."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDictProxy

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry's SDK is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_async.otel import Telemetry


class Recorded:
    """What was recorded."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.telemetry = Telemetry(self.tracers, self.meters)

    @property
    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def named(self, name):
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    @property
    def metrics(self):
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}

    def everything(self):
        return "".join(span.to_json() for span in self.exporter.get_finished_spans()) + str(self.metrics)


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture
async def local():
    local = LocalOmium()

    @local.workflow("echo")
    async def echo(run):
        return await run.step("read", lambda: run.input_data)

    async with local:
        yield local


@pytest.fixture
async def omium(local, recorded):
    options = {"backoff": (0, 0), "poll_interval": (0.005, 0.05), "telemetry": recorded.telemetry}
    async with AsyncOmium(local.api_key, base_url=local.url, **options) as omium:
        yield omium


@pytest.fixture
def empty_lists():
    """A service with empty lists: its URL, and the headers of each request."""

    @contextlib.asynccontextmanager
    async def served() -> AsyncIterator[tuple[str, list[CIMultiDictProxy[str]]]]:
        received: list[CIMultiDictProxy[str]] = []

        async def handle(request: web.Request) -> web.Response:
            received.append(request.headers)
            return web.json_response({"items": [], "total": 0})

        app = web.Application()
        app.router.add_get("/api/v1/executions", handle)
        async with TestServer(app) as server:
            yield str(server.make_url("/")), received

    return served
