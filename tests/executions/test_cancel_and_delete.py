"""`cancel` reads first and never overwrites an execution that has ended; `delete` accepts any 2xx."""

from __future__ import annotations

from typing import Any

import pytest

import omium_async as om

from .conftest import Service

PATCH = "/executions/e1/status?status=cancelled"


def status_is(service: Service, status: str | None) -> None:
    service.answers("GET", "/executions/e1", payload={"id": "e1", "status": status})


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "rolled_back", "error"])
async def test_an_execution_that_has_ended_is_not_sent(service: Service, omium: om.AsyncOmium, status: str):
    status_is(service, status)
    result = await omium.executions.cancel("e1")
    assert (result.id, result.status, result.cancelled) == ("e1", status, False)
    assert service.received == [("GET", "/executions/e1")]


@pytest.mark.parametrize("status", ["pending", "running", "paused", "weird", None])
async def test_any_other_execution_is_cancelled_without_a_body_and_under_one_key(
    service: Service, omium: om.AsyncOmium, status: str | None
):
    status_is(service, status)
    service.answers("PATCH", PATCH, payload={"id": "e1", "status": "cancelled"})
    result = await omium.executions.cancel("e1", idempotency_key="k-1")
    assert (result.id, result.status, result.cancelled) == ("e1", "cancelled", True)
    sent = service.options("PATCH")
    assert sent["headers"]["Idempotency-Key"] == "k-1"
    assert not sent.get("data")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"status": 204}, ("e1", "cancelled", None, {})),
        ({"status": 200, "body": " "}, ("e1", "cancelled", None, {})),
        ({"body": "null"}, ("e1", "cancelled", None, {})),
        ({"payload": {}}, ("e1", "cancelled", None, {})),
        ({"payload": {"id": None, "status": None}}, ("e1", "cancelled", None, {})),
        ({"payload": {"ok": True, "message": "stopping"}}, ("e1", "cancelled", "stopping", {"ok": True})),
        ({"payload": {"id": "e2", "status": "cancelling", "cancelled": False}}, ("e2", "cancelling", None, {})),
    ],
)
async def test_whatever_a_successful_patch_answers_the_execution_counts_as_cancelled(
    service: Service, omium: om.AsyncOmium, answer: dict[str, Any], result: tuple[Any, ...]
):
    status_is(service, "running")
    service.answers("PATCH", PATCH, **answer)
    found = await omium.executions.cancel("e1")
    assert (found.id, found.status, found.message, found.extra) == result
    assert found.cancelled is True
    assert om.CancelResult.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("answer", "path"), [({"payload": []}, ""), ({"body": "oops"}, ""), ({"payload": {"id": 5}}, "id")]
)
async def test_an_answer_that_cannot_be_understood_leaves_the_cancel_unknown(
    service: Service, omium: om.AsyncOmium, answer: dict[str, Any], path: str
):
    status_is(service, "running")
    service.answers("PATCH", PATCH, **answer)
    with pytest.raises(om.InvalidResponseError) as raised:
        await omium.executions.cancel("e1")
    assert (raised.value.outcome, raised.value.path) == ("unknown", path)


async def test_a_conflict_of_an_execution_that_has_ended_meanwhile_is_no_error(service: Service, omium: om.AsyncOmium):
    status_is(service, "running")
    service.answers("PATCH", PATCH, status=409, payload={"detail": "it has ended"})
    status_is(service, "completed")
    result = await omium.executions.cancel("e1")
    assert (result.status, result.cancelled) == ("completed", False)


@pytest.mark.parametrize("second", [{"payload": {"id": "e1", "status": "running"}}, {"status": 500}])
async def test_any_other_conflict_is_raised(service: Service, omium: om.AsyncOmium, second: dict[str, Any]):
    status_is(service, "running")
    service.answers("PATCH", PATCH, status=409, payload={"detail": "busy"})
    service.answers("GET", "/executions/e1", **second)
    with pytest.raises(om.ConflictError, match="busy") as raised:
        await omium.executions.cancel("e1")
    assert raised.value.outcome == "not_applied"


CALLS = {
    "cancel": ("GET", "/executions/e1", lambda omium: omium.executions.cancel("e1")),
    "delete": ("DELETE", "/executions/e1", lambda omium: omium.executions.delete("e1")),
    "checkpoint": ("GET", "/checkpoints/c1?include_state=true", lambda omium: omium.checkpoints.get("c1")),
    "workflow": ("GET", "/workflows/w1", lambda omium: omium.workflows.get("w1")),
}
MISSING_ROUTES = {
    "gateway": {"status": 404, "payload": {"message": "no Route matched with those values"}},
    "FastAPI": {"status": 404, "payload": {"detail": "Not Found"}},
    "405": {"status": 405, "payload": {"detail": "Method Not Allowed"}},
}


# FastAPI's own 404 to the read of a cancel may mean the execution.
@pytest.mark.parametrize(
    ("call", "answer"),
    [(call, answer) for call in CALLS for answer in MISSING_ROUTES if (call, answer) != ("cancel", "FastAPI")],
)
async def test_a_service_without_the_endpoint_is_not_taken_for_an_unknown_id(
    service: Service, omium: om.AsyncOmium, call: str, answer: str
):
    method, path, make = CALLS[call]
    service.answers(method, path, **MISSING_ROUTES[answer])
    with pytest.raises(om.APIStatusError, match="this address does not serve the call") as raised:
        await make(omium)
    assert not isinstance(raised.value, om.NotFoundError)
    assert raised.value.status == MISSING_ROUTES[answer]["status"]
    assert raised.value.outcome == "not_applied"
    assert raised.value.attempts


@pytest.mark.parametrize("call", CALLS)
async def test_an_unknown_id_raises_not_found(service: Service, omium: om.AsyncOmium, call: str):
    method, path, make = CALLS[call]
    service.answers(method, path, status=404, payload={"detail": "Execution not found"})
    with pytest.raises(om.NotFoundError):
        await make(omium)


async def test_a_service_that_reads_but_cannot_cancel_says_so(service: Service, omium: om.AsyncOmium):
    status_is(service, "running")
    service.answers("PATCH", PATCH, **MISSING_ROUTES["405"])
    with pytest.raises(om.APIStatusError, match="this address does not serve the call") as raised:
        await omium.executions.cancel("e1")
    assert raised.value.outcome == "not_applied"


@pytest.mark.parametrize("answer", [{"status": 204}, {"payload": {"ok": 1}}, {"body": "deleted"}])
async def test_delete_accepts_any_answer_of_success(service: Service, omium: om.AsyncOmium, answer: dict[str, Any]):
    service.answers("DELETE", "/executions/e1", **answer)
    await omium.executions.delete("e1", idempotency_key="k-2")
    assert service.options("DELETE")["headers"]["Idempotency-Key"] == "k-2"


@pytest.mark.parametrize("bad", ["", ".", "..", "live", "compare", "a\nb"])
@pytest.mark.parametrize("call", ["cancel", "delete"])
async def test_bad_ids_are_rejected_before_anything_is_sent(
    service: Service, omium: om.AsyncOmium, bad: str, call: str
):
    with pytest.raises(ValueError, match="execution_id"):
        await getattr(omium.executions, call)(bad)
    assert not service.received
