"""Spans and metrics as OpenTelemetry's own SDK records them, in memory and as they go out by OTLP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from omium_async import AsyncOmium, ConfigurationError, ExecutionRequest, OmiumError, ServerError
from omium_async.local import Fault
from omium_async.otel import Telemetry
from omium_sync import LocalOmium as ThreadedOmium
from omium_sync import Omium

SECRET = "input-that-nobody-may-see"


def port_of(local):
    return int(local.url.rpartition(":")[2])


async def test_one_span_a_call_with_its_attempts_as_events(omium, local, watch):
    local.inject(Fault(method="POST", path="/executions", status=429, headers={"Retry-After": "0"}))
    created = await omium.executions.create("echo", {"text": SECRET})
    (span,) = watch.exporter.get_finished_spans()
    assert (span.name, span.kind) == ("omium.executions.create", trace.SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": port_of(local),
        "url.template": "/executions",
        "http.response.status_code": 201,
        "http.request.resend_count": 1,
        "omium.outcome": "applied",
        "omium.execution_id": created.id,
    }
    assert [(event.name, event.attributes["http.response.status_code"]) for event in span.events] == [
        ("attempt", 429),
        ("attempt", 201),
    ]
    assert [event.attributes.get("error.type") for event in span.events] == ["429", None]
    assert span.status.status_code is trace.StatusCode.UNSET


async def test_no_id_in_a_name_and_the_id_in_the_span(omium, watch):
    created = await omium.executions.create("echo")
    await omium.executions.get(created.id)
    span = watch.spans["omium.executions.get"]
    assert span.attributes["url.template"] == "/executions/{execution_id}"
    assert span.attributes["omium.execution_id"] == created.id
    assert "omium.outcome" not in span.attributes


@pytest.mark.parametrize(
    ("fault", "kind", "outcome"),
    [
        (Fault(method="POST", path="/executions", status=422, body={"detail": SECRET}), "422", "not_applied"),
        (Fault(method="POST", path="/executions", status=500, body=SECRET), "500", "unknown"),
        (Fault(method="POST", path="/executions", when="after", action="drop"), "APIConnectionError", "unknown"),
    ],
)
async def test_failures_tell_the_verdict_and_never_the_words(omium, local, watch, fault, kind, outcome):
    local.inject(fault)
    with pytest.raises(OmiumError):
        await omium.executions.create("echo", {"text": SECRET}, metadata={"a": SECRET})
    span = watch.spans["omium.executions.create"]
    assert (span.attributes["error.type"], span.attributes["omium.outcome"]) == (kind, outcome)
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, None)
    assert SECRET not in watch.everything()
    assert local.api_key not in watch.everything()


async def test_a_cancelled_write_says_what_is_known(omium, local, watch):
    local.inject(Fault(method="POST", path="/executions", action="stall"))
    task = asyncio.create_task(omium.executions.create("echo"))
    while not local.requests:  # noqa: ASYNC110 - its arrival is told by nothing else
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = watch.spans["omium.executions.create"]
    assert (span.attributes["error.type"], span.attributes["omium.outcome"]) == ("CancelledError", "unknown")


async def test_several_calls_have_a_span_around_theirs(omium, watch):
    tracer = watch.tracers.get_tracer("test")
    with tracer.start_as_current_span("mine") as mine:
        done = await omium.executions.run("echo", 1)
        with tracer.start_as_current_span("reading") as reading:
            async for _ in omium.executions.list(limit=1):
                assert trace.get_current_span() is reading
                await omium.executions.get(done.id)
    run = watch.spans["omium.executions.run"]
    assert run.parent.span_id == mine.get_span_context().span_id
    assert watch.named("omium.executions.create")[0].parent.span_id == run.context.span_id
    listed = watch.spans["omium.executions.list"]
    assert listed.parent.span_id == reading.get_span_context().span_id
    assert watch.spans["omium.executions.page"].parent.span_id == listed.context.span_id
    # The call in the body of the loop is the user's, not the list's.
    assert watch.named("omium.executions.get")[-1].parent.span_id == reading.get_span_context().span_id


async def test_batches_and_waits_have_theirs(omium, watch):
    requests = [ExecutionRequest("echo", number) for number in range(5)]
    ids = [outcome.execution.id async for outcome in omium.executions.create_many(requests)]
    assert [done.status async for done in omium.executions.wait_many(ids)] == ["completed"] * 5
    batch = watch.spans["omium.executions.create_many"]
    creates = watch.named("omium.executions.create")
    assert len(creates) == 5
    assert {span.parent.span_id for span in creates} == {batch.context.span_id}
    assert "omium.executions.wait_many" in watch.spans


async def test_a_list_that_is_left_has_ended(omium, watch):
    for number in range(3):
        await omium.executions.create("echo", number)
    rows = omium.executions.list(page_size=1)
    async for _ in rows:
        break
    await rows.aclose()
    span = watch.spans["omium.executions.list"]
    assert span.status.status_code is trace.StatusCode.UNSET


async def test_the_trace_goes_on_at_the_service(watch):
    seen = []

    async def handle(request):
        seen.append(request.headers)
        status = 503 if len(seen) == 1 else 200
        return web.json_response({"items": [], "total": 0}, status=status)

    from aiohttp import web
    from aiohttp.test_utils import TestServer

    app = web.Application()
    app.router.add_get("/api/v1/executions", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with AsyncOmium("key", base_url=url, telemetry=watch.telemetry, backoff=(0, 0)) as omium:
            await omium.executions.page()
    span = watch.spans["omium.executions.page"]
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert [headers["traceparent"].rpartition("-")[0] for headers in seen] == [expected, expected]


async def test_metrics(omium, local, watch):
    local.inject(Fault(method="GET", status=503))
    await omium.executions.count()
    with pytest.raises(OmiumError):
        await omium.executions.get("exec_nowhere")
    metrics = watch.metrics
    assert {name: sum(point.count for point in metrics[name]) for name in metrics if name.endswith("duration")} == {
        "http.client.request.duration": 3,
        "omium.client.call.duration": 2,
    }
    assert sum(point.value for point in metrics["omium.client.retries"]) == 1
    templates = {point.attributes.get("url.template") for point in metrics["omium.client.call.duration"]}
    assert templates == {"/executions", "/executions/{execution_id}"}
    assert "exec_nowhere" not in str(metrics)


async def test_waiting_calls_are_counted_and_come_to_nothing(local, watch):
    options = {"telemetry": watch.telemetry, "max_connections": 1}
    async with AsyncOmium(local.api_key, base_url=local.url, **options) as omium:
        await asyncio.gather(*(omium.executions.count() for _ in range(5)))
    points = watch.metrics["omium.client.calls.waiting"]
    assert [point.value for point in points] == [0]


async def test_outages_are_counted(omium, local, watch):
    created = await omium.executions.create("echo")
    local.inject(Fault(method="GET", status=503, times=6))
    await omium.executions.wait(created.id)
    assert sum(point.value for point in watch.metrics["omium.client.outages"]) == 1


def test_parents_are_kept_through_the_facade(watch):
    with ThreadedOmium() as local:
        tracer = watch.tracers.get_tracer("test")
        with (
            Omium(local.api_key, base_url=local.url, telemetry=watch.telemetry) as omium,
            tracer.start_as_current_span("mine") as mine,
        ):
            omium.executions.create("w")
            assert len(list(omium.executions.list())) == 1
            assert trace.get_current_span() is mine
    parents = {name: span.parent and span.parent.span_id for name, span in watch.spans.items()}
    assert parents["omium.executions.create"] == parents["omium.executions.list"] == mine.get_span_context().span_id


def test_anything_but_telemetry_is_refused(watch):
    for wrong in (object(), watch.tracers, "yes"):
        with pytest.raises(ConfigurationError, match="telemetry") as refused:
            AsyncOmium("key", telemetry=wrong)
        assert refused.value.setting == "telemetry"
    with pytest.raises(TypeError, match="tracer_provider"):
        Telemetry(object())


def test_by_otlp_no_key_and_no_input_go_out():
    """The bytes that leave the process, not what a repr shows."""
    bodies = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    tracers = TracerProvider()
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{collector.server_port}/v1/traces")
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        with ThreadedOmium() as local, Omium(local.api_key, base_url=local.url, telemetry=Telemetry(tracers)) as omium:
            omium.executions.create("echo", {"text": SECRET})
            local.inject(Fault(status=500, body=SECRET, times=9))
            with pytest.raises(ServerError):
                omium.executions.create("echo", {"text": SECRET})
            key = local.api_key
        tracers.shutdown()
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
    sent = b"".join(bodies)
    assert b"omium.executions.create" in sent
    assert SECRET.encode() not in sent
    assert key.encode() not in sent


def test_without_telemetry_nothing_of_it_is_imported():
    program = (
        "import sys, omium_async, omium_sync\n"
        "omium_async.AsyncOmium('key')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry') or name == 'omium_async.otel'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install():
    program = "import sys; sys.modules['opentelemetry'] = None\nimport omium_async.otel"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'omium-async[otel]'" in done.stderr
