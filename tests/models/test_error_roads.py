"""Errors arrive whole by every road: rebuilt from their args, through JSON, pickles, copies and other processes."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import omium_async as om
from omium_async._errors import Headers
from omium_async._errors.base import error_from_json, error_to_json

ERRORS = [
    found
    for found in (getattr(om, name) for name in om.__all__)
    if inspect.isclass(found) and issubclass(found, om.OmiumError)
]

# Anything that Python calls text: lone surrogates, halves of pairs side by side, what ends lines or moves cursors.
ODD = st.sampled_from(["\ud83d\ude00", "\udcff", "\x1b]8;;http://x\x07", "\r\n", "\u202e", "\x00", "x" * 5000, ""])
TEXT = st.text(st.characters()) | ODD
MAYBE = st.none() | TEXT
FLOATS = st.floats(min_value=0, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
ATTEMPTS = st.builds(
    om.Attempt,
    number=st.integers(1, 100),
    status=st.none() | st.integers(100, 599),
    error=MAYBE,
    elapsed=FLOATS,
    retry_after=st.none() | FLOATS,
    sent=st.booleans(),
    outcome_unknown=st.booleans(),
    request_id=MAYBE,
    idempotency_key=MAYBE,
    method=TEXT,
    path=TEXT,
)
ROWS = st.fixed_dictionaries(
    {"id": st.text(min_size=1)}, optional={"status": st.text(), "output_data": JSON, "checkpoints": JSON, "more": JSON}
)
CONTENTS: dict[str, st.SearchStrategy[Any]] = {
    "outcome": st.sampled_from(om.WriteOutcome),
    "request_id": MAYBE,
    "idempotency_key": MAYBE,
    "execution_id": MAYBE,
    "attempts": st.lists(ATTEMPTS, max_size=2).map(tuple),
    "setting": MAYBE,
    "source": MAYBE,
    "problem": MAYBE,
    "method": TEXT,
    "url": TEXT,
    "status": st.integers(0, 599),
    "body": st.binary(),
    "headers": st.dictionaries(TEXT, TEXT, max_size=3).map(Headers),
    "retry_after": st.none() | FLOATS,
    "path": TEXT,
    "pending": st.lists(TEXT, max_size=3).map(tuple),
    "missing": st.lists(TEXT, max_size=3).map(tuple),
    "names": st.lists(TEXT, max_size=3).map(tuple),
    "execution": ROWS.map(om.Execution.from_dict)
    | st.fixed_dictionaries({"id": st.text(), "checkpoints": st.just([{"id": "c"}])}).map(om.ExecutionDetail.from_dict),
}


@st.composite
def errors(draw: st.DrawFn) -> om.OmiumError:
    cls = draw(st.sampled_from(ERRORS))
    names = [name for name in cls._carries if name != "is_of_batch"]
    given_at_birth = {name: draw(CONTENTS[name]) for name in names if name == "execution" or draw(st.booleans())}
    error = cls(draw(TEXT), **given_at_birth)
    for name in names:  # what is set later travels as well
        if draw(st.booleans()):
            setattr(error, name, draw(CONTENTS[name]))
    for note in draw(st.lists(TEXT, max_size=2)):
        error.add_note(note)
    return error


def is_equal(one: BaseException, other: BaseException) -> bool:
    assert type(one) is type(other)
    assert vars(one) == vars(other)
    assert {name: type(value) for name, value in vars(one).items()} == {n: type(v) for n, v in vars(other).items()}
    assert (str(one), repr(one), one.args) == (str(other), repr(other), other.args)
    return True


@given(errors())
def test_rebuilt_from_its_args(error: om.OmiumError) -> None:
    assert is_equal(type(error)(*error.args), error)


@given(errors())
def test_through_json(error: om.OmiumError) -> None:
    assert is_equal(type(error)(*json.loads(json.dumps(error.args))), error)
    strict = msgspec.json.encode(error.args)  # which refuses lone surrogates and turns infinities into null
    assert is_equal(type(error)(*msgspec.json.decode(strict)), error)


@given(errors())
def test_as_an_object_of_json(error: om.OmiumError) -> None:
    assert is_equal(error_from_json(msgspec.json.decode(msgspec.json.encode(error_to_json(error)))), error)


@given(errors(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickled_and_copied(error: om.OmiumError, protocol: int) -> None:
    error.seen_by = ["somebody"]  # type: ignore[attr-defined] # what others set on it travels too
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert is_equal(again, error)


@given(errors())
def test_the_args_may_be_set_as_a_whole(error: om.OmiumError) -> None:
    other = copy.copy(error)
    other.args = (f"while testing: {error.message}", *error.args[1:])
    assert other.message.startswith("while testing:")
    other.args = error.args
    assert is_equal(other, error)


@given(errors())
def test_its_text_is_one_clean_line_that_encodes(error: om.OmiumError) -> None:
    for text in (str(error), repr(error), error.message, error.request_id or ""):
        text.encode()
        assert len(text) < 5000
        assert not {*text} & {*map(chr, range(32)), *map(chr, range(127, 160)), "\u202e", "\u2028", "\u2066"}


def test_copies_have_notes_of_their_own() -> None:
    error = om.OmiumError("broke")
    error.add_note("first")
    copy.copy(error).add_note("second")
    assert error.__notes__ == ["first"]


def test_a_class_of_somebody_else_travels_by_its_attributes() -> None:
    error = pickle.loads(pickle.dumps(_Own(3, "broke")))
    assert (type(error), error.count, error.message, error.outcome) == (_Own, 3, "broke", "applied")
    assert type(error_from_json(error_to_json(error))) is om.ServerError


class _Own(om.ServerError):
    def __init__(self, count: int, reason: str) -> None:
        super().__init__(reason, status=500, outcome="applied")
        self.count = count


def test_what_another_version_told_is_not_lost_on_this_one() -> None:
    found = error_from_json({"type": "SomedayError", "message": "broke", "outcome": "applied", "someday": 1})
    assert (type(found), found.message, found.outcome) == (om.OmiumError, "SomedayError: broke", "applied")
    attempt = {"number": 1, "someday": 1}
    assert om.OmiumError("broke", {"attempts": [attempt]}).attempts == (om.Attempt(1),)


def test_a_process_pool_brings_it_back() -> None:
    error = om.RateLimitError("slow down", status=429, body=b"\xff", retry_after=1.5, outcome="not_applied")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        came_back = pool.submit(raises, error).exception()
    assert isinstance(came_back, om.RateLimitError)
    assert (str(came_back), came_back.args, came_back.body) == (str(error), error.args, b"\xff")


def raises(error: om.OmiumError) -> None:
    raise error


@pytest.mark.parametrize("cls", ERRORS)
def test_all_that_it_carries_is_carried_on(cls: type[om.OmiumError]) -> None:
    """Every parameter of every constructor up the tree is among what travels."""
    parameters = {name for each in cls.__mro__ if issubclass(each, om.OmiumError) for name in _named(each)}
    assert parameters == {*cls._carries} - {"is_of_batch"}


def _named(cls: type[om.OmiumError]) -> list[str]:
    return [name for name, one in inspect.signature(cls.__init__).parameters.items() if one.kind is one.KEYWORD_ONLY]
