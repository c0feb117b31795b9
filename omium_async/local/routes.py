"""The routes, once: the server answers them, the description lists them, and what arrived is counted by them."""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["BASE", "ROUTES", "Route", "find"]

BASE: Final = "/api/v1"


@attrs.frozen
class Route:
    """One endpoint.

    :ivar method: of the request.
    :ivar path: below the base; `{execution_id}` is any segment that is not empty.
    :ivar operation: the name of its handler, and of it in the description.
    :ivar summary: what it does.
    :ivar status: of the answer when all is well.
    :ivar answer: the name of that answer's schema.
    :ivar described: what that answer is.
    :ivar troubles: statuses of other answers.
    :ivar body: the name of the schema of the body; None: there is none.
    """

    method: str
    path: str
    operation: str
    summary: str
    status: int
    answer: str
    described: str
    troubles: tuple[int, ...]
    body: str | None = None

    @property
    def kind(self) -> str:
        """As it is counted."""
        return f"{self.method} {self.path.replace('{execution_id}', '*')}"


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
        "POST", "/executions/{execution_id}/replay", "replay_execution",
        "Replay a failed or paused execution from a checkpoint",
        200, "Moved", "Replayed", (400, 401, 404, 409, 413, 415, 422), "CheckpointChoice",
    ),
    Route(
        "POST", "/executions/{execution_id}/rollback", "rollback_execution",
        "Stop an execution and take it back to a checkpoint",
        200, "Moved", "Rolled back", (400, 401, 404, 413, 415, 422), "CheckpointChoice",
    ),
)  # fmt: skip

_ID: Final = "{execution_id}"


def find(path: str) -> tuple[dict[str, Route], str]:
    """The routes of a path below the base, by their methods, and the id in it as it was written; none if there is no
    such path."""
    segments = path.split("/")
    for template, routes in _BY_PATH.items():
        if len(template) == len(segments):
            ids = [given for wanted, given in zip(template, segments, strict=True) if wanted == _ID]
            rest = all(wanted in (_ID, given) for wanted, given in zip(template, segments, strict=True))
            if rest and all(ids):
                return routes, "".join(ids)
    return {}, ""


_BY_PATH: Final[dict[tuple[str, ...], dict[str, Route]]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(tuple(_route.path.split("/")), {})[_route.method] = _route
