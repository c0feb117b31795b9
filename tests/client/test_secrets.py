"""The key and the credentials of a proxy are shown nowhere."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import traceback
import types
from urllib.parse import quote

import pytest

import omium_async as om

KEY = "omium_s3cret+key/with=signs"
FORMS = (KEY, "s3cret", "omium_s3cret%2Bkey")


def seen_in(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def spelled_out(error: BaseException) -> str:
    """The error as careless logging shows it, with the local variables of every frame."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join(
        [*found.format(), repr(error), str(error), repr(vars(error)), repr(getattr(error, "attempts", ""))]
    )


def frames_without_tests(error: BaseException) -> BaseException:
    """Drop the test's own frames, whose variables hold the key because tests do."""
    step = error.__traceback__
    while step is not None and "omium_async" not in step.tb_frame.f_code.co_filename:
        step = step.tb_next
    return error.with_traceback(step)


def echo(raw, status: int):
    text = KEY
    body = f'{{"detail": "bad key {text}", "x": "{text}"}}'.encode()
    return raw.answer(status, body, f"X-Request-Id: {text}", f"X-Echo: {text}", reason=f"Sent {text}")


async def echoes(request, raw, status: int) -> None:
    await request.send(echo(raw, status))


FAILURES = {
    "401 that echoes": lambda request, raw: request.send(echo(raw, 401)),
    "503 that echoes": lambda request, raw: request.send(echo(raw, 503)),
    "302 that echoes": lambda request, raw: request.send(raw.answer(302, KEY.encode(), f"Location: https://x/{KEY}")),
    "garbage that echoes": lambda request, raw: request.send(
        raw.answer(200, f"<html>{KEY}".encode(), f"cf-ray: {KEY}")
    ),
    "a wrong type that echoes": lambda request, raw: request.send(
        raw.answer(200, f'{{"id": 5, "x": "{KEY}"}}'.encode())
    ),
    "a place that echoes": lambda request, raw: request.send(
        raw.answer(200, f'{{"id": "e", "checkpoints": [{{"id": 3, "{KEY}": 1}}]}}'.encode())
    ),
    "a head that is none": lambda request, raw: request.send(f"HTTP/1.1 {KEY}\r\n\r\n".encode()),
    "a header that is none": lambda request, raw: request.send(f"HTTP/1.1 200 OK\r\n{KEY} x\r\n\r\n".encode()),
    "dropped": lambda request, raw: asyncio.sleep(0, request.drop()),
    "never": lambda request, raw: asyncio.Event().wait(),
}


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("failure", "auth", "source"),
    [
        *((failure, "x-api-key", "argument") for failure in FAILURES),
        *(("dropped", "bearer", source) for source in ("environment", "file")),
        ("401 that echoes", "bearer", "argument"),
    ],
)
async def test_no_failure_shows_the_key(raw, failure, auth, source, monkeypatch, tmp_path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    argument = KEY if source == "argument" else None
    if source == "environment":
        monkeypatch.setenv("OMIUM_API_KEY", KEY)
    if source == "file":
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".omium" / "config.json").write_text(f'{{"api_key": "{KEY}"}}')
    attempts: list[om.Attempt] = []
    async with (
        raw.Server(lambda request: FAILURES[failure](request, raw)) as server,
        om.AsyncOmium(
            argument, base_url=server.url, auth=auth, attempt_timeout=0.2, max_retries=1, on_attempt=attempts.append
        ) as omium,
    ):
        for call in (omium.executions.get, omium.executions.create):
            try:
                await call("e")
            except om.OmiumError as error:
                caught = frames_without_tests(error)
                assert seen_in(spelled_out(caught)) == []
                assert seen_in(spelled_out(pickle.loads(pickle.dumps(caught)))) == []
                assert seen_in(spelled_out(copy.deepcopy(caught))) == []
                assert b"s3cret" not in pickle.dumps(caught)
                if "echoes" in failure and hasattr(caught, "body") and caught.status != 302:
                    assert b"***" in caught.body
    assert seen_in(repr(attempts)) == []
    assert seen_in(caplog.text) == []
    assert caplog.records


async def test_a_success_is_logged_without_the_key_and_returned_as_sent(raw, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    attempts: list[om.Attempt] = []
    body = f'{{"id": "{KEY}"}}'.encode()
    async with raw.Server(lambda request: request.send(raw.answer(200, body, f"X-Request-Id: {KEY}"))) as server:  # noqa: SIM117 - reads better apart
        async with om.AsyncOmium(KEY, base_url=server.url, on_attempt=attempts.append) as omium:
            assert (await omium.executions.get("e")).id == KEY
            assert (await omium.request("GET", "/x")).body == body
    assert seen_in(repr(attempts)) == []
    assert seen_in(caplog.text) == []


async def test_a_cancelled_or_interrupted_call_does_not_show_it(raw) -> None:
    arrived = asyncio.Event()

    async def handler(request) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with raw.Server(handler) as server, om.AsyncOmium(KEY, base_url=server.url) as omium:
        call = asyncio.create_task(omium.executions.create("e"))
        await arrived.wait()
        assert seen_in(repr(call)) == []
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert seen_in(spelled_out(frames_without_tests(caught.value))) == []


MISTAKES = {
    "a key of two lines": lambda: om.AsyncOmium(KEY + "\n"),
    "a key that is bytes": lambda: om.AsyncOmium(KEY.encode()),  # type: ignore[arg-type]
    "a key in a list": lambda: om.AsyncOmium([KEY]),  # type: ignore[arg-type]
    "a lone surrogate": lambda: om.AsyncOmium(KEY + "\ud800"),
    "the key in the URL": lambda: om.AsyncOmium("other-key", base_url=f"https://{KEY}:x@omium.test"),
    "the key for the URL": lambda: om.AsyncOmium("other-key", base_url=KEY),
    "the key as a header": lambda: om.AsyncOmium(KEY, headers={"X-API-Key": KEY}),
    "the key as a bearer": lambda: om.AsyncOmium(KEY, headers={"Authorization": f"Bearer {KEY}"}),
    "the key in a bad header": lambda: om.AsyncOmium(KEY, headers={"X": f"{KEY}\r\n"}),
    "the key for auth": lambda: om.AsyncOmium("other-key", auth=KEY),  # type: ignore[arg-type]
    "a good key and a bad time-out": lambda: om.AsyncOmium(KEY, timeout=-1),
    "a good key and a bad URL": lambda: om.AsyncOmium(KEY, base_url="nonsense"),
    "a proxy that is none": lambda: om.AsyncOmium("other-key", proxy=f"socks5://u:{quote(KEY)}@proxy.test:1"),
    "a proxy without a host": lambda: om.AsyncOmium("other-key", proxy=f"http://{KEY}@"),
    "a proxy with a bad port": lambda: om.AsyncOmium("other-key", proxy=f"http://u:{KEY}@proxy.test:99999999"),
    "with_options": lambda: om.AsyncOmium("other-key").with_options(api_key=KEY),  # type: ignore[call-arg]
    "pickle": lambda: pickle.dumps(om.AsyncOmium(KEY)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_mistake_shows_the_key(mistake: str) -> None:
    with pytest.raises((om.ConfigurationError, TypeError)) as caught:
        MISTAKES[mistake]()
    error = frames_without_tests(caught.value)
    assert error.__traceback__ is not None
    assert seen_in(spelled_out(error)) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OMIUM_TIMEOUT", KEY),
        ("OMIUM_RETRY_ATTEMPTS", KEY),
        ("OMIUM_API_URL", KEY),
        ("OMIUM_API_KEY", KEY + "\r"),
        ("HTTPS_PROXY", f"socks5://u:{KEY}@proxy.test"),
    ],
)
def test_no_variable_shows_the_key(monkeypatch, variable: str, value: str) -> None:
    monkeypatch.setenv("OMIUM_API_KEY", "other-key")
    monkeypatch.setenv(variable, value)
    with pytest.raises(om.ConfigurationError) as caught:
        om.AsyncOmium()
    assert seen_in(spelled_out(frames_without_tests(caught.value))) == []
    assert (variable in str(caught.value)) or "proxy" in str(caught.value)


@pytest.mark.parametrize("text", ['{"api_key": ["%s"]}', '{"api_key": "%s"', '["%s"]', '{"api_key": "%s\\n"}'])
def test_no_config_file_shows_the_key(monkeypatch, tmp_path, text: str) -> None:
    (tmp_path / ".omium" / "config.json").write_text(text % KEY)
    with pytest.raises(om.ConfigurationError, match=r"config\.json") as caught:
        om.AsyncOmium()
    assert seen_in(spelled_out(frames_without_tests(caught.value))) == []


@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
async def test_no_repr_of_anything_within_a_client_shows_it(raw, auth) -> None:
    """Everything that can be reached from the client, also while a connection is open."""
    async with raw.Server() as server:
        omium = om.AsyncOmium(KEY, base_url=server.url, auth=auth, headers={"X-Mine": KEY}, proxy=None)
        proxied = om.AsyncOmium(
            "other-key-for-this", proxy=f"http://{quote(KEY, safe='')}:{quote(KEY, safe='')}@127.0.0.1:9"
        )
        rotating = om.AsyncOmium(lambda: KEY, base_url=server.url, auth=auth)
        await omium.executions.get("e")
        await rotating.executions.get("e")
        for client in (omium, proxied, rotating):
            stack: list[object] = [client]
            reached: set[int] = set()
            while stack:
                item = stack.pop()
                if id(item) in reached or isinstance(
                    item, (type, types.ModuleType, types.FunctionType, types.FrameType)
                ):
                    continue
                reached.add(id(item))
                if isinstance(item, (asyncio.AbstractEventLoop, asyncio.Task)):
                    continue
                if not (type(item) is dict and "__builtins__" in item):
                    assert seen_in(repr(item)) == [], type(item)
                    stack.extend(gc.get_referents(item))
            assert len(reached) > 50
        await omium.aclose()
        await rotating.aclose()


def test_silent_by_default(raw) -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("omium_async").handlers)
