"""Bad input is answered with a clear message in the service's form, and nothing is written."""

from __future__ import annotations

import json

import pytest

from omium_async import AsyncOmium, UnprocessableEntityError
from omium_async.local import LocalOmium

from .conftest import serving

MIB = 2**20
LIMIT = 16 * MIB


def problem(answer):
    """The kind and the place of the only problem of a 422."""
    assert answer.status == 422, answer
    (found,) = answer.json["detail"]
    assert set(found) >= {"type", "loc", "msg", "input"}
    return found["type"], found["loc"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", "greater_than_equal"), ("-1", "greater_than_equal"), ("x", "int_parsing"), ("", "int_parsing"),
        ("1.5", "int_parsing"), ("%D9%A3", "int_parsing"), ("9" * 5000, "int_parsing"), ("1%00", "int_parsing"),
    ],
    ids=["zero", "negative", "text", "empty", "fraction", "Arabic digit", "5,000 digits", "null byte"],
)  # fmt: skip
async def test_a_page_must_be_a_whole_number_from_1(http, text, kind):
    for name in ("page", "page_size"):
        assert problem(await http.get(f"/executions?{name}={text}")) == (kind, ["query", name])


async def test_a_large_page_is_empty_and_a_large_page_size_is_1000(http):
    await http.create()
    page = await http.page("page=" + "9" * 300)
    assert (page["items"], page["total"]) == ([], 1)
    page = await http.page("page_size=1000000000000000000000")
    assert (len(page["items"]), page["page_size"]) == (1, 1000)


async def test_every_known_status_is_accepted_as_a_filter_and_no_other(http):
    for status in ("pending", "running", "completed", "failed", "cancelled", "paused", "rolled_back", "error"):
        assert await http.total(f"status={status}") == 0
    for status in ("", "Running", "done"):
        assert problem(await http.get(f"/executions?status={status}")) == ("enum", ["query", "status"])


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({}, "missing", ["body", "workflow_id"]),
        ({"workflow_id": 5}, "string_type", ["body", "workflow_id"]),
        ({"workflow_id": None}, "string_type", ["body", "workflow_id"]),
        ({"workflow_id": ""}, "string_too_short", ["body", "workflow_id"]),
        ({"workflow_id": "w", "metadata": []}, "dict_type", ["body", "metadata"]),
        ({"workflow_id": "w", "agent_id": 7}, "string_type", ["body", "agent_id"]),
        ([], "dict_type", ["body"]),
        ("text", "dict_type", ["body"]),
        (None, "missing", ["body"]),
    ],
)
async def test_a_create_needs_fields_of_the_right_types(http, body, kind, place):
    assert problem(await http.post(body)) == (kind, place)
    assert await http.total() == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [({}, "missing"), ({"checkpoint_id": 1}, "string_type"), ({"checkpoint_id": ""}, "string_too_short")],
)
async def test_replay_and_rollback_need_a_checkpoint_id(http, body, kind):
    execution_id = await http.create()
    for verb in ("replay", "rollback"):
        answer = await http.call("POST", f"/executions/{execution_id}/{verb}", body)
        assert problem(answer) == (kind, ["body", "checkpoint_id"])


@pytest.mark.parametrize(
    "data",
    [
        b"{", b"\x00", b'{"workflow_id": "w"} x', b'{"workflow_id": "\\ud800"}', b'{"workflow_id": "\xff"}',
        b'{"workflow_id": "w", "input_data": NaN}', b'{"workflow_id": "w", "input_data": 1e999}',
        b'{"workflow_id": "w", "input_data": ' + b"9" * 5000 + b"}",
        b"[" * 100_000, b'{"workflow_id": "w", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    ],
    ids=lambda data: repr(data[:40]),
)  # fmt: skip
async def test_a_body_that_is_not_json_is_refused(http, data):
    for path in ("/executions", "/executions/x/replay", "/executions/x/rollback"):
        assert problem(await http.call("POST", path, data=data)) == ("json_invalid", ["body"])
    assert await http.total() == 0


async def test_json_may_be_nested_400_levels_deep_and_no_deeper(local, http):
    def nested(depth):
        return b'{"workflow_id": "w", "input_data": ' + b"[" * depth + b"]" * depth + b"}"

    assert problem(await http.call("POST", "/executions", data=nested(400))) == ("json_invalid", ["body"])
    answer = await http.call("POST", "/executions", data=nested(399))
    assert json.dumps((await http.detail(answer.json["id"]))["input_data"]) == "[" * 399 + "]" * 399
    assert (await http.detail(await http.create("w", [[]] * 5000)))["input_data"] == [[]] * 5000


async def test_a_body_over_16_mib_is_answered_413(http):
    async def chunks():
        for _ in range(17):
            yield b"x" * MIB

    answer = await http.call("POST", "/executions", data=chunks())
    assert (answer.status, str(LIMIT) in answer.json["detail"]) == (413, True)
    assert await http.total() == 0


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, gzip"])
async def test_compressed_bodies_are_rejected(http, coding):
    answer = await http.call("POST", "/executions", data=b'{"workflow_id": "w"}', Content_Encoding=coding)
    assert (answer.status, await http.total()) == (415, 0)


async def test_with_uuids_other_ids_are_refused_as_by_the_service():
    one, other = "3f8a1c2e-9a4b-4c6d-8e0f-112233445566", "3F8A1C2E-9A4B-4C6D-8E0F-112233445567"
    local = LocalOmium(uuids=True)

    @local.workflow(one)
    async def report(run):
        return None

    for name in ("report", None):
        with pytest.raises(ValueError, match="UUID"):
            local.workflow(name)(report)
    async with serving(local) as http:
        refused = await http.post({"workflow_id": "report", "agent_id": "me"})
        assert (refused.status, [problem["loc"] for problem in refused.json["detail"]]) == (
            422, [["body", "workflow_id"], ["body", "agent_id"]],
        )  # fmt: skip
        assert {problem["type"] for problem in refused.json["detail"]} == {"uuid_parsing"}
        assert (await http.post({"workflow_id": one, "agent_id": "agent"})).status == 422
        assert (await http.post({"workflow_id": one, "agent_id": other})).status == 201
        async with AsyncOmium(local.api_key, base_url=local.url) as omium:
            with pytest.raises(UnprocessableEntityError, match="omiumctl workflows"):
                await omium.executions.create("report")
