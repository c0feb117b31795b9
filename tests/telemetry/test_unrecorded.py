"""Telemetry where nobody records, or not yet: it does next to nothing, and misses nothing that comes later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import metrics, trace
from opentelemetry.trace import NonRecordingSpan, NoOpTracerProvider, SpanContext, TraceFlags

from omium_async import AsyncOmium
from omium_async._transport.request import Operation, Request
from omium_async.otel import Telemetry

REQUEST = Request(
    "GET", "http://127.0.0.1/api/v1/executions", operation=Operation("omium.executions.page", "/executions")
)
#: That of a request which the user's own service answers just now, and whose trace others record.
INCOMING = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))


@pytest.mark.parametrize("providers", [(), (NoOpTracerProvider(), metrics.NoOpMeterProvider())])
def test_where_nobody_records_no_call_is_watched_and_no_span_is_asked_for(monkeypatch, providers):
    asked = []
    monkeypatch.setattr(trace.NoOpTracer, "start_span", lambda *args, **options: asked.append(options))
    assert Telemetry(*providers).call_started(REQUEST) is None
    assert asked == []


@pytest.mark.parametrize("providers", [(), (NoOpTracerProvider(), metrics.NoOpMeterProvider())])
async def test_a_trace_of_others_is_carried_on_where_nobody_records(providers, empty_lists):
    telemetry = Telemetry(*providers)
    async with empty_lists() as (url, heard), AsyncOmium("key", base_url=url, telemetry=telemetry) as omium:
        await omium.executions.page()
        with trace.use_span(INCOMING):
            await omium.executions.page()
    assert [headers.get("traceparent") for headers in heard] == [None, f"00-{0xA1:032x}-{0xB2:016x}-01"]


async def test_measurements_are_taken_where_no_span_is_made(local, watch):
    telemetry = Telemetry(NoOpTracerProvider(), watch.meters)
    async with AsyncOmium(local.api_key, base_url=local.url, telemetry=telemetry) as omium:
        await omium.executions.page()
    assert sum(point.count for point in watch.metrics["omium.client.call.duration"]) == 1
    assert watch.spans == {}


async def test_spans_are_made_where_nobody_measures(local, watch):
    telemetry = Telemetry(watch.tracers, metrics.NoOpMeterProvider())
    async with AsyncOmium(local.api_key, base_url=local.url, telemetry=telemetry) as omium:
        await omium.executions.page()
    assert set(watch.spans) == {"omium.executions.page"}


@pytest.mark.parametrize("which", ["trace", "metrics"])
def test_a_provider_that_is_set_later_records_from_then_on(which):
    program = f"""
from opentelemetry import metrics, trace
from conftest import Watch
from test_unrecorded import REQUEST, Telemetry

telemetry, watch = Telemetry(), Watch()
assert telemetry.call_started(REQUEST) is None
if {which!r} == "trace":
    trace.set_tracer_provider(watch.tracers)
else:
    metrics.set_meter_provider(watch.meters)
telemetry.call_started(REQUEST).ended(None, None)
print(*watch.spans, *watch.metrics)
"""
    here = Path(__file__).parent
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=here)
    assert ran.returncode == 0, ran.stderr
    told = {"trace": "omium.executions.page", "metrics": "omium.client.call.duration"}
    assert ran.stdout.split() == [told[which]]
