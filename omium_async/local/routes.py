"""The routes of the server. The server and the counts of requests use this one table."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from .handlers import HandlerRequest, Handlers, Reply

BASE: Final = "/api/v1"
_PARAMETER: Final = re.compile(r"\{\w+\}")


@attrs.frozen
class Route:
    """One endpoint.

    :ivar method: the HTTP method.
    :ivar path: below the base; `{execution_id}` and the like stand for any segment that is not empty.
    """

    method: str
    path: str
    handler: Callable[[Handlers, HandlerRequest], Awaitable[Reply]]

    @property
    def kind(self) -> str:
        """The name under which requests are counted, such as ``GET /executions/*``."""
        return f"{self.method} {_PARAMETER.sub('*', self.path)}"


ROUTES: Final = (
    Route("GET", "/executions", Handlers.list_executions),
    Route("POST", "/executions", Handlers.create_execution),
    Route("GET", "/executions/{execution_id}", Handlers.get_execution),
    Route("DELETE", "/executions/{execution_id}", Handlers.delete_execution),
    Route("PATCH", "/executions/{execution_id}/status", Handlers.cancel_execution),
    Route("POST", "/executions/{execution_id}/replay", Handlers.replay_execution),
    Route("POST", "/executions/{execution_id}/rollback", Handlers.rollback_execution),
    Route("GET", "/checkpoints", Handlers.list_checkpoints),
    Route("GET", "/checkpoints/{checkpoint_id}", Handlers.get_checkpoint),
    Route("GET", "/workflows", Handlers.list_workflows),
    Route("GET", "/workflows/{workflow_id}", Handlers.get_workflow),
)


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
