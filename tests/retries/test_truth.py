"""Under any schedule of faults a call writes at most once and its outcome is true."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import omium_async as om

from ..patient import be_patient

KEY = "omium_test_0123456789abcdef"
ACTIONS = ("drop", "reset", "status", "garbage", "truncate", "half a head", "stall")
STATUSES = (400, 401, 403, 404, 408, 409, 422, 425, 429, 499, 500, 501, 502, 503, 504, 520, 529, 599)
#: What a server may truly answer after it has applied a write; to a refusal it has done nothing.
AFTER_STATUSES = (408, 499, 500, 502, 503, 504, 520, 529, 599)


@attrs.frozen
class Fault:
    when: str
    action: str
    status: int


class Service:
    """Applies writes and counts them by key; what it says of them is up to its faults."""

    def __init__(self) -> None:
        self.honours_keys = False
        self.faults: list[Fault | None] = []  # of the next requests; None: it is served
        self.applied: Counter[str] = Counter()
        self.answers: dict[str, bytes] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])}
                await reader.readexactly(int(headers.get("content-length", "0")))
                if not await self._answer(head, headers, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> bool:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault.when == "before":
            return await self._spoil(fault, writer)
        body = b'{"id": "exec_1", "status": "completed", "checkpoints": [{"id": "c1", "name": "a"}]}'
        if head.startswith("POST"):
            key = headers["idempotency-key"]
            if not (self.honours_keys and key in self.answers):
                self.applied[key] += 1
                self.answers[key] = json.dumps({"id": f"exec_{sum(self.applied.values())}"}).encode()
            body = self.answers[key]
        if fault is not None:
            return await self._spoil(fault, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        return True

    async def _spoil(self, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        match fault.action:
            case "reset":
                writer.transport.abort()
            case "status":
                writer.write(b"HTTP/1.1 %d Oh\r\nContent-Length: 2\r\nretry-after-ms: 1\r\n\r\n{}" % fault.status)
                return True
            case "garbage":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>")
                return True
            case "truncate":
                writer.write(b'HTTP/1.1 201 OK\r\nContent-Length: 40\r\n\r\n{"id": "exec_1"')
            case "half a head":
                writer.write(b"HTTP/1.1 200 OK\r\nConte")
            case "stall":
                await asyncio.sleep(0.12)
        return False


def faults() -> st.SearchStrategy[Fault]:
    before = st.builds(Fault, st.just("before"), st.sampled_from(ACTIONS[:3] + ACTIONS[5:]), st.sampled_from(STATUSES))
    after = st.builds(Fault, st.just("after"), st.sampled_from(ACTIONS), st.sampled_from(AFTER_STATUSES))
    return st.one_of(before, after)


CALLS = {
    "create": lambda omium: omium.executions.create("wf", {"a": 1}),
    "replay": lambda omium: omium.executions.replay("exec_1", "c1"),
    "replay the latest": lambda omium: omium.executions.replay("exec_1"),
    "rollback": lambda omium: omium.executions.rollback("exec_1", "c1"),
    "put": lambda omium: omium.request("POST", "/elsewhere", json={}),
    "get": lambda omium: omium.executions.get("exec_1"),
}
#: Each call as its owner sees it: what it raised, and the key that its write carried.
Outcome = tuple[str, om.OmiumError | None, set[str]]


class Truth(RuleBasedStateMachine):
    """Several clients at once against one service."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patches = pytest.MonkeyPatch()
        be_patient(self.runner.get_loop(), self.patches)
        self.outcomes: list[Outcome] = []
        self.service = Service()

    @initialize(honours=st.booleans(), retries=st.integers(0, 3))
    def begin(self, honours: bool, retries: int) -> None:
        self.service.honours_keys = honours
        self.runner.run(self._begin(honours, retries))

    async def _begin(self, honours: bool, retries: int) -> None:
        self.server = await asyncio.start_server(self.service, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.enough = honours
        self.clients = [
            om.AsyncOmium(
                KEY,
                base_url=f"http://127.0.0.1:{port}",
                attempt_timeout=0.08,
                backoff=(0, 0),
                timeout=20,
                max_retries=60 if honours else retries,
                retry_ambiguous_writes=honours,
            )
            for _ in range(3)
        ]

    @rule(
        calls=st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.integers(0, 2)), min_size=1, max_size=5),
        to_come=st.lists(faults(), max_size=6),
    )
    def call_all_at_once(self, calls: list[tuple[str, int]], to_come: list[Fault]) -> None:
        self.service.faults = list(to_come)
        self.runner.run(self._call(calls))

    async def _call(self, calls: list[tuple[str, int]]) -> None:
        async def one(name: str, client: om.AsyncOmium) -> Outcome:
            keys: set[str] = set()
            watched = client.with_options(
                on_attempt=lambda a: keys.add(a.idempotency_key) if a.idempotency_key else None
            )
            try:
                await CALLS[name](watched)
            except om.OmiumError as error:
                return name, error, keys
            return name, None, keys

        self.outcomes = await asyncio.gather(*(one(name, self.clients[client]) for name, client in calls))

    @invariant()
    def every_verdict_is_true(self) -> None:
        for name, error, keys in self.outcomes:
            applied = sum(self.service.applied[key] for key in keys)
            assert len(keys) <= 1, "one call, one key"
            assert applied <= 1, "a write is applied at most once a call"
            if name == "get" or (error is not None and not error.outcome_unknown):
                assert applied == 0, f"{error!r} says that nothing was applied"
            if error is None and name != "get":
                assert applied == 1
            if error is not None and name != "get" and keys:
                assert error.idempotency_key in keys
            if error is not None and self.enough and name != "get":
                # Only what no retry mends may fail then.
                assert getattr(error, "status", None) in (400, 401, 403, 404, 408, 409, 422, 499, 501, 599), repr(error)

    def teardown(self) -> None:
        async def end() -> None:
            for client in self.clients:
                await client.aclose()
            self.server.close()
            for _ in range(3):
                await asyncio.sleep(0)

        if hasattr(self, "clients"):
            self.runner.run(end())
        self.patches.undo()
        self.runner.close()


Truth.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 4,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


class TestTruth(Truth.TestCase):
    """The state machine as a test case."""
