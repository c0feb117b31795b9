"""The routes of the server. The server, its OpenAPI description and the counts of requests use this one table."""

from __future__ import annotations

import re
from typing import Final

import attrs

BASE: Final = "/api/v1"
_PARAMETER: Final = re.compile(r"\{\w+\}")


@attrs.frozen
class Route:
    """One endpoint.

    :ivar method: the HTTP method.
    :ivar path: below the base; `{execution_id}` and the like stand for any segment that is not empty.
    :ivar operation: the name of its handler and of its entry in the description.
    :ivar summary: what it does.
    :ivar status: of a successful response.
    :ivar schema: the name of the schema of a successful response; ``None``: the response is empty.
    :ivar described: a description of a successful response.
    :ivar errors: statuses of other responses.
    :ivar body: the name of the schema of the request body; ``None``: there is no body.
    """

    method: str
    path: str
    operation: str
    summary: str
    status: int
    schema: str | None
    described: str
    errors: tuple[int, ...]
    body: str | None = None

    @property
    def kind(self) -> str:
        """The name under which requests are counted, such as ``GET /executions/*``."""
        return f"{self.method} {_PARAMETER.sub('*', self.path)}"


ROUTES: Final = (
    Route(
        "GET", "/executions", "list_executions", "List executions, newest first",
        200, "ExecutionPage", "One page", (401, 422),
    ),
    Route(
        "POST", "/executions", "create_execution", "Create an execution",
        201, "CreatedExecution", "Created", (400, 401, 413, 415, 422), "NewExecution",
    ),
    Route(
        "GET", "/executions/{execution_id}", "get_execution", "Get the details of an execution",
        200, "ExecutionDetail", "The execution", (401, 404),
    ),
    Route(
        "DELETE", "/executions/{execution_id}", "delete_execution", "Delete an execution that does not run",
        204, None, "Deleted", (401, 404, 409, 422),
    ),
    Route(
        "PATCH", "/executions/{execution_id}/status", "cancel_execution", "Cancel an execution that has not ended",
        200, "Moved", "Cancelled", (401, 404, 409, 422),
    ),
    Route(
        "POST", "/executions/{execution_id}/replay", "replay_execution",
        "Replay a failed or paused execution from a checkpoint",
        200, "Moved", "Replayed", (400, 401, 404, 409, 413, 415, 422), "CheckpointChoice",
    ),
    Route(
        "POST", "/executions/{execution_id}/rollback", "rollback_execution",
        "Stop an execution and roll it back to a checkpoint",
        200, "Moved", "Rolled back", (400, 401, 404, 413, 415, 422), "CheckpointChoice",
    ),
    Route(
        "GET", "/checkpoints", "list_checkpoints", "List the checkpoints of an execution or a workflow",
        200, "CheckpointPage", "One page", (400, 401, 404, 422),
    ),
    Route(
        "GET", "/checkpoints/{checkpoint_id}", "get_checkpoint", "Get a checkpoint",
        200, "CheckpointDetail", "The checkpoint", (401, 404, 422),
    ),
    Route(
        "GET", "/workflows", "list_workflows", "List the registered workflows",
        200, "WorkflowPage", "One page", (401, 422),
    ),
    Route(
        "GET", "/workflows/{workflow_id}", "get_workflow", "Get a registered workflow",
        200, "WorkflowDetail", "The workflow", (401, 404),
    ),
)  # fmt: skip


def find(path: str) -> tuple[dict[str, Route], str]:
    """Return the routes of a path below the base by method, and the id in it as it was written.

    There are no routes for an unknown path.
    """
    segments = path.split("/")
    for template, routes in _BY_PATH.items():
        if len(template) == len(segments):
            pairs = list(zip(template, segments, strict=True))
            ids = [given for wanted, given in pairs if wanted.startswith("{")]
            if all(ids) and all(wanted.startswith("{") or wanted == given for wanted, given in pairs):
                return routes, "".join(ids)
    return {}, ""


_BY_PATH: Final[dict[tuple[str, ...], dict[str, Route]]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(tuple(_route.path.split("/")), {})[_route.method] = _route
