"""The journal compared with a model: a batch that dies between any two of its steps.

A death leaves what SIGKILL leaves: the files of that moment, which are copied, and requests in flight that the service
may still finish. The steps are: each request before and after its commit, each read, and each commit of the journal
before and after.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from omium_async import ExecutionRequest, JournalError
from omium_async._data.sqlite import Commits

from ..patient import be_patient
from .service import Connection, Service

ITEMS = 24
SETTLE = 0.06  # longer than the service takes for requests in flight at a death


class Run:
    """One run of the batch, to its end or to the step at which it dies."""

    def __init__(self, service: Service, journal: Path, chance: random.Random, dies_at: int | None, **how: Any) -> None:
        self.journal = journal
        self.left = dies_at
        self.died = asyncio.Event()
        self.connection = Connection(service, chance, self.step, **how)
        self.outcomes: list[Any] = []
        self.after = journal.with_name(f"{journal.name}+")

    def step(self, _: str) -> None:
        if self.left is None or self.died.is_set():
            return
        self.left -= 1
        if self.left <= 0:
            for suffix in ("", "-wal"):
                source = Path(f"{self.journal}{suffix}")
                if source.exists():
                    shutil.copy(source, f"{self.after}{suffix}")
            self.connection.seen.dead = True
            self.died.set()

    async def go(self, requests: list[ExecutionRequest]) -> bool:
        """Return whether it reached its end."""
        begin, deliver = Commits._begin, Commits._deliver

        def stepping_begin(commits: Commits) -> None:
            self.step("before a commit")
            begin(commits)

        def stepping_deliver(commits: Commits, batch: Any) -> None:
            deliver(commits, batch)
            self.step("after a commit")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Commits, "_begin", stepping_begin)
            patch.setattr(Commits, "_deliver", stepping_deliver)
            reading = asyncio.create_task(self._read(requests))
            dying = asyncio.create_task(self.died.wait())
            await asyncio.wait([reading, dying], return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if self.died.is_set():
                reading.cancel()
                await asyncio.wait([reading])
                return False
            reading.result()
            return True

    async def _read(self, requests: list[ExecutionRequest]) -> None:
        outcomes = self.connection.executions().create_many(
            requests, concurrency=4, journal=self.journal, settle=SETTLE
        )
        try:
            async for outcome in outcomes:
                if not self.died.is_set():
                    self.outcomes.append(outcome)
        finally:
            await outcomes.aclose()


async def survive(
    folder: Path, seed: int, deaths: list[int], *, named: bool, order: str = "newest first", **how: Any
) -> None:
    """Let a batch die at these steps, then run it to its end, and check that the service applied each item once."""
    with pytest.MonkeyPatch.context() as patch:
        be_patient(asyncio.get_running_loop(), patch)  # so that a slow machine delays no request beyond SETTLE
        await _survive(folder, seed, deaths, named=named, order=order, **how)


async def _survive(folder: Path, seed: int, deaths: list[int], *, named: bool, order: str, **how: Any) -> None:
    chance = random.Random(seed)
    service = Service(order=order)
    requests = [
        ExecutionRequest("work", number, metadata={"of": "the user"}, key=f"item-{number}" if named else None)
        for number in range(ITEMS)
    ]
    journal = folder / "journal"
    known: dict[int, str] = {}
    for dies_at in [*deaths, None, None, None, None, None, None]:
        run = Run(service, journal, chance, dies_at, **how)
        ended = await run.go(requests)
        check_known(run.outcomes, known)
        if not ended:
            journal = run.after
            continue
        assert sorted(outcome.request.input_data for outcome in run.outcomes) == list(range(ITEMS))
        if all(is_final(outcome) for outcome in run.outcomes):
            break
    else:
        pytest.fail("the batch did not end")
    await asyncio.sleep(0.03)  # until no request is in flight
    refused = {number for number in range(ITEMS) if number % 11 == 7}
    assert service.applied() == {number: 1 for number in range(ITEMS) if number not in refused}
    for outcome in run.outcomes:
        number = outcome.request.input_data
        if number in refused:
            assert outcome.state == "rejected"
            assert outcome.error.status == 422
            assert outcome.error.body == b'{"detail": "no"}'
        else:
            row = next(row for row in service.rows if row["input_data"] == number)
            assert outcome.execution.id == row["id"]
            assert row["metadata"]["of"] == "the user"
    again = Run(service, journal, chance, None, **how)
    assert await again.go(requests)
    assert all(outcome.resumed for outcome in again.outcomes)
    assert again.connection.seen.sent == []


def is_final(outcome: Any) -> bool:
    return outcome.state == "created" or (outcome.state == "rejected" and getattr(outcome.error, "status", 0) == 422)


def check_known(outcomes: list[Any], known: dict[int, str]) -> None:
    """An item that was created once is created in all later runs, and resumed."""
    for outcome in outcomes:
        number = outcome.request.input_data
        assert outcome.state in ("created", "rejected")
        if number in known:
            assert outcome.resumed
            assert outcome.execution.id == known[number]
        elif outcome.state == "created":
            known[number] = outcome.execution.id


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    deaths=st.lists(st.integers(1, 120), max_size=4),
    named=st.booleans(),
    shows=st.sampled_from(["everything", "everything", "nothing in lists", "empty in lists", "a part in lists"]),
    order=st.sampled_from(["newest first", "oldest first", "shuffled"]),
)
@example(seed=1, deaths=[1, 2, 3, 4, 5, 6, 7, 8], named=False, shows="everything", order="oldest first")
@example(seed=2, deaths=[30, 31, 32, 33], named=True, shows="nothing in lists", order="newest first")
@example(seed=3, deaths=[25, 35, 45], named=False, shows="empty in lists", order="shuffled")
def test_a_batch_that_dies_between_any_two_steps_applies_everything_once(seed, deaths, named, shows, order):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(survive(Path(folder), seed, deaths, named=named, shows=shows, order=order))


@pytest.mark.parametrize("step", [3, 13, 21, 35, 49])
async def test_a_batch_that_dies_at_one_step_applies_everything_once(tmp_path, step):
    await survive(tmp_path, step, [step], named=step % 4 == 1)


async def test_where_nothing_shows_metadata_items_in_doubt_stay_unknown(tmp_path):
    chance = random.Random(5)
    service = Service()
    requests = [ExecutionRequest("work", number) for number in range(6)]
    run = Run(service, tmp_path / "journal", chance, 14, shows="nothing")
    assert not await run.go(requests)
    again = Run(service, run.after, random.Random(99), None, shows="nothing")
    assert await again.go(requests)
    assert max(service.applied().values()) == 1
    unknown = [outcome for outcome in again.outcomes if outcome.state == "unknown"]
    assert unknown
    assert all("does not show metadata" in str(outcome.error) for outcome in unknown)
    assert all(outcome.error.outcome_unknown for outcome in unknown)


async def test_a_batch_with_other_content_is_rejected_before_anything_is_sent(tmp_path):
    service = Service()
    run = Run(service, tmp_path / "journal", random.Random(1), None)
    assert await run.go([ExecutionRequest("work", number) for number in range(5)])
    other = Run(service, tmp_path / "journal", random.Random(1), None)
    with pytest.raises(JournalError, match="belongs to another batch, or the requests have changed: item 0"):
        await other.go([ExecutionRequest("other", number) for number in range(5)])
    assert other.connection.seen.sent == []
