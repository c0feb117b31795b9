"""Serve a database in a new process for each line of input, until that process is killed; run by test_kill.py."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys

from omium_async.local import Fault, LocalOmium, WorkflowRun

STEPS = 4


@dataclasses.dataclass
class Number:
    value: int


def server(folder: str) -> LocalOmium:
    local = LocalOmium(f"{folder}/o.db")
    log = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def record(execution_id: str, name: str, number: int) -> Number:
        os.write(log, f"{execution_id} {name}\n".encode())
        return Number(number)

    @local.workflow("w")
    async def w(run: WorkflowRun) -> list[int]:
        results = []
        for n in range(STEPS):
            result = await run.step(f"s{n}", record, run.execution_id, f"s{n}", n)
            results.append(result.value)
            await asyncio.sleep(0.001)
        return results

    def stall_patch(execution_id: str, when: str) -> None:
        local.inject(Fault(method="PATCH", path=f"/executions/{execution_id}/status", when=when, action="stall"))

    @local.workflow("endless")
    async def endless(run: WorkflowRun) -> None:
        """Stall in a cancel before it is committed, after it, or within it, because the run does not end."""
        if run.input_data in ("before", "after"):
            await run.step("stall", stall_patch, run.execution_id, run.input_data)
        await run.step(f"served by {os.getpid()}", lambda: None)
        try:
            await asyncio.Event().wait()
        finally:
            if run.input_data == "within":
                await asyncio.Event().wait()

    return local


async def main(folder: str) -> None:
    async with server(folder) as local:
        print(json.dumps({"url": local.url, "key": local.api_key, "pid": os.getpid()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    while folder := sys.stdin.readline().strip():
        child = os.fork()  # everything is imported already
        if child == 0:
            asyncio.run(main(folder))
        os.waitpid(child, 0)
        print("dead", flush=True)
