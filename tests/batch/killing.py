"""Kills a batch at random instants, and its server too, and tells what became of every request.

A program of its own: it forks, and so must have neither threads nor an event loop. Prints a report as JSON.

    python killing.py FOLDER PORT --items 3000 --kills 50 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

from omium_async import AsyncOmium, ExecutionRequest
from omium_async.local import Fault, LocalOmium

KEY = "omium_killing_test_key"
OUTAGES = 0.05  # of the faults
AWAY = (
    Fault(action="drop", times=None),
    Fault(action="stall", times=None),
    Fault(action="stall", when="after", times=None),
    Fault(action="status", status=503, times=None),
    Fault(action="status", status=429, times=None),
)


def serve(folder: Path, port: int, seed: int) -> None:
    """A server that honours no idempotency keys, drops connections at random, mostly after the commit, and is away now
    and then.
    """
    chance = random.Random(seed)

    async def main() -> None:
        local = LocalOmium(folder / "server.db", port=port, api_keys=[KEY])
        local.honor_idempotency = False
        async with local:
            while True:
                await asyncio.sleep(chance.uniform(0.01, 0.05))
                local.clear_faults()  # while a batch sends nothing they would wait for it, an outage without end
                await asyncio.sleep(chance.uniform(0.02, 0.1))
                if chance.random() < OUTAGES:
                    local.inject(chance.choice(AWAY))
                    await asyncio.sleep(chance.uniform(0.1, 0.3))
                    local.clear_faults()
                    continue
                when = chance.choice(("after", "after", "before"))
                local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))

    asyncio.run(main())


def run_batch(folder: Path, port: int, items: int, report: int) -> None:
    """One start of the batch; each outcome goes to ``report`` as soon as it is yielded."""

    async def main() -> None:
        quick = {"attempt_timeout": 1.0, "backoff": (0.02, 0.1)}
        async with AsyncOmium(KEY, base_url=f"http://127.0.0.1:{port}", **quick) as omium:
            requests = (ExecutionRequest("work", {"number": number}) for number in range(items))
            async for outcome in omium.executions.create_many(
                requests, concurrency=16, journal=folder / "batch.journal", settle=5
            ):
                found = outcome.execution.id if outcome.execution else repr(outcome.error)
                line = f"{outcome.request.input_data['number']} {outcome.state} {int(outcome.resumed)} {found}\n"
                os.write(report, line.encode())

    asyncio.run(main())


def fork(function, *arguments) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        function(*arguments)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def wait_for_port(port: int) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)


class Killer:
    def __init__(self, folder: Path, port: int, items: int, kills: int, seed: int) -> None:
        self.folder, self.port, self.items, self.kills = folder, port, items, kills
        self.chance = random.Random(seed)
        self.server = 0
        self.told: dict[int, str] = {}  # the execution of each item that was ever reported as created
        self.problems: list[str] = []

    def start_server(self) -> None:
        self.server = fork(serve, self.folder, self.port, self.chance.randrange(2**32))
        wait_for_port(self.port)

    def kill_server(self) -> None:
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)

    def cycle(self, *, kill: bool, restart: bool) -> Counter[str]:
        """One start of the batch, to its end or to its death."""
        reading, writing = os.pipe()
        child = fork(run_batch, self.folder, self.port, self.items, writing)
        os.close(writing)
        seen: Counter[str] = Counter()
        with os.fdopen(reading, "rb") as lines:
            if kill and self.chance.random() < 0.3:
                time.sleep(self.chance.uniform(0, 0.2))
            elif kill or restart:
                left = int(self.chance.uniform(0, 2) * self.items / (self.kills + 1))
                for line in lines:
                    left -= self.take(line, seen)
                    if left <= 0:
                        break
                time.sleep(self.chance.uniform(0, 0.03))
            if restart:
                self.kill_server()
                time.sleep(self.chance.uniform(0, 0.2))
                self.start_server()
            if kill:
                os.kill(child, signal.SIGKILL)
            for line in lines:
                self.take(line, seen)
        _, status = os.waitpid(child, 0)
        if not kill and status:
            self.problems.append(f"a run that was not killed ended with {status}")
        return seen

    def take(self, line: bytes, seen: Counter[str]) -> int:
        """Note an outcome; whether it is of this run."""
        if not line.endswith(b"\n"):
            return 0  # cut off by the kill
        number, state, resumed, found = line.decode().split(" ", 3)
        seen[state] += 1
        if state == "created":
            before = self.told.setdefault(int(number), found)
            if before != found:
                self.problems.append(f"item {number} was {before}, then {found}")
        return int(resumed == "0")

    def run(self) -> dict[str, object]:
        self.start_server()
        for number in range(self.kills):
            self.cycle(kill=True, restart=number % 5 == 3)
        runs = 0
        while runs < 10:
            runs += 1
            seen = self.cycle(kill=False, restart=False)
            if sum(seen.values()) != self.items:
                self.problems.append(f"{sum(seen.values())} outcomes for {self.items} items")
            if seen["created"] == self.items or self.problems:
                break
        self.kill_server()
        return {"final_runs": runs, "last": dict(seen), "problems": self.problems, **self.applied()}

    def applied(self) -> dict[str, object]:
        """How often each request was applied, by the server's own file."""

        async def read() -> Counter[int]:
            local = LocalOmium(self.folder / "server.db", api_keys=[KEY])
            async with local, AsyncOmium(KEY, base_url=local.url) as omium:
                rows = omium.executions.list(workflow_id="work", page_size=1000)
                return Counter([row.input_data["number"] async for row in rows])

        counts = asyncio.run(read())
        return {
            "applied": len(counts),
            "twice": sorted(number for number, count in counts.items() if count > 1),
            "missing": len(set(range(self.items)) - set(counts)),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    killer = Killer(given.folder, given.port, given.items, given.kills, given.seed)
    try:
        print(json.dumps(killer.run()))
    finally:
        with contextlib.suppress(OSError):
            os.kill(killer.server, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
