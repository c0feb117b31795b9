"""Any sequence of writes, ends, restarts and crashes leaves what a model in Python has: lists and `max_running`."""

# ruff: noqa: ASYNC110 - the model waits for a state that the server shows

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from omium_async.local import LocalOmium

from .conftest import Http, serving

TENANTS = {"key-0": "zero", "key-1": "one"}
LIMITS = st.sampled_from([1, 2, 3, None])
WORKFLOWS = ("a", "b", "late")
PLACES = st.integers(0, 30)


@attrs.define
class Row:
    """What the model knows of an execution."""

    id: str
    key: str
    workflow_id: str
    status: str
    has_checkpoint: bool = False


class Model(RuleBasedStateMachine):
    """The executions of two tenants. A run records one step, then goes on until a rule ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.starts = 0
        self.rows: list[Row] = []  # oldest first
        self.registered: set[str] = set()
        self.limit: int | None = None

    @initialize(limit=LIMITS, late=st.booleans())
    def begin(self, limit, late):
        self.start(self.folder / "first.db", limit, late)

    def start(self, path: Path, limit: int | None, late: bool) -> None:
        local = LocalOmium(path, api_keys=TENANTS, strict=False, max_running=limit)
        self.active: dict[str, asyncio.Future[str]] = {}
        self.path, self.limit, self.registered = path, limit, set(WORKFLOWS if late else WORKFLOWS[:2])
        for workflow_id in self.registered:
            local.workflow(workflow_id)(self.work)
        self.serving = serving(local)
        self.http = self.do(self.serving.__aenter__())
        self.of: dict[str, Http] = {key: self.http.with_key(key) for key in TENANTS}

    def teardown(self) -> None:
        self.do(self.serving.__aexit__(None, None, None))
        self.loop.close()
        shutil.rmtree(self.folder)

    async def work(self, run):
        await run.step("one", lambda: 1)
        self.active[run.execution_id] = ended = asyncio.get_running_loop().create_future()
        try:
            if await ended == "failed":
                raise ValueError("no luck")
        finally:
            del self.active[run.execution_id]

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    # -- the model -----------------------------------------------------------------------------------------------------

    def running(self, key: str) -> list[Row]:
        return [row for row in self.rows if row.status == "running" and row.key == key]

    def settle(self, *, at_once: bool = True) -> None:
        """Start what the limit permits, compare all statuses, and wait until each run has recorded its step.

        :param at_once: the server has set the statuses before it answered the last request.
        """
        for key in TENANTS:
            for row in self.rows:
                free = self.limit is None or len(self.running(key)) < self.limit
                if free and row.key == key and row.status == "pending" and row.workflow_id in self.registered:
                    row.status = "running"
        self.do(self.compare(at_once))

    async def compare(self, at_once: bool) -> None:
        expected = {key: [(row.id, row.status) for row in self.rows[::-1] if row.key == key] for key in TENANTS}
        active = {row.id for row in self.rows if row.status == "running" and row.workflow_id in self.registered}
        async with asyncio.timeout(20):
            while not at_once and {key: await self.statuses(key) for key in TENANTS} != expected:
                await asyncio.sleep(0.001)
            assert {key: await self.statuses(key) for key in TENANTS} == expected
            while set(self.active) != active:
                for key in TENANTS:
                    ran = {row.id for row in self.rows if row.key == key} & set(self.active)
                    assert self.limit is None or len(ran) <= self.limit
                await asyncio.sleep(0.001)
        for row in self.rows:
            row.has_checkpoint = row.has_checkpoint or row.id in active

    async def statuses(self, key: str) -> list[tuple[str, str]]:
        items = (await self.of[key].page("page_size=1000"))["items"]
        return [(item["id"], item["status"]) for item in items]

    def at(self, place: int, *statuses: str) -> Row | None:
        """One of the executions that have one of the statuses, or any status if none is given."""
        rows = [row for row in self.rows if not statuses or row.status in statuses]
        return rows[place % len(rows)] if rows else None

    # -- rules ---------------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 6), workflow_id=st.sampled_from(WORKFLOWS), key=st.sampled_from(list(TENANTS)))
    def create(self, count, workflow_id, key):
        for _ in range(count):
            created = self.do(self.of[key].post({"workflow_id": workflow_id})).json
            self.rows.append(Row(created["id"], key, workflow_id, "pending"))
            free = self.limit is None or len(self.running(key)) < self.limit
            expected = "running" if free and workflow_id in self.registered else "pending"
            assert created["status"] == expected
            self.rows[-1].status = expected
        self.settle()

    @rule(place=PLACES, status=st.sampled_from(["completed", "failed"]))
    def end(self, place, status):
        row = self.at(place, "running")
        if row is not None and row.id in self.active:
            self.active[row.id].set_result(status)
            self.do(self.of[row.key].until(row.id, status))
            row.status = status
            self.settle()

    @rule(place=PLACES)
    def cancel(self, place):
        row = self.at(place)
        if row is not None:
            ended = row.status in {"completed", "failed", "cancelled"}
            assert self.do(self.of[row.key].cancel(row.id)).status == (409 if ended else 200)
            assert row.id not in self.active
            row.status = row.status if ended else "cancelled"
            self.settle()

    @rule(place=PLACES)
    def delete(self, place):
        row = self.at(place)
        if row is not None:
            refused = row.status in {"pending", "running"}
            assert self.do(self.of[row.key].delete(row.id)).status == (409 if refused else 204)
            if not refused:
                self.rows.remove(row)
            self.settle()

    @rule(place=PLACES)
    def roll_back(self, place):
        row = self.at(place)
        if row is not None and row.has_checkpoint:
            self.move(row, "rollback", 200)
            row.status = "paused"
            self.settle()

    @rule(place=PLACES)
    def replay(self, place):
        row = self.at(place, "failed", "paused", "running")
        if row is not None and row.has_checkpoint:
            status = self.move(row, "replay", 409 if row.status == "running" else 200)
            if row.status != "running":
                row.status = "pending"
                self.settle()
                assert status == row.status

    def move(self, row: Row, kind: str, status: int) -> str | None:
        http = self.of[row.key]
        (checkpoint,) = self.do(http.detail(row.id))["checkpoints"]
        answer = self.do(getattr(http, kind)(row.id, checkpoint["id"]))
        assert answer.status == status
        return answer.json.get("status")

    @rule()
    def reset(self):
        self.do(self.http.local.reset())
        self.rows.clear()
        self.settle()

    @precondition(lambda self: "late" not in self.registered)
    @rule()
    def register(self):
        self.http.local.workflow("late")(self.work)
        self.registered.add("late")
        self.settle(at_once=False)

    @rule(limit=LIMITS, late=st.booleans(), crash=st.booleans())
    def restart(self, limit, late, crash):
        """Start again, also with another limit and other workflows. A crash leaves the files as they are just now."""
        self.starts += 1
        path = self.folder / f"{self.starts}.db" if crash else self.path
        if crash:
            for file in self.folder.glob(f"{self.path.name}*"):
                shutil.copy(file, self.folder / file.name.replace(self.path.name, path.name, 1))
        self.do(self.serving.__aexit__(None, None, None))
        self.start(path, limit, late)
        if limit is not None:
            for key in TENANTS:
                continued = [row for row in self.running(key) if row.workflow_id in self.registered][:limit]
                for row in self.running(key):
                    row.status = "running" if row in continued else "pending"
        self.settle(at_once=False)

    @rule(workflow_id=st.sampled_from(["", "a", "b"]), status=st.sampled_from(["", "pending", "running", "cancelled"]),
          size=st.integers(1, 4), key=st.sampled_from(list(TENANTS)))  # fmt: skip
    def pages(self, workflow_id, status, size, key):
        query = "".join(
            f"&{name}={value}" for name, value in (("workflow_id", workflow_id), ("status", status)) if value
        )
        expected = [
            row.id
            for row in self.rows[::-1]
            if row.key == key and workflow_id in ("", row.workflow_id) and status in ("", row.status)
        ]
        for number in range(1, len(expected) // size + 3):
            page = self.do(self.of[key].page(f"page={number}&page_size={size}{query}"))
            assert page["total"] == len(expected)
            assert [row["id"] for row in page["items"]] == expected[(number - 1) * size : number * size]


TestModel = Model.TestCase
