"""A model of any size shows in a few lines, and stays whole."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from omium_async import (
    Checkpoint,
    CreateOutcome,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    ReplayResult,
)

from .strategies import DETAILS, JSON

MEGABYTE = "x" * 2**20
LARGE: list[Any] = [
    {"text": MEGABYTE},
    [MEGABYTE] * 10,
    {f"key {number}" + MEGABYTE[:1000]: {"in": [MEGABYTE]} for number in range(20)},
    MEGABYTE,
    list(range(100_000)),
    10**4000,
    1 << 20_000,
]


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
@pytest.mark.parametrize("name", ["input_data", "output_data", "metadata", "error", "extra", "agent_id", "id"])
def test_a_large_value_is_cut_off_in_the_repr_alone(name: str, value: Any) -> None:
    given: Any = {"id": "e", name: value}
    found = Execution(**given)
    assert len(repr(found)) < 1000
    assert repr(found).startswith("Execution(id=")
    assert getattr(found, name) is value
    assert found == Execution(**given)
    if name != "extra":
        assert found.to_dict()[name] is value


def test_small_values_show_whole() -> None:
    found = Execution("exec_1", "work", "running", input_data={"a": [1, 2.5, None]}, error="it broke")  # type: ignore[arg-type]
    assert repr(found) == (
        "Execution(id='exec_1', workflow_id='work', status=<ExecutionStatus.RUNNING: 'running'>, created_at=None, "
        "updated_at=None, started_at=None, completed_at=None, input_data={'a': [1, 2.5, None]}, output_data=None, "
        "error='it broke', metadata=None, agent_id=None, extra={})"
    )


def test_many_rows_and_checkpoints_show_as_the_first_few() -> None:
    page = ExecutionPage([Execution(f"e{number}", input_data=MEGABYTE) for number in range(5000)])
    assert len(repr(page)) < 3000
    assert "... 4,997 more" in repr(page)
    detail = ExecutionDetail("e", checkpoints=[Checkpoint(f"c{number}") for number in range(5000)])
    assert len(repr(detail)) < 3000
    assert "... 4,997 more)" in repr(detail)
    assert "checkpoints=(Checkpoint(id='c', name=None, created_at=None, extra={}),)" in repr(
        ExecutionDetail("e", checkpoints=[Checkpoint("c")])
    )
    outcome = CreateOutcome(ExecutionRequest("w", {"a": MEGABYTE}), "created", Execution("e", metadata={"b": MEGABYTE}))
    assert len(repr(outcome)) < 2000
    assert len(repr(ReplayResult("e", ExecutionStatus(MEGABYTE), MEGABYTE))) < 1000


@settings(max_examples=60, deadline=None)
@given(value=JSON)
def test_the_repr_of_any_value_is_bounded(value: Any) -> None:
    assert len(repr(Execution("e", input_data=value, extra={"more": value}))) < 1200


@settings(max_examples=60, deadline=None)
@given(sent=DETAILS)
def test_models_go_out_again_as_json_and_pickles(sent: Any) -> None:
    model = ExecutionDetail.from_dict(sent)
    assert ExecutionDetail.from_dict(json.loads(json.dumps(model.to_dict()))) == model
    assert pickle.loads(pickle.dumps(model)) == model


def test_rows_make_a_frame() -> None:
    rows = [Execution.from_dict({"id": f"e{n}", "created_at": "2025-01-01T00:00:00Z", "region": "eu"}) for n in (1, 2)]
    frame = pd.DataFrame([row.to_dict() for row in rows])
    assert list(frame["id"]) == ["e1", "e2"]
    assert list(frame["region"]) == ["eu", "eu"]
    assert pd.to_datetime(frame["created_at"]).dt.year.tolist() == [2025, 2025]


def test_a_route_of_fastapi_gives_a_model_back() -> None:
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    app = fastapi.FastAPI()
    detail = ExecutionDetail.from_dict({"id": "e", "status": "failed", "checkpoints": [{"id": "c"}], "new": 2**60})
    app.get("/it")(detail.to_dict)
    answer = testclient.TestClient(app).get("/it").json()
    assert answer == detail.to_dict()
    assert ExecutionDetail.from_dict(answer) == detail
