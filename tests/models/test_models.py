"""Statuses and models as values: equal, hashable, frozen, picklable, made by hand."""

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
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import (
    SETTLED,
    Checkpoint,
    Execution,
    ExecutionDetail,
    ExecutionFailedError,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    ReplayResult,
    RollbackResult,
)
from omium_async._data.codec import encode
from omium_async._data.shared import shared


def decode(cls: Any, body: bytes) -> Any:
    return shared().decode(body, cls)


KNOWN = ["pending", "running", "completed", "failed", "cancelled", "paused", "rolled_back", "error"]


class TestStatus:
    def test_members(self) -> None:
        assert [status.value for status in ExecutionStatus] == KNOWN
        assert [getattr(ExecutionStatus, text.upper()) for text in KNOWN] == KNOWN
        assert {"completed", "failed", "cancelled", "paused", "rolled_back", "error"} == SETTLED

    @given(st.text() | st.sampled_from([*KNOWN, "Running", "RUNNING", "mro", "name"]))
    def test_any_text_is_kept_and_is_its_text(self, text: str) -> None:
        status = ExecutionStatus(text)
        assert status == text
        assert text == status
        assert hash(status) == hash(text)
        assert {text: 1}[status] == 1
        assert {status: 1}[text] == 1
        assert (str(status), f"{status}", status.value) == (text, text, text)
        assert isinstance(status, ExecutionStatus)
        assert isinstance(status, str)
        assert ExecutionStatus(status) == status
        assert status.is_known is (text in KNOWN)
        assert status.is_settled is (text in KNOWN[2:])
        assert json.loads(json.dumps(status)) == text
        assert msgspec.json.decode(encode(status)) == text

    @pytest.mark.parametrize("text", ["running", "weird", "", "ünïcode\x00"])
    def test_copies_and_pickles_are_equal_and_of_the_same_kind(self, text: str) -> None:
        status = ExecutionStatus(text)
        copies = [copy.copy(status), copy.deepcopy(status), copy.deepcopy([status])[0]]
        copies += [pickle.loads(pickle.dumps(status, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
        for again in copies:
            assert type(again) is ExecutionStatus
            assert again == status == text
            assert again.is_known is status.is_known
            assert hash(again) == hash(status)

    def test_members_are_the_same_object(self) -> None:
        assert ExecutionStatus("running") is ExecutionStatus.RUNNING
        assert pickle.loads(pickle.dumps(ExecutionStatus.RUNNING)) is ExecutionStatus.RUNNING
        assert decode(Execution, b'{"id": "e", "status": "running"}').status is ExecutionStatus.RUNNING

    def test_unseen_texts_are_not_collected(self) -> None:
        before = len(list(ExecutionStatus))
        for number in range(100):
            ExecutionStatus(f"weird-{number}")
        assert len(list(ExecutionStatus)) == before
        assert len(ExecutionStatus._value2member_map_) == before

    def test_repr(self) -> None:
        assert repr(ExecutionStatus.RUNNING) == "<ExecutionStatus.RUNNING: 'running'>"
        assert repr(ExecutionStatus("weird")) == "ExecutionStatus('weird')"

    @pytest.mark.parametrize("value", [None, 1, b"running", ["running"], True])
    def test_what_is_no_text_is_no_status(self, value: Any) -> None:
        with pytest.raises(ValueError, match="is not a valid ExecutionStatus"):
            ExecutionStatus(value)

    def test_another_enum_s_member_of_that_text_is_read(self) -> None:
        class Other(enum.StrEnum):
            X = "weird"

        assert type(ExecutionStatus(Other.X).value) is str
        assert ExecutionStatus(Other.X) == "weird"


MOMENT = datetime(2025, 1, 1, 12, 0, 0, 5, UTC)
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
    Execution.from_dict(SENT),
    ExecutionDetail.from_dict(SENT),
    decode(Execution, json.dumps(SENT).encode()),
    decode(ExecutionDetail, json.dumps({**SENT, "updated_at": None}).encode()),
    ReplayResult.from_dict({"id": "e", "status": "weird", "replay_execution_id": "f"}),
    RollbackResult.from_dict({"id": "e", "status": "paused", "message": "m"}),
    decode(ExecutionPage, json.dumps({"items": [{"id": "e", "error_message": "broke"}], "total": 1}).encode()),
    ExecutionPage.from_dict({"executions": [SENT], "total": 1}),
    ExecutionRequest("w", {"a": 1}, {"b": [2]}, "agent", "key"),
]
IDS = [f"{type(model).__name__}-{number}" for number, model in enumerate(MODELS)]


@pytest.mark.parametrize("model", MODELS, ids=IDS)
class TestAsValues:
    def test_copies_and_pickles_are_whole(self, model: Any) -> None:
        assert attrs.evolve(model) == model
        copies = [copy.copy(model), copy.deepcopy(model)]
        copies += [pickle.loads(pickle.dumps(model, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        for again in copies:
            assert type(again) is type(model)
            assert again == model
            assert hash(again) == hash(model)
            if not isinstance(model, ExecutionRequest):
                assert again.to_dict() == model.to_dict()
                assert again.extra == model.extra

    def test_deep_copies_share_nothing(self, model: Any) -> None:
        again = copy.deepcopy(model)
        for name in ("extra", "input_data", "metadata"):
            if isinstance(getattr(model, name, None), dict):
                assert getattr(again, name) is not getattr(model, name)

    def test_frozen_and_slotted(self, model: Any) -> None:
        assert not hasattr(model, "__dict__")
        first = attrs.fields(type(model))[0].name
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(model, first, "other")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(model, first)

    def test_weakly_referable_and_hashable(self, model: Any) -> None:
        assert weakref.ref(model)() is model
        assert {model: 1}[copy.deepcopy(model)] == 1

    def test_repr_shows_no_internals(self, model: Any) -> None:
        assert repr(model).startswith(f"{type(model).__name__}(")
        assert "_sent" not in repr(model)


def test_hash_is_by_id_and_equality_by_all() -> None:
    one, other = Execution("e", input_data={"a": []}), Execution("e", input_data={"a": [1]})
    assert hash(one) == hash(other)
    assert one != other
    assert len({one, other}) == 2
    assert Execution("e") != ExecutionDetail("e")


def test_made_by_hand_reads_statuses_and_moments_as_answers_do() -> None:
    made = Execution("e", "w", "weird", datetime(2025, 1, 1, 12), extra={"new": 1})  # type: ignore[arg-type] # noqa: DTZ001
    assert made.status == ExecutionStatus("weird")
    assert isinstance(made.status, ExecutionStatus)
    assert made.created_at == datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert made.to_dict()["created_at"] == "2025-01-01T12:00:00Z"
    assert Execution.from_dict(made.to_dict()) == made
    detail = ExecutionDetail("e", checkpoints=[Checkpoint("c", "n")])
    assert detail.checkpoints == (Checkpoint("c", "n"),)
    assert ExecutionDetail.from_dict(detail.to_dict()) == detail
    page = ExecutionPage([made])
    assert page.items == (made,)
    assert ExecutionPage.from_dict(page.to_dict()) == page


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2025, 3, 30, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2025, 1, 1, tzinfo=timezone(timedelta(seconds=-7, microseconds=3))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(-timedelta(hours=14))),
    ],
)
def test_a_moment_of_any_zone_survives_the_round_trip(moment: datetime) -> None:
    made = Execution("e", created_at=moment)
    assert made.created_at is not None
    assert made.created_at.timestamp() == moment.timestamp()
    assert made.created_at.utcoffset() == moment.utcoffset()
    assert Execution.from_dict(made.to_dict()) == made


def test_to_dict_of_a_page_goes_all_the_way_down() -> None:
    page = ExecutionPage([Execution("e", status=ExecutionStatus.FAILED, created_at=MOMENT)], total=1)
    got = page.to_dict()
    assert type(got["items"]) is list
    assert type(got["items"][0]["status"]) is str
    assert json.loads(json.dumps(got)) == got
    assert len(page) == 1
    assert list(page) == [page.items[0]]


def test_checkpoints_are_found_by_name_and_the_last_counts() -> None:
    detail = ExecutionDetail("e", checkpoints=[Checkpoint("1", "a"), Checkpoint("2", "b"), Checkpoint("3", "a")])
    assert detail.checkpoint("a").id == "3"
    assert detail.latest_checkpoint == Checkpoint("3", "a")
    with pytest.raises(KeyError, match=r"no checkpoint 'c'.*'a', 'b', 'a'"):
        detail.checkpoint("c")
    with pytest.raises(KeyError, match="none"):
        ExecutionDetail("e").checkpoint("a")
    assert ExecutionDetail("e").latest_checkpoint is None


@pytest.mark.parametrize("status", [*KNOWN, "weird", None])
def test_raise_for_status_raises_for_what_failed(status: str | None) -> None:
    detail = ExecutionDetail("e", status=status, error="it broke")  # type: ignore[arg-type]
    if status not in {"failed", "error", "cancelled"}:
        detail.raise_for_status()
        return
    with pytest.raises(ExecutionFailedError) as caught:
        detail.raise_for_status()
    assert caught.value.execution is detail
    assert caught.value.execution_id == "e"
    assert str(caught.value).startswith(f"execution e ended as {status}: it broke")


def test_a_replay_says_which_execution_to_follow() -> None:
    assert ReplayResult("e").execution_id == "e"
    for other, followed in (("f", "f"), ("", "e"), (None, "e"), (5, "e")):
        assert ReplayResult.from_dict({"id": "e", "replay_execution_id": other}).execution_id == followed


def test_attrs_fields_are_the_contracts() -> None:
    names = [field.name for field in attrs.fields(Execution)]
    assert names == [
        "id",
        "workflow_id",
        "status",
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "input_data",
        "output_data",
        "error",
        "metadata",
        "agent_id",
        "extra",
    ]
    assert [field.name for field in attrs.fields(ExecutionDetail)] == [*names, "checkpoints"]
    assert [field.name for field in attrs.fields(Checkpoint)] == ["id", "name", "created_at", "extra"]


def test_made_by_hand_from_texts() -> None:
    assert ExecutionDetail("e", checkpoints=None).checkpoints == ()  # type: ignore[arg-type]
    assert Execution("e", created_at="2025-01-01T00:00:00Z").created_at == datetime(2025, 1, 1, tzinfo=UTC)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timestamp"):
        Execution("e", created_at="soon")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="datetime"):
        Execution("e", created_at=5)  # type: ignore[arg-type]
