"""The fast way of decoding and the converter's agree on any JSON, in results and in errors."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_async import Execution, ExecutionDetail, ExecutionPage
from omium_async._models import codec
from omium_async._models import fast as wire
from omium_async._models.converter import Misfit

from .strategies import DETAILS, FIELDS, JSON, PAGES, ROWS, bodies, page_of, spoilt

WAYS: list[Any] = [
    pytest.param(codec.decode_page, ExecutionPage, PAGES, id="page"),
    pytest.param(codec.decode_execution, Execution, ROWS, id="execution"),
    pytest.param(codec.decode_detail, ExecutionDetail, DETAILS, id="detail"),
]


def outcome(read: Any, *arguments: Any) -> Any:
    """Everything that can be told about a reading: its result with all that is hidden in it, or its error."""
    try:
        found = read(*arguments)
    except Misfit as misfit:
        return type(misfit), misfit.message, misfit.path
    return found, json.dumps(found.to_dict(), sort_keys=True), hidden(found)


def hidden(found: Any) -> Any:
    rows = found.items if isinstance(found, ExecutionPage) else getattr(found, "checkpoints", ())
    return type(found), getattr(found, "_sent", None), [(type(row), getattr(row, "_sent", None)) for row in rows]


@pytest.mark.parametrize(("fast", "cls", "answers"), WAYS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_both_ways_agree(fast: Any, cls: Any, answers: Any, data: Any) -> None:
    body = data.draw(bodies(answers | spoilt(answers) | JSON))
    assert outcome(fast, body) == outcome(codec.decode, body, cls)


@settings(max_examples=100, deadline=None)
@given(body=bodies(page_of(spoilt(ROWS))))
def test_both_ways_agree_on_pages_with_odd_rows(body: bytes) -> None:
    assert outcome(codec.decode_page, body) == outcome(codec.decode, body, ExecutionPage)


NAMES = frozenset(name for name in FIELDS if name not in wire.ROW_FIELDS) | {"new"}


@settings(max_examples=150, deadline=None)
@given(body=bodies(PAGES | page_of(spoilt(ROWS)) | page_of(ROWS.map(lambda row: {"new": 1, **row}))))
def test_both_ways_agree_when_fields_were_learned(body: bytes) -> None:
    assert outcome(LEARNED.decode, body) == outcome(codec.decode, body, ExecutionPage)


def learned_pages(names: frozenset[str]) -> Any:
    pages = codec._Pages()
    pages.after = 1
    pages.most = len(names)
    pages._notice(names)
    return pages


LEARNED = learned_pages(NAMES)


def page_with(*names: str) -> bytes:
    return json.dumps({"items": [{**DOCUMENT_ROW, **dict.fromkeys(names, 1)}, DOCUMENT_ROW]}).encode()


def test_a_field_is_learned_when_many_pages_had_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = codec._Pages()
    odd: list[bytes] = []
    slow = pages._decode_odd
    monkeypatch.setattr(pages, "_decode_odd", lambda body: odd.append(body) or slow(body), raising=False)
    read = [pages.decode(page_with("new", "other")) for _ in range(20)]
    assert len(odd) == pages.after
    assert all(page == read[0] for page in read)
    assert read[-1].items[0].extra == {"new": 1, "other": 1}
    assert read[-1].items[1].extra == {}
    assert pages.decode(page_with("new")).items[0].extra == {"new": 1}
    assert pages.decode(page_with("new", "third")).items[0].extra == {"new": 1, "third": 1}
    assert len(odd) == pages.after + 1


def test_what_is_learned_and_counted_is_bounded() -> None:
    pages = codec._Pages()
    for number in range(600):
        for _ in range(pages.after if number < 50 else 1):
            assert pages.decode(page_with(f"n{number}")).items[0].extra == {f"n{number}": 1}
    assert len(pages._ways[2]) == pages.most
    full = pages._ways
    for _ in range(2 * pages.after):
        pages.decode(page_with("late"))
    assert pages._ways is full  # made once, not again for every page
    pages = codec._Pages()
    for number in range(600):
        pages.decode(page_with(f"n{number}"))
    assert len(pages._seen) <= pages.watched + 1
    assert not pages._ways[2]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "\n", "", "a b", "id\x00"])
def test_names_that_cannot_be_learned_are_read_all_the_same(name: str) -> None:
    pages = codec._Pages()
    for _ in range(20):
        assert pages.decode(page_with(name)).items[0].extra == {name: 1}
    assert not pages._ways[2]


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
    ("read", "answer"),
    [
        (codec.decode_page, {"items": [DOCUMENT_ROW] * 3, "total": 3, "page": 1, "page_size": 20}),
        (codec.decode_page, {"items": [LIVE_ROW] * 3}),
        (codec.decode_page, {"items": [LIVE_ROW, DOCUMENT_ROW]}),
        (codec.decode_page, {"items": [{**LIVE_ROW, "status": "weird", "new": 1}, DOCUMENT_ROW]}),
        (codec.decode_execution, DOCUMENT_ROW),
        (codec.decode_execution, LIVE_ROW),
        (codec.decode_detail, {**DOCUMENT_ROW, "checkpoints": [{"id": "c", "name": "start", "created_at": None}]}),
        (codec.decode_detail, {**LIVE_ROW, "metadata": {"checkpoints": [{"id": "c", "checkpoint_name": "start"}]}}),
    ],
)
def test_the_service_s_own_forms_take_the_fast_way(
    read: Any, answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(answer).encode()
    expected = read(body)

    monkeypatch.setattr(codec, "structure", None)
    monkeypatch.setattr(codec, "decode", None)
    assert read(body) == expected


def test_models_are_frozen_however_they_were_read() -> None:
    body = json.dumps({**LIVE_ROW, "checkpoints": [{"id": "c"}]}).encode()
    page = b'{"items": [%s]}' % json.dumps(LIVE_ROW).encode()
    for model in (
        codec.decode_detail(body),
        codec.decode_execution(json.dumps(LIVE_ROW).encode()),
        *codec.decode_page(page),
    ):
        assert type(model) in (Execution, ExecutionDetail)
        with pytest.raises(AttributeError):
            model.id = "other"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            del model.id
        with pytest.raises((AttributeError, TypeError)):
            model.unknown = 1  # type: ignore[attr-defined]


def test_extra_is_each_row_s_own() -> None:
    rows = codec.decode_page(json.dumps({"items": [DOCUMENT_ROW, DOCUMENT_ROW]}).encode()).items
    rows[0].extra["mine"] = 1
    assert rows[1].extra == {}


def test_every_field_of_a_model_has_its_place_on_the_wire() -> None:
    names = set(wire.WireRow.__struct_fields__)
    assert {field.name for field in attrs.fields(Execution)} - {"extra", "_sent"} <= names
    assert set(wire.WireDetail.__struct_fields__) - names == {"checkpoints"}
