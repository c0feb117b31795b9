"""Errors keep their place in the tree, say what happened, and travel whole."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import omium_async
import omium_async as omium
from omium_async import Attempt, Execution, ExecutionDetail
from omium_async._errors import status_error_class

ATTEMPTS = (
    Attempt(
        1,
        status=503,
        error="503 busy",
        elapsed=0.5,
        retry_after=1.5,
        sent=True,
        outcome_unknown=True,
        method="POST",
        path="/executions",
    ),
    Attempt(2, error="refused", request_id="r2", idempotency_key="k"),
)
COMMON = {
    "request_id": "r1",
    "idempotency_key": "k",
    "execution_id": "e1",
    "attempts": ATTEMPTS,
    "outcome": "unknown",
}
REQUEST = {**COMMON, "method": "POST", "url": "https://api.omium.ai/api/v1/executions"}
STATUS = {**REQUEST, "status": 418, "body": b"\x00\xffbody", "headers": {"x-a": "b"}}
DETAIL = ExecutionDetail.from_dict(
    {"id": "e1", "status": "failed", "error_message": "broke", "checkpoints": [{"id": "c"}]}
)
ROW = Execution.from_dict({"id": "e1", "status": "completed", "output_data": {"lines": "many"}, "checkpoints": []})
APPLIED = {"outcome": "applied", "execution_id": "e1"}

TREE: list[tuple[str, tuple[type, ...], dict[str, Any]]] = [
    ("OmiumError", (Exception,), COMMON),
    (
        "ConfigurationError",
        (omium.OmiumError, ValueError),
        {**COMMON, "setting": "timeout", "source": "OMIUM_TIMEOUT", "problem": "0 is not above 0"},
    ),
    ("APIConnectionError", (omium.OmiumError,), REQUEST),
    ("APITimeoutError", (omium.APIConnectionError, TimeoutError), REQUEST),
    ("APIStatusError", (omium.OmiumError,), STATUS),
    ("BadRequestError", (omium.APIStatusError,), STATUS),
    ("AuthenticationError", (omium.APIStatusError,), STATUS),
    ("PermissionDeniedError", (omium.APIStatusError,), STATUS),
    ("NotFoundError", (omium.APIStatusError,), STATUS),
    ("ConflictError", (omium.APIStatusError,), STATUS),
    ("UnprocessableEntityError", (omium.APIStatusError,), STATUS),
    ("RateLimitError", (omium.APIStatusError,), {**STATUS, "retry_after": 2.5}),
    ("ServerError", (omium.APIStatusError,), STATUS),
    ("InvalidResponseError", (omium.OmiumError,), {**REQUEST, "status": 200, "body": b"x", "path": "items[3].id"}),
    ("UnstableListError", (omium.OmiumError,), COMMON),
    ("WaitTimeoutError", (omium.OmiumError, TimeoutError), {**COMMON, "pending": ("e1", "e2")}),
    ("MissingExecutionsError", (omium.OmiumError,), {**COMMON, "missing": ("e3",)}),
    ("NoCheckpointError", (omium.OmiumError, ValueError), {**COMMON, "outcome": "not_applied", "names": ("a", "b")}),
    ("JournalError", (omium.OmiumError,), COMMON),
    ("OutputError", (omium.OmiumError,), {**COMMON, **APPLIED, "execution": ROW, "path": "output_data.lines"}),
    ("ExecutionFailedError", (omium.OmiumError,), {**COMMON, **APPLIED, "execution": DETAIL}),
]
EACH = pytest.mark.parametrize(("name", "bases", "carried"), TREE, ids=[name for name, _, _ in TREE])
NAMES = {name for name, _, _ in TREE}
WITH_EXECUTION = {"ExecutionFailedError": DETAIL, "OutputError": ROW}
WITHOUT = pytest.mark.parametrize("name", sorted(NAMES - {*WITH_EXECUTION}))


def made(name: str, carried: dict[str, Any]) -> omium.OmiumError:
    error = getattr(omium, name)("what happened", **carried)
    assert isinstance(error, omium.OmiumError)
    return error


def carries(error: BaseException, carried: dict[str, Any]) -> bool:
    return all(getattr(error, attribute) == value for attribute, value in carried.items())


@EACH
def test_place_in_the_tree(name: str, bases: tuple[type, ...], carried: dict[str, Any]) -> None:
    cls = getattr(omium, name)
    assert all(issubclass(cls, base) for base in bases)
    above = {base.__name__ for base in cls.__mro__} & NAMES - {name}
    expected = {base.__name__ for wanted in bases for base in wanted.__mro__} & NAMES
    assert above == expected
    assert issubclass(cls, TimeoutError) is (TimeoutError in bases)
    assert issubclass(cls, ValueError) is (ValueError in bases)


@EACH
def test_carries_what_the_contract_lists(name: str, bases: tuple[type, ...], carried: dict[str, Any]) -> None:
    assert carries(made(name, carried), {"message": "what happened", **carried})


@WITHOUT
def test_a_message_alone_claims_nothing(name: str) -> None:
    error = getattr(omium, name)("what happened")
    assert (error.request_id, error.idempotency_key, error.execution_id) == (None, None, None)
    assert error.attempts == ()
    assert error.outcome is omium.WriteOutcome.UNKNOWN
    assert error.outcome_unknown is True
    assert error.args == ("what happened",)
    assert str(error).startswith("what happened [outcome unknown")
    assert getattr(omium, name)("what happened", outcome="not_applied").outcome_unknown is False


@pytest.mark.parametrize("name", sorted(WITH_EXECUTION))
def test_an_execution_is_never_left_out(name: str) -> None:
    cls = getattr(omium, name)
    for refused in ({}, {"execution": None}, {"details": {}}, {"details": {"execution": None}}, {"execution": "e1"}):
        with pytest.raises(TypeError, match="execution"):
            cls("what happened", **refused)
    error = cls("what happened", execution=WITH_EXECUTION[name], outcome="not_applied", execution_id="other")
    assert (error.outcome, error.execution_id, error.execution) == ("applied", "e1", WITH_EXECUTION[name])
    assert "applied: do not send it again" in str(error)


@EACH
def test_says_what_happened_and_how_to_ask(name: str, bases: tuple[type, ...], carried: dict[str, Any]) -> None:
    text = str(made(name, carried))
    assert "what happened" in text
    assert "request id r1" in text
    assert "2 attempts" in text
    assert ("outcome unknown" in text) is (carried["outcome"] == "unknown")
    assert "\n" not in text
    assert "body" not in text
    if "url" in carried:
        assert text.startswith("POST /api/v1/executions: ")
    if "headers" in carried:
        assert text.startswith("POST /api/v1/executions: 418 what happened")
    assert repr(made(name, carried)) == f"{name}({text!r})"


def test_invites_sending_again_only_where_the_write_was_not_applied() -> None:
    words = "may be sent again"
    refused = omium.ConflictError("Execution is completed", status=409, idempotency_key="k", outcome="not_applied")
    assert str(refused).endswith("sending it again will be refused too]")
    assert words in str(omium.RateLimitError("no", status=429, idempotency_key="k", outcome="not_applied"))
    assert words in str(omium.APIConnectionError("no", idempotency_key="k", outcome="not_applied"))
    assert words not in str(omium.ServerError("no", status=500, outcome="not_applied"))  # of a read
    assert words not in str(omium.ServerError("no", status=500, idempotency_key="k", outcome="unknown"))
    assert words not in str(omium.WaitTimeoutError("late", idempotency_key="k", execution_id="e", outcome="applied"))


def test_a_failed_execution_is_named_once() -> None:
    with pytest.raises(omium.ExecutionFailedError) as caught:
        DETAIL.raise_for_status()
    assert caught.value.message == "execution e1 ended as failed: broke"
    assert str(caught.value).count("e1") == 1


def test_other_constructors_are_refused() -> None:
    for cls in (getattr(omium, name) for name in NAMES):
        with pytest.raises(TypeError):
            cls("message", "second")
        with pytest.raises(TypeError):
            cls("message", unheard_of=1)
        with pytest.raises(TypeError):
            cls("message", ["second"])


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (599, "ServerError"),
        (302, "APIStatusError"),
        (418, "APIStatusError"),
        (425, "APIStatusError"),
        (499, "APIStatusError"),
        (600, "APIStatusError"),
        (101, "APIStatusError"),
    ],
)
def test_each_status_has_its_class(status: int, name: str) -> None:
    assert status_error_class(status).__name__ == name


def test_a_timeout_is_caught_as_the_built_in_one() -> None:
    with pytest.raises(TimeoutError) as caught:
        raise omium.APITimeoutError("late", **REQUEST)
    assert caught.value.errno is None
    assert caught.value.args[0] == "late"


def test_headers_are_the_error_s_own() -> None:
    headers = {"x-a": "b"}
    error = omium.APIStatusError("no", headers=headers)
    headers["x-a"] = "changed"
    assert error.headers == {"x-a": "b"}


def test_another_process_unpickles_them_all(tmp_path: Path) -> None:
    errors = [made(name, carried) for name, _, carried in TREE]
    sent = tmp_path / "errors"
    sent.write_bytes(pickle.dumps(errors))
    script = (
        "import pickle, sys; errors = pickle.load(open(sys.argv[1], 'rb'));"
        "pickle.dump([(type(e).__name__, str(e), vars(e)) for e in errors], sys.stdout.buffer)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(sent)], capture_output=True, check=True)
    assert pickle.loads(ran.stdout) == [(type(error).__name__, str(error), vars(error)) for error in errors]


def test_attempts_are_values() -> None:
    assert pickle.loads(pickle.dumps(ATTEMPTS)) == ATTEMPTS
    assert len({*ATTEMPTS, *copy.deepcopy(ATTEMPTS)}) == 2
    with pytest.raises(AttributeError):
        ATTEMPTS[0].status = 200  # type: ignore[misc]


def test_headers_are_looked_up_in_any_case() -> None:
    error = omium_async.APIStatusError("no", status=429, headers={"Retry-After": "3"})
    for one in (error, pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert one.headers["Retry-After"] == one.headers["retry-after"] == one.headers.get("RETRY-AFTER") == "3"
        assert "Retry-After" in one.headers
        assert one.headers == {"retry-after": "3"}
        assert one.headers.get("missing", "x") == "x"
