"""Typed workflows: inputs by annotation, results by the converter, steps that give the same each time."""

# ruff: noqa: ASYNC110 - what is waited for is a state that a server shows, not an event of this test

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import os
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import omium_sync
from omium_async import AsyncOmium, ConfigurationError, Workflow, make_converter
from omium_async.local import LocalOmium
from omium_async.local.annotations import input_argument, result_type_of

if TYPE_CHECKING:
    from omium_async.local import WorkflowRun  # as users import it: for annotations alone


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Line:
    text: str
    colour: Colour = Colour.RED
    at: dt.datetime | None = None


@dataclasses.dataclass
class ReportInput:
    day: int
    lines: list[Line] = dataclasses.field(default_factory=list)


class Pair(NamedTuple):
    left: int
    right: decimal.Decimal


@attrs.frozen
class Money:
    cents: int


async def test_an_input_comes_in_its_type_and_the_result_goes_out(local, connect):
    @local.workflow("report")
    async def report(run: WorkflowRun, data: ReportInput) -> ReportInput:
        assert type(data) is ReportInput
        assert all(type(line) is Line for line in data.lines)
        return dataclasses.replace(data, day=data.day + 1)

    async with connect(local) as wire:
        given = {"day": 3, "lines": [{"text": "a", "colour": "blue", "at": "2026-01-01T00:00:00Z"}, {"text": "b"}]}
        detail = await wire.until(await wire.create("report", given), "completed", "failed")
        assert detail["output_data"]["day"] == 4, detail["error"]
        assert detail["output_data"]["lines"][0]["colour"] == "blue"


@pytest.mark.parametrize(
    ("given", "place"),
    [({"day": "3"}, "input_data.day: "), ({}, "input_data.day"), ({"day": 1, "lines": [{"text": 5}]}, "lines[0].text"),
     ([1], "input_data: ")],
)  # fmt: skip
async def test_an_input_that_does_not_fit_fails_the_execution(local, connect, given, place):
    ran = []

    @local.workflow("report")
    async def report(run, data: ReportInput):
        ran.append(data)

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("report", given), "failed", "completed")
        assert place in detail["error"]
        assert not ran


async def test_ways_to_register(local, connect):
    @local.workflow
    async def bare(run):
        return "bare"

    @local.workflow()
    async def called(run, data=7):
        return ["called", data]

    @local.workflow(Workflow("defined", ReportInput, int))
    async def some_name(run, data):
        return data.day

    class Object:
        async def __call__(self, run, data: ReportInput):
            return data.day

    @functools.wraps(some_name)
    async def wrapper(*args, **kwargs):
        return await some_name(*args, **kwargs)

    local.workflow("object")(Object())
    local.workflow("partial")(functools.partial(some_name, data="fixed"))
    local.workflow(Workflow("wrapper", ReportInput))(wrapper)
    assert sorted(local.workflows) == ["bare", "called", "defined", "object", "partial", "wrapper"]
    assert local.workflows["bare"] is bare
    async with connect(local) as wire:
        for name, given, expected in (
            ("bare", None, "bare"), ("called", None, ["called", 7]), ("called", {}, ["called", 7]),
            ("called", {"a": 1}, ["called", {"a": 1}]), ("called", 0, ["called", 0]), ("defined", {"day": 5}, 5),
            ("object", {"day": 6}, 6), ("wrapper", {"day": 8}, 8),
        ):  # fmt: skip
            detail = await wire.until(await wire.create(name, given), "completed", "failed")
            assert detail["output_data"] == expected, (name, detail["error"])


def test_what_cannot_be_registered():
    local = LocalOmium()

    async def unread(run, data: bytes): ...

    async def unresolved(run, data: Nowhere): ...  # noqa: F821

    with pytest.raises(TypeError, match=r"the input of workflow 'x'.*bytes"):
        local.workflow("x")(unread)
    with pytest.raises(TypeError, match=r"workflow 'x': the annotation of 'data'.*Nowhere"):
        local.workflow("x")(unresolved)
    with pytest.raises(TypeError, match="has no name of its own"):
        local.workflow()(functools.partial(unread))
    assert local.workflows == {}
    with pytest.raises(ConfigurationError, match="converter must be"):
        LocalOmium(converter=object())


@pytest.mark.parametrize("made", [LocalOmium, omium_sync.LocalOmium])
def test_classes_of_the_function_around_are_found(made):
    @attrs.frozen
    class Here:
        x: int

    local = made()

    @local.workflow("called")
    async def called(run: WorkflowRun, data: Here) -> Here: ...

    @local.workflow
    async def bare(run: WorkflowRun, data: list[Here]) -> Here: ...

    assert set(local.workflows) == {"called", "bare"}


def test_classes_of_the_function_that_asks_are_found():
    @attrs.frozen
    class Here:
        x: int

    def workflow(run: WorkflowRun, data: Here) -> list[Here]: ...

    found = input_argument(workflow)
    assert found is not None
    assert (found.type, result_type_of(workflow)) == (Here, list[Here])


@pytest.mark.parametrize("bound", [False, True])
async def test_caller_and_server_share_a_definition(local, bound):
    definition = Workflow("report", ReportInput, Pair)
    async with local, AsyncOmium(api_key=local.api_key, base_url=local.url, poll_interval=(0.01, 0.05)) as omium:
        report = omium.workflow(definition)

        @local.workflow(report if bound else definition)
        async def serve(run: WorkflowRun, data):
            return Pair(data.day, decimal.Decimal("0.10"))

        assert await report.execute(ReportInput(3)) == Pair(3, decimal.Decimal("0.10"))


async def test_a_converter_of_ones_own(local, connect):
    converter = make_converter()
    local = LocalOmium(converter=converter)
    converter.register_unstructure_hook(Money, lambda money: {"cents": money.cents})
    converter.register_structure_hook(Money, lambda value, _: Money(value["cents"]))
    seen = []

    @local.workflow("pay")
    async def pay(run: WorkflowRun, data: Money) -> Money:
        seen.append(await run.step("double", lambda: Money(2 * data.cents), result_type=Money))
        return seen[-1]

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("pay", {"cents": 4}), "completed", "failed")
        assert (detail["output_data"], seen) == ({"cents": 8}, [Money(8)]), detail["error"]


@attrs.frozen
class MadeUp:
    token: str = attrs.field(factory=lambda: uuid.uuid4().hex)


def annotated() -> Pair:
    return Pair(1, decimal.Decimal("2.50"))


async def annotated_too() -> list[Line]:
    return [Line("x", Colour.BLUE)]


def unreadable() -> bytes:
    return "text"  # type: ignore[return-value]


def unresolvable() -> Nowhere:  # noqa: F821
    return (1, 2)


async def test_a_step_gives_the_same_at_each_run(local, connect):
    runs = []

    @local.workflow("w")
    async def w(run: WorkflowRun):
        runs.append([
            await run.step("annotated", annotated),
            await run.step("annotated too", annotated_too),
            await run.step("asked", lambda: {"text": "a", "more": 1}, result_type=Line),
            await run.step("none", lambda: (1, 2)),
            await run.step("unreadable", unreadable),
            await run.step("unresolvable", unresolvable),
            await run.step("uuid", lambda: uuid.UUID(int=5), result_type=uuid.UUID),
            await run.step("optional", lambda: None, result_type=Line | None),
            await run.step("made up", dict, result_type=MadeUp),
        ])  # fmt: skip
        raise ValueError("to be replayed")

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        detail = await wire.until(execution_id, "failed")
        assert detail["error"] == "ValueError: to be replayed"
        await wire.move(execution_id, "replay", detail["checkpoints"][-1]["id"])
        while len(runs) < 2:
            await asyncio.sleep(0.001)
        first, second = runs
        assert first == second, "also what a default made up"
        assert list(map(type, first)) == list(map(type, second))
        pair, line = Pair(1, decimal.Decimal("2.50")), Line("x", Colour.BLUE)
        assert first[:-1] == [pair, [line], Line("a"), [1, 2], "text", [1, 2], uuid.UUID(int=5), None]


async def test_what_a_step_may_not_give(local, connect):
    refused = []

    @local.workflow("w")
    async def w(run):
        for name, function, how in (
            ("type", lambda: 1, {"result_type": bytes}),
            ("value", lambda: {"text": 5}, {"result_type": Line}),
        ):
            try:
                await run.step(name, function, **how)
            except TypeError as error:
                refused.append(str(error))

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed", "failed")
        assert detail["checkpoints"] == []
        assert "result_type of step 'type'" in refused[0]
        assert "step 'value' returned what is not of its type: result.text: expected text" in refused[1]


@attrs.frozen
class Tree:
    name: str
    weight: float | None = None
    kinds: dict[str, tuple[int, ...]] = attrs.field(factory=dict)
    day: dt.date | None = None
    below: list[Tree] = attrs.field(factory=list)


trees = st.recursive(
    st.builds(
        Tree,
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.dictionaries(st.text("ab", max_size=2), st.tuples(st.integers(-(2**70), 2**70)), max_size=2),
        st.none() | st.dates(),
        st.just([]),
    ),
    lambda inner: st.builds(Tree, st.text("abc"), below=st.lists(inner, max_size=3)),
    max_leaves=5,
)


@given(tree=trees)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_round_trips(tree, connect):
    converter = make_converter()
    seen = []

    async def main():
        local = LocalOmium()

        @local.workflow("w")
        async def w(run, data: Tree) -> Tree:
            seen.append(data)
            seen.append(await run.step("s", lambda: data, result_type=Tree))
            return seen[-1]

        async with connect(local) as wire:
            body = converter.dumps({"workflow_id": "w", "input_data": tree})
            answer = await wire.call("POST", "/executions", data=body)
            detail = await wire.until(answer.json["id"], "completed", "failed")
            seen.append(converter.structure(detail["output_data"], Tree))

    asyncio.run(main())
    assert seen == [tree] * 3


KILLED = """
import asyncio, dataclasses, json, os, sys
sys.path.insert(0, sys.argv[2])
from omium_async.local import LocalOmium, WorkflowRun
@dataclasses.dataclass
class Found:
    numbers: tuple[int, ...]
local = LocalOmium(sys.argv[1], api_keys="key-1")
def note(text):
    print(text, flush=True)
def find(day: int) -> Found:
    note(f"find {day}")
    return Found((day, 2**70))
@local.workflow
async def report(run: WorkflowRun, data: Found) -> list[int]:
    found = await run.step("find", find, data.numbers[0])
    note(f"got {found!r}")
    if sys.argv[3] == "first":
        await asyncio.Event().wait()
    return await run.step("sum", lambda: [sum(found.numbers)], result_type=list[int])
async def main():
    async with local:
        note(local.url)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_killed_between_two_typed_steps(tmp_path, root):
    @contextlib.asynccontextmanager
    async def server(which):
        arguments = [sys.executable, "-c", KILLED, str(tmp_path / "o.db"), root, which]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220

        async def said() -> str:
            return (await asyncio.to_thread(process.stdout.readline)).strip()

        try:
            yield await said(), said
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    async with aiohttp.ClientSession(headers={"X-API-Key": "key-1"}) as session:
        async with server("first") as (url, said):
            body = {"workflow_id": "report", "input_data": {"numbers": [3]}}
            async with session.post(f"{url}/api/v1/executions", json=body) as answer:
                execution_id = (await answer.json())["id"]
            assert await said() == "find 3"
            got = await said()
        async with server("second") as (url, said):
            assert await said() == got == f"got Found(numbers=(3, {2**70}))"
            while True:
                async with session.get(f"{url}/api/v1/executions/{execution_id}") as answer:
                    detail = json.loads(await answer.text())
                if detail["status"] != "running":
                    break
                await asyncio.sleep(0.01)
    assert detail["output_data"] == [3 + 2**70], detail["error"]
