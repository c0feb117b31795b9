"""The OpenAPI description of what the server answers, served at `/openapi.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .columns import SHOWN, STATUSES
from .jsontext import dumps
from .routes import BASE, ROUTES

if TYPE_CHECKING:
    from .routes import Route

__all__ = ["DOCUMENT"]

_Schema = dict[str, Any]


def _nullable(type: str, **more: object) -> _Schema:
    return {"type": [type, "null"], **more}


def _object(required: list[str], **properties: _Schema) -> _Schema:
    return {"type": "object", "required": required, "properties": properties}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Final[_Schema] = {"type": "string"}
_STATUS: Final[_Schema] = {"type": "string", "enum": list(STATUSES)}
_MOMENT: Final[_Schema] = {"type": "string", "format": "date-time"}
_WHOLE: Final[_Schema] = {"type": "integer", "minimum": 0}
_ANY: Final[_Schema] = {"description": "Any JSON value, given back exactly."}

_ROW_FIELDS: Final[dict[str, _Schema]] = {str(column.shown): column.schema for column in SHOWN} | {"tenant_id": _TEXT}

_SCHEMAS: Final[dict[str, _Schema]] = {
    "Execution": _object(list(_ROW_FIELDS), **_ROW_FIELDS),
    "ExecutionDetail": _object(
        [*_ROW_FIELDS, "error", "checkpoints"],
        **_ROW_FIELDS,
        error=_nullable("string"),
        checkpoints={"type": "array", "items": _ref("Checkpoint")},
    ),
    "Checkpoint": _object(["id", "name", "created_at"], id=_TEXT, name=_TEXT, created_at=_MOMENT),
    "ExecutionPage": _object(
        ["items", "total", "page", "page_size"],
        items={"type": "array", "items": _ref("Execution")},
        total=_WHOLE,
        page={"type": "integer", "minimum": 1},
        page_size={"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    "NewExecution": _object(
        ["workflow_id"],
        workflow_id={"type": "string", "minLength": 1},
        input_data=_ANY,
        metadata=_nullable("object"),
        agent_id=_nullable("string"),
    ),
    "CreatedExecution": _object(
        ["id", "workflow_id", "status", "created_at"], id=_TEXT, workflow_id=_TEXT, status=_STATUS, created_at=_MOMENT
    ),
    "CheckpointChoice": _object(["checkpoint_id"], checkpoint_id={"type": "string", "minLength": 1}),
    "Moved": _object(["id", "status", "message"], id=_TEXT, status=_STATUS, message=_TEXT),
    "Error": _object(["detail", "trace_id"], detail=_TEXT, trace_id={"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "InvalidRequest": _object(
        ["detail", "trace_id"],
        # A list of what is wrong where; a text where an Idempotency-Key comes again with another body.
        detail={"type": ["array", "string"], "items": _ref("Problem")},
        trace_id={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    ),
    "Problem": _object(
        ["type", "loc", "msg", "input"],
        type=_TEXT,
        loc={"type": "array", "items": _TEXT},
        msg=_TEXT,
        input=_ANY,
        ctx={"type": "object"},
    ),
}

_REQUEST_ID_HEADER: Final[_Schema] = {"x-request-id": {"description": "The id of the request.", "schema": _TEXT}}
_ID_PARAMETER: Final[_Schema] = {
    "name": "execution_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}
# In words, not as a parameter: whether a key may be used with a body depends on the keys used before, which a schema
# cannot say, so that a tool that makes requests from this description would find valid ones refused.
_KEY_DESCRIPTION: Final = (
    "An `Idempotency-Key` header (1 to 1,024 printable ASCII characters) makes the write once: the same key again, on "
    "the same path with the same body, gives the same answer; with another body it is refused with 422."
)


def _query(name: str, description: str, schema: _Schema) -> _Schema:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _answer(description: str, schema: str) -> _Schema:
    content = {"application/json": {"schema": _ref(schema)}}
    return {"description": description, "headers": _REQUEST_ID_HEADER, "content": content}


_TROUBLES: Final = {
    400: ("The request could not be read", "Error"),
    401: ("Invalid or missing API key", "Error"),
    404: ("No such execution or checkpoint", "Error"),
    409: ("The execution is not in a state for this", "Error"),
    413: ("The body is larger than 16 MiB", "Error"),
    415: ("The body is compressed in a way that is not known", "Error"),
    422: ("Invalid request", "InvalidRequest"),
}
_QUERY: Final = {
    "list_executions": [
        _query("workflow_id", "Only those of this workflow", _TEXT),
        _query("status", "Only those with this status", _STATUS),
        _query("page", "Page number, from 1", {"type": "integer", "minimum": 1, "default": 1}),
        _query(
            "page_size",
            "Items per page; more than 1000 is answered as 1000",
            {"type": "integer", "minimum": 1, "default": 20},
        ),
    ]
}


def _described(route: Route) -> _Schema:
    found: _Schema = {
        "operationId": route.operation,
        "summary": route.summary,
        "responses": {str(route.status): _answer(route.described, route.answer)}
        | {str(status): _answer(*_TROUBLES[status]) for status in route.troubles},
    }
    parameters = [*_QUERY.get(route.operation, [])]
    if "{execution_id}" in route.path:
        parameters.append(_ID_PARAMETER)
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        found["description"] = _KEY_DESCRIPTION
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(route.body)}}}
    return found


def _paths() -> dict[str, _Schema]:
    paths: dict[str, _Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _described(route)
    return paths


#: The description as JSON text.
DOCUMENT: Final = dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Omium Executions API, served by omium_async.local", "version": "1"},
        "servers": [{"url": BASE}],
        "security": [{"ApiKey": []}, {"Bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }
)
