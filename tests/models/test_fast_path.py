"""The fast way of decoding and the converter's agree on any JSON, in results and in errors."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_async import (
    Checkpoint,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    InvalidResponseError,
    ReplayResult,
    make_converter,
)
from omium_async._data.codec import decode_json
from omium_async._data.validation import ValidationError
from omium_async._models.base import Timestamp
from omium_async._models.fast import fast_decoder
from omium_async._models.hooks import ModelReader

from .strategies import CHECKPOINTS, DETAILS, JSON, PAGES, REPLAYS, ROWS, bodies, page_of, spoilt

WAYS: list[Any] = [
    pytest.param(ExecutionPage, PAGES, id="page"),
    pytest.param(Execution, ROWS, id="execution"),
    pytest.param(ExecutionDetail, DETAILS, id="detail"),
    pytest.param(ReplayResult, REPLAYS, id="replay"),
    pytest.param(Checkpoint, CHECKPOINTS, id="checkpoint"),
]
CONVERTER = make_converter()


def fast(body: bytes, cls: type[Any]) -> Any:
    """As answers are read: by msgspec wherever it can."""
    return CONVERTER.decode(body, cls)


def slow(body: bytes, cls: type[Any]) -> Any:
    """By the hooks of each field alone."""
    return CONVERTER.get_structure_hook(cls).read(decode_json(body))


def test_the_two_ways_are_two() -> None:
    reader = CONVERTER.get_structure_hook(ExecutionPage)
    assert type(reader) is ModelReader
    assert reader.is_own()


def outcome(read: Any, *arguments: Any) -> Any:
    """Everything that can be told about a reading: its result with all that is hidden in it, or its error."""
    try:
        found = read(*arguments)
    except ValidationError as error:
        return type(error), error.message, error.path
    return found, json.dumps(found.to_dict(), sort_keys=True), hidden(found)


def hidden(found: Any) -> Any:
    rows = found.items if isinstance(found, ExecutionPage) else getattr(found, "checkpoints", ())
    return type(found), getattr(found, "_sent", None), [(type(row), getattr(row, "_sent", None)) for row in rows]


@pytest.mark.parametrize(("cls", "answers"), WAYS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_both_ways_agree(cls: Any, answers: Any, data: Any) -> None:
    body = data.draw(bodies(answers | spoilt(answers) | JSON))
    assert outcome(fast, body, cls) == outcome(slow, body, cls)


@settings(max_examples=100, deadline=None)
@given(body=bodies(page_of(spoilt(ROWS))))
def test_both_ways_agree_on_pages_with_odd_rows(body: bytes) -> None:
    assert outcome(fast, body, ExecutionPage) == outcome(slow, body, ExecutionPage)


DOCUMENT_ROW = {
    "id": "exec_abc",
    "workflow_id": "workflow_xyz",
    "status": "running",
    "created_at": "2025-01-01T12:00:00Z",
    "updated_at": "2025-01-01T12:01:00Z",
    "input_data": {"a": 1},
    "output_data": None,
}
LIVE_ROW = {
    **DOCUMENT_ROW,
    "created_at": "2026-04-24T20:48:47.060023",
    "started_at": "2026-04-24T20:48:47.060023",
    "agent_id": "a",
    "tenant_id": "t",
    "metadata": {"user": 1},
    "error_message": "it broke",
}


@pytest.mark.parametrize(
    ("cls", "answer"),
    [
        (ExecutionPage, {"items": [DOCUMENT_ROW] * 3, "total": 3, "page": 1, "page_size": 20}),
        (ExecutionPage, {"items": [LIVE_ROW] * 3}),
        (ExecutionPage, {"items": [LIVE_ROW, DOCUMENT_ROW]}),
        (ExecutionPage, {"items": [{**LIVE_ROW, "status": "weird", "new": 1}, DOCUMENT_ROW]}),
        (Execution, DOCUMENT_ROW),
        (Execution, LIVE_ROW),
        (ExecutionDetail, {**DOCUMENT_ROW, "checkpoints": [{"id": "c", "name": "start", "created_at": None}]}),
        (ExecutionDetail, {**LIVE_ROW, "checkpoints": []}),
    ],
)
def test_the_service_s_own_forms_take_the_fast_way(cls: Any, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    decoder = fast_decoder(cls)
    assert decoder is not None
    assert decoder.decode(body) == slow(body, cls)


def test_models_are_frozen_however_they_were_read() -> None:
    body = json.dumps({**LIVE_ROW, "checkpoints": [{"id": "c"}]}).encode()
    page = b'{"items": [%s]}' % json.dumps(LIVE_ROW).encode()
    for model in (
        fast(body, ExecutionDetail),
        fast(json.dumps(LIVE_ROW).encode(), Execution),
        *fast(page, ExecutionPage),
    ):
        assert type(model) in (Execution, ExecutionDetail)
        with pytest.raises(AttributeError):
            model.id = "other"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            del model.id
        with pytest.raises((AttributeError, TypeError)):
            model.unknown = 1  # type: ignore[attr-defined]


def test_extra_is_each_row_s_own() -> None:
    rows = fast(json.dumps({"items": [DOCUMENT_ROW, DOCUMENT_ROW]}).encode(), ExecutionPage).items
    rows[0].extra["mine"] = 1
    assert rows[1].extra == {}


def test_a_new_field_needs_its_declaration_alone() -> None:
    @attrs.frozen(slots=True)
    class Wider(Execution):
        region: str | None = None
        moved_at: Timestamp | None = attrs.field(default=None, metadata={"fallback": None})

    sent = {**LIVE_ROW, "region": "eu", "moved_at": "2025-01-01T00:00:00Z", "new": 1}
    found = fast(json.dumps(sent).encode(), Wider)
    assert (found.region, found.moved_at.year, found.extra["new"]) == ("eu", 2025, 1)
    assert found == slow(json.dumps(sent).encode(), Wider)
    assert Wider.from_dict(found.to_dict()) == found
    with pytest.raises(InvalidResponseError, match="region: expected text, got a whole number"):
        Wider.from_dict({"id": "e", "region": 5})
