"""Bad input: a clear message each, in the service's form, and nothing written."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

MIB = 2**20


def problem(answer):
    assert answer.status == 422, answer
    (found,) = answer.json["detail"]
    assert set(found) >= {"type", "loc", "msg", "input"}
    return found


@pytest.mark.parametrize("name", ["page", "page_size"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
        ("x", "int_parsing"),
        ("", "int_parsing"),
        ("1.5", "int_parsing"),
        ("%D9%A3", "int_parsing"),  # a digit, but not an ASCII one
        ("9" * 5000, "int_parsing"),
        ("1%00", "int_parsing"),
    ],
)
async def test_page_numbers(local, connect, name, text, kind):
    async with connect(local) as wire:
        found = problem(await wire.get(f"/executions?{name}={text}"))
        assert (found["type"], found["loc"]) == (kind, ["query", name])


async def test_large_page_numbers_and_sizes(local, connect):
    async with connect(local) as wire:
        await wire.create()
        page = (await wire.get("/executions?page=" + "9" * 300)).json
        assert (page["items"], page["total"]) == ([], 1)
        page = (await wire.get("/executions?page_size=1000000000000000000000")).json
        assert (len(page["items"]), page["page_size"]) == (1, 1000)


async def test_statuses(local, connect):
    async with connect(local) as wire:
        for status in ("pending", "running", "completed", "failed", "cancelled", "paused", "rolled_back", "error"):
            assert (await wire.get(f"/executions?status={status}")).status == 200
        for status in ("", "Running", "done"):
            found = problem(await wire.get(f"/executions?status={status}"))
            assert (found["type"], found["loc"], found["input"]) == ("enum", ["query", "status"], status)


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        ({}, "missing", ["body", "workflow_id"]),
        ({"workflow_id": 5}, "string_type", ["body", "workflow_id"]),
        ({"workflow_id": None}, "string_type", ["body", "workflow_id"]),
        ({"workflow_id": ""}, "string_too_short", ["body", "workflow_id"]),
        ({"workflow_id": "w", "metadata": []}, "dict_type", ["body", "metadata"]),
        ({"workflow_id": "w", "metadata": "x"}, "dict_type", ["body", "metadata"]),
        ({"workflow_id": "w", "agent_id": 7}, "string_type", ["body", "agent_id"]),
        ([], "dict_type", ["body"]),
        ("text", "dict_type", ["body"]),
        (None, "missing", ["body"]),
    ],
)
async def test_bodies_of_create(local, connect, body, kind, loc):
    async with connect(local) as wire:
        found = problem(await wire.call("POST", "/executions", body))
        assert (found["type"], found["loc"]) == (kind, loc)
        assert (await wire.get("/executions")).json["total"] == 0


async def test_all_that_is_wrong_is_said_at_once(local, connect):
    async with connect(local) as wire:
        answer = await wire.call("POST", "/executions", {"metadata": 1, "agent_id": 1})
        assert [found["loc"][1] for found in answer.json["detail"]] == ["workflow_id", "metadata", "agent_id"]
        answer = await wire.get("/executions?page=0&page_size=x&status=odd")
        assert [found["loc"][1] for found in answer.json["detail"]] == ["page", "page_size", "status"]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"\x00",
        b"nul",
        b'{"workflow_id": "w", "input_data": NaN}',
        b'{"workflow_id": "w", "input_data": 1e999}',
        b'{"workflow_id": "w", "input_data": -Infinity}',
        b'{"workflow_id": "w"} x',
        b'{"workflow_id": "\\ud800"}',
        b'{"workflow_id": "\xff"}',
        b'{"workflow_id": "\xed\xa0\x80"}',
        b'{"workflow_id": "w", "input_data": ' + b"9" * 5000 + b"}",
        b'{"workflow_id": "w", "input_data": -' + b"9" * 4300 + b', "x": "\\ud800"}',
        b"[" * MIB,
        b'{"workflow_id": "w", "input_data": ' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"workflow_id": "w", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    ],
    ids=lambda data: repr(data[:40]),
)
async def test_bodies_that_are_no_json_or_too_deep(local, connect, data):
    async with connect(local) as wire:
        for path in ("/executions", "/executions/x/replay", "/executions/x/rollback"):
            found = problem(await wire.call("POST", path, data=data))
            assert (found["type"], found["loc"]) == ("json_invalid", ["body"])
            assert found["ctx"]["error"]
        assert (await wire.get("/executions")).json["total"] == 0


async def test_a_body_that_is_too_deep_is_told_so(local, connect):
    async with connect(local) as wire:
        for depth in (400, 100_000):
            deep = b'{"workflow_id": "w", "input_data": ' + b"[" * depth + b"]" * depth + b"}"
            (problem,) = (await wire.call("POST", "/executions", data=deep)).json["detail"]
            assert (problem["type"], problem["msg"]) == ("json_invalid", "nested deeper than 400 levels")


async def test_depth_up_to_the_limit_is_accepted(local, connect):
    @local.workflow("echo")
    async def echo(run):
        return run.input_data

    async with connect(local) as wire:
        deep = b"[" * 399 + b"]" * 399
        answer = await wire.call("POST", "/executions", data=b'{"workflow_id": "echo", "input_data": ' + deep + b"}")
        assert answer.status == 201
        detail = await wire.until(answer.json["id"], "completed", "failed")
        assert json.dumps(detail["output_data"]).encode() == deep


async def test_many_brackets_are_not_deep(local, connect):
    async with connect(local) as wire:
        execution_id = await wire.create("w", [[]] * 5000)
        assert (await wire.detail(execution_id))["input_data"] == [[]] * 5000


async def test_bodies_over_16_mib(local, connect):
    async def chunks(size):
        yield b'{"workflow_id": "w", "input_data": "'
        for _ in range(size):
            yield b"x" * MIB
        yield b'"}'

    async with connect(local) as wire:
        url = f"{local.url}/api/v1/executions"
        for more in (
            {"data": io.BytesIO(b"x" * (16 * MIB + 1))},
            {"data": chunks(16)},
            {"data": io.BytesIO(b" " * 17 * MIB), "compress": "gzip"},
        ):
            async with wire.session.post(url, headers=wire.headers, **more) as response:
                assert response.status == 413
                assert "16777216" in (await response.json())["detail"]
        async with wire.session.post(url, headers=wire.headers, data=chunks(15)) as response:
            assert response.status == 201
        assert (await wire.get("/executions")).json["total"] == 1


async def test_a_body_with_a_broken_encoding(local, connect):
    async with connect(local) as wire:
        answer = await wire.call("POST", "/executions", data=b"not gzip at all", Content_Encoding="gzip")
        assert answer.status == 400


async def test_a_client_that_goes_away_in_its_body(local, connect):
    async with connect(local) as wire:
        port = int(local.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /api/v1/executions HTTP/1.1\r\nX-API-Key: {local.api_key}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b'{"workflow_id": "w"}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await wire.get("/executions")).json["total"] == 0


@pytest.mark.parametrize("verb", ["replay", "rollback"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [({}, "missing"), ({"checkpoint_id": 1}, "string_type"), ({"checkpoint_id": ""}, "string_too_short")],
)
async def test_bodies_of_replay_and_rollback(local, connect, verb, body, kind):
    async with connect(local) as wire:
        execution_id = await wire.create()
        found = problem(await wire.call("POST", f"/executions/{execution_id}/{verb}", body))
        assert (found["type"], found["loc"]) == (kind, ["body", "checkpoint_id"])


async def test_unknown_workflow_execution_and_checkpoint(local, connect):
    async with connect(local) as wire:
        execution_id = await wire.create("nobody-knows-it")
        assert (await wire.detail(execution_id))["status"] == "pending"
        assert (await wire.get("/executions/exec_unknown")).json["detail"] == "Execution not found"
        answer = await wire.move(execution_id, "rollback", "chk_unknown")
        assert (answer.status, answer.json["detail"]) == (404, "Checkpoint not found")
        answer = await wire.move(execution_id, "replay", "chk_unknown")
        assert answer.status == 409
        assert "pending" in answer.json["detail"]
