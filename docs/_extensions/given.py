"""Public classes that only the package creates: their constructors are not part of the public API."""

from __future__ import annotations

GIVEN = {
    "omium_async.Executions": "as `client.executions`",
    "omium_async.Run": "by `Workflow.start` and `Workflow.handle`",
    "omium_async.local.SeenRequest": "in `LocalOmium.requests`",
    "omium_async.local.WorkflowRun": "as the first argument of a workflow function",
    "omium_sync.Executions": "as `client.executions`",
    "omium_sync.Run": "by `Workflow.start` and `Workflow.handle`",
}
