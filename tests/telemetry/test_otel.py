"""Metrics; providers that are missing or are set later; and no secret leaves the process."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

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


async def test_without_arguments_the_global_provider_is_used_also_one_that_is_set_later(local, recorded, monkeypatch):
    async with AsyncOmium(local.api_key, base_url=local.url, telemetry=Telemetry()) as omium:
        await omium.executions.page()
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorded.tracers)
        await omium.executions.page()
    assert len(recorded.named("omium.executions.page")) == 1


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


def test_without_telemetry_nothing_is_imported():
    program = (
        "import sys, omium_sync; omium_sync.Omium('key'); sys.exit(any('opentel' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "omium_async.otel")
    with pytest.raises(ImportError, match=r"pip install 'omium-async\[otel\]'"):
        importlib.import_module("omium_async.otel")
