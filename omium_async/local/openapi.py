"""The OpenAPI description of the server, served at `/openapi.json`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .._statuses import STATUS_BY_TEXT
from .jsontext import dumps
from .routes import BASE, ROUTES
from .tables import CHECKPOINT, SHOWN

if TYPE_CHECKING:
    from .routes import Route

_Schema = dict[str, Any]


def _nullable(type: str, **more: object) -> _Schema:
    return {"type": [type, "null"], **more}


def _object(required: list[str], **properties: _Schema) -> _Schema:
    return {"type": "object", "required": required, "properties": properties}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Final[_Schema] = {"type": "string"}
_STATUS: Final[_Schema] = {"type": "string", "enum": list(STATUS_BY_TEXT)}
_MOMENT: Final[_Schema] = {"type": "string", "format": "date-time"}
_WHOLE: Final[_Schema] = {"type": "integer", "minimum": 0}
_ANY: Final[_Schema] = {"description": "Any JSON value, returned exactly."}

_ROW_FIELDS: Final[dict[str, _Schema]] = {str(column.shown): column.schema for column in SHOWN} | {"tenant_id": _TEXT}
_CHECKPOINT_FIELDS: Final[dict[str, _Schema]] = {**CHECKPOINT, "execution_id": _TEXT, "metadata": {"type": "object"}}
_WORKFLOW_FIELDS: Final[dict[str, _Schema]] = {
    "id": _TEXT,
    "name": _TEXT,
    "description": _nullable("string"),
    "workflow_type": _TEXT,
    "status": _TEXT,
    "created_at": _nullable("string", format="date-time"),
}

_SCHEMAS: Final[dict[str, _Schema]] = {
    "Execution": _object(list(_ROW_FIELDS), **_ROW_FIELDS),
    "ExecutionDetail": _object(
        [*_ROW_FIELDS, "error", "checkpoints"],
        **_ROW_FIELDS,
        error=_nullable("string"),
        checkpoints={"type": "array", "items": _ref("Checkpoint")},
    ),
    "Checkpoint": _object(list(CHECKPOINT), **CHECKPOINT),
    "ExecutionPage": _object(
        ["items", "total", "page", "page_size"],
        items={"type": "array", "items": _ref("Execution")},
        total=_WHOLE,
        page={"type": "integer", "minimum": 1},
        page_size={"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    "CheckpointSummary": _object(list(_CHECKPOINT_FIELDS), **_CHECKPOINT_FIELDS),
    "CheckpointDetail": _object(
        list(_CHECKPOINT_FIELDS),
        **_CHECKPOINT_FIELDS,
        state=_object(["current_step", "result"], current_step=_TEXT, result=_ANY),
    ),
    "CheckpointPage": _object(
        ["items", "total", "limit", "offset"],
        items={"type": "array", "items": _ref("CheckpointSummary")},
        total=_WHOLE,
        limit={"type": "integer", "minimum": 1, "maximum": 1000},
        offset=_WHOLE,
    ),
    "Workflow": _object(list(_WORKFLOW_FIELDS), **_WORKFLOW_FIELDS),
    "WorkflowDetail": _object(
        [*_WORKFLOW_FIELDS, "definition", "tags", "updated_at"],
        **_WORKFLOW_FIELDS,
        definition={"type": "object"},
        tags={"type": "array", "items": _TEXT},
        updated_at=_nullable("string", format="date-time"),
    ),
    "WorkflowPage": _object(
        ["items", "total", "page", "page_size"],
        items={"type": "array", "items": _ref("Workflow")},
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
        # A list of problems, or a text if an Idempotency-Key was used with another body.
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
# A text and not a parameter: a schema cannot express that a key depends on the keys used before, so that tools that
# generate requests from this description would see valid ones rejected.
_KEY_DESCRIPTION: Final = (
    "An `Idempotency-Key` header (1 to 1,024 printable ASCII characters) applies the write once: the same key again, "
    "on the same path with the same body, gives the same response; with another body it is rejected with 422."
)


def _query(name: str, description: str, schema: _Schema) -> _Schema:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _response(description: str, schema: str | None) -> _Schema:
    response: _Schema = {"description": description, "headers": _REQUEST_ID_HEADER}
    if schema is not None:
        response["content"] = {"application/json": {"schema": _ref(schema)}}
    return response


_ERRORS: Final = {
    400: ("The request could not be read", "Error"),
    401: ("Invalid or missing API key", "Error"),
    404: ("No such execution, checkpoint or workflow", "Error"),
    409: ("The status of the execution does not allow it", "Error"),
    413: ("The body is larger than 16 MiB", "Error"),
    415: ("The body is compressed", "Error"),
    422: ("Invalid request", "InvalidRequest"),
}
_PAGE: Final = [
    _query("page", "Page number, from 1", {"type": "integer", "minimum": 1, "default": 1}),
    _query(
        "page_size",
        "Items per page; more than 1000 is answered as 1000",
        {"type": "integer", "minimum": 1, "default": 20},
    ),
]
_QUERY: Final = {
    "list_executions": [
        _query("workflow_id", "Only those of this workflow", _TEXT),
        _query("status", "Only those with this status", _STATUS),
        *_PAGE,
    ],
    "cancel_execution": [
        {**_query("status", "The new status", {"type": "string", "enum": ["cancelled"]}), "required": True}
    ],
    "list_checkpoints": [
        _query("execution_id", "Only those of this execution; this or workflow_id is required", _TEXT),
        _query("workflow_id", "Only those of executions of this workflow", _TEXT),
        _query("limit", "Items per page, at most 1000", {"type": "integer", "minimum": 1, "default": 50}),
        _query("offset", "Items to skip", {"type": "integer", "minimum": 0, "default": 0}),
    ],
    "get_checkpoint": [_query("include_state", "Include the state", {"type": "boolean", "default": False})],
    "list_workflows": [
        _query("status", "Only those with this status", {"type": "string", "enum": ["draft", "published", "archived"]}),
        _query(
            "workflow_type",
            "Only those of this type",
            {"type": "string", "enum": ["crewai", "langgraph", "autogen", "semantic_kernel", "custom"]},
        ),
        *_PAGE,
    ],
}


def _described(route: Route) -> _Schema:
    found: _Schema = {
        "operationId": route.operation,
        "summary": route.summary,
        "responses": {str(route.status): _response(route.described, route.schema)}
        | {str(status): _response(*_ERRORS[status]) for status in route.errors},
    }
    parameters = [*_QUERY.get(route.operation, [])]
    for name in re.findall(r"\{(\w+)\}", route.path):
        identifier = {"type": "string", "minLength": 1}
        parameters.append({"name": name, "in": "path", "required": True, "schema": identifier})
    if parameters:
        found["parameters"] = parameters
    if route.method != "GET":
        found["description"] = _KEY_DESCRIPTION
    if route.body is not None:
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
