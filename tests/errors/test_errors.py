"""The hierarchy of errors, their messages and outcomes, and their copies by pickle and JSON."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import typing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import omium_async as om
from omium_async import Attempt, Execution, ExecutionDetail
from omium_async._errors.base import error_from_json, error_to_json

from ..models.strategies import ROWS

ATTEMPT = Attempt(1, status=503, error="busy", elapsed=0.5, retry_after=1.5, sent=True, outcome_unknown=True)
COMMON = {
    "request_id": "r1",
    "idempotency_key": "k",
    "execution_id": "e1",
    "attempts": (
        ATTEMPT,
        Attempt(2, error="refused", idempotency_key="k", method="POST", path="/executions", headers={"X-A": "\ud800"}),
    ),
    "outcome": "unknown",
}
REQUEST = {**COMMON, "method": "POST", "url": "https://api.omium.ai/api/v1/executions"}
STATUS = {**REQUEST, "status": 418, "body": b"\x00\xffbody", "headers": {"x-a": "b"}}
DETAIL = ExecutionDetail.from_dict({"id": "e1", "status": "failed", "error": "broke", "checkpoints": [{"id": "c"}]})
ROW = Execution.from_dict({"id": "e1", "status": "completed", "output_data": {"lines": "many"}})
APPLIED = {**COMMON, "outcome": "applied"}

TREE: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("OmiumError", (), COMMON),
    (
        "ConfigurationError",
        ("OmiumError", "ValueError"),
        {**COMMON, "setting": "timeout", "source": "OMIUM_TIMEOUT", "problem": "0 is not above 0"},
    ),
    ("APIConnectionError", ("OmiumError",), REQUEST),
    ("APITimeoutError", ("APIConnectionError", "OmiumError", "TimeoutError"), REQUEST),
    ("APIStatusError", ("OmiumError",), STATUS),
    ("BadRequestError", ("APIStatusError", "OmiumError"), STATUS),
    ("AuthenticationError", ("APIStatusError", "OmiumError"), STATUS),
    ("PermissionDeniedError", ("APIStatusError", "OmiumError"), STATUS),
    ("NotFoundError", ("APIStatusError", "OmiumError"), STATUS),
    ("ConflictError", ("APIStatusError", "OmiumError"), STATUS),
    ("UnprocessableEntityError", ("APIStatusError", "OmiumError"), STATUS),
    ("RateLimitError", ("APIStatusError", "OmiumError"), {**STATUS, "retry_after": 2.5}),
    ("ServerError", ("APIStatusError", "OmiumError"), STATUS),
    ("InvalidResponseError", ("OmiumError",), {**REQUEST, "status": 200, "body": b"x", "path": "items[3].id"}),
    ("UnstableListError", ("OmiumError",), COMMON),
    ("WaitTimeoutError", ("OmiumError", "TimeoutError"), {**COMMON, "pending": ("e1", "e2")}),
    ("MissingExecutionsError", ("OmiumError",), {**COMMON, "missing": ("e3",)}),
    ("JournalError", ("OmiumError",), COMMON),
    ("NoCheckpointError", ("OmiumError", "ValueError"), {**COMMON, "outcome": "not_applied", "names": ("a", "b")}),
    ("OutputError", ("OmiumError",), {**APPLIED, "execution": ROW, "path": "output_data.lines"}),
    ("ExecutionFailedError", ("OmiumError",), {**APPLIED, "execution": DETAIL}),
]
NAMES = [name for name, _, _ in TREE]
EACH = pytest.mark.parametrize(("name", "bases", "carried"), TREE, ids=NAMES)
WITH_EXECUTION = {"ExecutionFailedError": DETAIL, "OutputError": ROW}


def made(name: str, carried: dict[str, Any]) -> Any:
    return getattr(om, name)("what happened", **carried)


@EACH
def test_each_error_has_its_place_in_the_tree_and_its_attributes(name: str, bases: Any, carried: Any) -> None:
    error = made(name, carried)
    above = {base.__name__ for base in type(error).__mro__[1:]}
    assert above & {*NAMES, "ValueError", "TimeoutError"} == {*bases}
    assert {each: getattr(error, each) for each in carried} == carried
    assert error.message == "what happened"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_EXECUTION])
def test_an_error_from_a_message_alone_has_an_unknown_outcome(name: str) -> None:
    error = getattr(om, name)("what happened")
    assert (error.request_id, error.idempotency_key, error.execution_id, error.attempts) == (None, None, None, ())
    assert error.outcome is om.WriteOutcome.UNKNOWN
    assert error.outcome_unknown is True
    assert error.args == ("what happened",)
    assert str(error).startswith("what happened [outcome unknown")
    assert getattr(om, name)("what happened", outcome="not_applied").outcome_unknown is False
    for wrong in (("message", "second"), ("message", ["second"])):
        with pytest.raises(TypeError):
            getattr(om, name)(*wrong)


@pytest.mark.parametrize("name", WITH_EXECUTION)
def test_an_error_about_an_execution_is_applied_and_never_without_it(name: str) -> None:
    cls = getattr(om, name)
    for wrong in ({}, {"execution": None}, {"details": {}}, {"details": {"execution": None}}, {"execution": "e1"}):
        with pytest.raises(TypeError, match="execution"):
            cls("what happened", **wrong)
    error = cls("what happened", execution=WITH_EXECUTION[name], outcome="not_applied", execution_id="other")
    assert (error.outcome, error.execution_id, error.execution) == ("applied", "e1", WITH_EXECUTION[name])


@EACH
def test_the_text_is_one_line_with_the_request_and_its_attempts(name: str, bases: Any, carried: Any) -> None:
    text = str(made(name, carried))
    assert text.partition("what happened")[0] == {
        "url" in carried: "POST /api/v1/executions: ",
        "headers" in carried: "POST /api/v1/executions: 418 ",
        "url" not in carried: "",
    }.get(True)
    assert "request id r1" in text
    assert "2 attempts" in text
    assert "body" not in text
    assert repr(made(name, carried)) == f"{name}({text!r})"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (om.ConflictError("no", status=409, idempotency_key="k", outcome="not_applied"), "will be refused too]"),
        (om.RateLimitError("no", status=429, idempotency_key="k", outcome="not_applied"), "may be sent again]"),
        (om.APIConnectionError("no", idempotency_key="k", outcome="not_applied"), "may be sent again]"),
        (om.NotFoundError("no", status=404, outcome="not_applied"), "no"),  # of a read
        (om.ServerError("no", status=500, idempotency_key="k", outcome="unknown"), "check before sending it again]"),
        (om.ServerError("no", status=500, outcome="applied"), "do not send it again]"),
        (om.WaitTimeoutError("late", outcome="applied"), "wait for it again instead of creating another]"),
    ],
)
def test_the_text_says_what_the_outcome_means(error: om.OmiumError, advice: str) -> None:
    assert str(error).endswith(advice)


def test_the_text_names_a_failed_execution_once() -> None:
    with pytest.raises(om.ExecutionFailedError) as caught:
        DETAIL.raise_for_status()
    assert caught.value.message == "execution e1 ended as failed: broke"
    assert str(caught.value).count("e1") == 1


def test_headers_are_a_copy_and_are_looked_up_in_any_case() -> None:
    headers = {"Retry-After": "3"}
    error = om.APIStatusError("no", status=429, headers=headers)
    headers["Retry-After"] = "changed"
    for each in (error, pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert each.headers["Retry-After"] == each.headers.get("RETRY-AFTER") == "3"
        assert "retry-after" in each.headers
        assert each.headers.get("missing", "x") == "x"


def test_attempts_are_values() -> None:
    assert pickle.loads(pickle.dumps(ATTEMPT)) == copy.deepcopy(ATTEMPT) == ATTEMPT
    with pytest.raises(AttributeError):
        ATTEMPT.status = 200  # type: ignore[misc]


# -- copies ------------------------------------------------------------------------------------------------------------

ERRORS = [getattr(om, name) for name in NAMES]
TEXT = st.text(max_size=10) | st.sampled_from(["\ud800 half", "a\nb", "\x1b[31m", "\u202e", "x" * 3000])
MAYBE = st.none() | TEXT
FLOATS = st.floats(allow_nan=False)
ATTEMPTS = st.builds(
    Attempt,
    number=st.integers(1, 9),
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
    headers=st.dictionaries(TEXT, TEXT, max_size=2),
)
CONTENTS: dict[str, st.SearchStrategy[Any]] = {
    "outcome": st.sampled_from(om.WriteOutcome),
    **dict.fromkeys(["request_id", "idempotency_key", "execution_id", "setting", "source", "problem"], MAYBE),
    **dict.fromkeys(["method", "url", "path"], TEXT),
    **dict.fromkeys(["pending", "missing", "names"], st.lists(TEXT, max_size=3).map(tuple)),
    "attempts": st.lists(ATTEMPTS, max_size=2).map(tuple),
    "status": st.integers(0, 599),
    "body": st.binary(),
    "headers": st.dictionaries(TEXT, TEXT, max_size=3),
    "retry_after": st.none() | FLOATS,
    "execution": ROWS.map(Execution.from_dict)
    | st.text().map(lambda text: ExecutionDetail.from_dict({"id": text, "checkpoints": [{"id": "c"}]})),
}


def parameters(cls: type[om.OmiumError]) -> list[str]:
    """Return the keyword arguments of a class."""
    return sorted(name for name, p in inspect.signature(cls).parameters.items() if p.kind is p.KEYWORD_ONLY)


@st.composite
def errors(draw: st.DrawFn) -> om.OmiumError:
    cls = draw(st.sampled_from(ERRORS))
    names = [name for name in parameters(cls) if name == "execution" or draw(st.booleans())]
    error = cls(draw(TEXT), **{name: draw(CONTENTS[name]) for name in names})
    if draw(st.booleans()):
        error.execution_id = draw(MAYBE)  # attributes may be set later
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
def test_args_are_json_values_that_build_an_equal_error(error: om.OmiumError) -> None:
    assert is_equal(type(error)(*error.args), error)
    assert is_equal(type(error)(*json.loads(json.dumps(error.args))), error)
    strict = msgspec.json.encode(error.args)  # rejects lone surrogates and turns infinities into null
    assert is_equal(type(error)(*msgspec.json.decode(strict)), error)
    assert is_equal(error_from_json(msgspec.json.decode(msgspec.json.encode(error_to_json(error)))), error)


@given(errors(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickle_and_copy_give_an_equal_error(error: om.OmiumError, protocol: int) -> None:
    error.seen_by = ["somebody"]  # type: ignore[attr-defined] # attributes of users are kept
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert is_equal(again, error)


@given(errors())
def test_the_text_of_any_error_is_one_clean_line_of_limited_length(error: om.OmiumError) -> None:
    for text in (str(error), repr(error), error.message, error.request_id or ""):
        text.encode()
        assert len(text) < 5000
        assert not {*text} & {*map(chr, range(32)), *map(chr, range(127, 160)), "\u202e", "\u2028", "\u2066"}


def test_every_argument_of_every_error_is_in_args() -> None:
    for name, _, carried in TREE:
        error = made(name, carried)
        assert {*carried} == {*parameters(type(error))}, name
        assert {*carried} - {"outcome", "execution_id"} <= {*error.args[1]} | {"idempotency_key"}, name


def test_the_args_may_be_replaced() -> None:
    error = made("RateLimitError", {**STATUS, "retry_after": 2.5})
    other = copy.copy(error)
    other.args = (f"while testing: {error.message}", *error.args[1:])
    assert other.message.startswith("while testing:")
    other.args = error.args
    assert is_equal(other, error)


def test_copies_have_notes_of_their_own() -> None:
    error = om.OmiumError("broke")
    error.add_note("first")
    copy.copy(error).add_note("second")
    assert error.__notes__ == ["first"]


class OwnError(om.ServerError):
    def __init__(self, count: int, reason: str) -> None:
        super().__init__(reason, status=500, outcome="applied")
        self.count = count


def test_an_error_of_a_users_class_is_pickled_with_its_attributes() -> None:
    error = pickle.loads(pickle.dumps(OwnError(3, "broke")))
    assert (type(error), error.count, error.message, error.outcome) == (OwnError, 3, "broke", "applied")
    assert type(error_from_json(error_to_json(error))) is om.ServerError


class PlainError(om.WaitTimeoutError):
    pass


def test_constructors_take_what_their_class_declares_and_nothing_else() -> None:
    assert PlainError("late", pending=["e1"]).pending == ("e1",)
    assert inspect.signature(PlainError) == inspect.signature(om.WaitTimeoutError)
    assert [*inspect.signature(OwnError).parameters] == ["count", "reason"]
    for wrong in ({"someday": 1}, {"_of_batch": True}, {"status": 1}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            om.WaitTimeoutError("late", **wrong)
    with pytest.raises(ValueError, match="someday"):
        om.OmiumError("broke", outcome="someday")


def test_type_hints_are_those_of_the_attributes() -> None:
    hints = typing.get_type_hints(om.RateLimitError)
    assert (hints["retry_after"], hints["outcome"], hints["status"]) == (float | None, om.WriteOutcome, int)


def test_an_error_of_another_version_keeps_what_is_known() -> None:
    found = error_from_json({"type": "SomedayError", "message": "broke", "outcome": "applied", "someday": 1})
    assert (type(found), found.message, found.outcome) == (om.OmiumError, "SomedayError: broke", "applied")
    assert om.OmiumError("broke", {"attempts": [{"number": 1, "someday": 1}]}).attempts == (Attempt(1),)


def raise_(error: om.OmiumError) -> None:
    raise error


@pytest.mark.slow
def test_another_process_raises_an_equal_error() -> None:
    error = made("RateLimitError", {**STATUS, "retry_after": 2.5})
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert is_equal(pool.submit(raise_, error).exception(), error)
