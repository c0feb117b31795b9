"""Responses are read strictly, missing values are ``None``, and nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import (
    CancelResult,
    Checkpoint,
    CheckpointDetail,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    InvalidResponseError,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
    make_converter,
)

from .strategies import CHECKPOINTS, DETAILS, JSON, PAGES, REPLAYS, ROWS, bodies, page_of, spoilt

FAST = make_converter()
#: Reads every response by the hooks of the fields, because one of them is replaced.
BY_HOOKS = make_converter()
_read_text = BY_HOOKS.get_structure_hook(str)
BY_HOOKS.register_structure_hook(str, lambda value, kind: _read_text(value, kind))  # noqa: PLW0108

KINDS: list[Any] = [
    pytest.param(Checkpoint, CHECKPOINTS, id="Checkpoint"),
    pytest.param(CheckpointDetail, CHECKPOINTS, id="CheckpointDetail"),
    pytest.param(Execution, ROWS, id="Execution"),
    pytest.param(ExecutionDetail, DETAILS, id="ExecutionDetail"),
    pytest.param(ExecutionPage, PAGES, id="ExecutionPage"),
    pytest.param(ReplayResult, REPLAYS, id="ReplayResult"),
    pytest.param(RollbackResult, REPLAYS, id="RollbackResult"),
    pytest.param(CancelResult, REPLAYS, id="CancelResult"),
    pytest.param(WorkflowInfo, CHECKPOINTS, id="WorkflowInfo"),
]
MOMENTS = {"created_at", "updated_at", "started_at", "completed_at"}


def readings(cls: Any, sent: Any) -> list[Any]:
    """Return the model of a dict, and of its JSON text in both ways of decoding."""
    body = json.dumps(sent).encode()
    return [cls.from_dict(sent), FAST.loads(body, cls), BY_HOOKS.loads(body, cls)]


def outcome(converter: Any, body: bytes, cls: Any) -> Any:
    try:
        found = converter.loads(body, cls)
    except InvalidResponseError as error:
        return error.message, error.path
    return found, type(found), json.dumps(found.to_dict(), sort_keys=True)


@pytest.mark.parametrize(("cls", "responses"), KINDS)
@given(data=st.data())
def test_fast_decoding_and_the_hooks_agree(cls: Any, responses: Any, data: Any) -> None:
    responses = responses | spoilt(responses) | JSON
    if cls is ExecutionPage:
        responses = responses | page_of(spoilt(ROWS))
    body = data.draw(bodies(responses))
    assert outcome(FAST, body, cls) == outcome(BY_HOOKS, body, cls)


def same(got: Any, sent: Any) -> bool:
    return json.dumps(got, sort_keys=True) == json.dumps(sent, sort_keys=True)


def assert_given_back(got: dict[str, Any], sent: dict[str, Any]) -> None:
    """Check that every key and value of ``sent`` is in ``got``, which adds only nulls."""
    for key, value in sent.items():
        if key in MOMENTS and isinstance(value, str) and not same(got[key], value):
            assert datetime.fromisoformat(got[key]).tzinfo is not None
        elif key in {"items", "checkpoints"} and isinstance(value, list) and not same(got[key], value):
            for back, entry in zip(got[key], value, strict=True):
                assert_given_back(back, entry)
        else:
            assert same(got[key], value), key
    assert {key: value for key, value in got.items() if key not in sent and value is not None} in (
        {},
        {"cancelled": True},
    )


@pytest.mark.parametrize(("cls", "responses"), KINDS)
@given(data=st.data())
def test_to_dict_returns_what_was_sent_and_from_dict_the_model(cls: Any, responses: Any, data: Any) -> None:
    sent = data.draw(responses)
    try:
        model = cls.from_dict(sent)
    except InvalidResponseError as error:  # a key of another model has another type here
        assert error.path  # noqa: PT017
        return
    got = model.to_dict()
    assert_given_back(got, sent)
    for again in readings(cls, got):
        assert again == model
        assert same(again.to_dict(), got)


MODELS = [Checkpoint, CheckpointDetail, Execution, ExecutionDetail, ReplayResult, RollbackResult, WorkflowInfo]


@pytest.mark.parametrize("cls", MODELS)
def test_only_the_id_is_required(cls: Any) -> None:
    for sent in ({"id": "e"}, {"id": "e", **dict.fromkeys(cls.from_dict({"id": "e"}).to_dict().keys() - {"id"})}):
        for model in readings(cls, sent):
            values = {a.name: getattr(model, a.name) for a in attrs.fields(cls) if a.name not in ("id", "extra")}
            assert values.pop("checkpoints", ()) == ()
            assert set(values.values()) == {None}
            assert model.extra == {}
            assert set(model.to_dict().values()) == {"e", None}


WRONG: list[tuple[Any, Any, str, str]] = [
    (Execution, {}, "id", "missing"),
    (Execution, {"id": None}, "id", "expected text, got null"),
    (Execution, {"id": 5}, "id", "expected text, got a whole number"),
    (Execution, {"id": "e", "status": True}, "status", "a boolean"),
    (Execution, {"id": "e", "created_at": 1735732800}, "created_at", "a whole number"),
    (Execution, {"id": "e", "metadata": []}, "metadata", "expected an object, got an array"),
    (Execution, {"id": "e", "error": {"message": "x"}}, "error", "an object"),
    (Execution, {"id": "e", "error_message": 1.5}, "error_message", "a number"),
    (Execution, [], "", "expected an object, got an array"),
    (Execution, None, "", "got null"),
    (Execution, {"id": "e", 1: 2}, "", "expected text as keys, got a whole number"),
    (ExecutionDetail, {"id": "e", "checkpoints": {}}, "checkpoints", "expected an array"),
    (ExecutionDetail, {"id": "e", "checkpoints": [{"id": "c"}, {"id": 1}]}, "checkpoints[1].id", "text"),
    (ExecutionDetail, {"id": "e", "checkpoints": [{"id": "c"}, 7]}, "checkpoints[1]", "an object"),
    (ExecutionPage, {}, "items", "missing"),
    (ExecutionPage, {"items": None, "executions": None}, "items", "got null"),
    (ExecutionPage, {"executions": 5}, "executions", "expected an array"),
    (ExecutionPage, {"items": [{"id": "a"}] * 3 + [{"id": 3}]}, "items[3].id", "text"),
    (ExecutionPage, {"executions": [{"id": "a"}, {"id": 3}]}, "executions[1].id", "text"),
    (ExecutionPage, {"items": [], "total": "5"}, "total", "expected a whole number, got text"),
    (ExecutionPage, {"items": [], "total": True}, "total", "a boolean"),
    (ExecutionPage, {"items": [], "total": 5.0}, "total", "a number"),
    (ReplayResult, {"id": "e", "message": 1}, "message", "text"),
    (CancelResult, {"id": "e", "cancelled": "yes"}, "cancelled", "expected a boolean"),
    (CheckpointDetail, {"id": "c", "checkpoint_name": 5}, "checkpoint_name", "expected text"),
    (WorkflowInfo, {"id": "w", "tags": ["a", 1]}, "tags[1]", "expected text"),
    (WorkflowInfo, {"id": "w", "tags": "a"}, "tags", "expected an array"),
]


@pytest.mark.parametrize(("cls", "sent", "path", "words"), WRONG, ids=range(len(WRONG)))
def test_a_value_of_the_wrong_type_is_an_error_with_its_place(cls: Any, sent: Any, path: str, words: str) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        cls.from_dict(sent)
    assert caught.value.path == path
    assert words in str(caught.value)
    assert str(caught.value).startswith(path or "the response")


@pytest.mark.parametrize("cls", [*MODELS, ExecutionPage, CancelResult])
def test_other_mappings_are_read_and_nothing_else(cls: Any) -> None:
    assert cls.from_dict(MappingProxyType({"id": "e", "items": [], "new": 1})).extra["new"] == 1
    for nonsense in (5, "text", b"bytes", [], {1}, object(), Execution, 1.5):
        with pytest.raises(InvalidResponseError):
            cls.from_dict(nonsense)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-01-01T12:00:00Z", datetime(2025, 1, 1, 12, tzinfo=UTC)),
        ("2026-04-24T20:48:47.060023", datetime(2026, 4, 24, 20, 48, 47, 60023, tzinfo=UTC)),
        ("2025-01-01T12:00:00+05:30", datetime(2025, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ("9999-12-31T23:59:59-14:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14)))),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        ("2026-04-24T20:48:47.0600239999Z", datetime(2026, 4, 24, 20, 48, 47, 60024, tzinfo=UTC)),
    ],
)
def test_timestamps_are_aware_and_naive_means_utc(text: str, moment: datetime) -> None:
    for found in readings(Execution, {"id": "e", "created_at": text}):
        assert found.created_at == moment
        assert found.created_at.utcoffset() == moment.utcoffset()
        assert datetime.fromisoformat(found.to_dict()["created_at"]) == moment
        assert found.extra == {}


@pytest.mark.parametrize("text", ["...", "", "2025-01-01", "yesterday", "2025-02-30T00:00:00Z"])
def test_a_text_that_is_no_timestamp_stays_in_extra(text: str) -> None:
    for found in readings(Execution, {"id": "e", "created_at": text}):
        assert found.created_at is None
        assert found.extra == {"created_at": text}
        assert found.to_dict()["created_at"] == text


@pytest.mark.parametrize(
    "sent",
    [
        {"id": "e", "error_message": "broke"},
        {"id": "e", "error": None, "error_message": "broke"},
        {"id": "e", "error": "broke", "error_message": "other"},
        {"id": "e", "error": "broke", "error_message": None},
        {"id": "e", "error": "broke", "error_message": "broke"},
        {"id": "e", "error": "broke", "error_message": 5},
    ],
)
def test_the_error_is_read_from_either_key_and_both_are_given_back(sent: dict[str, Any]) -> None:
    for found in readings(Execution, sent):
        assert found.error == "broke"
        assert found.to_dict().get("error") == sent.get("error")
        assert found.to_dict().get("error_message") == sent.get("error_message")


def test_a_changed_copy_shows_its_value_in_to_dict() -> None:
    found = Execution.from_dict({"id": "e", "error_message": "broke", "created_at": "..."})
    changed = attrs.evolve(found, error="fixed", created_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert changed.to_dict()["error"] == "fixed"
    assert changed.to_dict()["created_at"] == "2025-01-01T00:00:00Z"


NESTED = {"checkpoints": [{"id": "c1", "name": "start"}, {"id": "c2", "checkpoint_name": "end"}]}


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ({"checkpoints": [{"id": "c", "name": "a"}], "metadata": NESTED}, ["a"]),
        ({"checkpoints": [], "metadata": NESTED}, ["start", "end"]),
        ({"checkpoints": None, "metadata": NESTED}, ["start", "end"]),
        ({"metadata": NESTED}, ["start", "end"]),
        ({"metadata": {"checkpoints": "my own"}}, []),
        ({"metadata": {"checkpoints": ["my", "own"]}}, []),
        ({"metadata": {"checkpoints": [{"id": "c"}, {"id": 5}]}}, []),
        ({"metadata": None}, []),
        ({"checkpoints": [{"id": "c", "name": None, "checkpoint_name": "a"}]}, ["a"]),
        ({"checkpoints": [{"id": "c", "name": "a", "checkpoint_name": "b"}]}, ["a"]),
        ({"checkpoints": [{"id": "c", "checkpoint_name": None}]}, [None]),
    ],
)
def test_checkpoints_are_read_from_either_place(sent: dict[str, Any], names: list[str | None]) -> None:
    for found in readings(ExecutionDetail, {"id": "e", **sent}):
        assert [checkpoint.name for checkpoint in found.checkpoints] == names
        got = found.to_dict()
        assert got["metadata"] == sent.get("metadata")
        if not sent.get("checkpoints"):
            assert got["checkpoints"] == sent.get("checkpoints")
        assert ExecutionDetail.from_dict(got) == found


def test_rows_in_executions_are_read_and_given_back() -> None:
    sent = {"executions": [{"id": "e", "new": 1}], "total": 1}
    for found in readings(ExecutionPage, sent):
        assert [row.id for row in found] == ["e"]
        assert found.to_dict() == {**sent, "items": None, "page": None, "page_size": None}
    assert ExecutionPage.from_dict({"items": [], "executions": [{"id": "e"}]}).items == ()


def test_an_unknown_field_is_in_extra_of_its_own_row() -> None:
    for page in readings(ExecutionPage, {"items": [{"id": "a", "new": 1}, {"id": "b"}, {"id": "c", "extra": 2}]}):
        assert [row.extra for row in page] == [{"new": 1}, {}, {"extra": 2}]
        page.items[1].extra["mine"] = 1
        assert page.items[2].extra == {"extra": 2}


def test_models_are_frozen_however_they_were_read() -> None:
    for detail in readings(ExecutionDetail, {"id": "e", "checkpoints": [{"id": "c"}]}):
        for model in (detail, detail.checkpoints[0]):
            with pytest.raises(AttributeError):
                model.id = "other"
            with pytest.raises(AttributeError):
                del model.id


def test_a_subclass_of_a_model_is_read_with_its_own_fields() -> None:
    @attrs.frozen(slots=True)
    class Wider(Execution):
        region: str | None = None

    for found in readings(Wider, {"id": "e", "region": "eu", "new": 1}):
        assert (found.region, found.extra) == ("eu", {"new": 1})
    with pytest.raises(InvalidResponseError, match="region: expected text, got a whole number"):
        Wider.from_dict({"id": "e", "region": 5})


def test_integers_are_exact_up_to_4300_digits() -> None:
    for digits in (19, 20, 40, 4300):
        number = int("9" * digits)
        body = b'{"id": "e", "input_data": {"n": %d, "m": -%d}, "big": %d}' % (number, number, number)
        for cls in (Execution, ExecutionDetail):
            found = FAST.loads(body, cls)
            assert found.input_data == {"n": number, "m": -number}
            assert found.extra == {"big": number}
            assert FAST.loads(FAST.dumps(found), cls) == found
        assert FAST.loads(b'{"items": [%s], "total": %d}' % (body, number), ExecutionPage).total == number


LONGEST = b"-" + b"9" * 4300
NOT_JSON = [
    b"",
    b"<html>",
    b'{"id": "e"',
    b'{"id": "e"} x',
    b'{"id": "e"}{"id": "e"}',
    b'\xef\xbb\xbf{"id": "e"}',
    b'{"id": "\xff"}',
    b'{"id": "e", "\xff": 1}',
    rb'{"id": "\ud800"}',
    rb'{"id": "e", "\ud800": 1}',
    b'{"id": NaN}',
    b'{"x": %s, "id": "\\ud800"}' % LONGEST,
    b'{"x": %s, "id": "\xff"}' % LONGEST,
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_a_body_that_is_not_json_has_no_path(body: bytes) -> None:
    for converter in (FAST, BY_HOOKS):
        with pytest.raises(InvalidResponseError, match="not JSON") as caught:
            converter.loads(body, Execution)
        assert caught.value.path == ""


@pytest.mark.parametrize(
    "body",
    [b'{"id": "e", "x": %s0}' % LONGEST, b'{"id": "e", "x": 1e999}', b'{"id": "e", "x": %s}' % (b"[" * 300_000)],
    ids=["digits", "float", "depth"],
)
def test_json_that_python_cannot_hold_is_an_invalid_response(body: bytes) -> None:
    for converter in (FAST, BY_HOOKS):
        with pytest.raises(InvalidResponseError):
            converter.loads(body, Execution)
