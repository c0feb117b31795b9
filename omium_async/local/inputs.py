"""Reads what a request says, or refuses it as the service does: 422 with a list of what is wrong where."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import attrs

from .columns import STATUSES
from .jsontext import NotJSONError, TooDeepError, decode_untrusted, dumps, fingerprint
from .store import IdempotencyKey, Submission

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "InvalidError",
    "ListQuery",
    "checkpoint_id",
    "idempotency_key",
    "json_object",
    "list_query",
    "submission",
    "unknown_workflow",
]

_DEFAULT_PAGE_SIZE: Final = 20
_MAX_PAGE_SIZE: Final = 1000
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_KEY: Final = re.compile(r"[\x20-\x7e]{1,1024}", re.ASCII)


class InvalidError(Exception):
    """A request whose `problems` are answered with 422."""

    def __init__(self, *problems: dict[str, Any]) -> None:
        super().__init__("invalid request")
        self.problems = list(problems)


@attrs.frozen
class ListQuery:
    """The parameters of a list."""

    page: int
    page_size: int
    workflow_id: str | None
    status: str | None


def list_query(query: str) -> ListQuery:
    """Reads the part of a URL after the `?`. Of a parameter given twice the last counts; unknown ones do not matter."""
    if not query:
        return ListQuery(1, _DEFAULT_PAGE_SIZE, None, None)
    given = dict(parse_qsl(query, keep_blank_values=True))
    problems: list[dict[str, Any]] = []
    page = _positive(given, "page", 1, problems)
    page_size = min(_positive(given, "page_size", _DEFAULT_PAGE_SIZE, problems), _MAX_PAGE_SIZE)
    status = given.get("status")
    if status is not None and status not in STATUSES:
        expected = ", ".join(map(repr, STATUSES[:-1])) + f" or {STATUSES[-1]!r}"
        problems.append(_problem("enum", ["query", "status"], f"Input should be {expected}", status, expected=expected))
    if problems:
        raise InvalidError(*problems)
    return ListQuery(page, page_size, given.get("workflow_id"), status)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that every body is."""
    if not body:
        raise InvalidError(_problem("missing", ["body"], "Field required", None))
    try:
        value = decode_untrusted(body)
    except NotJSONError as error:
        # One that is too deep is JSON all the same: the message, which is all that clients show, has to say what it is.
        message = str(error) if isinstance(error, TooDeepError) else "JSON decode error"
        raise InvalidError(_problem("json_invalid", ["body"], message, {}, error=str(error))) from None
    if not isinstance(value, dict):
        raise InvalidError(_problem("dict_type", ["body"], "Input should be a valid dictionary", value))
    return value  # pyright: ignore[reportUnknownVariableType]


def submission(body: dict[str, Any]) -> Submission:
    """The execution that a create asks for. Fields that are not known do not matter, as on the service."""
    problems: list[dict[str, Any]] = []
    workflow_id = _text(body, "workflow_id", problems)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        problems.append(_problem("dict_type", ["body", "metadata"], "Input should be a valid dictionary", metadata))
    agent_id = body.get("agent_id")
    if agent_id is not None and not isinstance(agent_id, str):
        problems.append(_problem("string_type", ["body", "agent_id"], "Input should be a valid string", agent_id))
    if problems:
        raise InvalidError(*problems)
    return Submission(workflow_id, _stored(body.get("input_data")), _stored(body.get("metadata")), body.get("agent_id"))


def unknown_workflow(workflow_id: str, known: Iterable[str]) -> InvalidError:
    """What is answered where only registered workflows may be used."""
    registered = ", ".join(map(repr, known)) or "none at all"
    message = f"Value error, there is no workflow {workflow_id[:200]!r}; registered: {registered}"
    return InvalidError(_problem("value_error", ["body", "workflow_id"], message, workflow_id))


def checkpoint_id(body: dict[str, Any]) -> str:
    """The checkpoint that a replay or a rollback names."""
    problems: list[dict[str, Any]] = []
    found = _text(body, "checkpoint_id", problems)
    if problems:
        raise InvalidError(*problems)
    return found


def idempotency_key(header: str, route: str, body: dict[str, Any]) -> IdempotencyKey:
    """The key of a write, with the digest of what the body means: spaces and the order of keys make no other body."""
    if not _KEY.fullmatch(header):
        where = ["header", "idempotency-key"]
        raise InvalidError(
            _problem("string_pattern_mismatch", where, "Input should be 1 to 1,024 printable ASCII characters", header)
        )
    return IdempotencyKey(route, header, hashlib.sha256(fingerprint(body)).digest())


def _stored(value: object) -> bytes:
    return b"{}" if value is None else dumps(value)


def _text(body: dict[str, Any], name: str, problems: list[dict[str, Any]]) -> str:
    """A text that must be there and is not empty; what is wrong with it is added to the problems."""
    if name not in body:
        problems.append(_problem("missing", ["body", name], "Field required", body))
        return ""
    value = body[name]
    if not isinstance(value, str):
        problems.append(_problem("string_type", ["body", name], "Input should be a valid string", value))
        return ""
    if not value:
        message = "String should have at least 1 character"
        problems.append(_problem("string_too_short", ["body", name], message, value, min_length=1))
    return value


def _positive(given: dict[str, str], name: str, default: int, problems: list[dict[str, Any]]) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        message = "Input should be a valid integer, unable to parse string as an integer"
        problems.append(_problem("int_parsing", ["query", name], message, text))
        return default
    value = int(text)
    if value < 1:
        message = "Input should be greater than or equal to 1"
        problems.append(_problem("greater_than_equal", ["query", name], message, text, ge=1))
    return value


def _problem(type: str, loc: list[str], msg: str, input: object, **context: object) -> dict[str, Any]:
    problem: dict[str, Any] = {"type": type, "loc": loc, "msg": msg, "input": input}
    if context:
        problem["ctx"] = context
    return problem
