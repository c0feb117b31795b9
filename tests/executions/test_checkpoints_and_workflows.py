"""Checkpoints and workflows are read in every form of the service, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import omium_async as om

from .conftest import Service

Answer = dict[str, Any]


def rows(*ids: int) -> list[Answer]:
    return [{"id": f"c{each}"} for each in ids]


def checkpoints(service: Service, answers: Sequence[Answer], limit: int) -> Callable[[om.AsyncOmium], Any]:
    offset = 0
    for answer in answers:
        service.answers("GET", f"/checkpoints?execution_id=e1&limit={limit}&offset={offset}", payload=answer)
        offset += len(next(found for found in answer.values() if isinstance(found, list)))
    return lambda omium: omium.checkpoints.list("e1", page_size=limit)


def workflows(service: Service, answers: Sequence[Answer], limit: int) -> Callable[[om.AsyncOmium], Any]:
    for page, answer in enumerate(answers, 1):
        service.answers("GET", f"/workflows?page={page}&page_size={limit}", payload=answer)
    return lambda omium: omium.workflows.list(page_size=limit)


LISTS = {"checkpoints": checkpoints, "workflows": workflows}
ENDS = {
    "at the total": ([{"items": rows(1, 2), "total": 3}, {"items": rows(3), "total": 3}], 3),
    "at the total of a service that caps pages": ([{"items": rows(n), "total": 3} for n in (1, 2, 3)], 3),
    "at an empty page without a total": ([{"items": rows(1, 2)}, {"items": rows(3)}, {"items": []}], 3),
    "at a page that brings nothing new": ([{"items": rows(1, 2)}, {"items": rows(1, 2)}], 2),
    "at an empty page that the total contradicts": ([{"items": rows(1), "total": 9}, {"items": [], "total": 9}], 1),
    "with each id once": ([{"items": rows(1, 2, 2), "total": 5}, {"items": rows(2, 3), "total": 5}], 3),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("end", ENDS)
async def test_a_list_ends(service: Service, omium: om.AsyncOmium, name: str, end: str):
    answers, count = ENDS[end]
    call = LISTS[name](service, answers, 2)
    assert [row.id async for row in call(omium)] == [f"c{n + 1}" for n in range(count)]
    assert len(service.received) == len(answers)


@pytest.mark.parametrize("name", LISTS)
async def test_rows_are_also_read_under_the_name_that_the_live_service_uses(
    service: Service, omium: om.AsyncOmium, name: str
):
    call = LISTS[name](service, [{name: rows(1, 2), "total": 2}], 50)
    assert [row.id async for row in call(omium)] == ["c1", "c2"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("answer", [{"total": 0, "list": []}, {"items": None, "list": []}, {"items": [{"id": 5}]}])
async def test_an_answer_without_rows_or_with_wrong_ones_raises(
    service: Service, omium: om.AsyncOmium, name: str, answer: Answer
):
    call = LISTS[name](service, [answer], 50)
    with pytest.raises(om.InvalidResponseError):
        _ = [row async for row in call(omium)]


async def test_workflows_are_filtered_by_the_service(service: Service, omium: om.AsyncOmium):
    path = "/workflows?status=published&workflow_type=custom&page=1&page_size=100"
    service.answers("GET", path, payload={"items": rows(1), "total": 1})
    found = [row async for row in omium.workflows.list(status="published", workflow_type="custom")]
    assert found == [om.WorkflowInfo("c1")]


async def test_a_checkpoint_comes_with_its_state(service: Service, omium: om.AsyncOmium):
    sent = {"id": "c1", "execution_id": "e1", "checkpoint_name": "load", "state": {"result": [1, 2]}, "size": 3}
    service.answers("GET", "/checkpoints/c1?include_state=true", payload=sent)
    found = await omium.checkpoints.get("c1")
    assert (found.name, found.state, found.extra["size"]) == ("load", {"result": [1, 2]}, 3)


async def test_the_state_is_left_out_on_request(service: Service, omium: om.AsyncOmium):
    service.answers("GET", "/checkpoints/c%2F1", payload={"id": "c/1"})
    found = await omium.checkpoints.get("c/1", include_state=False)
    assert found.state is None


@pytest.mark.parametrize(
    "call",
    [
        lambda omium: omium.checkpoints.list(""),
        lambda omium: omium.checkpoints.list("live"),
        lambda omium: omium.checkpoints.list("e1", page_size=0),
        lambda omium: omium.workflows.list(status=""),
        lambda omium: omium.workflows.list(page_size=0),
    ],
)
async def test_lists_check_their_arguments_when_called(service: Service, omium: om.AsyncOmium, call: Any):
    with pytest.raises(ValueError, match="give"):
        call(omium)
    assert not service.received


@pytest.mark.parametrize("bad", ["", ".", "..", "a\x00b"])
async def test_bad_ids_are_rejected_before_anything_is_sent(service: Service, omium: om.AsyncOmium, bad: str):
    for call in (omium.checkpoints.get, omium.workflows.get):
        with pytest.raises(ValueError, match="_id"):
            await call(bad)
    assert not service.received


async def test_an_outage_within_a_list_is_waited_out(service: Service, omium: om.AsyncOmium):
    patient = omium.with_options(poll_interval=(0.001, 0.001))
    service.answers("GET", "/workflows?page=1&page_size=1", payload={"items": rows(1), "total": 2})
    service.answers("GET", "/workflows?page=2&page_size=1", status=503)
    service.answers("GET", "/workflows?page=2&page_size=1", payload={"items": rows(2), "total": 2})
    assert [row.id async for row in patient.workflows.list(page_size=1)] == ["c1", "c2"]
