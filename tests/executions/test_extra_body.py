"""`extra_body` adds fields to the body of a write, and never replaces one that has an argument."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from omium_async import AsyncOmium
from omium_async.local import LocalOmium
from omium_sync import LocalOmium as SyncLocalOmium
from omium_sync import Omium

RESULT = {"id": "exec_2", "status": "running"}
MORE = {"inputs": {"day": 4}, "from_step": None, "when": datetime(2026, 1, 1, tzinfo=UTC)}
SENT = {"inputs": {"day": 4}, "from_step": None, "when": "2026-01-01T00:00:00Z"}
DETAIL = {"id": "exec_1", "checkpoints": [{"id": "c1", "name": "load"}]}


def body(service):
    return json.loads(service.options("POST")["data"])


async def test_create_sends_more_fields_beside_its_own(omium, service):
    service.answers("POST", "/executions", payload=RESULT)
    await omium.executions.create("w", {"a": 1}, extra_body=MORE)
    assert body(service) == {"workflow_id": "w", "input_data": {"a": 1}, **SENT}


@pytest.mark.parametrize("call", ["replay", "rollback"])
@pytest.mark.parametrize("as_run", [False, True])
async def test_replay_and_rollback_send_more_fields_beside_the_checkpoint(omium, service, call, as_run):
    service.answers("GET", "/executions/exec_1", payload=DETAIL)
    service.answers("POST", f"/executions/exec_1/{call}", payload=RESULT)
    if as_run:
        await getattr(omium.workflow("w").handle("exec_1"), call)(checkpoint_name="load", extra_body=MORE)
    else:
        await getattr(omium.executions, call)("exec_1", checkpoint_name="load", extra_body=MORE)
    assert body(service) == {"checkpoint_id": "c1", **SENT}


OF_CHANGES = ("execution_id", "checkpoint_id", "checkpoint_name", "idempotency_key")


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        *[("create", name) for name in ("workflow_id", "input_data", "metadata", "agent_id", "idempotency_key")],
        *[("replay", name) for name in OF_CHANGES],
        *[("rollback", name) for name in OF_CHANGES],
    ],
)
async def test_a_field_with_an_argument_of_its_own_is_rejected_before_any_request(omium, service, call, argument):
    more = {} if call == "create" else {"checkpoint_name": "load"}
    with pytest.raises(ValueError, match=f"extra_body: '{argument}' has an argument of its own"):
        await getattr(omium.executions, call)("exec_1", extra_body={"other": 1, argument: "x"}, **more)
    assert service.received == []


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"a": {"b": float("nan")}}, ValueError, "extra_body.a.b"),
        ({1: 2}, TypeError, "extra_body: the key 1"),
        ({"a": {1, 2}}, TypeError, "extra_body.a"),
        ([("a", 1)], TypeError, "extra_body: list is not a mapping"),
        ("inputs", TypeError, "extra_body: str is not a mapping"),
    ],
)
@pytest.mark.parametrize("call", ["create", "replay", "rollback"])
async def test_it_is_checked_as_input_data_is(omium, service, call, given, kind, message):
    more = {} if call == "create" else {"checkpoint_name": "load"}
    with pytest.raises(kind) as raised:
        await getattr(omium.executions, call)("exec_1", extra_body=given, **more)
    assert message in str(raised.value)
    assert service.received == []


async def test_the_local_service_ignores_fields_that_it_does_not_know():
    local = LocalOmium()

    @local.workflow("report")
    async def report(run):
        await run.step("load", lambda: 1)
        if not repaired:
            raise ValueError("not yet")
        return run.input_data

    repaired = []
    async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.01)) as omium:
        created = await omium.executions.create("report", {"day": 3}, extra_body={"priority": 9})
        await omium.executions.wait(created.id)
        repaired.append(True)
        replayed = await omium.executions.replay(created.id, extra_body={"inputs": {"day": 4}})
        settled = await omium.executions.wait(replayed.execution_id)
        assert (settled.status, settled.output_data) == ("completed", {"day": 3})
        rolled_back = await omium.executions.rollback(created.id, checkpoint_name="load", extra_body={"reason": "x"})
        assert rolled_back.status == "paused"


def test_the_sync_client_takes_it_too():
    with SyncLocalOmium(strict=False) as local, Omium(local.api_key, base_url=local.url) as omium:
        created = omium.executions.create("nobody", extra_body={"priority": 9})
        with pytest.raises(ValueError, match="checkpoint_id"):
            omium.workflow("nobody").handle(created.id).replay("c", extra_body={"checkpoint_id": "other"})
