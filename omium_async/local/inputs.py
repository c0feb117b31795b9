"""Bodies and parameters of requests: read, checked, and rejected with 422 and a list of problems."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import attrs

from .._statuses import STATUS_BY_TEXT
from .errors import Refusal
from .jsontext import NotJSONError, RejectedJSONError, decode_untrusted, dumps, fingerprint
from .store import Submission
from .writes import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiohttp import web

_MAX_BODY: Final = 16 * 2**20

_DEFAULT_PAGE_SIZE: Final = 20
_DEFAULT_LIMIT: Final = 50
_MAX_PAGE_SIZE: Final = 1000
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_KEY: Final = re.compile(r"[\x20-\x7e]{1,1024}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_WORKFLOW_STATUSES: Final = ("draft", "published", "archived")
_WORKFLOW_TYPES: Final = ("crewai", "langgraph", "autogen", "semantic_kernel", "custom")


# -- bodies ------------------------------------------------------------------------------------------------------------


class _TooLargeError(Refusal):
    status = 413

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {_MAX_BODY} bytes")


class _UnknownCodingError(Refusal):
    status = 415


async def read_body(request: web.BaseRequest) -> bytes:
    """Return the whole body.

    :raises Refusal: it is too large, or compressed.
    :raises aiohttp.web.RequestPayloadError: it is cut off.
    """
    if (request.content_length or 0) > _MAX_BODY:
        raise _TooLargeError
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise _UnknownCodingError(f"The body must not be compressed, but its Content-Encoding is {coding[:50]!r}")
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    whole = bytearray()
    while chunk := await request.content.readany():
        whole += chunk
        if len(whole) > _MAX_BODY:
            raise _TooLargeError
    return bytes(whole)


# -- checks ------------------------------------------------------------------------------------------------------------


class InvalidError(Exception):
    """A request with `problems`, which the server answers with 422."""

    def __init__(self, *problems: dict[str, Any]) -> None:
        super().__init__("invalid request")
        self.problems = list(problems)


@attrs.frozen
class ListQuery:
    """The parameters of a list of executions."""

    page: int
    page_size: int
    workflow_id: str | None
    status: str | None


@attrs.frozen
class CheckpointQuery:
    """The parameters of a list of checkpoints."""

    execution_id: str | None
    workflow_id: str | None
    limit: int
    offset: int


def list_query(query: str) -> ListQuery:
    """Read the query of a list of executions. The last of repeated parameters counts; unknown ones are ignored."""
    if not query:
        return ListQuery(1, _DEFAULT_PAGE_SIZE, None, None)
    given, problems = _parameters(query), _Problems()
    page, page_size = _page(given, problems)
    status = _one_of(given, "status", tuple(STATUS_BY_TEXT), problems)
    problems.check()
    return ListQuery(page, page_size, given.get("workflow_id"), status)


def workflow_query(query: str) -> tuple[int, int, bool]:
    """Read the query of a list of workflows: page, page size, and whether registered workflows pass the filters."""
    given, problems = _parameters(query), _Problems()
    page, page_size = _page(given, problems)
    status = _one_of(given, "status", _WORKFLOW_STATUSES, problems)
    kind = _one_of(given, "workflow_type", _WORKFLOW_TYPES, problems)
    problems.check()
    return page, page_size, status in {None, "published"} and kind in {None, "custom"}


def checkpoint_query(query: str) -> CheckpointQuery:
    """Read the query of a list of checkpoints.

    :raises Refusal: it names neither an execution nor a workflow; the live service answers with the same words.
    """
    given, problems = _parameters(query), _Problems()
    limit = min(_whole(given, "limit", _DEFAULT_LIMIT, 1, problems), _MAX_PAGE_SIZE)
    offset = min(_whole(given, "offset", 0, 0, problems), 2**62)
    problems.check()
    execution_id, workflow_id = given.get("execution_id") or None, given.get("workflow_id") or None
    if execution_id is None and workflow_id is None:
        raise Refusal("Either execution_id or workflow_id must be provided")
    return CheckpointQuery(execution_id, workflow_id, limit, offset)


def includes_state(query: str) -> bool:
    """Read whether a request of a checkpoint wants its state; by default it does not."""
    text = _parameters(query).get("include_state", "false")
    if text.lower() not in _BOOLEANS:
        where = ["query", "include_state"]
        message = "Input should be a valid boolean, unable to interpret input"
        raise InvalidError(_problem("bool_parsing", where, message, text))
    return _BOOLEANS[text.lower()]


def cancellation(query: str) -> str:
    """Read the status that a PATCH sets, which must be ``cancelled``."""
    given, problems = _parameters(query), _Problems()
    if "status" not in given:
        raise InvalidError(_problem("missing", ["query", "status"], "Field required", None))
    status = _one_of(given, "status", ("cancelled",), problems)
    problems.check()
    return status or "cancelled"


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body."""
    if not body:
        raise InvalidError(_problem("missing", ["body"], "Field required", None))
    try:
        value = decode_untrusted(body)
    except NotJSONError as error:
        # Rejected text is JSON, and clients show the message only: so it gives the reason.
        message = str(error) if isinstance(error, RejectedJSONError) else "JSON decode error"
        raise InvalidError(_problem("json_invalid", ["body"], message, {}, error=str(error))) from None
    if not isinstance(value, dict):
        raise InvalidError(_problem("dict_type", ["body"], "Input should be a valid dictionary", value))
    return value  # pyright: ignore[reportUnknownVariableType]


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in its usual form, of 36 characters."""
    return _UUID.fullmatch(text) is not None


def submission(body: dict[str, Any], *, uuids: bool) -> Submission:
    """Return the execution that a create requests. Unknown fields are ignored, as on the service.

    :param uuids: whether its ids must be UUIDs.
    """
    problems = _Problems()
    workflow_id = _text(body, "workflow_id", problems)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        problems.add("dict_type", ["body", "metadata"], "Input should be a valid dictionary", metadata)
    agent_id = body.get("agent_id")
    if agent_id is not None and not isinstance(agent_id, str):
        problems.add("string_type", ["body", "agent_id"], "Input should be a valid string", agent_id)
    for name, given in (("workflow_id", workflow_id), ("agent_id", agent_id)) if uuids else ():
        if isinstance(given, str) and given and not is_uuid(given):
            problems.add("uuid_parsing", ["body", name], "Input should be a valid UUID", given)
    problems.check()
    return Submission(workflow_id, _stored(body.get("input_data")), _stored(body.get("metadata")), body.get("agent_id"))


def unknown_workflow(workflow_id: str, known: Iterable[str]) -> InvalidError:
    """Return the error for a workflow that is not registered, where only registered ones are accepted."""
    registered = ", ".join(map(repr, known)) or "none"
    message = f"there is no workflow {workflow_id[:200]!r}; registered: {registered}"
    return InvalidError(_problem("value_error", ["body", "workflow_id"], message, workflow_id))


def checkpoint_id(body: dict[str, Any]) -> str:
    """Return the checkpoint that a replay or a rollback names."""
    problems = _Problems()
    found = _text(body, "checkpoint_id", problems)
    problems.check()
    return found


def idempotency_key(header: str, route: str, body: dict[str, Any]) -> IdempotencyKey:
    """Return the key of a write with a digest of its body; white space and the order of keys do not matter."""
    if not _KEY.fullmatch(header):
        where = ["header", "idempotency-key"]
        raise InvalidError(
            _problem("string_pattern_mismatch", where, "Input should be 1 to 1,024 printable ASCII characters", header)
        )
    return IdempotencyKey(route, header, hashlib.sha256(fingerprint(body)).digest())


def _stored(value: object) -> bytes:
    return b"{}" if value is None else dumps(value)


class _Problems:
    """Collects problems, so that one response names all of them."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []

    def add(self, type: str, loc: list[str], msg: str, input: object, **context: object) -> None:
        self._found.append(_problem(type, loc, msg, input, **context))

    def check(self) -> None:
        if self._found:
            raise InvalidError(*self._found)


def _parameters(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def _page(given: dict[str, str], problems: _Problems) -> tuple[int, int]:
    page = _whole(given, "page", 1, 1, problems)
    return page, min(_whole(given, "page_size", _DEFAULT_PAGE_SIZE, 1, problems), _MAX_PAGE_SIZE)


def _text(body: dict[str, Any], name: str, problems: _Problems) -> str:
    """Return a required text that is not empty."""
    if name not in body:
        problems.add("missing", ["body", name], "Field required", body)
        return ""
    value = body[name]
    if not isinstance(value, str):
        problems.add("string_type", ["body", name], "Input should be a valid string", value)
        return ""
    if not value:
        message = "String should have at least 1 character"
        problems.add("string_too_short", ["body", name], message, value, min_length=1)
    return value


def _whole(given: dict[str, str], name: str, default: int, least: int, problems: _Problems) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        message = "Input should be a valid integer, unable to parse string as an integer"
        problems.add("int_parsing", ["query", name], message, text)
        return default
    value = int(text)
    if value < least:
        message = f"Input should be greater than or equal to {least}"
        problems.add("greater_than_equal", ["query", name], message, text, ge=least)
    return value


def _one_of(given: dict[str, str], name: str, choices: Sequence[str], problems: _Problems) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        expected = " or ".join(filter(None, [", ".join(map(repr, choices[:-1])), repr(choices[-1])]))
        problems.add("enum", ["query", name], f"Input should be {expected}", value, expected=expected)
    return value


def _problem(type: str, loc: list[str], msg: str, input: object, **context: object) -> dict[str, Any]:
    problem: dict[str, Any] = {"type": type, "loc": loc, "msg": msg, "input": input}
    if context:
        problem["ctx"] = context
    return problem
