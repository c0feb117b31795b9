"""Refusals of the account, the address and single items, seen by each kind of call."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from omium_async import (
    APIStatusError,
    AuthenticationError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    UnprocessableEntityError,
)
from omium_async.local import Fault

from .conftest import applied, collect, ended, failed_executions, numbered, states

CREATES = {"method": "POST", "path": "/executions"}


class Refusal(NamedTuple):
    status: int
    body: bytes
    kind: type[APIStatusError]
    ends: bool  # the batch, because it concerns the account or the address
    words: str = ""


REFUSALS = {
    "401": Refusal(401, b'{"detail": "bad key"}', AuthenticationError, ends=True, words="the key came from"),
    "402": Refusal(402, b'{"detail": "no credits"}', PaymentRequiredError, ends=True, words="out of credits"),
    "403 JSON": Refusal(403, b'{"detail": "not allowed"}', PermissionDeniedError, ends=True),
    "403 HTML": Refusal(403, b"<html><title>no</title></html>", PermissionDeniedError, ends=False),
    "404 of the gateway": Refusal(
        404, b'{"message": "no Route matched with those values"}', APIStatusError, ends=True, words="the base URL is"
    ),
    "404 of FastAPI": Refusal(404, b'{"detail": "Not Found"}', APIStatusError, ends=True, words="the base URL is"),
    "405": Refusal(405, b'{"detail": "Method Not Allowed"}', APIStatusError, ends=True, words="the base URL is"),
    "422": Refusal(422, b'{"detail": "never"}', UnprocessableEntityError, ends=False),
}
each_refusal = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)


def refuse(local, refusal: Refusal, *, times: int | None = None, **where: str) -> None:
    local.inject(Fault(**where, action="status", status=refusal.status, body=refusal.body, times=times))


@each_refusal
async def test_a_call_raises_the_class_and_says_what_to_do(omium, local, refusal):
    refuse(local, refusal, **CREATES)
    with pytest.raises(APIStatusError) as caught:
        await omium.executions.create("work")
    assert type(caught.value) is refusal.kind
    assert refusal.words in str(caught.value)
    assert caught.value.outcome == "not_applied"
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize("refusal", [each for name, each in REFUSALS.items() if name != "404 of FastAPI"])
async def test_a_wait_and_a_list_end_at_once(omium, local, refusal):
    created = await omium.executions.create("work")
    refuse(local, refusal, method="GET")
    for call in (
        omium.executions.wait(created.id),
        collect(omium.executions.wait_many([created.id])),
        collect(omium.executions.list()),
    ):
        before = len(local.requests)
        with pytest.raises(APIStatusError) as caught:
            await call
        assert caught.value.status == refusal.status
        assert len(local.requests) == before + 1


@each_refusal
async def test_a_batch_ends_or_goes_on_and_its_journal_sends_each_item_once(omium, local, refusal, tmp_path):
    path = tmp_path / "batch.journal"
    await collect(omium.executions.create_many(numbered(5), concurrency=1, journal=path))
    refuse(local, refusal, times=None if refusal.ends else 2, **CREATES)
    seen, error = [], None
    try:
        async for outcome in omium.executions.create_many(numbered(20), concurrency=2, journal=path):
            seen.append(outcome)  # noqa: PERF401 - what came before the error counts
    except APIStatusError as ending:
        error = ending
    refused = [outcome for outcome in seen if outcome.state == "rejected"]
    assert {type(outcome.error) for outcome in refused} == {refusal.kind}
    if refusal.ends:
        assert error is not None
        assert type(error) is refusal.kind
        assert refusal.words in str(error)
        assert len(refused) <= 2  # those in flight
        local.clear_faults()
        again = await collect(omium.executions.create_many(numbered(20), journal=path))
        assert states(again) == {("created", True): 5, ("created", False): 15}
        assert await applied(omium) == dict.fromkeys(range(20), 1)
    else:
        assert error is None
        assert states(seen) == {("created", True): 5, ("rejected", False): 2, ("created", False): 13}
        again = await collect(omium.executions.create_many(numbered(20), journal=path))
        assert states(again) == {("created", True): 18, ("rejected", True): 2}


WRITES = {
    "run_many": ("POST", "/executions"),
    "replay_many": ("POST", "/executions/*/replay"),
    "cancel_many": ("PATCH", "/executions/*/status"),
    "delete_many": ("DELETE", "/executions/*"),
}


@each_refusal
@pytest.mark.parametrize("call", WRITES)
async def test_every_batch_ends_or_goes_on_as_create_many_does(omium, local, refusal, call):
    if call == "replay_many" and refusal is REFUSALS["404 of FastAPI"]:
        refusal = refusal._replace(kind=NotFoundError, ends=False)  # it may mean the execution
    failed = await failed_executions(omium, local, 20)
    running = [(await omium.executions.create("nobody")).id for _ in range(20)]
    method, path = WRITES[call]
    refuse(local, refusal, method=method, path=path)
    before = local.counts.get(f"{method} {path}", 0)
    executions = omium.executions
    outcomes = {
        "run_many": lambda: executions.run_many(numbered(20), max_running=2, timeout=0.05, poll_interval=0.02),
        "replay_many": lambda: executions.replay_many(failed, concurrency=2),
        "cancel_many": lambda: executions.cancel_many(running, concurrency=2),
        "delete_many": lambda: executions.delete_many(failed, concurrency=2),
    }[call]()
    if refusal.ends:
        found, error = await ended(outcomes)
        assert type(error) is refusal.kind
        assert error.outcome == "not_applied"
        assert refusal.words in str(error)
        assert local.counts[f"{method} {path}"] - before <= 2
    else:
        found = await collect(outcomes)
        assert len(found) == 20
        is_absent = call == "delete_many" and refusal.kind is NotFoundError
        assert states(found) == {("absent" if is_absent else "rejected", False): 20}
    assert {type(outcome.error) for outcome in found} == {refusal.kind}


async def test_an_address_that_does_not_serve_a_call_is_no_unknown_execution(omium, local):
    created = await omium.executions.create("work")
    refuse(local, REFUSALS["404 of FastAPI"], method="PATCH")
    with pytest.raises(APIStatusError, match="does not serve the call") as caught:
        await omium.executions.cancel(created.id)
    assert not isinstance(caught.value, NotFoundError)
    refuse(local, REFUSALS["404 of FastAPI"], method="GET")
    with pytest.raises(NotFoundError):
        await omium.executions.get(created.id)


@pytest.mark.parametrize("field", ["workflow_id", "agent_id"])
@pytest.mark.parametrize("is_uuid", [True, False])
async def test_a_422_about_an_id_that_is_no_uuid_says_what_the_service_wants(omium, local, field, is_uuid):
    body = f'{{"detail": [{{"loc": ["body", "{field}"], "msg": "Input should be a valid UUID"}}]}}'.encode()
    refuse(local, Refusal(422, body, UnprocessableEntityError, ends=False), **CREATES)
    sent = "0b0f8c52-3f3a-4d53-9a47-0d7a1b1d4b4e" if is_uuid else "label"
    with pytest.raises(UnprocessableEntityError) as caught:
        await omium.executions.create(**({"workflow_id": "work"} | {field: sent}))
    advice = {"workflow_id": "omiumctl workflows", "agent_id": "AsyncOmium(agent_id=...)"}[field]
    assert (advice in str(caught.value)) is not is_uuid


async def test_a_422_to_a_body_that_is_no_object_is_raised_as_any_other(omium, local):
    body = b'{"detail": [{"loc": ["body", "workflow_id"], "msg": "Field required"}]}'
    refuse(local, Refusal(422, body, UnprocessableEntityError, ends=False), **CREATES)
    with pytest.raises(UnprocessableEntityError):
        await omium.request("POST", "/executions", json=["work"])


async def test_an_error_for_a_long_retry_after_says_when_the_service_accepts_requests_again(omium, local):
    local.inject(Fault(method="GET", action="status", status=429, headers={"Retry-After": "3000"}))
    created = await omium.executions.create("work")
    with pytest.raises(APIStatusError, match=r"accepts requests again at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"):
        await omium.executions.wait(created.id)
