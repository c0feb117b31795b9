"""Statuses and models are values: equal, hashable, frozen and picklable."""

from __future__ import annotations

import copy
import enum
import json
import pickle
import weakref
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import (
    SETTLED,
    CancelResult,
    Checkpoint,
    CheckpointDetail,
    Execution,
    ExecutionDetail,
    ExecutionFailedError,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
)

KNOWN = ["pending", "running", "completed", "failed", "cancelled", "paused", "rolled_back", "error"]


def test_the_known_statuses_and_the_settled_ones() -> None:
    assert [status.value for status in ExecutionStatus] == KNOWN
    assert [getattr(ExecutionStatus, text.upper()) for text in KNOWN] == KNOWN
    assert {*KNOWN[2:]} == SETTLED
    assert repr(ExecutionStatus.RUNNING) == "<ExecutionStatus.RUNNING: 'running'>"
    assert repr(ExecutionStatus("weird")) == "ExecutionStatus('weird')"


@given(st.text() | st.sampled_from([*KNOWN, "Running", "RUNNING", "mro", "name"]))
def test_a_status_is_its_text_and_an_unknown_one_is_kept(text: str) -> None:
    status = ExecutionStatus(text)
    assert status == text
    assert (hash(status), {status: 1}[text]) == (hash(text), 1)
    assert (str(status), f"{status}", status.value) == (text, text, text)
    assert ExecutionStatus(status) == status
    assert status.is_known is (text in KNOWN)
    assert status.is_settled is (text in KNOWN[2:])
    assert json.loads(json.dumps(status)) == text
    assert len(list(ExecutionStatus)) == len(KNOWN)


@pytest.mark.parametrize("text", ["running", "weird", ""])
def test_copies_of_a_status_are_equal_and_a_known_one_is_the_same_object(text: str) -> None:
    status = ExecutionStatus(text)
    for again in (copy.copy(status), copy.deepcopy([status])[0], pickle.loads(pickle.dumps(status))):
        assert type(again) is ExecutionStatus
        assert again == status == text
        assert again is status or not status.is_known


@pytest.mark.parametrize("value", [None, 1, b"running", ["running"], True])
def test_only_text_is_a_status(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid ExecutionStatus"):
        ExecutionStatus(value)
    other = enum.StrEnum("Other", {"X": "weird"})
    assert type(ExecutionStatus(other["X"]).value) is str


SENT = {
    "id": "e",
    "workflow_id": "w",
    "status": "weird",
    "created_at": "2025-01-01T12:00:00.000005Z",
    "updated_at": "...",
    "input_data": {"a": [1, {"b": None}]},
    "metadata": {"checkpoints": [{"id": "c", "checkpoint_name": "n", "new": {}}]},
    "error_message": "broke",
    "new": [1, [2]],
}
MODELS = [
    Checkpoint.from_dict({"id": "c", "checkpoint_name": "n"}),
    CheckpointDetail.from_dict({"id": "c", "checkpoint_name": "n", "state": {"a": [1]}}),
    Execution.from_dict(SENT),
    ExecutionDetail.from_dict(SENT),
    ReplayResult.from_dict({"id": "e", "status": "weird", "replay_execution_id": "f"}),
    RollbackResult.from_dict({"id": "e", "status": "paused", "message": "m"}),
    CancelResult.from_dict({"id": "e", "cancelled": False}),
    WorkflowInfo.from_dict({"id": "w", "tags": ["a"], "definition": {"b": []}, "config": {}}),
    ExecutionPage.from_dict({"executions": [SENT], "total": 1}),
    ExecutionRequest("w", {"a": 1}, {"b": [2]}, "agent", "key"),
]
EACH = pytest.mark.parametrize("model", MODELS, ids=[type(model).__name__ for model in MODELS])


@EACH
def test_copies_and_pickles_are_whole(model: Any) -> None:
    copies = [copy.copy(model), copy.deepcopy(model)]
    copies += [pickle.loads(pickle.dumps(model, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    assert attrs.evolve(model) == model
    for again in copies:
        assert (type(again), again, hash(again)) == (type(model), model, hash(model))
        if not isinstance(model, ExecutionRequest):
            assert (again.to_dict(), again.extra) == (model.to_dict(), model.extra)
    for name in ("extra", "input_data", "metadata"):
        if isinstance(getattr(model, name, None), dict):
            assert getattr(copies[1], name) is not getattr(model, name)


@EACH
def test_models_are_frozen_slotted_hashable_and_weakly_referable(model: Any) -> None:
    assert not hasattr(model, "__dict__")
    first = attrs.fields(type(model))[0].name
    for change in (lambda: setattr(model, first, "other"), lambda: delattr(model, first)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change()
    assert {model: 1}[copy.deepcopy(model)] == 1
    assert weakref.ref(model)() is model


def test_equality_is_by_all_values_and_of_one_class() -> None:
    one, other = Execution("e", input_data={"a": []}), Execution("e", input_data={"a": [1]})
    assert hash(one) == hash(other)
    assert one != other
    assert Execution("e") != ExecutionDetail("e")


def test_models_made_by_hand_are_like_those_that_were_read() -> None:
    made: Any = Execution("e", "w", "weird", datetime(2025, 1, 1, 12), extra={"new": 1})  # type: ignore[arg-type] # noqa: DTZ001
    assert isinstance(made.status, ExecutionStatus)
    assert made.created_at == datetime(2025, 1, 1, 12, tzinfo=UTC)
    detail = ExecutionDetail("e", checkpoints=[Checkpoint("c", "n")])
    assert detail.checkpoints == (Checkpoint("c", "n"),)
    page = ExecutionPage([made])
    assert (page.items, len(page), list(page)) == ((made,), 1, [made])
    for model in (made, detail, page):
        assert type(model).from_dict(json.loads(json.dumps(model.to_dict()))) == model
    assert ExecutionDetail("e", checkpoints=None).checkpoints == ()  # type: ignore[arg-type]
    for wrong, kind in (("soon", ValueError), (5, TypeError)):
        with pytest.raises(kind, match="timestamp"):
            Execution("e", created_at=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2025, 3, 30, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2025, 1, 1, tzinfo=timezone(timedelta(seconds=-7, microseconds=3))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(-timedelta(hours=14))),
    ],
)
def test_a_moment_of_any_zone_survives_the_round_trip(moment: datetime) -> None:
    made = Execution("e", created_at=moment)
    assert made.created_at is not None
    assert made.created_at.timestamp() == moment.timestamp()
    assert Execution.from_dict(made.to_dict()) == made


def test_checkpoints_are_found_by_name_and_the_last_counts() -> None:
    detail = ExecutionDetail("e", checkpoints=[Checkpoint("1", "a"), Checkpoint("2", "b"), Checkpoint("3", "a")])
    assert detail.checkpoint("a").id == "3"
    assert detail.latest_checkpoint == Checkpoint("3", "a")
    with pytest.raises(KeyError, match=r"no checkpoint 'c'.*'a', 'b', 'a'"):
        detail.checkpoint("c")
    assert ExecutionDetail("e").latest_checkpoint is None


@pytest.mark.parametrize("status", [*KNOWN, "weird", None])
def test_raise_for_status_raises_for_failed_error_and_cancelled(status: Any) -> None:
    detail = ExecutionDetail("e", status=status, error="it broke")
    if status not in {"failed", "error", "cancelled"}:
        detail.raise_for_status()
        return
    with pytest.raises(ExecutionFailedError, match=f"execution e ended as {status}: it broke") as caught:
        detail.raise_for_status()
    assert (caught.value.execution, caught.value.execution_id) == (detail, "e")


def test_a_replay_names_the_execution_to_follow() -> None:
    assert ReplayResult("e").execution_id == "e"
    for other, followed in (("f", "f"), ("", "e"), (None, "e"), (5, "e")):
        assert ReplayResult.from_dict({"id": "e", "replay_execution_id": other}).execution_id == followed


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"status": "completed", "created_at": 0, "started_at": 10, "completed_at": 30, "updated_at": 50}, 20),
        ({"status": "failed", "created_at": 0, "updated_at": 50}, 50),
        ({"status": "paused", "created_at": 0, "completed_at": 30, "updated_at": 50}, 30),
        ({"status": "running", "created_at": 0, "started_at": 10, "updated_at": 50}, None),
        ({"status": "weird", "created_at": 0, "completed_at": 30}, None),
        ({"created_at": 0, "completed_at": 30}, None),
        ({"status": "completed", "created_at": 0}, None),
        ({"status": "completed", "completed_at": 30}, None),
    ],
)
def test_duration_is_the_time_of_a_settled_execution(given: Any, seconds: int | None) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    times = {name: start + timedelta(seconds=value) for name, value in given.items() if isinstance(value, int)}
    for cls in (Execution, ExecutionDetail):
        found = cls(**{"id": "e", **given, **times}).duration
        assert found == (None if seconds is None else timedelta(seconds=seconds))
