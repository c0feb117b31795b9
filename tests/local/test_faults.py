"""Faults before and after the commit, and the list of requests that arrived."""

# ruff: noqa: ASYNC110 - the tests wait for a state that the server shows

from __future__ import annotations

import asyncio
import datetime as dt
import json

import aiohttp
import pytest

from omium_async.local import Fault, LocalOmium

from .conftest import create_request, exchange

before_and_after = pytest.mark.parametrize("when", ["before", "after"])


@before_and_after
async def test_a_dropped_request_gets_no_response(local, http, when):
    local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))
    assert await exchange(local, create_request(local)) == b""
    assert await http.total() == (when == "after")
    assert (await http.post({"workflow_id": "w"})).status == 201


@before_and_after
async def test_a_status_replaces_the_response(local, http, when):
    local.inject(
        Fault(path="/executions", when=when, action="status", status=429, headers={"Retry-After": "7"}, times=2)
    )
    for _ in range(2):
        answer = await http.post({"workflow_id": "w"})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert set(answer.json) == {"detail", "trace_id"}
    assert await http.total() == (2 if when == "after" else 0)
    local.inject(Fault(action="status", body=b"<html>", headers={"Content-Type": "text/html"}, when=when))
    answer = await http.get()
    assert (answer.status, answer.headers["Content-Type"], answer.text) == (503, "text/html", "<html>")


@before_and_after
async def test_a_truncated_response_ends_within_its_body(local, http, when):
    local.inject(Fault(when=when, action="truncate"))
    head, _, body = (await exchange(local, create_request(local))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201" if when == "after" else b"HTTP/1.1 200")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(body) < length
    assert await http.total() == (when == "after")
    local.inject(Fault(when=when, action="truncate"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await http.get()


@before_and_after
async def test_garbage_is_a_200_that_is_not_json(local, http, when):
    local.inject(Fault(when=when, action="garbage"))
    head, _, body = (await exchange(local, create_request(local, Connection="close"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    with pytest.raises(ValueError):
        json.loads(body)
    assert await http.total() == (when == "after")


@before_and_after
async def test_a_stalled_request_waits_until_the_client_disconnects_or_the_server_stops(local, http, when):
    local.inject(Fault(method="POST", when=when, action="stall", times=2))
    stalled = [asyncio.create_task(http.post({"workflow_id": "w"})) for _ in range(2)]
    while local.counts.get("POST /executions") != 2 or await http.total() != (2 if when == "after" else 0):
        await asyncio.sleep(0.001)
    assert not any(task.done() for task in stalled)
    stalled[0].cancel()
    await asyncio.wait(stalled[:1])
    assert await http.total() == (2 if when == "after" else 0)
    async with asyncio.timeout(30):
        await local.stop()
        with pytest.raises(aiohttp.ClientError):
            await stalled[1]


@pytest.mark.parametrize(
    "path",
    ["/executions/*/replay", "/api/v1/executions/{execution_id}/replay", "executions/*/*"],
)
async def test_a_fault_meets_only_requests_of_its_method_and_path(local, http, path):
    local.inject(Fault(method="post", path=path, action="status", status=500, times=None))
    assert (await http.get()).status == 200
    assert (await http.get("/executions/x")).status == 404
    for _ in range(3):
        assert (await http.replay("x", "c")).status == 500
    local.clear_faults()
    assert (await http.replay("x", "c")).status == 404


@pytest.mark.parametrize("action", ["status", "truncate"])
async def test_headers_of_a_fault_replace_the_usual_ones(action):
    given = {"content-type": "text/html", "X-REQUEST-ID": "from-a-gateway", "Retry-After": "7"}
    async with LocalOmium(clock=lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) as local:
        for headers in (given, given | {"date": "Thu, 01 Jan 2015 00:00:00 GMT"}):
            local.inject(Fault(action=action, headers=headers))
            head = (await exchange(local, create_request(local, Connection="close"))).partition(b"\r\n\r\n")[0].decode()
            lines = [line.partition(": ") for line in head.splitlines()[1:]]
            got = {name.lower(): value for name, _, value in lines}
            assert len(got) == len(lines), head
            assert got.items() >= {name.lower(): value for name, value in headers.items()}.items()


def test_the_body_of_a_fault_is_bytes_text_or_json():
    for body, sent in ((b"\xff", b"\xff"), ("é", "é".encode()), ({"a": (1,)}, b'{"a":[1]}'), ("", b"")):
        assert Fault(body=body).body == sent


@pytest.mark.parametrize(
    "wrong",
    [{"action": "explode"}, {"when": "never"}, {"times": 0}, {"times": True}, {"status": 199}, {"status": 600},
     {"status": 500.0}, {"delay": -1}, {"delay": float("nan")}, {"headers": {"a": "b\n"}},
     {"headers": {"Retry-After": 7}}, {"path": 5}, {"method": 5}, {"body": {1}}],
    ids=str,
)  # fmt: skip
def test_a_fault_that_cannot_be_is_refused_and_names_the_argument(wrong):
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        Fault(**wrong)


async def test_the_requests_that_arrived_are_listed_and_counted_without_the_key(local, http):
    await http.call("POST", "/executions", {"workflow_id": "w"}, Idempotency_Key="k", X_Request_ID="r")
    await http.get("/executions?page=2")
    await http.replay("x", "c")
    await http.get("/nowhere")
    first, second, *_ = local.requests
    assert (first.method, first.path, first.idempotency_key, first.request_id, first.status) == (
        "POST", "/executions", "k", "r", 201)  # fmt: skip
    assert (second.query, second.status) == ("page=2", 200)
    assert local.counts == {
        "POST /executions": 1, "GET /executions": 1, "POST /executions/*/replay": 1, "GET other": 1}  # fmt: skip
    assert local.api_key not in repr(local.requests)


async def test_requests_with_a_wrong_key_meet_no_fault(local, http):
    local.inject(Fault(status=418))
    assert (await http.with_key("wrong").get()).status == 401
    assert (await http.get()).status == 418
    assert local.counts == {"GET /executions": 2}


@pytest.mark.parametrize(("action", "status"), [("status", 503), ("garbage", 200), ("truncate", 200), ("drop", None)])
async def test_the_list_of_requests_shows_the_status_that_a_fault_sent(local, http, action, status):
    local.inject(Fault(action=action))
    await exchange(local, create_request(local, Connection="close"))
    assert [seen.status for seen in local.requests] == [status]
