"""Real TLS and real proxies: requests that were never sent, and keys that proxies must not see."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import sys
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
import truststore

import omium_async as om

AUTHORITY = trustme.CA()
PASSWORD = "pass word/with=signs"


def server_context(*names: str, **options) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*(names or ("127.0.0.1",)), **options).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def test_tls_works_and_connections_are_used_again(raw) -> None:
    async with raw.pair(tls=server_context(), ssl=client_context()) as (omium, server, attempts):
        for _ in range(3):
            await omium.executions.create("wf")
    assert server.connections == 1
    assert all(attempt.sent for attempt in attempts)


BAD = {
    "a wrong name": lambda: (server_context("omium.example"), client_context()),
    "an untrusted authority": lambda: (server_context(), ssl.create_default_context()),
    "an expired certificate": lambda: (
        server_context("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)),
        client_context(),
    ),
    "a wrong fingerprint": lambda: (server_context(), aiohttp.Fingerprint(b"x" * 32)),
}


@pytest.mark.parametrize(("bad", "sessions"), [*((bad, "own") for bad in BAD), ("a wrong name", "users")])
async def test_bad_certificates(raw, bad: str, sessions: str) -> None:
    tls, trust = BAD[bad]()
    session = aiohttp.ClientSession() if sessions == "users" else None
    async with raw.pair(tls=tls, ssl=trust, max_retries=1, session=session) as (omium, server, attempts):
        with pytest.raises(om.APIConnectionError) as caught:
            await omium.executions.create("wf")
        assert not caught.value.outcome_unknown
        assert [attempt.sent for attempt in attempts] == [False, False]
        assert server.requests == []
    if session is not None:
        await session.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the authorities of the system are not in a file")
@pytest.mark.parametrize("trusted", [True, False])
async def test_a_context_of_truststore_trusts_the_authorities_of_the_system(raw, monkeypatch, tmp_path, trusted):
    file = tmp_path / "authorities.pem"
    (AUTHORITY if trusted else trustme.CA()).cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with raw.pair(tls=server_context(), ssl=context, max_retries=0) as (omium, server, _):
        if trusted:
            await omium.executions.create("wf")
            assert len(server.requests) == 1
        else:
            with pytest.raises(om.APIConnectionError) as caught:
                await omium.executions.create("wf")
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError | aiohttp.ClientSSLError)
            assert (caught.value.outcome, server.requests) == ("not_applied", [])


async def test_http_where_tls_is_expected(raw) -> None:
    async def not_tls(reader, writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(not_tls, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, raw.client(f"https://127.0.0.1:{port}") as omium:
        with pytest.raises(om.APIConnectionError, match=r"does not speak TLS; is the URL http://") as caught:
            await omium.executions.create("wf")
    assert not caught.value.outcome_unknown
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize(("size", "stray"), [(1000, b"x"), (100_000, b"x" * 70_000), (3_000_000, b"x")])
async def test_closing_does_not_fail_for_what_came_after_an_answer(raw, size: int, stray: bytes) -> None:
    async def handler(request) -> None:
        await request.send(raw.answer(200, b'{"id": "e"}'.ljust(size)) + stray)

    async with raw.Server(handler, server_context()) as server:
        omium = raw.client(server.url, ssl=client_context())
        with contextlib.suppress(om.InvalidResponseError):  # what is stray and came at once spoils the answer
            await omium.request("GET", "/x")
        await omium.aclose()


@pytest.mark.parametrize("verified", [False, None])
async def test_verification_can_be_turned_off_and_is_on(raw, verified) -> None:
    async with raw.pair(tls=server_context(), ssl=verified) as (omium, _, _attempts):
        if verified is False:
            await omium.executions.get("e")
        else:
            with pytest.raises(om.APIConnectionError):
                await omium.executions.get("e")


class Proxy:
    """An HTTP proxy: CONNECT tunnels and plain requests."""

    def __init__(self, refusal: bytes | None = None, *, to: int | None = None) -> None:
        self.refusal = refusal
        self.to = to
        self.heads: list[bytes] = []
        self._tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}"

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        upstream = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.refusal is not None:
                writer.write(self.refusal)
                await writer.drain()
                return
            method, target, _ = head.split(b" ", 2)
            port = int(target.rpartition(b":")[2].split(b"/")[0]) if self.to is None else self.to
            other, upstream = await asyncio.open_connection("127.0.0.1", port)
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream.write(head)
            await asyncio.gather(self._pump(reader, upstream), self._pump(other, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            if upstream is not None:
                upstream.close()

    async def _pump(self, reader, writer) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


CREDENTIALS = "us%20er:pass%20word%2Fwith%3Dsigns@"
BASIC = b"Proxy-Authorization: Basic " + base64.b64encode(f"us er:{PASSWORD}".encode())


async def test_a_tunnel_with_credentials(raw) -> None:
    async with Proxy() as proxy:
        options = {"tls": server_context(), "ssl": client_context(), "proxy": proxy.url(CREDENTIALS)}
        async with raw.pair(**options) as (omium, server, attempts):
            for _ in range(3):
                await omium.executions.create("wf")
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert BASIC in head
    assert raw.KEY.encode() not in head
    assert server.connections == 1
    assert len(server.requests) == 3
    for request in server.requests:
        assert b"proxy-authorization" not in request.head.lower()
    assert all(attempt.sent for attempt in attempts)


async def test_plain_http_through_a_proxy(raw) -> None:
    async with Proxy() as proxy, raw.pair(proxy=proxy.url(CREDENTIALS)) as (omium, server, _):
        await omium.executions.get("e")
    (head,) = proxy.heads
    assert head.startswith(b"GET http://127.0.0.1:%d/api/v1/executions/e HTTP/1.1\r\n" % server.port)
    assert BASIC in head


@pytest.mark.parametrize(("status", "sessions"), [(403, "own"), (407, "own"), (502, "own"), (502, "users")])
async def test_a_tunnel_that_is_refused_was_never_sent(raw, status: int, sessions: str) -> None:
    refusal = f"HTTP/1.1 {status} No {PASSWORD}\r\nContent-Length: 0\r\n\r\n".encode()
    session = aiohttp.ClientSession() if sessions == "users" else None
    async with Proxy(refusal) as proxy:
        omium = raw.client("https://omium.test", proxy=proxy.url(CREDENTIALS), max_retries=1, session=session)
        async with omium:
            with pytest.raises(om.APIConnectionError, match=f"proxy refused: {status}") as caught:
                await omium.executions.create("wf")
    if session is not None:
        await session.close()
    error = caught.value
    assert not error.outcome_unknown
    assert [attempt.sent for attempt in error.attempts] == [False, False]
    assert PASSWORD not in f"{error} {error.attempts}"


@pytest.mark.parametrize("refusal", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nnonsense in place of TLS"])
async def test_a_tunnel_that_breaks_was_never_sent(raw, refusal: bytes) -> None:
    async with Proxy(refusal) as proxy, raw.client("https://omium.test", proxy=proxy.url()) as omium:
        with pytest.raises(om.OmiumError) as caught:
            await omium.executions.create("wf")
    assert not caught.value.outcome_unknown
    assert [attempt.sent for attempt in caught.value.attempts] == [False]


async def test_a_proxy_that_hangs_was_never_sent(raw) -> None:
    async with contextlib.AsyncExitStack() as stack:
        hanging = asyncio.Event()

        async def handler(reader, writer) -> None:
            await hanging.wait()
            writer.close()

        listener = await asyncio.start_server(handler, "127.0.0.1", 0)
        await stack.enter_async_context(listener)
        port = listener.sockets[0].getsockname()[1]
        async with raw.client("https://omium.test", proxy=f"http://127.0.0.1:{port}", attempt_timeout=0.1) as omium:
            with pytest.raises(om.APITimeoutError) as caught:
                await omium.executions.create("wf")
        hanging.set()
    assert not caught.value.outcome_unknown


# -- proxies of the environment ------------------------------------------------------------------------------------


def proxy_of(raw, url: str = "https://omium.test", **options) -> str | None:
    found = raw.client(url, **options)._caller.shared.settings.proxy
    return None if found is None else found.url


def test_the_proxies_of_the_environment(raw, monkeypatch) -> None:
    assert proxy_of(raw) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://u:p@proxy.test:3128")
    assert proxy_of(raw) == "http://proxy.test:3128"
    assert proxy_of(raw, "http://omium.test", allow_insecure_http=True) is None
    assert proxy_of(raw, "https://127.0.0.1:1") is None
    assert proxy_of(raw, "https://localhost") is None
    assert proxy_of(raw, proxy="http://other.test") == "http://other.test"
    monkeypatch.setenv("NO_PROXY", "other.test, omium.test")
    assert proxy_of(raw) is None
    assert proxy_of(raw, "https://sub.omium.test") is None
    assert proxy_of(raw, "https://omium.example") == "http://proxy.test:3128"
    monkeypatch.setenv("NO_PROXY", "*")
    assert proxy_of(raw, "https://omium.example") is None
    monkeypatch.setenv("NO_PROXY", "omium.test:444")
    assert proxy_of(raw) == "http://proxy.test:3128"
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("all_proxy", "proxy.test:1")
    assert proxy_of(raw) == "http://proxy.test:1"
    monkeypatch.setenv("all_proxy", "socks5://proxy.test:1")
    monkeypatch.setenv("NO_PROXY", "")
    assert proxy_of(raw) is None  # it is there for others
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.test:1")
    with pytest.raises(om.ConfigurationError, match=r"HTTPS_PROXY \(environment\).*SOCKS"):
        proxy_of(raw)


async def test_a_proxy_of_the_environment_is_used_and_netrc_is_not(raw, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine omium.test login me password of-netrc\ndefault login me password of-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw.Server(tls=server_context("omium.test")) as server, Proxy(to=server.port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url(CREDENTIALS))
        async with raw.client("https://omium.test", ssl=client_context()) as omium:
            await omium.executions.get("e")
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT omium.test:443 ")
    assert BASIC in head
    assert "authorization" not in server.requests[0].headers
