"""For each line that it reads, serves a database in a process of its own until that is killed; run by test_kill.py."""

from __future__ import annotations

import asyncio
import json
import os
import sys

database, notes, steps, root = sys.argv[1:]
sys.path.insert(0, root)

from omium_async.local import LocalOmium, WorkflowRun  # noqa: E402 - the path comes first

local = LocalOmium(database)
file = os.open(notes, os.O_WRONLY | os.O_APPEND)


def note(execution_id: str, name: str, number: int) -> int:
    os.write(file, f"{execution_id} {name}\n".encode())
    return number


@local.workflow("w")
async def w(run: WorkflowRun) -> list[int]:
    results = []
    for number in range(int(steps)):
        results.append(await run.step(f"s{number}", note, run.execution_id, f"s{number}", number))
        await asyncio.sleep(0.001)
    return results


async def main() -> None:
    async with local:
        print(json.dumps({"url": local.url, "key": local.api_key, "pid": os.getpid()}), flush=True)
        await asyncio.Event().wait()


while sys.stdin.readline():
    server = os.fork()  # with everything imported already
    if server == 0:
        asyncio.run(main())
    os.waitpid(server, 0)
    print("dead", flush=True)
