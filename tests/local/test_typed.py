"""Typed workflows: inputs are read by their annotations, results written by the converter, steps return one value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import uuid
from typing import TYPE_CHECKING, NamedTuple

import attrs
import pytest

from omium_async import AsyncOmium, ConfigurationError, Workflow, make_converter
from omium_async.local import LocalOmium

from .conftest import names, serving

if TYPE_CHECKING:
    from omium_async.local import WorkflowRun  # users import it for annotations alone


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


@attrs.frozen
class Generated:
    token: str = attrs.field(factory=lambda: uuid.uuid4().hex)


async def test_an_input_has_the_annotated_type_and_the_result_is_unstructured(local, http):
    @local.workflow("report")
    async def report(run: WorkflowRun, data: ReportInput) -> ReportInput:
        assert type(data) is ReportInput
        assert [type(line) for line in data.lines] == [Line, Line]
        return dataclasses.replace(data, day=data.day + 1)

    lines = [{"text": "a", "colour": "blue", "at": "2026-01-01T00:00:00Z"}, {"text": "b"}]
    detail = await http.ended("report", {"day": 3, "lines": lines})
    assert (detail["error"], detail["output_data"]["day"]) == (None, 4)
    assert detail["output_data"]["lines"][0]["colour"] == "blue"


@pytest.mark.parametrize(
    ("given", "place"),
    [({"day": "3"}, "input_data.day"), ({}, "input_data.day"), ({"day": 1, "lines": [{"text": 5}]}, "lines[0].text"),
     ([1], "input_data")],
)  # fmt: skip
async def test_an_input_that_does_not_fit_fails_the_execution_and_names_the_place(local, http, given, place):
    ran = []

    @local.workflow("report")
    async def report(run, data: ReportInput):
        ran.append(data)

    detail = await http.ended("report", given)
    assert (detail["status"], ran) == ("failed", [])
    assert place in detail["error"]


async def test_the_ways_to_register_a_workflow(local, http):
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
    local.workflow("partial")(functools.partial(some_name, data=ReportInput(9)))
    local.workflow(Workflow("wrapper", ReportInput))(wrapper)
    assert sorted(local.workflows) == ["bare", "called", "defined", "object", "partial", "wrapper"]
    assert local.workflows["bare"] is bare
    for name, given, expected in (
        ("bare", None, "bare"), ("called", None, ["called", 7]), ("called", {}, ["called", 7]),
        ("called", {"a": 1}, ["called", {"a": 1}]), ("called", 0, ["called", 0]), ("defined", {"day": 5}, 5),
        ("object", {"day": 6}, 6), ("wrapper", {"day": 8}, 8),
    ):  # fmt: skip
        detail = await http.ended(name, given)
        assert detail["output_data"] == expected, (name, detail["error"])


def test_a_function_with_an_input_that_cannot_be_read_is_refused():
    async def unreadable(run, data: bytes): ...

    async def unresolved(run, data: Nowhere): ...  # noqa: F821

    local = LocalOmium()
    for function, text in ((unreadable, r"'x'.*bytes"), (unresolved, r"'x'.*'data'.*Nowhere")):
        with pytest.raises(TypeError, match=text):
            local.workflow("x")(function)
    with pytest.raises(TypeError, match="name"):
        local.workflow()(functools.partial(unreadable))
    for name in ("", 5):
        with pytest.raises(TypeError, match=r"not empty|function"):
            local.workflow(name)(unreadable)
    assert local.workflows == {}
    with pytest.raises(ConfigurationError, match="converter"):
        LocalOmium(converter=object())


@pytest.mark.parametrize("bound", [False, True], ids=["definition", "bound"])
async def test_the_client_and_the_server_share_a_definition(local, bound):
    definition = Workflow("report", ReportInput, Pair)
    async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.05)) as omium:
        report = omium.workflow(definition)

        @local.workflow(report if bound else definition)
        async def serve(run: WorkflowRun, data):
            return Pair(data.day, decimal.Decimal("0.10"))

        assert await report.execute(ReportInput(3)) == Pair(3, decimal.Decimal("0.10"))


async def test_hooks_of_a_users_converter_are_used():
    converter = make_converter()
    local, seen = LocalOmium(converter=converter), []
    converter.register_unstructure_hook(Money, lambda money: {"in_cents": money.cents})
    converter.register_structure_hook(Money, lambda value, _: Money(value["in_cents"]))

    @local.workflow("pay")
    async def pay(run: WorkflowRun, data: Money) -> Money:
        seen.append(await run.step("double", lambda: Money(2 * data.cents), result_type=Money))
        return seen[-1]

    async with serving(local) as http:
        detail = await http.ended("pay", {"in_cents": 4})
        assert (detail["output_data"], seen) == ({"in_cents": 8}, [Money(8)]), detail["error"]


def annotated() -> Pair:
    return Pair(1, decimal.Decimal("2.50"))


async def annotated_too() -> list[Line]:
    return [Line("x", Colour.BLUE)]


def unreadable() -> bytes:
    return "text"  # type: ignore[return-value]


def unresolvable() -> Nowhere:  # noqa: F821
    return (1, 2)


async def test_a_step_returns_the_same_value_in_a_replay(local, http):
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
            await run.step("generated", dict, result_type=Generated),
        ])  # fmt: skip
        raise ValueError("to be replayed")

    detail = await http.ended("w")
    assert detail["error"] == "ValueError: to be replayed"
    await http.replay(detail["id"], detail["checkpoints"][-1]["id"])
    await http.until(detail["id"], "failed")
    first, second = runs
    assert first == second, "also a generated default"
    assert list(map(type, first)) == list(map(type, second))
    pair, line = Pair(1, decimal.Decimal("2.50")), Line("x", Colour.BLUE)
    assert first[:-1] == [pair, [line], Line("a"), [1, 2], "text", [1, 2], uuid.UUID(int=5), None]


async def test_a_result_that_is_not_of_its_type_is_not_recorded(local, http):
    refused = []

    @local.workflow("w")
    async def w(run):
        for name, function, kind in (("type", lambda: 1, bytes), ("value", lambda: {"text": 5}, Line)):
            try:
                await run.step(name, function, result_type=kind)
            except TypeError as error:
                refused.append(str(error))

    detail = await http.ended("w")
    assert (detail["error"], names(detail)) == (None, [])
    assert "step 'type'" in refused[0]
    assert "step 'value'" in refused[1]
    assert "result.text" in refused[1]
