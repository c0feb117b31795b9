"""An ``api_key`` that is a function: keys that rotate."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import pickle
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import omium_async as om
import omium_sync
from omium_async.local import LocalOmium

from ..rawserver import Tools
from .test_secrets import frames_without_tests

REFUSED = Tools.answer(401, b'{"detail": "unknown key"}')
CREATED = Tools.answer(201, Tools.EXECUTION)


class Issuer:
    """Issues keys, and answers requests with the key that is valid now.

    :ivar calls: of the function.
    :ivar refused: requests with another key.
    """

    def __init__(self, *, uses: int | None = None) -> None:
        self.number = 1
        self.calls = 0
        self.refused = 0
        self.threads: set[str] = set()
        self._uses, self._used = uses, 0

    @property
    def key(self) -> str:
        return f"omium_rotating_{self.number:04d}"

    def __call__(self) -> str:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        return self.key

    async def asked(self) -> str:
        return self()

    async def handle(self, request: Any) -> None:
        if (
            request.headers.get("x-api-key", request.headers.get("authorization", "").removeprefix("Bearer "))
            != self.key
        ):
            self.refused += 1
            await request.send(REFUSED)
            return
        self._used += 1
        if self._uses is not None and self._used % self._uses == 0:
            self.number += 1
        await request.send(CREATED)

    def function(self, kind: str) -> Callable[[], Any]:
        return {
            "plain": self,
            "async": self.asked,
            "partial of an async one": functools.partial(_ask, self),
            "object with an async call": Asking(self),
        }[kind]


async def _ask(issuer: Issuer) -> str:
    return issuer()


class Asking:
    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer

    async def __call__(self) -> str:
        return self.issuer()


class Gated(Issuer):
    """A function that returns when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go = threading.Semaphore(0), threading.Event()
        self.failure: Exception | None = None

    def __call__(self) -> str:
        self.began.release()
        assert self.go.wait(60)
        return self._returned()

    async def asked(self) -> str:
        self.began.release()
        await until(self.go.is_set)
        return self._returned()

    def _returned(self) -> str:
        if self.failure is not None:
            raise self.failure
        return super().__call__()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - in another thread too
        await asyncio.sleep(0.001)


KINDS = ["plain", "async", "partial of an async one", "object with an async call"]
each_kind = pytest.mark.parametrize("kind", KINDS)
both = pytest.mark.parametrize("kind", ["plain", "async"])


# -- the first key, and the next ---------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
async def test_it_is_called_once_when_the_first_key_is_needed(raw, kind, auth) -> None:
    issuer = Issuer()
    async with raw.pair(issuer.handle, api_key=issuer.function(kind), auth=auth) as (omium, server, _):
        assert issuer.calls == 0
        await asyncio.gather(*[omium.executions.get("e") for _ in range(20)])
        await omium.executions.create("w")
        await omium.with_options(timeout=5).request("GET", "/x")
    assert (issuer.calls, issuer.refused, len(server.requests)) == (1, 0, 22)


async def test_a_plain_function_runs_in_a_thread_and_may_block(raw) -> None:
    issuer, go = Issuer(), threading.Event()

    def blocks() -> str:
        assert go.wait(60)
        return issuer()

    async with raw.pair(issuer.handle, api_key=blocks) as (omium, _, _attempts):
        call = asyncio.create_task(omium.executions.get("e"))
        await asyncio.sleep(0)
        go.set()
        await call
    assert threading.current_thread().name not in issuer.threads


@both
@pytest.mark.parametrize("own_session", [True, False])
async def test_all_requests_refused_meanwhile_are_repeated_with_one_new_key(raw, kind, own_session) -> None:
    issuer = Issuer()
    async with raw.Server(issuer.handle) as server, aiohttp.ClientSession() as session:
        attempts: list[om.Attempt] = []
        async with raw.client(
            server.url,
            api_key=issuer.function(kind),
            on_attempt=attempts.append,
            session=None if own_session else session,
        ) as omium:
            await omium.executions.get("e")
            issuer.number += 1
            attempts.clear()
            await asyncio.gather(*[omium.executions.create("w") for _ in range(30)])
    assert issuer.calls == 2
    assert Counter(attempt.status for attempt in attempts) == {401: issuer.refused, 201: 30}
    by_key = Counter(attempt.idempotency_key for attempt in attempts)
    assert (len(by_key), set(by_key.values()) <= {1, 2}) == (30, True)


@both
async def test_the_refusal_stands_if_it_returns_the_same_key(raw, kind) -> None:
    """Also for requests whose refusal arrives after the function returned: one call is enough for all of them."""
    function, arrived, late = Issuer(), asyncio.Event(), asyncio.Event()

    async def handler(request) -> None:
        if request.number == 1:
            await request.send(CREATED)
            return
        if request.number == 11:
            arrived.set()
        await arrived.wait()
        if request.number > 6:
            await late.wait()
        await request.send(REFUSED)

    async with raw.pair(handler, api_key=function.function(kind), max_retries=3) as (omium, server, _):
        await omium.executions.get("e")
        calls = [asyncio.create_task(omium.executions.create("w")) for _ in range(10)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        late.set()
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert function.calls == 2
    assert len(server.requests) == 11
    for error in errors:
        assert isinstance(error, om.AuthenticationError)
        assert (error.outcome, len(error.attempts)) == ("not_applied", 1)
        assert "the key came from the api_key function" in str(error)


async def test_a_call_whose_new_key_is_refused_too_does_not_ask_again(raw) -> None:
    calls = 0

    def fresh() -> str:
        nonlocal calls
        calls += 1
        return f"omium_fresh_{calls:08d}"

    async with raw.pair(lambda request: request.send(REFUSED), api_key=fresh) as (omium, server, _):
        with pytest.raises(om.AuthenticationError) as caught:
            await omium.executions.get("e")
    assert (calls, len(server.requests), len(caught.value.attempts)) == (2, 2, 2)


async def test_a_service_that_refuses_one_call_with_every_key_does_not_see_it_for_ever(raw) -> None:
    calls = 0

    def fresh() -> str:
        nonlocal calls
        calls += 1
        return f"omium_fresh_{calls:08d}"

    async def handler(request) -> None:
        await request.send(REFUSED if request.method == "POST" else CREATED)

    async def reads() -> None:
        while True:
            await omium.executions.get("e")

    async with raw.pair(handler, api_key=fresh) as (omium, _, _attempts):
        reading = asyncio.create_task(reads())
        with pytest.raises(om.AuthenticationError) as caught:
            await omium.executions.create("w")
        reading.cancel()
    assert 2 <= len(caught.value.attempts) <= 11


# -- exceptions and bad values -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("later", [False, True])
async def test_its_exception_is_raised_as_it_is_with_a_note(raw, kind, later) -> None:
    issuer, failure = Gated(), TimeoutError("the vault is sealed")
    issuer.go.set()
    async with raw.pair(issuer.handle, api_key=issuer.function(kind)) as (omium, server, _):
        if later:
            await omium.executions.get("e")
            issuer.began.acquire()
            issuer.number = 2
        issuer.failure = failure
        issuer.go.clear()
        calls = [asyncio.create_task(omium.executions.create("w")) for _ in range(3)]
        await until(lambda: len(server.requests) == 4 * later and issuer.began.acquire(blocking=False))
        for _ in range(10):
            await asyncio.sleep(0)  # all of them wait
        issuer.go.set()
        raised = await asyncio.gather(*calls, return_exceptions=True)
        assert all(error is failure for error in raised)
        assert failure.__notes__ == [
            "raised by the api_key function of the client; POST /api/v1/executions was not applied"
        ]
        shown = "".join(traceback.format_exception(failure))
        assert (shown.count("in _next_key"), shown.count("in _returned")) == (1, 1)  # not one for each call
        issuer.failure = None
        await omium.executions.create("w")
    assert issuer.calls == 1 + later


async def test_an_exception_after_an_ambiguous_attempt_does_not_hide_that_the_write_may_be_applied(raw) -> None:
    fails = False

    def function() -> str:
        if fails:
            raise LookupError("sealed")
        return raw.KEY

    async def handler(request) -> None:
        nonlocal fails
        fails = True
        await request.send(raw.answer(503, b"{}") if request.number == 1 else REFUSED)

    async with raw.pair(handler, api_key=function, max_retries=1, retry_ambiguous_writes=True) as (omium, _, _attempts):
        with pytest.raises(om.AuthenticationError) as caught:
            await omium.executions.create("w")
    assert caught.value.outcome == "unknown"
    assert isinstance(caught.value.__cause__, LookupError)


async def test_an_exception_in_the_wait_of_a_run_names_the_execution(raw) -> None:
    calls = 0

    def function() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise LookupError("sealed")
        return raw.KEY

    async def handler(request) -> None:
        await request.send(CREATED if request.method == "POST" else REFUSED)

    async with raw.pair(handler, api_key=function) as (omium, _, _attempts):
        with pytest.raises(LookupError) as caught:
            await omium.executions.run("w")
    notes = caught.value.__notes__
    assert any("exec_1 was created" in note for note in notes)
    assert not any("POST" in note for note in notes)


async def test_a_plain_function_may_raise_what_a_future_cannot_hold(raw) -> None:
    keys = iter([raw.KEY])

    async def handler(request) -> None:
        await request.send(CREATED if request.number == 1 else REFUSED)

    async with raw.pair(handler, api_key=lambda: next(keys)) as (omium, _, _attempts):
        await omium.executions.get("e")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await omium.executions.get("e")


BAD = {
    "nothing": lambda: None,
    "bytes": lambda: b"omium_key",
    "empty": lambda: " ",
    "two lines": lambda: "omium_secret_key\n",
    "a coroutine": lambda: _ask(Issuer()),
    "a surrogate": lambda: "omium_secret_key\ud800",
}


@pytest.mark.parametrize("returned", BAD)
async def test_a_value_that_is_no_key_is_a_configuration_error(raw, returned) -> None:
    async with raw.pair(api_key=BAD[returned]) as (omium, server, _):
        for error in await asyncio.gather(*[omium.executions.create("w") for _ in range(2)], return_exceptions=True):
            assert isinstance(error, om.ConfigurationError)
            assert (error.setting, error.source, error.outcome) == ("api_key", "api_key function", "not_applied")
            assert "api_key function" in str(error)
            assert "secret" not in str(error) + repr(error.args)
            assert error.idempotency_key is not None
    assert server.requests == []


@pytest.mark.parametrize("given", [lambda key: key, Asking, [], 5])
def test_what_is_no_function_without_arguments_is_rejected_at_construction(given) -> None:
    with pytest.raises(om.ConfigurationError, match="api_key"):
        om.AsyncOmium(given)


# -- cancellation and time-outs ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("end", ["cancel", "timeout"])
async def test_others_go_on_when_the_call_that_waits_first_ends(raw, kind, end) -> None:
    issuer = Gated()
    async with raw.pair(issuer.handle, api_key=issuer.function(kind)) as (omium, _, _attempts):
        first = asyncio.create_task(
            (omium.with_options(timeout=0.05) if end == "timeout" else omium).executions.create("w")
        )
        await until(lambda: issuer.began.acquire(blocking=False))
        others = [asyncio.create_task(omium.executions.get("e")) for _ in range(3)]
        await asyncio.sleep(0)
        if end == "cancel":
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        else:
            with pytest.raises(om.APITimeoutError, match="api_key function") as caught:
                await first
            assert (caught.value.outcome, caught.value.attempts) == ("not_applied", ())
        issuer.go.set()
        await asyncio.gather(*others)
    assert issuer.calls == 1  # that of the ended call, if it was async, did not return


async def test_a_cancelled_call_leaves_no_task_behind(raw) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async with raw.pair(api_key=never) as (omium, server, _):
        call = asyncio.create_task(omium.executions.get("e"))
        await asyncio.sleep(0)
        before = asyncio.all_tasks() - {call}
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert asyncio.all_tasks() == before
    assert server.requests == []


async def test_the_time_out_of_the_call_includes_it_also_after_a_refusal(raw) -> None:
    issuer = Issuer()

    async def function() -> str:
        if issuer.calls:
            await asyncio.Event().wait()
        return issuer()

    async with raw.pair(issuer.handle, api_key=function, timeout=5) as (omium, _, _attempts):
        await omium.executions.get("e")
        issuer.number += 1
        with pytest.raises(om.APITimeoutError) as caught:
            await omium.with_options(timeout=0.05).executions.create("w")
    assert (caught.value.outcome, len(caught.value.attempts)) == ("not_applied", 1)


@both
@pytest.mark.parametrize("refused", [False, True])
async def test_a_client_closed_while_calls_wait_for_a_key_ends_them(raw, kind, refused) -> None:
    issuer = Gated()
    async with raw.pair(issuer.handle, api_key=issuer.function(kind)) as (omium, _, attempts):
        if refused:
            issuer.go.set()
            await omium.executions.get("e")
            issuer.began.acquire()
            issuer.number = 2
            issuer.go.clear()
        calls = [asyncio.create_task(omium.executions.get("e")) for _ in range(2)]
        await until(lambda: len(attempts) == 3 * refused and issuer.began.acquire(blocking=False))
        await asyncio.sleep(0)
        await omium.aclose()
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, RuntimeError)
            assert "closed" in str(error)
        issuer.go.set()


# -- event loops, threads, processes -----------------------------------------------------------------------------------


@both
def test_loops_in_several_threads_share_one_call(kind) -> None:
    issuer = Gated()
    with omium_sync.LocalOmium(strict=False, api_keys=[issuer.key, "omium_rotating_0002"]) as local:
        omium = om.AsyncOmium(issuer.function(kind), base_url=local.url)
        barrier = threading.Barrier(5)

        async def call() -> None:
            barrier.wait()
            await omium.executions.create("w")

        with ThreadPoolExecutor(4) as threads:
            ended = [threads.submit(lambda: asyncio.run(call())) for _ in range(4)]
            barrier.wait()
            assert issuer.began.acquire(timeout=60)
            issuer.go.set()
            for each in ended:
                each.result()
        assert issuer.calls == 1


def test_the_end_of_the_loop_in_which_it_runs_lets_another_loop_take_over() -> None:
    issuer = Gated()
    with omium_sync.LocalOmium(strict=False, api_keys=[issuer.key]) as local:
        omium = om.AsyncOmium(issuer.asked, base_url=local.url)

        async def leaves() -> None:
            call = asyncio.create_task(omium.executions.create("w"))
            await until(lambda: issuer.began.acquire(blocking=False))
            waits.set()
            await until(waiting.is_set)
            del call  # the end of the loop cancels it

        async def stays() -> None:
            call = asyncio.create_task(omium.executions.create("w"))
            await asyncio.sleep(0.01)
            waiting.set()
            await call

        waits, waiting = threading.Event(), threading.Event()
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(lambda: asyncio.run(leaves()))
            assert waits.wait(60)
            second = threads.submit(lambda: asyncio.run(stays()))
            first.result()
            issuer.go.set()
            second.result()


@both
def test_the_sync_client_takes_it_too_also_in_a_forked_child(kind, recwarn) -> None:
    issuer = Issuer()
    with (
        omium_sync.LocalOmium(strict=False, api_keys=[issuer.key]) as local,
        omium_sync.Omium(issuer.function(kind), base_url=local.url) as omium,
    ):
        omium.executions.create("w")
        read, write = os.pipe()
        if not (child := os.fork()):
            try:
                omium.executions.create("w")
                os.write(write, b"%d" % issuer.calls)
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == b"2"  # its own, because a call of the parent may have been in progress
        os.waitpid(child, 0)
        omium.executions.create("w")
    recwarn.clear()  # of forking with threads
    assert issuer.calls == 1


# -- batches -----------------------------------------------------------------------------------------------------------


@given(
    uses=st.integers(1, 30),
    concurrency=st.integers(1, 5),
    items=st.integers(1, 40),
    kind=st.sampled_from(["plain", "async"]),
)
def test_a_batch_goes_on_while_keys_rotate(uses: int, concurrency: int, items: int, kind: str) -> None:
    async def run() -> None:
        issuer = Issuer(uses=uses)
        async with Tools.pair(issuer.handle, api_key=issuer.function(kind)) as (omium, server, _):
            requests = [om.ExecutionRequest("w", {"n": n}) for n in range(items)]
            states = [
                outcome.state async for outcome in omium.executions.create_many(requests, concurrency=concurrency)
            ]
            sent = Counter(
                json.loads(request.body)["input_data"]["n"] for request in server.requests if request.method == "POST"
            )
            assert states == ["created"] * items
            assert sent.total() == items + issuer.refused
            assert issuer.calls <= issuer.number

    asyncio.run(run())


@pytest.mark.parametrize("raised", [ValueError("sealed"), KeyError("vault")])
async def test_an_exception_of_it_ends_a_batch(raw, raised) -> None:
    issuer, calls = Issuer(), 0

    def function() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise raised
        return issuer()

    async def handler(request) -> None:
        if request.number == 5:
            issuer.number += 1
        await issuer.handle(request)

    async with raw.pair(handler, api_key=function) as (omium, _, _attempts):
        states = []
        with pytest.raises(type(raised)) as caught:
            async for outcome in omium.executions.create_many([om.ExecutionRequest("w")] * 50, concurrency=1):
                states += [outcome.state]
    assert caught.value is raised
    assert states == ["created"] * 4
    assert calls == 2


async def test_a_value_that_is_no_key_ends_a_batch(raw) -> None:
    calls = 0

    def function() -> None:
        nonlocal calls
        calls += 1

    async with raw.pair(api_key=function) as (omium, server, _):
        with pytest.raises(om.ConfigurationError, match="api_key function"):
            async for outcome in omium.executions.create_many([om.ExecutionRequest("w")] * 50, concurrency=2):
                assert outcome.state == "rejected"
    assert (server.requests, calls <= 2) == ([], True)


async def test_a_function_that_hangs_ends_a_batch_as_an_outage_does(raw) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async with raw.pair(api_key=never, attempt_timeout=0.05, patience=0) as (omium, server, _):
        with pytest.raises(om.APITimeoutError, match="api_key function") as caught:
            async for outcome in omium.executions.create_many([om.ExecutionRequest("w")] * 50):
                raise AssertionError(outcome)
    assert (caught.value.outcome, server.requests) == ("not_applied", [])


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_no_key_that_it_has_returned_is_shown(raw, caplog) -> None:
    caplog.set_level("DEBUG")
    issuer, keys = Issuer(), set()

    async def handler(request) -> None:
        sent = request.headers["x-api-key"]
        keys.add(sent)
        if request.method == "GET":
            await issuer.handle(request)
            return
        echo = " ".join(sorted(keys))
        await request.send(raw.answer(400, f'{{"detail": "bad {echo}"}}'.encode(), f"X-Echo: {echo}"))

    async with raw.pair(handler, api_key=functools.partial(issuer.__call__)) as (omium, _, attempts):
        for _ in range(3):
            await omium.executions.get("e")
            issuer.number += 1
        with pytest.raises(om.BadRequestError) as caught:
            await omium.executions.create("w")
        assert len(keys) == 3
        error = frames_without_tests(caught.value)
        shown = "\n".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        shown += repr((omium, error.args, error.body, error.headers, [attempt.headers for attempt in attempts]))
        shown += repr(vars(omium)) + caplog.text + repr(pickle.dumps(error))
    assert [key for key in keys if key in shown] == []
    assert "***" in shown


async def test_arguments_of_a_partial_are_not_shown() -> None:
    function = functools.partial(str, "omium_secret_key")
    with pytest.raises(om.ConfigurationError) as caught:
        om.AsyncOmium(function, timeout=-1)
    error = frames_without_tests(caught.value)
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "omium_secret_key" not in shown


async def test_keys_of_a_local_server_rotate() -> None:
    async with LocalOmium(strict=False, api_keys=["first-key-of-two", "second-key-of-two"]) as local:
        keys = iter(["a key that was revoked", "first-key-of-two"])
        async with om.AsyncOmium(lambda: next(keys), base_url=local.url) as omium:
            assert (await omium.executions.create("w")).status == "pending"
