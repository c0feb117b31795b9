"""Serve a database in a new process for each line of input, until that process is killed; run by test_kill.py."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys

from omium_async.local import LocalOmium, WorkflowRun

database, log_path, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
local = LocalOmium(database)
log = os.open(log_path, os.O_WRONLY | os.O_APPEND)


@dataclasses.dataclass
class Number:
    value: int


def record(execution_id: str, name: str, number: int) -> Number:
    os.write(log, f"{execution_id} {name}\n".encode())
    return Number(number)


@local.workflow("w")
async def w(run: WorkflowRun) -> list[int]:
    results = []
    for n in range(steps):
        result = await run.step(f"s{n}", record, run.execution_id, f"s{n}", n)
        results.append(result.value)
        await asyncio.sleep(0.001)
    return results


async def main() -> None:
    async with local:
        print(json.dumps({"url": local.url, "key": local.api_key, "pid": os.getpid()}), flush=True)
        await asyncio.Event().wait()


while sys.stdin.readline():
    server = os.fork()  # everything is imported already
    if server == 0:
        asyncio.run(main())
    os.waitpid(server, 0)
    print("dead", flush=True)
