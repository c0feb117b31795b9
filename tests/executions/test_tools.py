"""Workflows as functions for agent frameworks."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import typing
from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Generic, TypeVar

import attrs
import pydantic
import pytest

from omium_async import AsyncOmium, ExecutionFailedError, Workflow
from omium_async.local import LocalOmium

T = TypeVar("T")


@dataclasses.dataclass
class ReportInput:
    """Which day to report."""

    day: int


@dataclasses.dataclass
class Generated:
    day: int


class Report(pydantic.BaseModel):
    title: str


class Inherited(Report):
    pass


@attrs.frozen
class Silent:
    day: int


@pytest.fixture
async def server() -> AsyncIterator[LocalOmium]:
    async with LocalOmium() as local:

        @local.workflow("daily-report")
        async def report(run: Any) -> Any:
            if run.input_data["day"] < 0:
                raise ValueError("no such day")
            return {"title": f"day {run.input_data['day']}"}

        @local.workflow
        async def endless(run: Any) -> None:
            await asyncio.Event().wait()

        yield local


@pytest.fixture
async def client(server: LocalOmium) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(server.api_key, base_url=server.url, poll_interval=(0.01, 0.05)) as client:
        yield client


async def test_a_tool_is_a_function_with_the_types_of_the_workflow(client):
    tool = client.workflow("daily-report", ReportInput, Report).as_tool()
    assert inspect.iscoroutinefunction(tool)
    assert inspect.isfunction(tool)
    assert (tool.__name__, tool.__doc__) == ("daily_report", "Which day to report.")
    (parameter,) = inspect.signature(tool).parameters.values()
    assert (parameter.name, parameter.annotation) == ("data", ReportInput)
    assert parameter.default is parameter.empty
    assert inspect.signature(tool).return_annotation is Report
    assert typing.get_type_hints(tool) == {"data": ReportInput, "return": Report}
    assert await tool(data=ReportInput(3)) == Report(title="day 3")


async def test_a_tool_without_types_takes_a_dict_and_returns_json(client):
    tool = client.workflow("daily-report").as_tool()
    assert typing.get_type_hints(tool) == {"data": dict[str, Any], "return": Any}
    assert await tool({"day": 4}) == {"title": "day 4"}


async def test_a_tool_reads_the_json_of_its_input(client, server):
    tool = client.workflow("daily-report", ReportInput, Report).as_tool()
    assert await tool({"day": 5}) == Report(title="day 5")
    before = server.counts
    for wrong, message in (({"day": "5"}, r"data\.day"), (5, "expected .*ReportInput"), ("5", "data")):
        with pytest.raises(TypeError, match=message):
            await tool(wrong)
    assert server.counts == before
    dates = client.workflow("daily-report", dict[str, date]).as_tool()
    with pytest.raises(TypeError, match=r"data\.day"):
        await dates({"day": "no date"})


@pytest.mark.parametrize(
    ("workflow_id", "name"),
    [
        ("report", "report"),
        ("daily-report.v2", "daily_report_v2"),
        ("0b8f2a7e-11d4", "workflow_0b8f2a7e_11d4"),
        ("import", "import_"),
        ("täglich", "t_glich"),
        ("日報", "workflow"),
        ("x" * 100, "x" * 64),
    ],
)
async def test_the_name_is_the_id_as_an_identifier(client, workflow_id, name):
    tool = client.workflow(workflow_id).as_tool()
    assert tool.__name__ == tool.__qualname__ == name
    assert name.isidentifier()


async def test_the_description_is_given_or_the_input_types_own(client):
    def doc(kind: Any, *given: str) -> str | None:
        return client.workflow("w", kind).as_tool(*given).__doc__

    assert doc(ReportInput) == "Which day to report."
    assert doc(ReportInput, "name", "Given.") == "Given."
    for kind in (None, Generated, Silent, Inherited, dict[str, int], dict, ReportInput | None):
        assert doc(kind) == "Run the workflow 'w' and return its result."
    assert client.workflow("w").as_tool("daily-report").__name__ == "daily-report"


@attrs.frozen
class Line(Generic[T]):
    value: T
    note: str | None = None


@attrs.frozen
class Invoice:
    """Write an invoice."""

    day: date
    lines: list[Line[int]]
    tags: dict[str, Line[str]] = attrs.field(factory=dict)
    parent: Invoice | None = None
    number: int = attrs.field(default=0, init=False)


@dataclasses.dataclass
class Batch:
    invoices: tuple[Invoice, ...] = ()


INVOICE = {"day": "2026-01-03", "lines": [{"value": 1}]}


@pytest.mark.parametrize("kind", [Invoice, Batch, list[Invoice], Invoice | None])
async def test_pydantic_describes_attrs_classes_of_the_input(client, kind):
    tool = client.workflow("w", kind).as_tool()
    assert typing.get_type_hints(tool)["data"] == kind
    schema = pydantic.TypeAdapter(inspect.signature(tool).parameters["data"].annotation).json_schema()
    invoice = schema["$defs"].get("Invoice", schema)
    assert invoice["description"] == "Write an invoice."
    assert invoice["required"] == ["day", "lines"]
    assert invoice["properties"].keys() == {"day", "lines", "tags", "parent"}
    assert invoice["properties"]["day"] == {"format": "date", "title": "Day", "type": "string"}
    line = schema["$defs"][invoice["properties"]["lines"]["items"]["$ref"].rpartition("/")[2]]
    assert line["properties"]["value"]["type"] == "integer"
    assert line["properties"]["note"]["default"] is None


async def test_pydantic_checks_attrs_classes_as_the_tool_does_and_keeps_the_json(client):
    tool = client.workflow("w", Invoice).as_tool()
    adapter = pydantic.TypeAdapter(inspect.signature(tool).parameters["data"].annotation)
    assert adapter.validate_python(INVOICE) is INVOICE
    assert adapter.dump_python(INVOICE) == INVOICE
    made = Invoice(date(2026, 1, 3), [Line(1)])
    assert adapter.validate_python(made) is made
    with pytest.raises(pydantic.ValidationError, match=r"data\.lines\[0\]\.value: expected a whole number"):
        adapter.validate_python({**INVOICE, "lines": [{"value": "1"}]})


@pytest.mark.parametrize("kind", [ReportInput, Report, dict[str, list[ReportInput]], typing.Literal["a", "b"]])
async def test_a_type_without_attrs_classes_is_the_annotation_itself(client, kind):
    tool = client.workflow("w", kind).as_tool()
    assert inspect.signature(tool).parameters["data"].annotation is kind


async def test_options_are_checked_at_once_and_sent_with_each_execution(client, server):
    workflow = client.workflow("daily-report")
    for wrong in ({"timeout": -1}, {"metadata": 3}, {"agent_id": 3}, {"cancel_on_exit": 1}, {"name": ""}):
        with pytest.raises((TypeError, ValueError)):
            workflow.as_tool(**wrong)
    with pytest.raises(RuntimeError, match="has no client"):
        Workflow("daily-report").as_tool()
    assert server.counts == {}
    await workflow.as_tool(metadata={"by": "agent"}, agent_id="a1")({"day": 1})
    (row,) = (await client.executions.page()).items
    assert (row.metadata, row.agent_id) == ({"by": "agent"}, "a1")


async def test_a_failed_workflow_raises_and_is_not_repeated(client, server):
    with pytest.raises(ExecutionFailedError, match="no such day"):
        await client.workflow("daily-report").as_tool()({"day": -1})
    assert server.counts["POST /executions"] == 1


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_cancelled_tool_cancels_its_execution(client, server, cancels):
    tool = client.workflow("endless").as_tool(cancel_on_exit=cancels)
    running = asyncio.create_task(tool({}))
    while not any(route.startswith("GET") for route in server.counts):  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (row,) = (await client.executions.page()).items
    assert row.status == ("cancelled" if cancels else "running")
