"""Spans: one for each call, with its attempts as events; `traceparent` is sent."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace

from omium_async import APIConnectionError, AsyncOmium, ExecutionRequest, OmiumError
from omium_async.local import Fault
from omium_sync import LocalOmium as ThreadedOmium
from omium_sync import Omium

from ..ports import free_port

SECRET = "input-that-nobody-may-see"


async def test_a_call_has_one_span_with_its_attempts_as_events(omium, local, recorded):
    local.inject(Fault(method="POST", path="/executions", status=429, headers={"Retry-After": "0"}))
    created = await omium.executions.create("echo", {"text": SECRET})
    (span,) = recorded.exporter.get_finished_spans()
    assert (span.name, span.kind) == ("omium.executions.create", trace.SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": int(local.url.rpartition(":")[2]),
        "url.template": "/executions",
        "http.response.status_code": 201,
        "http.request.resend_count": 1,
        "omium.outcome": "applied",
        "omium.execution_id": created.id,
    }
    assert [event.attributes["http.response.status_code"] for event in span.events] == [429, 201]
    assert [event.attributes.get("error.type") for event in span.events] == ["429", None]
    assert span.status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize(
    ("fault", "kind", "outcome"),
    [
        ({"status": 422, "body": {"detail": SECRET}}, "422", "not_applied"),
        ({"status": 500, "body": SECRET}, "500", "unknown"),
        ({"when": "after", "action": "drop"}, "APIConnectionError", "unknown"),
        ({"when": "after", "action": "garbage"}, "InvalidResponseError", "unknown"),
    ],
)
async def test_a_failure_has_its_status_or_class_and_never_its_message(omium, local, recorded, fault, kind, outcome):
    local.inject(Fault(method="POST", path="/executions", **fault))
    with pytest.raises(OmiumError):
        await omium.executions.create("echo", {"text": SECRET}, metadata={"a": SECRET})
    span, metrics = recorded.spans["omium.executions.create"], recorded.metrics
    points = [*metrics["http.client.request.duration"], *metrics["omium.client.call.duration"]]
    described = [span.attributes, span.events[0].attributes, *(point.attributes for point in points)]
    assert [attributes["error.type"] for attributes in described] == [kind] * 4
    assert span.attributes["omium.outcome"] == outcome
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, None)
    assert SECRET not in recorded.everything()
    assert local.api_key not in recorded.everything()


async def test_an_attempt_without_a_response_has_the_class_of_its_error(recorded, local):
    url = f"http://127.0.0.1:{free_port()}"
    async with AsyncOmium("key", base_url=url, max_retries=0, telemetry=recorded.telemetry) as omium:
        with pytest.raises(APIConnectionError):
            await omium.executions.count()
    (span,) = recorded.named("omium.executions.count")
    assert span.events[0].attributes["error.type"] == "APIConnectionError"
    assert span.events[0].attributes["omium.sent"] is False
    assert "http.response.status_code" not in span.attributes


async def test_a_cancelled_write_says_what_is_known(omium, local, recorded):
    local.inject(Fault(method="POST", path="/executions", action="stall"))
    task = asyncio.create_task(omium.executions.create("echo"))
    while not local.requests:  # noqa: ASYNC110 - nothing announces its arrival
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = recorded.spans["omium.executions.create"]
    assert (span.attributes["error.type"], span.attributes["omium.outcome"]) == ("CancelledError", "unknown")


async def test_every_method_has_a_span_of_its_name_and_no_name_has_an_id(omium, recorded):
    executions = omium.executions
    done = await executions.run("echo", 1)
    await executions.wait(done.id)
    assert [seen.status async for seen in executions.watch(done.id)] == ["completed"]
    assert [row.id async for row in executions.wait_many([done.id])] == [done.id]
    assert [len(page) async for page in executions.pages()] == [1]
    assert len([row async for row in executions.list()]) == 1
    assert [outcome.state async for outcome in executions.create_many([ExecutionRequest("echo")])] == ["created"]
    assert [outcome async for outcome in executions.replay_many()] == []
    assert (await executions.cancel(done.id)).cancelled is False
    with pytest.raises(OmiumError):
        await executions.rollback(done.id, "cp_nowhere")
    await omium.request("GET", f"/executions/{done.id}")
    around = {"run", "wait", "watch", "wait_many", "pages", "list", "create_many", "replay_many"}
    kinds = {span.name: span.kind for span in recorded.exporter.get_finished_spans()}
    for name in around:
        assert kinds[f"omium.executions.{name}"] is trace.SpanKind.INTERNAL
    for name in ("executions.create", "executions.get", "executions.page", "executions.rollback", "request"):
        assert kinds[f"omium.{name}"] is trace.SpanKind.CLIENT
    assert done.id not in " ".join(kinds)
    assert recorded.spans["omium.executions.get"].attributes["url.template"] == "/executions/{execution_id}"


async def test_a_run_says_what_it_wrote_and_a_wait_which_execution_it_saw(omium, local, recorded):
    done = await omium.executions.run("echo", 1)
    await omium.executions.wait(done.id)
    run = {"omium.outcome": "applied", "omium.execution_id": done.id}
    assert dict(recorded.spans["omium.executions.run"].attributes) == run
    assert dict(recorded.spans["omium.executions.wait"].attributes) == {"omium.execution_id": done.id}
    local.inject(Fault(method="POST", status=500))
    with pytest.raises(OmiumError):
        await omium.executions.run("echo", 1)
    failed = recorded.named("omium.executions.run")[-1]
    assert dict(failed.attributes) == {"error.type": "500", "omium.outcome": "unknown"}
    assert failed.status.status_code is trace.StatusCode.ERROR


async def test_a_span_names_the_execution_and_nothing_else_as_one(omium, local, recorded):
    run = await omium.workflow("echo").start(1)
    await run.wait()
    (checkpoint,) = [row async for row in omium.checkpoints.list(run.id)]
    await omium.checkpoints.get(checkpoint.id)
    await omium.workflows.get("echo")
    named = {name: span.attributes.get("omium.execution_id") for name, span in recorded.spans.items()}
    assert named["omium.executions.create"] == run.id
    assert named["omium.checkpoints.get"] == run.id
    assert named["omium.workflows.get"] is None


async def test_a_cancel_that_sends_nothing_applies_nothing(omium, recorded):
    done = await omium.executions.run("echo", 1)
    assert not (await omium.executions.cancel(done.id)).cancelled
    assert recorded.spans["omium.executions.cancel"].attributes["omium.outcome"] == "not_applied"


async def test_in_the_body_of_a_loop_the_users_span_is_current(omium, recorded):
    tracer = recorded.tracers.get_tracer("test")
    with tracer.start_as_current_span("mine") as mine:
        done = await omium.executions.run("echo", 1)
        rows = omium.executions.list()
        with pytest.raises(ZeroDivisionError):
            async for _ in rows:
                assert trace.get_current_span() is mine
                await omium.executions.get(done.id)
                raise ZeroDivisionError
        await rows.aclose()
    parents = {span.name: span.parent.span_id for span in recorded.exporter.get_finished_spans() if span.parent}
    for name in ("run", "list", "get"):
        assert parents[f"omium.executions.{name}"] == mine.get_span_context().span_id
    assert parents["omium.executions.page"] == recorded.spans["omium.executions.list"].context.span_id
    assert parents["omium.executions.create"] == recorded.spans["omium.executions.run"].context.span_id
    assert recorded.spans["omium.executions.list"].status.status_code is trace.StatusCode.UNSET


def test_the_facade_keeps_the_users_span(recorded):
    tracer = recorded.tracers.get_tracer("test")
    with ThreadedOmium() as local, tracer.start_as_current_span("mine") as mine:
        options = {"telemetry": recorded.telemetry, "poll_interval": (0.005, 0.05)}
        with Omium(local.api_key, base_url=local.url, **options) as omium:
            for _ in omium.executions.create_many(ExecutionRequest("echo", number) for number in range(40)):
                assert trace.get_current_span() is mine
            for _ in omium.executions.list(page_size=20):
                assert trace.get_current_span() is mine
            omium.executions.count()
    for name in ("create_many", "list", "count"):
        assert recorded.spans[f"omium.executions.{name}"].parent.span_id == mine.get_span_context().span_id, name
    batch = recorded.spans["omium.executions.create_many"].context.span_id
    assert [span.parent.span_id for span in recorded.named("omium.executions.create")] == [batch] * 40


async def test_the_trace_is_sent_in_place_of_the_clients_header_but_not_of_a_requests(recorded, empty_lists):
    theirs = f"00-{1:032x}-{1:016x}-01"
    async with empty_lists() as (url, received):
        options = {"headers": {"traceparent": theirs}, "telemetry": recorded.telemetry}
        async with AsyncOmium("key", base_url=url, **options) as omium:
            await omium.executions.count()
            await omium.request("GET", "/executions", headers={"Traceparent": theirs})
    sent = [headers.getall("traceparent") for headers in received]
    context = recorded.spans["omium.executions.count"].context
    assert sent[0][0].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert (len(sent[0]), sent[1]) == (1, [theirs])
