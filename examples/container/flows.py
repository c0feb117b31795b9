"""The workflows that LocalOmium serves in its container."""

from __future__ import annotations

from omium_async.local import WorkflowRun


async def greet(run: WorkflowRun) -> str:
    name = await run.step("name", run.input_data["name"].title)
    return f"Hello {name}"


workflows = {"greet": greet}
