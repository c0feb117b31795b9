"""SIGKILL at random instants of a batch whose responses are dropped: each request is applied exactly once.

By default a few instants, to fit a test run. More of them, of a longer batch:

    OMIUM_TEST_KILLS=50 OMIUM_TEST_KILLED_ITEMS=3000 pytest -m "" tests/batch/test_killing.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from omium_async.local import Fault
from omium_sync import LocalOmium, Omium

KILLS = int(os.environ.get("OMIUM_TEST_KILLS", "6"))
ITEMS = int(os.environ.get("OMIUM_TEST_KILLED_ITEMS", "900"))
SEED = int(os.environ.get("OMIUM_TEST_SEED", "1"))

BATCH = """
import sys
from omium_async import ExecutionRequest
from omium_sync import Omium

requests = (ExecutionRequest("work", {"number": number}) for number in range(int(sys.argv[1])))
with Omium(attempt_timeout=1.0, backoff=(0.02, 0.1)) as omium:
    for outcome in omium.executions.create_many(requests, concurrency=16, journal=sys.argv[2], settle=2):
        number, found = outcome.request.input_data["number"], outcome.execution and outcome.execution.id
        print(number, outcome.state, outcome.resumed, found, flush=True)
"""


class Runs:
    """The runs of one batch.

    :ivar known: the execution of each item that any run reported as created.
    """

    def __init__(self, local: LocalOmium, folder: Path) -> None:
        self.environment = {**os.environ, "OMIUM_API_KEY": local.api_key, "OMIUM_API_URL": local.url}
        self.command = [sys.executable, "-c", BATCH, str(ITEMS), str(folder / "batch.journal")]
        self.known: dict[str, str] = {}

    def run(self, most: int, grace: float = 0.0) -> Counter[str]:
        """Start the batch; after ``most`` new outcomes wait for ``grace`` seconds, then kill it."""
        states: Counter[str] = Counter()
        with subprocess.Popen(self.command, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if not line.endswith("\n"):
                    break  # cut off by the kill
                number, state, resumed, found = line.split()
                states[state] += 1
                if state == "created":
                    assert self.known.setdefault(number, found) == found
                most -= resumed == "False"
                if most == 0:
                    time.sleep(grace)
                    process.kill()
        return states


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_batch_that_is_killed_at_random_instants_applies_each_request_once(tmp_path):
    chance = random.Random(SEED)
    with LocalOmium() as local:
        local.honor_idempotency = False
        runs = Runs(local, tmp_path)
        for _ in range(KILLS):
            for when in ("after", "after", "before"):
                local.inject(Fault(method="POST", path="/executions", when=when, action="drop"))
            runs.run(chance.randint(1, 2 * ITEMS // (KILLS + 1)), chance.uniform(0, 0.03))
        for _ in range(10):
            states = runs.run(-1)
            assert states.total() == ITEMS
            if states == {"created": ITEMS}:
                break
        assert states == {"created": ITEMS}, f"seed {SEED}"
        with Omium(local.api_key, base_url=local.url) as omium:
            rows = omium.executions.list(workflow_id="work", page_size=1000)
            assert Counter(row.input_data["number"] for row in rows) == Counter(range(ITEMS)), f"seed {SEED}"
