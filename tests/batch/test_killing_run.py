"""SIGKILL at random instants of a journalled `run_many`: nothing twice, each result, and never too many at once.

By default a few instants, to fit a test run. More of them:

    OMIUM_TEST_KILLS=100 pytest -m "" tests/batch/test_killing_run.py
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from omium_async.local import Fault
from omium_sync import LocalOmium, Omium

KILLS = int(os.environ.get("OMIUM_TEST_KILLS", "6"))
ITEMS = int(os.environ.get("OMIUM_TEST_KILLED_ITEMS", "150"))
SEED = int(os.environ.get("OMIUM_TEST_SEED", "1"))
MAX_RUNNING = 8

BATCH = """
import sys
from omium_async import ExecutionRequest
from omium_sync import Omium

count, journal = int(sys.argv[1]), sys.argv[2]
requests = (ExecutionRequest("work", {"number": number}) for number in range(count))
with Omium(attempt_timeout=1.0, backoff=(0.02, 0.1), poll_interval=(0.02, 0.1)) as omium:
    print("begun", flush=True)
    for outcome in omium.executions.run_many(requests, max_running=8, journal=journal, settle=1.5):
        number, found = outcome.request.input_data["number"], outcome.execution and outcome.execution.id
        print(number, outcome.state, outcome.resumed, found, flush=True)
"""


class Work:
    """The workflow; counts the executions that run at once."""

    def __init__(self, local: LocalOmium, chance: random.Random) -> None:
        self.running = self.most = 0
        self.chance = chance
        local.workflow("work")(self.work)

    async def work(self, run) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.chance.choice((0, 0.01, 0.1)))  # out of order
            if run.input_data["number"] % 7 == 0:
                raise ValueError("every seventh fails")
        finally:
            self.running -= 1


class Runs:
    """The runs of one batch.

    :ivar known: the execution of each item that any run reported as ended.
    """

    def __init__(self, local: LocalOmium, folder: Path) -> None:
        self.environment = {**os.environ, "OMIUM_API_KEY": local.api_key, "OMIUM_API_URL": local.url}
        self.command = [sys.executable, "-c", BATCH, str(ITEMS), str(folder / "run.journal")]
        self.known: dict[str, str] = {}

    def run(self, seconds: float | None) -> Counter[str]:
        """Start the batch, and kill it so many seconds after it has begun."""
        states: Counter[str] = Counter()
        with subprocess.Popen(self.command, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            if seconds is not None:
                threading.Timer(seconds, process.kill).start()
            for line in process.stdout:
                if not line.endswith("\n"):
                    break  # cut off by the kill
                number, state, _, found = line.split()
                states[state] += 1
                if state in ("completed", "failed"):
                    assert self.known.setdefault(number, found) == found
        return states


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * KILLS)
def test_a_run_that_is_killed_at_random_instants_runs_each_request_once(tmp_path):
    chance = random.Random(SEED)
    with LocalOmium() as local:
        local.honor_idempotency = False
        work = Work(local, random.Random(SEED))
        runs = Runs(local, tmp_path)
        for _ in range(KILLS):
            for when in ("after", "before"):
                local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))
            local.inject(Fault(method="GET", status=503, times=2))
            local.inject(Fault(method="*", action="delay", delay=0.05, times=20))
            runs.run(chance.uniform(0.0, 1.2))
        for _ in range(10):
            states = runs.run(None)
            assert states.total() == ITEMS
            if not states["unknown"]:
                break
        failed = len(range(0, ITEMS, 7))
        assert states == {"completed": ITEMS - failed, "failed": failed}, f"seed {SEED}"
        assert work.most <= MAX_RUNNING, f"seed {SEED}"
        with Omium(local.api_key, base_url=local.url) as omium:
            rows = omium.executions.list(workflow_id="work", page_size=1000)
            assert Counter(row.input_data["number"] for row in rows) == Counter(range(ITEMS)), f"seed {SEED}"
