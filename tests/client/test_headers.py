"""Headers that a copy of a client adds, and the headers of responses in attempts."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle

import aiohttp
import pytest

import omium_async as om
import omium_sync


def sent(request) -> dict[str, str]:
    return request.headers


@pytest.mark.parametrize("own_session", [True, False])
async def test_a_copy_adds_headers_and_leaves_out_those_set_to_none(raw, own_session) -> None:
    async with (
        raw.Server() as server,
        aiohttp.ClientSession() as session,
        raw.client(
            server.url, headers={"X-Team": "red", "X-Kept": "1"}, session=None if own_session else session
        ) as omium,
    ):
        added = omium.with_options(headers={"x-team": "blue", "X-More": "2"})
        fewer = added.with_options(headers={"X-KEPT": None, "X-Unknown": None})
        same = fewer.with_options(timeout=5)
        for client in (omium, added, fewer, same):
            await client.executions.get("e")
        await fewer.executions.create("w")
        await fewer.request("GET", "/x", headers={"X-Team": "of the request"})
    names = ("x-team", "x-kept", "x-more")
    assert [tuple(sent(request).get(name) for name in names) for request in server.requests] == [
        ("red", "1", None),
        ("blue", "1", "2"),
        ("blue", None, "2"),
        ("blue", None, "2"),
        ("blue", None, "2"),
        ("of the request", None, "2"),
    ]
    assert [len([line for line in request.head.lower().split(b"\r\n") if line.startswith(b"x-team:")])
            for request in server.requests] == [1] * 6  # fmt: skip


async def test_a_copy_extends_the_clients_own_user_agent_and_its_request_id_is_sent(raw) -> None:
    async with raw.pair(headers={"User-Agent": "app/1"}) as (omium, server, attempts):
        await omium.with_options(headers={"user-agent": "job/2", "X-Request-ID": "mine"}).executions.get("e")
        await omium.with_options(headers={"User-Agent": None}).executions.get("e")
    first, second = map(sent, server.requests)
    assert first["user-agent"].endswith(" job/2")
    assert second["user-agent"].startswith("omium-async/")
    assert "app/1" not in second["user-agent"]
    assert (first["x-request-id"], attempts[0].request_id) == ("mine", "mine")


@pytest.mark.parametrize("value", ["x", None])
@pytest.mark.parametrize("name", ["Host", "x-api-key", "Authorization", "Idempotency-Key", "Content-Length"])
def test_a_copy_cannot_set_what_the_client_sets(raw, name, value) -> None:
    with pytest.raises(om.ConfigurationError, match=name):
        raw.client("http://127.0.0.1:9").with_options(headers={name: value})


@pytest.mark.parametrize("headers", [[], "x", {"a": 1}, {"a b": None}, {1: None}, {"a": "b\r\nc"}])
def test_a_copy_refuses_headers_that_are_none(raw, headers) -> None:
    with pytest.raises(om.ConfigurationError, match="headers"):
        raw.client("http://127.0.0.1:9").with_options(headers=headers)


def test_only_a_copy_leaves_headers_out(raw) -> None:
    with pytest.raises(om.ConfigurationError, match="X-Team"):
        raw.client("http://127.0.0.1:9", headers={"X-Team": None})


async def test_an_attempt_has_the_headers_of_its_response(raw) -> None:
    async def handler(request) -> None:
        if request.number == 1:
            request.drop()
        elif request.number == 2:
            await request.send(raw.answer(503, b"{}", "X-Which: second", "X-Request-ID: r2"))
        else:
            await request.send(raw.answer(200, raw.EXECUTION, "X-Which: third", "X-Twice: a", "X-Twice: b"))

    async with raw.pair(handler, max_retries=2) as (omium, _, attempts):
        await omium.executions.get("e")
    assert [attempt.headers.get("X-WHICH") for attempt in attempts] == [None, "second", "third"]
    assert attempts[0].headers == {}
    assert attempts[2].headers["X-Twice"] == "a, b"
    assert "x-which" in attempts[1].headers


async def test_the_headers_of_the_last_attempt_are_those_of_its_error(raw) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(404, b"{}", "X-Which: it"))) as (omium, _, seen):
        with pytest.raises(om.NotFoundError) as caught:
            await omium.executions.get("e")
    error = caught.value
    assert error.attempts[0].headers == error.headers == seen[0].headers
    again = type(error)(*json.loads(json.dumps(error.args)))
    for equal in (again, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert equal.attempts == error.attempts
        assert equal.attempts[0].headers["x-WHICH"] == "it"
    assert hash(equal.attempts[0]) == hash(error.attempts[0])


@pytest.mark.parametrize("status", [200, 400])
async def test_headers_of_attempts_do_not_show_the_key(raw, status) -> None:
    echo = f"X-Echo: it is {raw.KEY}"
    async with raw.pair(lambda request: request.send(raw.answer(status, raw.EXECUTION, echo))) as (omium, _, attempts):
        with contextlib.suppress(om.BadRequestError):
            await omium.executions.get("e")
    assert attempts[0].headers["x-echo"] == "it is ***"


async def test_redirects_show_the_headers_of_the_last_response(raw) -> None:
    async def handler(request) -> None:
        if request.number == 1:
            await request.send(raw.answer(307, b"", "Location: /api/v1/executions/f", "X-Hop: 1"))
        else:
            await request.send(raw.answer(200, raw.EXECUTION, "X-Target: 1"))

    async with raw.pair(handler) as (omium, _, attempts):
        await omium.executions.get("e")
    assert ("x-hop" in attempts[0].headers, "x-target" in attempts[0].headers) == (False, True)


def test_request_id_and_headers_of_a_success_in_sync_code(raw) -> None:
    with omium_sync.LocalOmium(strict=False) as local, omium_sync.Omium(local.api_key, base_url=local.url) as omium:
        seen: list[om.Attempt] = []
        omium.with_options(on_attempt=seen.append, headers={"X-Request-ID": "mine"}).executions.create("w")
    assert seen[-1].request_id == "mine"
    assert seen[-1].headers["Content-Type"].startswith("application/json")
