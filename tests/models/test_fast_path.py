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
    RollbackResult,
    make_converter,
)
from omium_async._data.codec import decode_json
from omium_async._data.validation import ValidationError
from omium_async._models.answer import Timestamp
from omium_async._models.fast import FastReader, known_names, struct_of
from omium_async._models.rules import ModelReader

from .strategies import CHECKPOINTS, DETAILS, FIELDS, JSON, PAGES, REPLAYS, ROWS, bodies, page_of, spoilt

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
    assert type(reader._current().fast) is FastReader


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


NAMES = frozenset(name for name in FIELDS if name not in known_names(Execution)) | {"new"}


@settings(max_examples=150, deadline=None)
@given(body=bodies(PAGES | page_of(spoilt(ROWS)) | page_of(ROWS.map(lambda row: {"new": 1, **row}))))
def test_both_ways_agree_when_fields_were_learned(body: bytes) -> None:
    assert outcome(LEARNED.decode, read_page, body) == outcome(slow, body, ExecutionPage)


def read_page(data: Any) -> Any:
    return CONVERTER.get_structure_hook(ExecutionPage).read(data)


def learned_pages(names: frozenset[str]) -> Any:
    pages = FastReader(ExecutionPage)
    pages.after = 1
    pages.most = len(names)
    pages._notice(names)
    return pages


LEARNED = learned_pages(NAMES)


def page_with(*names: str) -> bytes:
    return json.dumps({"items": [{**DOCUMENT_ROW, **dict.fromkeys(names, 1)}, DOCUMENT_ROW]}).encode()


def test_a_field_is_learned_when_many_pages_had_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = FastReader(ExecutionPage)
    odd: list[bytes] = []
    decode_odd = pages._decode_odd

    def noted(body: bytes, read: Any) -> Any:
        odd.append(body)
        return decode_odd(body, read)

    monkeypatch.setattr(pages, "_decode_odd", noted)
    read = [pages.decode(read_page, page_with("new", "other")) for _ in range(20)]
    assert len(odd) == pages.after
    assert all(page == read[0] for page in read)
    assert read[-1].items[0].extra == {"new": 1, "other": 1}
    assert read[-1].items[1].extra == {}
    assert pages.decode(read_page, page_with("new")).items[0].extra == {"new": 1}
    assert pages.decode(read_page, page_with("new", "third")).items[0].extra == {"new": 1, "third": 1}
    assert len(odd) == pages.after + 1


def test_what_is_learned_and_counted_is_bounded() -> None:
    pages = FastReader(ExecutionPage)
    for number in range(600):
        for _ in range(pages.after if number < 50 else 1):
            assert pages.decode(read_page, page_with(f"n{number}")).items[0].extra == {f"n{number}": 1}
    assert len(pages._ways[3]) == pages.most
    full = pages._ways
    for _ in range(2 * pages.after):
        pages.decode(read_page, page_with("late"))
    assert pages._ways is full  # made once, not again for every page
    pages = FastReader(ExecutionPage)
    for number in range(600):
        pages.decode(read_page, page_with(f"n{number}"))
    assert len(pages._seen) <= pages.watched + 1
    assert not pages._ways[3]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "\n", "", "a b", "id\x00"])
def test_names_that_cannot_be_learned_are_read_all_the_same(name: str) -> None:
    pages = FastReader(ExecutionPage)
    for _ in range(20):
        assert pages.decode(read_page, page_with(name)).items[0].extra == {name: 1}
    assert not pages._ways[3]


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
        (ExecutionDetail, {**LIVE_ROW, "metadata": {"checkpoints": [{"id": "c", "checkpoint_name": "start"}]}}),
    ],
)
def test_the_service_s_own_forms_take_the_fast_way(cls: Any, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    assert FastReader(cls).decode(None, body) == slow(body, cls)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("cls", [Checkpoint, Execution, ExecutionDetail, ExecutionPage, ReplayResult, RollbackResult])
def test_every_field_of_a_model_has_its_place_on_the_wire(cls: Any) -> None:
    names = [field.name for field in attrs.fields(cls) if field.name != "extra"]
    found = [name for name in struct_of(cls).__struct_fields__ if name in names]
    assert sorted(found) == sorted(names)


def test_a_new_field_needs_its_declaration_alone() -> None:
    @attrs.frozen(slots=True)
    class Wider(Execution):
        region: str | None = None
        moved_at: Timestamp | None = attrs.field(default=None, metadata={"fallback": "moved"})

    sent = {**LIVE_ROW, "region": "eu", "moved": "2025-01-01T00:00:00Z", "new": 1}
    found = fast(json.dumps(sent).encode(), Wider)
    assert (found.region, found.moved_at.year, found.extra["new"]) == ("eu", 2025, 1)
    assert found == slow(json.dumps(sent).encode(), Wider)
    assert Wider.from_dict(found.to_dict()) == found
    with pytest.raises(InvalidResponseError, match="region: expected text, got a whole number"):
        Wider.from_dict({"id": "e", "region": 5})
