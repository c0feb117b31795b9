"""The endpoints answer as the service documents them, with both ways of authentication and one tenant per key."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from omium_async.local import LocalOmium
from omium_async.local.routes import ROUTES

from .conftest import create_request, exchange, names, serving

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def one_step_then_fail(run):
    await run.step("one", lambda: 1)
    raise ValueError("no luck")


async def echo(run):
    return await run.step("same", lambda: run.input_data)


async def test_create_answers_201_with_the_documented_fields(local, http):
    @local.workflow("research")
    async def research(run):
        await asyncio.Event().wait()

    answer = await http.post({"workflow_id": "research", "input_data": {"query": "q"}, "metadata": {"user": "u"}})
    assert answer.status == 201
    assert list(answer.json) == ["id", "workflow_id", "status", "created_at"]
    assert (answer.json["workflow_id"], answer.json["status"]) == ("research", "running")
    assert MOMENT.fullmatch(answer.json["created_at"])
    assert len(answer.json["id"]) <= 36


async def test_rows_of_a_list_carry_input_metadata_and_agent_id(http):
    execution_id = await http.create("w", {"query": "q"}, metadata={"a": [1]}, agent_id="agent-7")
    page = await http.page()
    assert (page["total"], page["page"], page["page_size"]) == (1, 1, 20)
    (row,) = page["items"]
    expected = {
        "id": execution_id, "workflow_id": "w", "status": "pending", "input_data": {"query": "q"}, "output_data": None,
        "metadata": {"a": [1]}, "agent_id": "agent-7", "started_at": None, "completed_at": None, "tenant_id": "default",
    }  # fmt: skip
    assert row.items() >= expected.items()
    assert MOMENT.fullmatch(row["created_at"])
    assert MOMENT.fullmatch(row["updated_at"])


async def test_details_show_the_output_and_repeat_the_checkpoints_in_metadata(local, http):
    @local.workflow("research")
    async def research(run):
        await run.step("start", lambda: None)
        return {"report": await run.step("processed", run.input_data["query"].upper)}

    detail = await http.ended("research", {"query": "trends"}, metadata={"user": "u", "checkpoints": "mine"})
    assert (detail["output_data"], detail["error"]) == ({"report": "TRENDS"}, None)
    assert names(detail) == ["start", "processed"]
    assert set(detail["checkpoints"][0]) == {"id", "name", "created_at"}
    assert detail["metadata"] == {"user": "u", "checkpoints": detail["checkpoints"]}
    assert detail["created_at"] <= detail["started_at"] <= detail["completed_at"] == detail["updated_at"]
    (row,) = (await http.page())["items"]
    assert row["metadata"] == {"user": "u", "checkpoints": "mine"}, "a list shows the metadata as it was sent"


async def test_json_values_come_back_exactly(local, http):
    local.workflow("echo")(echo)
    for value in (10**4299, -(10**4299), -(2**63) - 1, 1e22, 0.1, -0.0, "\x00é\U0001f600\u2028", [[], {}, None, True]):
        detail = await http.ended("echo", {"v": value}, metadata={"v": value})
        assert detail["metadata"]["v"] == value
        row = (await http.page())["items"][0]
        for found in (detail["input_data"], detail["output_data"], row["input_data"], row["metadata"]):
            assert found == {"v": value}
            assert type(found["v"]) is type(value)


async def test_input_data_may_be_any_json(http):
    for given in (None, [], "text", 5, False):
        assert (await http.detail(await http.create("w", given)))["input_data"] == ({} if given is None else given)


async def test_a_key_is_accepted_in_either_header(http):
    key, http.headers = http.local.api_key, {}
    for right in ({"X_API_Key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"},
                  {"X_API_Key": "", "Authorization": f"Bearer {key}"}):  # fmt: skip
        assert (await http.get(**right)).status == 200
    for wrong in ({}, {"X_API_Key": key + "x"}, {"Authorization": key}, {"Authorization": f"Basic {key}"},
                  {"X_API_Key": key + "x", "Authorization": f"Bearer {key}"}):  # fmt: skip
        answer = await http.call("POST", "/executions", {"workflow_id": "w"}, **wrong)
        assert answer.status == 401
        assert set(answer.json) == {"detail", "trace_id"}
    assert (await http.get(X_API_Key=key)).json["total"] == 0, "a refused create wrote something"


async def test_each_key_sees_the_executions_of_its_tenant_alone():
    async with serving(LocalOmium(api_keys={"key-a": "one", "key-b": "two", "key-c": "one"})) as a:
        execution_id = await a.create("w")
        b, c = a.with_key("key-b"), a.with_key("key-c")
        assert (await c.detail(execution_id))["tenant_id"] == "one"
        assert [await b.total(), await b.total("workflow_id=w")] == [0, 0]
        for answer in (
            await b.get(f"/executions/{execution_id}"),
            await b.replay(execution_id, "x"),
            await b.rollback(execution_id, "x"),
            await b.cancel(execution_id),
            await b.delete(execution_id),
            await b.get(f"/checkpoints?execution_id={execution_id}"),
        ):
            assert (answer.status, answer.json["detail"]) == (404, "Execution not found")


@pytest.mark.parametrize(
    "path", ["/", "", "/executions/", "/executions/a/b", "/executions/a/replay/", "/nowhere", "//executions"]
)
async def test_a_path_without_a_route_is_answered_by_the_gateway(http, path):
    for method in ("GET", "POST"):
        answer = await http.call(method, path)
        assert (answer.status, answer.json) == (404, {"message": "no Route matched with those values"})


async def test_a_wrong_method_is_answered_405_with_the_allowed_ones(http):
    for method, path, allowed in (
        ("DELETE", "/executions", "GET, POST"), ("GET", "/executions/x/replay", "POST"),
        ("PUT", "/executions/x/rollback", "POST"), ("POST", "/workflows/x", "GET"),
    ):  # fmt: skip
        answer = await http.call(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "name", ["live", "compare", "%6cive", "exec_none", "%2e%2e", "a%2Fb", "%ff", "%00", "%F0%9F%98%80"]
)
async def test_an_unknown_id_is_answered_404(http, name):
    for answer in (await http.get(f"/executions/{name}"), await http.replay(name, "c"), await http.rollback(name, "c")):
        assert answer.status == 404
        assert "detail" in answer.json


async def test_request_ids_are_echoed_or_made(http):
    for given, echoed in (("my-id:7", "my-id:7"), ("a b\tc<é>", "abc"), ("x" * 999, "x" * 128)):
        assert (await http.get(X_Request_ID=given)).headers["x-request-id"] == echoed
    assert (await http.get()).headers["x-request-id"] != (await http.get()).headers["x-request-id"]


async def test_a_body_may_be_chunked_or_expect_a_continue(http):
    async def chunks():
        yield b'{"workflow_id"'
        yield b': "w"}'

    large = json.dumps({"workflow_id": "w", "metadata": {"x": "y" * 100_000}}).encode()
    for more in ({"data": chunks()}, {"data": large, "expect100": True}):
        async with http.session.post(f"{http.url}/executions", headers=http.headers, **more) as response:
            assert response.status == 201


@pytest.mark.parametrize("target", [b"/api/v1/executions/\xff\xfe", b"/api/v1/executions?workflow_id=\xff", b"/\xff",
                                    b"/api/v1/executions?status=\xe9", b"/api/v1/executions/%ed%a0%80"])  # fmt: skip
async def test_a_target_that_is_not_utf8_is_answered(local, http, target):
    request = create_request(local, Connection="close").replace(b"POST /api/v1/executions", b"GET " + target)
    assert int((await exchange(local, request)).split()[1]) in {200, 400, 404, 422}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.kind)
async def test_every_route_needs_a_key(http, route):
    http.headers = {}
    assert (await http.call(route.method, re.sub(r"\{\w+\}", "x", route.path))).status == 401
