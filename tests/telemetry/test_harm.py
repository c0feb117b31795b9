"""Providers that raise, wherever they may: calls go on, spans end, and one failure does not take the rest with it."""

from __future__ import annotations

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import TracerProvider

from omium_async import AsyncOmium, OmiumError
from omium_async.local import Fault
from omium_async.otel import Telemetry

SPAN = ["set_attributes", "set_attribute", "set_status", "add_event", "end", "is_recording", "get_span_context"]
INSTRUMENTS = ["create_histogram", "create_counter", "create_up_down_counter"]


class Sabotage:
    """Stands before something of OpenTelemetry's, and raises in one of its methods."""

    def __init__(self, real, method, ended):
        self._real, self._method, self._ended = real, method, ended

    def __getattr__(self, name):
        if name == self._method:
            raise RuntimeError(f"no {name} today")
        if name == "end":
            self._ended.append(self._real.name)
        return getattr(self._real, name)


class Tracers(trace.TracerProvider):
    """Gives spans that fail in one of their methods, or none."""

    def __init__(self, method):
        self.method = method
        self.ended = []
        self.real = TracerProvider().get_tracer("test")

    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, *args, **kwargs):
        if self.method == "start_span":
            raise RuntimeError("no spans today")
        return Sabotage(self.real.start_span(*args, **kwargs), self.method, self.ended)


class Meters(metrics.NoOpMeterProvider):
    """Gives instruments of which one kind fails."""

    def __init__(self, kind):
        self.kind = kind

    def get_meter(self, *args, **kwargs):
        meter = metrics.NoOpMeter("test")
        for kind in INSTRUMENTS:
            setattr(meter, kind, lambda *args, kind=kind, **kwargs: Instrument(raises=kind == self.kind))
        return meter


class Instrument:
    """Neither a no-op nor a proxy: something that is told of each measurement."""

    def __init__(self, *, raises):
        self.raises = raises

    def record(self, *args, **kwargs):
        if self.raises:
            raise RuntimeError("no measurements today")

    add = record


async def use_it(local, telemetry):
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


@pytest.mark.parametrize("method", ["start_span", *SPAN])
async def test_a_span_that_raises_harms_no_call(local, caplog, method):
    tracers = Tracers(method)
    await use_it(local, Telemetry(tracers))
    assert "telemetry failed" in caplog.text
    if method not in {"start_span", "end", "get_span_context"}:
        assert {"omium.executions.run", "omium.executions.get", "omium.executions.list"} <= set(tracers.ended)


@pytest.mark.parametrize("kind", INSTRUMENTS)
async def test_an_instrument_that_raises_harms_neither_call_nor_span(local, watch, caplog, kind):
    await use_it(local, Telemetry(watch.tracers, Meters(kind)))
    spans = watch.exporter.get_finished_spans()
    names = {span.name for span in spans}
    assert {"omium.executions.run", "omium.executions.create", "omium.executions.get"} <= names
    assert all(span.events for span in spans if span.kind is trace.SpanKind.CLIENT)
    assert "telemetry failed" in caplog.text


async def test_a_propagator_that_raises_harms_no_call(local, watch, caplog, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("no headers today")

    monkeypatch.setattr("omium_async.otel._PROPAGATOR.inject", refuse)
    await use_it(local, watch.telemetry)
    assert "telemetry failed" in caplog.text


def test_a_provider_that_gives_no_tracer_is_told_when_the_telemetry_is_made():
    class Refusing(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            raise RuntimeError("no tracer today")

    with pytest.raises(RuntimeError, match="no tracer today"):
        Telemetry(Refusing())
