"""The bytes of each request."""

from __future__ import annotations

import json
import re

import pytest

from omium_async import ConfigurationError, __version__

CALLS = {
    "create": (
        lambda omium: omium.executions.create("wf", {"q": "ä", "n": [1, None]}, metadata={"p": "high"}, agent_id="ag"),
        "POST /api/v1/executions",
        {"workflow_id": "wf", "input_data": {"q": "ä", "n": [1, None]}, "metadata": {"p": "high"}, "agent_id": "ag"},
    ),
    "create, nothing given": (
        lambda omium: omium.executions.create("wf"),
        "POST /api/v1/executions",
        {"workflow_id": "wf"},
    ),
    "get": (lambda omium: omium.executions.get("exec_1"), "GET /api/v1/executions/exec_1", None),
    "get, any id": (
        lambda omium: omium.executions.get("a/b?c#d%2e ü..;"),
        "GET /api/v1/executions/a%2Fb%3Fc%23d%252e%20%C3%BC..%3B",
        None,
    ),
    "get, dots": (lambda omium: omium.executions.get("..."), "GET /api/v1/executions/...", None),
    "page": (
        lambda omium: omium.executions.page(2, 7, workflow_id="w&f=1", status="failed"),
        "GET /api/v1/executions?page=2&page_size=7&workflow_id=w%26f%3D1&status=failed",
        None,
    ),
    "count": (lambda omium: omium.executions.count(), "GET /api/v1/executions?page=1&page_size=1", None),
    "replay": (
        lambda omium: omium.executions.replay("exec_1", "chk_1"),
        "POST /api/v1/executions/exec_1/replay",
        {"checkpoint_id": "chk_1"},
    ),
    "rollback": (
        lambda omium: omium.executions.rollback("exec_1", "chk_1"),
        "POST /api/v1/executions/exec_1/rollback",
        {"checkpoint_id": "chk_1"},
    ),
    "request": (
        lambda omium: omium.request("put", "workflows/a b/ü", params={"x": [1, "ä&"], "y": None, "z": True}, json=[1]),
        "PUT /api/v1/workflows/a%20b/%C3%BC?x=1&x=%C3%A4%26&z=true",
        [1],
    ),
    "request, nothing given": (
        lambda omium: omium.request("DELETE", "/workflows/1"),
        "DELETE /api/v1/workflows/1",
        None,
    ),
    "request, a read": (lambda omium: omium.request("HEAD", "/workflows"), "HEAD /api/v1/workflows", None),
}
BODY = b'{"id": "exec_1", "status": "running", "items": [], "total": 3, "page": 1, "page_size": 1}'


@pytest.mark.parametrize(
    ("call", "auth"), [*((call, "x-api-key") for call in CALLS), ("create", "bearer"), ("get", "bearer")]
)
async def test_each_call_as_documented(raw, call: str, auth: str) -> None:
    make, line, body = CALLS[call]

    async def handler(request) -> None:
        head_only = request.method == "HEAD"
        await request.send(raw.answer(body=b"" if head_only else BODY))

    async with raw.pair(handler, auth=auth) as (omium, server, attempts):
        await make(omium)
    (request,) = server.requests
    assert request.head.split(b"\r\n")[0].decode() == f"{line} HTTP/1.1"
    headers = request.headers
    expected = {"host", "user-agent", "accept", "x-request-id", "accept-encoding"}
    expected.add("x-api-key" if auth == "x-api-key" else "authorization")
    is_write = request.method not in ("GET", "HEAD")
    if is_write:
        expected |= {"content-length", "idempotency-key", "content-type"}
    assert set(headers) - {"content-type"} == expected - {"content-type"}
    assert headers.get("x-api-key") == (raw.KEY if auth == "x-api-key" else None)
    assert headers.get("authorization") == (f"Bearer {raw.KEY}" if auth == "bearer" else None)
    assert headers["user-agent"].startswith(f"omium-async/{__version__} ")
    assert headers["accept"] == "application/json"
    assert headers["x-request-id"] == attempts[0].request_id
    if is_write:
        assert re.fullmatch("[0-9a-f]{32}", headers["idempotency-key"])
        assert attempts[0].idempotency_key == headers["idempotency-key"]
    if body is None:
        assert request.body == b""
    else:
        assert headers["content-type"] == "application/json"
        assert json.loads(request.body) == body


async def test_a_checkpoint_by_name_is_looked_up_once(raw) -> None:
    detail = (
        b'{"id": "e", "checkpoints": [{"id": "c1", "name": "a"}, {"id": "c2", "name": "a"}, {"id": "c3", "name": "b"}]}'
    )

    async def handler(request) -> None:
        await request.send(raw.answer(body=detail))

    async with raw.pair(handler) as (omium, server, _):
        await omium.executions.replay("e", checkpoint_name="a")
        await omium.executions.replay("e")
        await omium.executions.rollback("e", checkpoint_name="b")
        assert [json.loads(r.body)["checkpoint_id"] for r in server.requests if r.method == "POST"] == [
            "c2",
            "c3",
            "c3",
        ]
        server.requests.clear()
        with pytest.raises(ValueError, match=r"a, b|'a'.*'b'"):
            await omium.executions.rollback("e", checkpoint_name="nope")
        assert [r.method for r in server.requests] == ["GET"]


REFUSED = {
    "an empty id": lambda omium: omium.executions.get(""),
    "a dot": lambda omium: omium.executions.get("."),
    "two dots": lambda omium: omium.executions.replay("..", "c"),
    "the route live": lambda omium: omium.executions.rollback("live", "c"),
    "the route compare": lambda omium: omium.executions.wait("compare"),
    "a line break in an id": lambda omium: omium.executions.get("a\r\nX: y"),
    "a lone surrogate in an id": lambda omium: omium.executions.get("\ud800"),
    "an id that is no text": lambda omium: omium.executions.get(1),
    "both checkpoints": lambda omium: omium.executions.replay("e", "c", checkpoint_name="n"),
    "no checkpoint for rollback": lambda omium: omium.executions.rollback("e"),
    "an empty checkpoint": lambda omium: omium.executions.replay("e", ""),
    "an empty checkpoint name": lambda omium: omium.executions.rollback("e", checkpoint_name=""),
    "an empty workflow": lambda omium: omium.executions.create(""),
    "a NaN": lambda omium: omium.executions.create("wf", {"a": [float("nan")]}),
    "metadata that is no object": lambda omium: omium.executions.create("wf", metadata=[1]),
    "a key of two lines": lambda omium: omium.executions.create("wf", idempotency_key="a\nb"),
    "an empty key": lambda omium: omium.executions.create("wf", idempotency_key=""),
    "page 0": lambda omium: omium.executions.page(0),
    "page True": lambda omium: omium.executions.page(True),
    "a path with a host": lambda omium: omium.request("GET", "https://evil.example/x"),
    "a path without a scheme": lambda omium: omium.request("GET", "//evil.example/x"),
    "a path that climbs": lambda omium: omium.request("GET", "/a/../../x"),
    "a path that climbs, escaped": lambda omium: omium.request("GET", "/a/%2e%2E/x"),
    "a path that climbs, escaped twice": lambda omium: omium.request("GET", "/a/%252e%252e/x"),
    "a path that climbs by backslashes": lambda omium: omium.request("GET", "/a\\..\\x"),
    "a path of two lines": lambda omium: omium.request("GET", "/a\r\nHost: evil"),
    "a method of two words": lambda omium: omium.request("GET /x", "/a"),
    "parameters in pairs": lambda omium: omium.request("GET", "/a", params=[("x", 1)]),
    "headers that are no mapping": lambda omium: omium.request("GET", "/a", headers=5),
    "a method that is no text": lambda omium: omium.request(5, "/a"),
    "a dry run that is a number": lambda omium: anext(omium.executions.replay_many(dry_run=1)),
    "a parameter that is an object": lambda omium: omium.request("GET", "/a", params={"x": {}}),
    "the key as a header": lambda omium: omium.request("GET", "/a", headers={"x-api-KEY": "k"}),
    "a header of two lines": lambda omium: omium.request("GET", "/a", headers={"x": "a\r\nb"}),
}


async def test_bad_arguments_send_nothing(raw) -> None:
    async with raw.pair() as (omium, server, attempts):
        for name, call in REFUSED.items():
            with pytest.raises((ValueError, TypeError)):
                await call(omium)
            assert (server.connections, attempts) == (0, []), name


async def test_bad_arguments_of_generators_raise_at_the_call(raw) -> None:
    omium = raw.client("http://127.0.0.1:9")
    for make in (
        lambda: omium.executions.list(page_size=0),
        lambda: omium.executions.list(limit=-1),
        lambda: omium.executions.pages(prefetch=-1),
        lambda: omium.executions.pages(status=""),
        lambda: omium.executions.watch(".."),
        lambda: omium.executions.watch("e", poll_interval=0),
    ):
        with pytest.raises(ValueError):
            make()


async def test_headers_add_and_never_replace(raw) -> None:
    headers = {"X-Team": "ä", "User-Agent": "my-app/1", "Accept": "text/csv"}
    async with raw.pair(headers=headers) as (omium, server, _):
        await omium.request("GET", "/x", headers={"X-Other": "1", "Idempotency-Key": "of a read", "accept": "a/b"})
        await omium.request("POST", "/x", headers={"idempotency-key": "mine"})
    read, write = (request.headers for request in server.requests)
    assert read["x-team"].encode("latin-1") == "ä".encode()
    assert read["user-agent"].startswith("omium-async/")
    assert read["user-agent"].endswith(" my-app/1")
    assert read["accept"] == "application/json, text/csv, a/b"
    assert write["accept"] == "application/json, text/csv"
    assert read["x-other"] == "1"
    assert write["idempotency-key"] == "mine"


def test_headers_that_the_client_sets_are_refused(raw) -> None:
    for name in (
        "Host", "connection", "Content-Length", "Transfer-Encoding", "Expect", "X-API-Key", "AUTHORIZATION",
        "Idempotency-Key",
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=name):
            raw.client("http://127.0.0.1:9", headers={name: "x"})


async def test_request_gives_the_answer_as_it_came(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(207, b"\xff\x00 no json", "X-Kong-Request-Id: kong", "X-Twice: 1"))

    async with raw.pair(handler) as (omium, _, _attempts):
        found = await omium.request("GET", "/x")
    assert (found.status, found.body, found.request_id) == (207, b"\xff\x00 no json", "kong")
    assert found.headers["x-twice"] == "1"
    with pytest.raises(ValueError, match="JSON"):
        found.json()


async def test_the_agent_of_the_client_is_sent_where_none_is_given(raw) -> None:
    async with raw.pair(agent_id="of the client") as (omium, server, _):
        await omium.executions.create("wf")
        await omium.with_options(agent_id="of the copy").executions.create("wf")
        await omium.executions.create("wf", agent_id="of the call")
        await omium.with_options(agent_id=None).executions.create("wf")
    sent = [json.loads(request.body).get("agent_id") for request in server.requests]
    assert sent == ["of the client", "of the copy", "of the call", None]


async def test_one_key_a_call_and_another_for_the_next(raw) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(429 if request.number == 1 else 200, raw.EXECUTION, "Retry-After: 0"))

    async with raw.pair(handler, max_retries=1) as (omium, server, attempts):
        await omium.executions.create("wf")
        await omium.executions.create("wf")
        await omium.executions.create("wf", idempotency_key="my own key")
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == "my own key"
    assert [attempt.idempotency_key for attempt in attempts] == keys
    assert len({request.headers["x-request-id"] for request in server.requests}) == 4
