"""Models in notebooks, rich, pandas, pydantic and FastAPI."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from typing import Any

import attrs
import pandas as pd
import pydantic
import pydantic_core
import pytest

from omium_async import (
    CancelResult,
    Checkpoint,
    CheckpointDetail,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    InvalidResponseError,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
)

MEGABYTE = "x" * 2**20
LARGE: list[Any] = [
    {"text": MEGABYTE},
    {f"key {number}" + MEGABYTE[:1000]: {"in": [MEGABYTE]} for number in range(20)},
    list(range(100_000)),
    MEGABYTE,
    10**4000,
    1 << 20_000,
]
DETAIL = ExecutionDetail.from_dict(
    {
        "id": "e",
        "status": "failed",
        "created_at": "2025-01-01T12:00:00Z",
        "input_data": {"big": 2**60},
        "checkpoints": [{"id": f"c{number}"} for number in range(5)],
        "new": 1,
    }
)
PAGE = ExecutionPage.from_dict({"items": [{"id": "a"}, {"id": "b", "new": 1}], "total": 2})


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
def test_long_data_is_shortened_in_the_repr_alone(value: Any) -> None:
    for name in ("input_data", "metadata", "error", "extra", "id"):
        found = Execution(**{"id": "e", name: value})
        assert len(repr(found)) < 1000
        assert getattr(found, name) is value


def test_small_values_are_shown_whole_and_many_entries_as_the_first_few() -> None:
    found = Execution("exec_1", status=ExecutionStatus.RUNNING, input_data={"a": [1, 2.5, None]}, error="it broke")
    assert "input_data={'a': [1, 2.5, None]}" in repr(found)
    page = ExecutionPage([Execution(f"e{number}", input_data=MEGABYTE) for number in range(5000)])
    assert "... 4,997 more" in repr(page)
    assert len(repr(page)) < 3000
    outcome = CreateOutcome(ExecutionRequest("w", {"a": MEGABYTE}), "created", Execution("e", metadata={"b": MEGABYTE}))
    assert len(repr(outcome)) < 2000


class Printer:
    """The methods of IPython's printer that models use."""

    def __init__(self) -> None:
        self.text = io.StringIO().write
        self.lines = 1

    def break_(self) -> None:
        self.lines += 1

    def pretty(self, value: Any) -> None:
        assert len(repr(value)) < 3000

    def group(self, indent: int, open: str) -> Any:
        return io.StringIO(open)


def test_notebooks_show_each_value_on_its_own_line() -> None:
    for model, fields in ((DETAIL, 6), (PAGE, 2), (Execution("e", input_data=LARGE[0]), 2)):
        printer = Printer()
        vars(type(model))["_repr_pretty_"](model, printer, False)
        assert printer.lines == 1 + fields + 1


def test_rich_shows_the_values_on_several_lines() -> None:
    rich = pytest.importorskip("rich.console")
    console = rich.Console(width=80, file=io.StringIO())
    console.print(attrs.evolve(DETAIL, input_data=MEGABYTE))
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("ExecutionDetail(")
    assert any(line.strip() == "id='e'," for line in lines)
    assert any("... 2 more" in line for line in lines)
    assert 10 < len(lines) < 40


def test_rows_become_a_frame_of_pandas() -> None:
    rows = [Execution.from_dict({"id": f"e{n}", "created_at": "2025-01-01T00:00:00Z", "region": "eu"}) for n in (1, 2)]
    frame = pd.DataFrame([row.to_dict() for row in rows])
    assert list(frame["region"]) == ["eu", "eu"]
    assert pd.to_datetime(frame["created_at"]).dt.year.tolist() == [2025, 2025]


def test_dict_of_a_model_is_to_dict() -> None:
    for model in (DETAIL, PAGE, ExecutionPage(()), Checkpoint("c")):
        assert dict(model) == model.to_dict()


class Report(pydantic.BaseModel):
    detail: ExecutionDetail
    page: ExecutionPage
    request: ExecutionRequest | None = None
    workflows: list[WorkflowInfo] = []


def test_models_are_fields_of_pydantic_models() -> None:
    report = Report(detail=DETAIL, page=PAGE, request=ExecutionRequest("w", {"a": 1}), workflows=[WorkflowInfo("w")])
    assert report.detail is DETAIL
    assert report.model_dump()["detail"] == DETAIL.to_dict()
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert Report.model_validate(report.model_dump()) == report
    with pytest.raises(pydantic.ValidationError, match=r"items\[0\]\.id: expected text"):
        Report(detail=DETAIL, page={"items": [{"id": 5}]})  # type: ignore[arg-type]
    with pytest.raises(InvalidResponseError):
        ExecutionPage.from_dict({"items": [{"id": 5}]})


def test_the_json_schema_describes_the_dict() -> None:
    schema = Report.model_json_schema()["properties"]
    detail = schema["detail"]
    assert detail["required"] == ["id"]
    assert detail["properties"]["status"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert detail["properties"]["created_at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert detail["properties"]["checkpoints"]["items"]["properties"].keys() >= {"id", "name", "created_at"}
    assert schema["page"]["properties"]["items"]["items"]["title"] == "Execution"


VALUES: list[Any] = [
    DETAIL,
    PAGE,
    ExecutionPage(()),
    Execution("e", output_data={"big": 2**100}),
    Checkpoint("c"),
    CheckpointDetail("c", state=[1, None]),
    ReplayResult.from_dict({"id": "e", "replay_execution_id": "f"}),
    RollbackResult("e"),
    CancelResult("e", cancelled=False),
    WorkflowInfo("w", tags=("a", "b")),
]


@pytest.mark.parametrize("model", VALUES, ids=lambda model: type(model).__name__)
def test_pydantic_writes_models_without_a_schema_as_dicts(model: Any) -> None:
    nested, expected = {"a": [model, (model,)]}, {"a": [model.to_dict(), [model.to_dict()]]}
    whatever = pydantic.TypeAdapter[Any](Any)
    for write in (pydantic_core.to_json, whatever.dump_json):
        assert json.loads(write(model)) == model.to_dict()
        assert json.loads(write(nested)) == expected
    assert pydantic_core.to_jsonable_python(model) == model.to_dict()
    assert pydantic_core.to_jsonable_python(nested) == expected


def test_pydantic_writes_a_request_without_a_schema() -> None:
    found = json.loads(pydantic_core.to_json([ExecutionRequest("w", {"a": 1})]))
    assert found == [{"workflow_id": "w", "input_data": {"a": 1}, "metadata": None, "agent_id": None, "key": None}]


def test_pydantic_is_imported_only_when_it_asks() -> None:
    lines = (
        "import sys",
        "from omium_async import Execution",
        "row = Execution('e')",
        "assert not hasattr(Execution, '__pydantic_serializer__')",
        "assert 'pydantic_core' not in sys.modules",
        "sys.modules['pydantic_core'] = None",
        "assert not hasattr(row, '__pydantic_serializer__')",
        "del sys.modules['pydantic_core']",
        "assert row.__pydantic_serializer__.to_python(row) == row.to_dict()",
        "assert 'pydantic' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


ROUTES: list[Any] = [
    pytest.param(DETAIL, ExecutionDetail, id="detail"),
    pytest.param(list(PAGE), list[Execution], id="list"),
    pytest.param(PAGE, ExecutionPage, id="page"),
    pytest.param(ExecutionPage(()), ExecutionPage, id="empty page"),
]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="needs FastAPI")
@pytest.mark.parametrize(("result", "annotation"), ROUTES)
async def test_routes_of_fastapi_return_models_annotated_or_not(result: Any, annotation: Any) -> None:
    import fastapi
    import httpx2

    app = fastapi.FastAPI()

    def route() -> Any:
        return result

    app.get("/plain", response_model=None)(route)
    route.__annotations__["return"] = annotation
    app.get("/typed")(route)
    expected = [row.to_dict() for row in result] if isinstance(result, list) else result.to_dict()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        for path in ("/plain", "/typed"):
            assert (await client.get(path)).json() == expected
        described = (await client.get("/openapi.json")).json()["paths"]["/typed"]["get"]["responses"]["200"]
    assert '"required": ["id"]' in json.dumps(described)
