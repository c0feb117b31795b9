"""Metrics; providers that are missing, are set later or raise; and no secret leaves the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NonRecordingSpan, NoOpTracerProvider, SpanContext, TraceFlags

from omium_async import AsyncOmium, ConfigurationError, OmiumError, ServerError
from omium_async.local import Fault
from omium_async.otel import Telemetry
from omium_sync import LocalOmium as ThreadedOmium
from omium_sync import Omium

SECRET = "input-that-nobody-may-see"
#: The span of a request that the user's own service is handling, in a trace that others record.
INCOMING = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))


async def test_metrics_count_attempts_calls_retries_and_outages_without_ids(omium, local, recorded):
    local.inject(Fault(method="GET", status=503))
    await omium.executions.count()
    created = await omium.executions.create("echo")
    local.inject(Fault(method="GET", status=503, times=6))
    await omium.executions.wait(created.id)
    with pytest.raises(OmiumError):
        await omium.executions.get("exec_nowhere")
    found = recorded.metrics
    attempts, calls = (
        sum(point.count for point in found[name])
        for name in ("http.client.request.duration", "omium.client.call.duration")
    )
    assert attempts > calls >= 4
    assert sum(point.value for point in found["omium.client.retries"]) == attempts - calls
    assert sum(point.value for point in found["omium.client.outages"]) == 1
    templates = {point.attributes.get("url.template") for point in found["omium.client.call.duration"]}
    assert templates == {"/executions", "/executions/{execution_id}"}
    assert "exec_" not in str(found)


async def test_waiting_calls_are_counted_and_return_to_zero(local, recorded):
    options = {"telemetry": recorded.telemetry, "max_connections": 1}
    async with AsyncOmium(local.api_key, base_url=local.url, **options) as omium:
        await asyncio.gather(*(omium.executions.count() for _ in range(5)))
    assert [point.value for point in recorded.metrics["omium.client.calls.waiting"]] == [0]


@pytest.mark.parametrize("providers", [(), (NoOpTracerProvider(), metrics.NoOpMeterProvider())])
async def test_a_trace_of_others_is_sent_on_without_a_recording_provider(providers, empty_lists):
    telemetry = Telemetry(*providers)
    async with empty_lists() as (url, received), AsyncOmium("key", base_url=url, telemetry=telemetry) as omium:
        await omium.executions.page()
        with trace.use_span(INCOMING):
            await omium.executions.page()
    assert [headers.get("traceparent") for headers in received] == [None, f"00-{0xA1:032x}-{0xB2:016x}-01"]


def test_providers_that_are_set_later_record_from_then_on():
    program = """
import asyncio, aiohttp.web
from aiohttp.test_utils import TestServer
from opentelemetry import metrics, trace
from conftest import Recorded, Telemetry, AsyncOmium

async def main():
    app = aiohttp.web.Application()
    app.router.add_get("/api/v1/executions", lambda _: asyncio.sleep(0, aiohttp.web.json_response({"items": []})))
    async with TestServer(app) as server:
        async with AsyncOmium("key", base_url=str(server.make_url("/")), telemetry=Telemetry()) as omium:
            await omium.executions.page()
            recorded = Recorded()
            trace.set_tracer_provider(recorded.tracers)
            metrics.set_meter_provider(recorded.meters)
            await omium.executions.page()
            print(len(recorded.named("omium.executions.page")), *sorted(recorded.metrics))

asyncio.run(main())
"""
    here = Path(__file__).parent
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=here)
    assert ran.stdout.split() == ["1", "http.client.request.duration", "omium.client.call.duration"], ran.stderr


SPAN_METHODS = ["set_attributes", "set_status", "add_event", "end", "is_recording", "get_span_context"]
INSTRUMENTS = ["create_histogram", "create_counter", "create_up_down_counter"]


class FailingTracers(trace.TracerProvider):
    """Creates spans that raise in one of their methods, or raises itself."""

    def __init__(self, method):
        self.method, self.ended, self.real = method, [], TracerProvider().get_tracer("test")

    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, *args, **kwargs):
        if self.method == "start_span":
            raise RuntimeError("no spans today")
        return FailingSpan(self.real.start_span(*args, **kwargs), self.method, self.ended)


class FailingSpan:
    def __init__(self, real, method, ended):
        self._real, self._method, self._ended = real, method, ended

    def __getattr__(self, name):
        if name == self._method:
            raise RuntimeError(f"no {name} today")
        if name == "end":
            self._ended.append(self._real.name)
        return getattr(self._real, name)


class FailingMeters(metrics.NoOpMeterProvider):
    """Creates instruments of which one kind raises."""

    def __init__(self, kind):
        self.kind = kind

    def get_meter(self, *args, **kwargs):
        meter = metrics.NoOpMeter("test")
        setattr(meter, self.kind, lambda *args, **kwargs: FailingInstrument())
        return meter


class FailingInstrument:
    def record(self, *args, **kwargs):
        raise RuntimeError("no measurements today")

    add = record


async def use(local, telemetry):
    options = {"backoff": (0, 0), "poll_interval": (0.005, 0.05), "telemetry": telemetry, "max_retries": 1}
    async with AsyncOmium(local.api_key, base_url=local.url, **options) as omium:
        local.inject(Fault(method="POST", status=429, headers={"Retry-After": "0"}))
        done = await omium.executions.run("echo", 1)
        assert done.output_data == 1
        assert [row.id async for row in omium.executions.list()] == [done.id]
        local.inject(Fault(method="GET", status=503, times=3))
        assert (await omium.executions.wait(done.id)).id == done.id
        with pytest.raises(OmiumError):
            await omium.executions.get("exec_nowhere")


@pytest.mark.parametrize("method", ["start_span", *SPAN_METHODS])
async def test_a_span_that_raises_does_not_affect_calls_and_is_ended(local, caplog, method):
    tracers = FailingTracers(method)
    await use(local, Telemetry(tracers))
    assert "telemetry failed" in caplog.text
    if method not in {"start_span", "end"}:
        assert {"omium.executions.run", "omium.executions.get", "omium.executions.list"} <= set(tracers.ended)


@pytest.mark.parametrize("kind", INSTRUMENTS)
async def test_an_instrument_that_raises_affects_neither_calls_nor_spans(local, recorded, caplog, kind):
    await use(local, Telemetry(recorded.tracers, FailingMeters(kind)))
    assert {"omium.executions.run", "omium.executions.create", "omium.executions.get"} <= set(recorded.spans)
    assert "telemetry failed" in caplog.text


def test_anything_but_telemetry_is_rejected(recorded):
    for wrong in (object(), recorded.tracers, "yes"):
        with pytest.raises(ConfigurationError, match="telemetry") as refused:
            AsyncOmium("key", telemetry=wrong)
        assert refused.value.setting == "telemetry"
    with pytest.raises(TypeError, match="tracer_provider"):
        Telemetry(object())


def test_neither_key_nor_input_leaves_the_process_by_otlp():
    exporter = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    bodies = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        tracers = TracerProvider()
        endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        tracers.add_span_processor(SimpleSpanProcessor(exporter.OTLPSpanExporter(endpoint)))
        with ThreadedOmium() as local, Omium(local.api_key, base_url=local.url, telemetry=Telemetry(tracers)) as omium:
            omium.executions.create("echo", {"text": SECRET})
            local.inject(Fault(status=500, body=SECRET, times=9))
            with pytest.raises(ServerError):
                omium.executions.create("echo", {"text": SECRET})
        tracers.shutdown()
        collector.shutdown()
        thread.join()
    sent = b"".join(bodies)
    assert b"omium.executions.create" in sent
    assert SECRET.encode() not in sent
    assert local.api_key.encode() not in sent


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import omium_sync; omium_sync.Omium('key'); print(any('opentel' in name for name in sys.modules))", "False"),
        ("sys.modules['opentelemetry'] = None\nimport omium_async.otel", "pip install 'omium-async[otel]'"),
    ],
)
def test_without_telemetry_nothing_is_imported_and_without_the_extra_the_error_names_it(program, said):
    ran = subprocess.run([sys.executable, "-c", f"import sys; {program}"], capture_output=True, text=True)
    assert said in ran.stdout + ran.stderr
