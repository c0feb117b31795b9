"""What spans and metrics say, call by call: each by its method's name, and how it ended by a status or a class."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace

from omium_async import APIConnectionError, AsyncOmium, ExecutionRequest, InvalidResponseError, OmiumError
from omium_async.local import Fault
from omium_sync import LocalOmium as ThreadedOmium
from omium_sync import Omium

from ..ports import free_port


@pytest.mark.parametrize(
    ("fault", "kind", "raised"),
    [
        ({"when": "after", "action": "drop"}, "APIConnectionError", APIConnectionError),
        ({"when": "after", "action": "truncate"}, "APIConnectionError", APIConnectionError),
        ({"when": "after", "action": "garbage"}, "InvalidResponseError", InvalidResponseError),
        ({"status": 302}, "302", OmiumError),
        ({"status": 409}, "409", OmiumError),
    ],
)
async def test_error_type_is_the_status_or_the_class_of_the_error_everywhere(omium, local, watch, fault, kind, raised):
    local.inject(Fault(method="POST", path="/executions", **fault))
    with pytest.raises(raised):
        await omium.executions.create("echo")
    span = watch.spans["omium.executions.create"]
    metrics = watch.metrics
    points = [*metrics["http.client.request.duration"], *metrics["omium.client.call.duration"]]
    told = [span.attributes, span.events[0].attributes, *(point.attributes for point in points)]
    assert [attributes["error.type"] for attributes in told] == [kind] * 4


@pytest.mark.usefixtures("patient")
async def test_a_refused_connection_and_a_timeout_are_told_by_their_class(watch, local):
    refused = AsyncOmium("key", base_url=f"http://127.0.0.1:{free_port()}", max_retries=0, telemetry=watch.telemetry)
    async with refused:
        with pytest.raises(APIConnectionError):
            await refused.executions.count()
    local.inject(Fault(action="stall"))
    slow = AsyncOmium(local.api_key, base_url=local.url, max_retries=0, timeout=0.1, telemetry=watch.telemetry)
    async with slow:
        with pytest.raises(TimeoutError):
            await slow.executions.count()
    spans = watch.named("omium.executions.count")
    assert [span.events[0].attributes["error.type"] for span in spans] == ["APIConnectionError", "APITimeoutError"]
    assert [span.events[0].attributes["omium.sent"] for span in spans] == [False, True]
    assert all("http.response.status_code" not in span.attributes for span in spans)


async def test_metrics_say_which_request_it_was_and_where_it_went(omium, local, watch):
    await omium.executions.count()
    (point,) = watch.metrics["http.client.request.duration"]
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": int(local.url.rpartition(":")[2]),
        "url.template": "/executions",
        "http.response.status_code": 200,
    }
    assert point.attributes == watch.metrics["omium.client.call.duration"][0].attributes


async def test_every_method_has_a_span_of_its_name(omium, watch):
    executions = omium.executions
    done = await executions.run("echo", 1)
    created = await executions.create("echo", 2)
    await executions.wait(created.id)
    assert [seen.status async for seen in executions.watch(done.id)] == ["completed"]
    assert [row.id async for row in executions.wait_many([done.id])] == [done.id]
    assert [len(page) async for page in executions.pages()] == [2]
    assert len([row async for row in executions.list()]) == 2
    assert [outcome.state async for outcome in executions.create_many([ExecutionRequest("echo")])] == ["created"]
    assert [outcome async for outcome in executions.replay_many()] == []
    with pytest.raises(ValueError, match="checkpoint"):
        await executions.replay(done.id)
    with pytest.raises(OmiumError):
        await executions.rollback(done.id, "cp_nowhere")
    await omium.request("GET", f"/executions/{done.id}")
    around = {"run", "wait", "watch", "wait_many", "pages", "list", "create_many", "replay_many"}
    calls = {"create", "get", "page", "rollback"}
    kinds = {span.name: span.kind for span in watch.exporter.get_finished_spans()}
    expected = {f"omium.executions.{name}": trace.SpanKind.INTERNAL for name in around}
    expected |= {f"omium.executions.{name}": trace.SpanKind.CLIENT for name in calls}
    assert kinds == {**expected, "omium.request": trace.SpanKind.CLIENT}
    assert done.id not in " ".join(kinds)


async def test_a_run_says_what_it_wrote_and_a_wait_what_it_saw(omium, local, watch):
    done = await omium.executions.run("echo", 1)
    await omium.executions.wait(done.id)
    assert dict(watch.spans["omium.executions.run"].attributes) == {
        "omium.outcome": "applied",
        "omium.execution_id": done.id,
    }
    assert dict(watch.spans["omium.executions.wait"].attributes) == {"omium.execution_id": done.id}
    local.inject(Fault(method="POST", status=500))
    with pytest.raises(OmiumError):
        await omium.executions.run("echo", 1)
    failed = watch.named("omium.executions.run")[-1]
    assert dict(failed.attributes) == {"error.type": "500", "omium.outcome": "unknown"}
    assert failed.status.status_code is trace.StatusCode.ERROR


async def test_handles_and_copies_are_watched_too(omium, watch):
    echo = omium.with_options(max_retries=0).workflow("echo", int, int)
    assert await (await echo.start(3)).result() == 3
    assert await echo.execute(4) == 4
    assert [outcome.state async for outcome in echo.create_many([5])] == ["created"]
    assert len([row async for row in echo.list()]) == 3
    names = {span.name.rpartition(".")[2] for span in watch.exporter.get_finished_spans()}
    assert names == {"create", "get", "wait", "run", "create_many", "list", "page"}


async def test_windows_that_are_read_ahead_belong_to_the_list(omium, watch):
    for number in range(90):
        await omium.executions.create("echo", number)
    assert len([row async for row in omium.executions.list(page_size=20, prefetch=4)]) == 90
    windows = watch.named("omium.executions.page")
    assert len(windows) >= 4
    assert {span.parent.span_id for span in windows} == {watch.spans["omium.executions.list"].context.span_id}


async def test_an_error_in_the_body_of_a_loop_is_no_error_of_the_list(omium, watch):
    await omium.executions.create("echo")
    rows = omium.executions.list()
    with pytest.raises(ZeroDivisionError):
        async for _ in rows:
            raise ZeroDivisionError
    await rows.aclose()
    assert watch.spans["omium.executions.list"].status.status_code is trace.StatusCode.UNSET


async def test_a_cancelled_wait_ends_its_span(omium, local, watch):
    created = await omium.executions.create("nobody-runs-it")
    waiting = asyncio.create_task(omium.executions.wait(created.id))
    while not local.counts.get(f"GET /executions/{created.id}") and len(local.requests) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    span = watch.spans["omium.executions.wait"]
    assert span.attributes["error.type"] == "CancelledError"
    assert "omium.outcome" not in span.attributes


async def test_the_trace_goes_before_a_header_of_the_whole_client_and_behind_one_of_a_request(watch, empty_lists):
    theirs = f"00-{1:032x}-{1:016x}-01"
    async with empty_lists() as (url, heard):
        options = {"headers": {"traceparent": theirs}, "telemetry": watch.telemetry}
        async with AsyncOmium("key", base_url=url, **options) as omium:
            await omium.executions.count()
            await omium.request("GET", "/executions", headers={"Traceparent": theirs})
    sent = [headers.getall("traceparent") for headers in heard]
    context = watch.spans["omium.executions.count"].context
    assert [len(headers) for headers in sent] == [1, 1]
    assert sent[0][0].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert sent[1] == [theirs]


def test_the_facades_lists_and_batches_keep_the_users_span(watch):
    tracer = watch.tracers.get_tracer("test")
    with ThreadedOmium() as local:
        local.workflow("echo")(echo)
        with (
            Omium(local.api_key, base_url=local.url, telemetry=watch.telemetry, poll_interval=(0.005, 0.05)) as omium,
            tracer.start_as_current_span("mine") as mine,
        ):
            ids = []
            for outcome in omium.executions.create_many(ExecutionRequest("echo", number) for number in range(40)):
                assert trace.get_current_span() is mine
                ids.append(outcome.execution.id)
            for _ in omium.executions.wait_many(ids):
                assert trace.get_current_span() is mine
            for _ in omium.executions.list(page_size=20):
                assert trace.get_current_span() is mine
            for _ in omium.executions.pages(page_size=20):
                assert trace.get_current_span() is mine
            omium.executions.run("echo", 1)
    for name in ("create_many", "wait_many", "list", "pages", "run"):
        assert watch.spans[f"omium.executions.{name}"].parent.span_id == mine.get_span_context().span_id, name
    lists = {watch.spans[f"omium.executions.{name}"].context.span_id for name in ("list", "pages", "wait_many")}
    assert {span.parent.span_id for span in watch.named("omium.executions.page")} <= lists
    creates = watch.named("omium.executions.create")
    batch = watch.spans["omium.executions.create_many"].context.span_id
    assert [span.parent.span_id for span in creates].count(batch) == 40


async def echo(run):
    return run.input_data
