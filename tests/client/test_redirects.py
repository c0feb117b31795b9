"""Redirects within the origin are followed if the request stays the same; any other 3xx is an error."""

from __future__ import annotations

import aiohttp
import pytest

import omium_async as om

READS = {"GET", "HEAD", "OPTIONS"}


TABLE = [(status, method) for status in (301, 302, 303, 307, 308) for method in ("GET", "HEAD", "POST", "DELETE")]


@pytest.mark.parametrize("sessions", ["own", "users"])
async def test_reads_follow_all_redirects_and_writes_only_those_that_keep_method_and_body(raw, sessions: str) -> None:
    async def handler(request) -> None:
        if request.target == "/api/v1/x":
            body = b"" if method == "HEAD" or status == 304 else b"moved"
            await request.send(raw.answer(status, body, "Location: /y?z=%C3%A4"))
        else:
            await request.send(raw.answer(200, b""))

    status, method = 0, ""
    session = aiohttp.ClientSession() if sessions == "users" else None
    async with raw.pair(handler, session=session) as (omium, server, attempts):
        for status, method in [*TABLE, (300, "GET"), (304, "GET"), (305, "POST"), (307, "OPTIONS"), (303, "OPTIONS")]:
            server.requests.clear()
            attempts.clear()
            body = None if method in READS else {"a": 1}
            if status in (307, 308) or (status in (301, 302, 303) and method in READS):
                assert (await omium.request(method, "/x", json=body)).status == 200
                first, second = server.requests
                assert second.target == "/y?z=%C3%A4"
                assert second.method == ("GET" if status == 303 and method != "HEAD" else method)
                assert second.body == first.body
                for name in ("x-api-key", "idempotency-key", "x-request-id", "content-type"):
                    assert second.headers.get(name) == first.headers.get(name)
            else:
                with pytest.raises(om.APIStatusError) as caught:
                    await omium.request(method, "/x", json=body)
                assert (caught.value.status, len(server.requests)) == (status, 1)
                assert caught.value.outcome_unknown is (method not in READS)
            assert len(attempts) == 1
    if session is not None:
        await session.close()


@pytest.mark.parametrize("status", [303, 307])
async def test_a_303_asks_for_another_page_and_takes_no_body_along(raw, status: int) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(status, b"", "Location: /y") if request.number == 1 else raw.answer(200, b""))

    async with raw.pair(handler) as (omium, server, _):
        await omium.request("OPTIONS", "/x", json={"a": 1})
    first, second = server.requests
    assert (first.body, first.headers["content-type"]) == (b'{"a":1}', "application/json")
    if status == 303:
        assert (second.method, second.body, second.headers.get("content-type")) == ("GET", b"", None)
    else:
        assert (second.method, second.body, second.headers["content-type"]) == (
            "OPTIONS", first.body, "application/json",
        )  # fmt: skip


async def test_at_most_five(raw) -> None:
    async def handler(request) -> None:
        hop = int(request.target.rpartition("/")[2])
        last = int(request.headers["x-last"])
        if hop == last:
            await request.send(raw.answer())
        else:
            await request.send(raw.answer(307, b"body", f"Location: /{hop + 1}"))

    async with raw.pair(handler) as (omium, server, attempts):
        await omium.request("POST", "/0", headers={"X-Last": "5"}, json={})
        assert len(server.requests) == 6
        with pytest.raises(om.APIStatusError) as caught:
            await omium.request("POST", "/0", headers={"X-Last": "6"}, json={})
        assert caught.value.status == 307
        assert len(server.requests) == 12
        assert [attempt.number for attempt in attempts] == [1, 1]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{other}/x",
        "//127.0.0.1:{other}/x",
        "https://127.0.0.1:{port}/x",
        "http://user:pass@127.0.0.1:{port}/x",
        "ftp://127.0.0.1:{port}/x",
        "javascript:alert(1)",
        "http://127.0.0.1:{port}.evil.example/x",
        "http://[",
        "http://",
        "http:",
        "http://127.0.0.1:99999/x",
        "\\\\127.0.0.1:{other}/x",
    ],
)
async def test_the_key_never_leaves_its_origin(raw, status: int, location: str) -> None:
    async with raw.Server() as other:

        async def handler(request) -> None:
            if request.number == 1:
                target = location.format(other=other.port, port=server.port)
                await request.send(raw.answer(status, b"", f"Location: {target}"))
            else:
                await request.send(raw.answer(404))

        async with raw.pair(handler) as (omium, server, _):
            with pytest.raises(om.APIStatusError) as caught:
                await omium.executions.get("e")
            assert caught.value.status in (status, 404)
        assert other.requests == []
        assert all(request.headers["host"] == f"127.0.0.1:{server.port}" for request in server.requests)


async def test_every_form_of_the_same_origin(raw) -> None:
    async def handler(request) -> None:
        if request.number % 2:
            await request.send(raw.answer(307, b"", f"Location: {location.format(port=server.port)}"))
        else:
            await request.send(raw.answer(body=raw.EXECUTION))

    location = ""
    async with raw.pair(handler) as (omium, server, _):
        for location in ("", "x", "?q=1", "#f", "/a b", "/ä", "/%zz", "HTTP://127.0.0.1:{port}"):
            await omium.executions.create("wf")
            assert len(server.requests[-1].head.split(b"\r\n")[0].split(b" ")) == 3, location
            assert server.requests[-1].headers["x-api-key"] == raw.KEY
    assert len(server.requests) == 16


async def test_a_redirect_without_a_location_is_the_answer(raw) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(307))) as (omium, _, _attempts):
        with pytest.raises(om.APIStatusError):
            await omium.executions.get("e")


@pytest.mark.parametrize("ends", ["dropped", "refused", 429, 404, 500])
async def test_the_verdict_after_a_hop(raw, ends) -> None:
    """A redirect hop that breaks counts from its first request on; an answer at its end decides."""

    async def handler(request) -> None:
        if request.number == 1:
            close = "Connection: close" if ends == "refused" else "X: y"
            if ends == "refused":
                server._server.close()
            await request.send(raw.answer(307, b"", "Location: /y", close))
            if ends == "refused":
                request.drop()
        elif ends == "dropped":
            request.drop()
        else:
            await request.send(raw.answer(ends))

    async with raw.pair(handler) as (omium, server, attempts):
        with pytest.raises(om.OmiumError) as caught:
            await omium.executions.create("wf")
    assert caught.value.outcome_unknown is (ends not in (429, 404))
    assert [attempt.sent for attempt in attempts] == [True]
