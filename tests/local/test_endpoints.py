"""The five endpoints against the service's own document, and the layers around them."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import pytest

from omium_async.local import LocalOmium

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_create_answers_as_documented(local, connect):
    async with connect(local) as wire:
        local.workflow("workflow_xyz")(_sleep)
        answer = await wire.call(
            "POST",
            "/executions",
            {
                "workflow_id": "workflow_xyz",
                "input_data": {"query": "Research quantum computing advancements"},
                "metadata": {"user_id": "user_123", "priority": "high"},
            },
        )
        assert answer.status == 201
        assert list(answer.json) == ["id", "workflow_id", "status", "created_at"]
        assert answer.json["workflow_id"] == "workflow_xyz"
        assert answer.json["status"] == "running"
        assert MOMENT.fullmatch(answer.json["created_at"])


async def test_list_rows_carry_what_the_document_and_the_contract_name(local, connect):
    async with connect(local) as wire:
        execution_id = await wire.create("w", {"query": "q"}, metadata={"a": [1]}, agent_id="agent-7")
        page = (await wire.get("/executions")).json
        assert {key: page[key] for key in ("total", "page", "page_size")} == {"total": 1, "page": 1, "page_size": 20}
        (row,) = page["items"]
        assert row["id"] == execution_id
        assert row["status"] == "pending"
        assert row["input_data"] == {"query": "q"}
        assert row["output_data"] is None
        assert row["metadata"] == {"a": [1]}
        assert row["agent_id"] == "agent-7"
        assert row["started_at"] is row["completed_at"] is None
        assert MOMENT.fullmatch(row["created_at"])
        assert MOMENT.fullmatch(row["updated_at"])
        assert row["tenant_id"] == "default"


async def test_details_of_a_completed_execution(local, connect):
    @local.workflow("research")
    async def research(run):
        await run.step("start", lambda: None)
        data = await run.step("data_processed", lambda text: text.upper(), run.input_data["query"])
        return {"report": data}

    async with connect(local) as wire:
        execution_id = await wire.create("research", {"query": "latest AI trends"}, metadata={"user_id": "user_123"})
        detail = await wire.until(execution_id, "completed")
        assert detail["output_data"] == {"report": "LATEST AI TRENDS"}
        assert detail["error"] is None
        assert [checkpoint["name"] for checkpoint in detail["checkpoints"]] == ["start", "data_processed"]
        assert set(detail["checkpoints"][0]) == {"id", "name", "created_at"}
        assert detail["metadata"] == {"user_id": "user_123", "checkpoints": detail["checkpoints"]}
        assert detail["created_at"] <= detail["started_at"] <= detail["completed_at"] == detail["updated_at"]


async def test_replay_and_rollback_answer_as_documented(local, connect):
    @local.workflow("w")
    async def fails(run):
        await run.step("one", lambda: 1)
        raise ValueError("no luck")

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        detail = await wire.until(execution_id, "failed")
        checkpoint = detail["checkpoints"][0]["id"]
        answer = await wire.move(execution_id, "replay", checkpoint)
        assert (answer.status, answer.json) == (
            200,
            {"id": execution_id, "status": "running", "message": f"Execution replayed from {checkpoint}"},
        )
        await wire.until(execution_id, "failed")
        answer = await wire.move(execution_id, "rollback", checkpoint)
        assert (answer.status, answer.json) == (
            200,
            {"id": execution_id, "status": "paused", "message": f"Execution rolled back to {checkpoint}"},
        )


async def test_a_users_own_checkpoints_in_metadata_stay_in_lists_and_runs(local, connect):
    seen = []

    @local.workflow("w")
    async def look(run):
        seen.append(run.metadata)

    async with connect(local) as wire:
        execution_id = await wire.create("w", metadata={"checkpoints": "mine", "b": 1})
        detail = await wire.until(execution_id, "completed")
        assert detail["metadata"] == {"checkpoints": [], "b": 1}
        assert (await wire.get("/executions")).json["items"][0]["metadata"] == {"checkpoints": "mine", "b": 1}
        assert seen == [{"checkpoints": "mine", "b": 1}]


@pytest.mark.parametrize(
    "value",
    [10**4299, -(10**4299), 2**63, 2**64, -(2**63) - 1, 1e22, 0.1, -0.0, "\x00é\U0001f600\u2028", [[], {}, None, True]],
    ids=lambda value: (
        repr(value)[:12] if not isinstance(value, int) or abs(value) < 1 else f"{value.bit_length()}-bits"
    ),
)
async def test_values_come_back_exact(local, connect, value):
    @local.workflow("echo")
    async def echo(run):
        return await run.step("same", lambda: run.input_data)

    async with connect(local) as wire:
        execution_id = await wire.create("echo", {"v": value}, metadata={"v": value})
        detail = await wire.until(execution_id, "completed", "failed")
        assert detail["input_data"] == detail["output_data"] == {"v": value}
        assert detail["metadata"]["v"] == value
        assert repr(detail["output_data"]["v"])[:40] == repr(value)[:40] if not isinstance(value, int) else True
        row = (await wire.get("/executions")).json["items"][0]
        assert row["input_data"] == row["output_data"] == row["metadata"] == {"v": value}


@pytest.mark.parametrize("given", [None, [], "text", 5, False])
async def test_input_data_may_be_any_json(local, connect, given):
    async with connect(local) as wire:
        execution_id = await wire.create("w", given)
        assert (await wire.detail(execution_id))["input_data"] == ({} if given is None else given)


async def test_both_ways_of_authentication(local, connect):
    async with connect(local) as wire:
        key = local.api_key
        wire.headers = {}
        assert (await wire.get("/executions", Authorization=f"Bearer {key}")).status == 200
        assert (await wire.get("/executions", Authorization=f"bearer {key}")).status == 200
        assert (await wire.get("/executions", X_API_Key=key)).status == 200
        assert (await wire.get("/executions", X_API_Key="", Authorization=f"Bearer {key}")).status == 200
        wrong_key = {"X_API_Key": key + "x", "Authorization": f"Bearer {key}"}
        assert (await wire.get("/executions", **wrong_key)).status == 401
        for wrong in ({}, {"X_API_Key": key + "x"}, {"Authorization": key}, {"Authorization": f"Basic {key}"}):
            answer = await wire.get("/executions", **wrong)
            assert answer.status == 401
            assert set(answer.json) == {"detail", "trace_id"}
            assert re.fullmatch("[0-9a-f]{32}", answer.json["trace_id"])
        assert (await wire.call("POST", "/executions", {"workflow_id": "w"})).status == 401
        assert (await wire.get("/executions", X_API_Key=key)).json["total"] == 0


async def test_each_key_sees_its_own_tenant(connect, tmp_path):
    local = LocalOmium(tmp_path / "o.db", api_keys={"key-a": "one", "key-b": "two", "key-c": "one"})
    async with connect(local) as wire:
        a, b, c = map(wire.as_tenant, ("key-a", "key-b", "key-c"))
        execution_id = await a.create("w")
        assert local.api_key == "key-a"
        assert (await c.detail(execution_id))["tenant_id"] == "one"
        assert (await b.get("/executions")).json["total"] == 0
        assert (await b.get("/executions?workflow_id=w")).json["items"] == []
        for answer in (
            await b.get(f"/executions/{execution_id}"),
            await b.move(execution_id, "replay", "x"),
            await b.move(execution_id, "rollback", "x"),
        ):
            assert answer.status == 404
            assert answer.json["detail"] == "Execution not found"


@pytest.mark.parametrize(
    "path", ["/", "", "/executions/", "/executions/a/b", "/executions/a/replay/", "/workflows", "//executions"]
)
async def test_unrouted_paths_are_answered_by_the_gateway(local, connect, path):
    async with connect(local) as wire:
        for method in ("GET", "POST"):
            answer = await wire.call(method, path)
            assert (answer.status, answer.json) == (404, {"message": "no Route matched with those values"})


async def test_wrong_methods(local, connect):
    async with connect(local) as wire:
        for method, path, allowed in (
            ("DELETE", "/executions", "GET, POST"),
            ("POST", "/executions/x", "GET"),
            ("GET", "/executions/x/replay", "POST"),
            ("PUT", "/executions/x/rollback", "POST"),
            ("POST", "/openapi.json", "GET"),
        ):
            answer = await wire.call(method, path)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "name", ["live", "compare", "%6cive", "exec_none", "%2e%2e", "a%2Fb", "%ff", "%00", "%F0%9F%98%80"]
)
async def test_what_is_no_id_is_not_found(local, connect, name):
    async with connect(local) as wire:
        assert (await wire.get(f"/executions/{name}")).status == 404
        for verb in ("replay", "rollback"):
            answer = await wire.move(name, verb, "chk")
            assert answer.status == 404
            assert "detail" in answer.json


async def test_request_ids_are_echoed(local, connect):
    async with connect(local) as wire:
        assert (await wire.get("/executions", X_Request_ID="my-id:7")).headers["x-request-id"] == "my-id:7"
        assert (await wire.get("/executions/x", X_Request_ID="a b\tc<é>")).headers["x-request-id"] == "abc"
        assert len((await wire.get("/nowhere", X_Request_ID="x" * 999)).headers["x-request-id"]) == 128
        made = [(await wire.get("/executions")).headers["x-request-id"] for _ in range(2)]
        assert made[0] != made[1]


async def test_expect_continue_is_answered(local, connect):
    async with connect(local) as wire:
        body = json.dumps({"workflow_id": "w", "metadata": {"x": "y" * 100_000}}).encode()
        async with asyncio.timeout(0.9):
            async with wire.session.post(
                f"{local.url}/api/v1/executions", data=body, headers=wire.headers, expect100=True
            ) as response:
                assert response.status == 201


async def test_compressed_and_chunked_bodies_are_read(local, connect):
    async def chunks():
        yield b'{"workflow_id"'
        yield b': "w"}'

    async with connect(local) as wire:
        url = f"{local.url}/api/v1/executions"
        for more in ({"data": chunks()}, {"data": b'{"workflow_id": "w"}', "compress": "gzip"}):
            async with wire.session.post(url, headers=wire.headers, **more) as response:
                assert response.status == 201


async def test_openapi_is_served_without_a_key(local, connect):
    async with connect(local) as wire:
        wire.headers = {}
        answer = await wire.get("/openapi.json")
        assert answer.json["openapi"] == "3.1.0"
        async with wire.session.get(f"{local.url}/openapi.json") as response:
            assert await response.text() == answer.text


@pytest.mark.parametrize("target", [b"/api/v1/executions/\xff\xfe", b"/api/v1/executions?workflow_id=\xff", b"/\xff",
                                    b"/api/v1/executions?status=\xe9", b"/api/v1/executions/%ed%a0%80"])  # fmt: skip
async def test_targets_that_are_not_utf8(local, connect, target):
    async with connect(local):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(local.url.rpartition(":")[2]))
        writer.write(
            b"GET %s HTTP/1.1\r\nX-API-Key: %s\r\nConnection: close\r\nHost: x\r\n\r\n"
            % (target, local.api_key.encode())
        )
        answer = await reader.read()
        assert int(answer.split()[1]) in {200, 400, 404, 422}
        writer.close()
        await writer.wait_closed()


async def test_bytes_that_are_no_http_do_no_harm(local, connect):
    async with connect(local) as wire:
        port = int(local.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
        writer.write(b"\x16\x03\x01\x00 hello\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
        assert (await wire.get("/executions")).status == 200


async def _sleep(run):
    await asyncio.sleep(3600)
