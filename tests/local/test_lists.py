"""Lists: order, pages, filters, totals, the clock, and what a page costs."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omium_async.local import LocalOmium, lists, store, tables
from omium_async.local.keyring import load_keys
from omium_async.local.store import Submission

NOW = "2026-01-01T00:00:00.000000Z"


async def test_newest_first(local, connect):
    async with connect(local) as wire:
        ids = [await wire.create("w", n) for n in range(45)]
        pages = [(await wire.get(f"/executions?page={n}")).json for n in (1, 2, 3, 4)]
        assert [len(page["items"]) for page in pages] == [20, 20, 5, 0]
        assert [row["id"] for page in pages for row in page["items"]] == ids[::-1]
        assert {page["total"] for page in pages} == {45}
        assert [page["page"] for page in pages] == [1, 2, 3, 4]


async def test_creates_at_once_keep_one_order(local, connect):
    async with connect(local) as wire:
        ids = set(await asyncio.gather(*(wire.create("w", n) for n in range(200))))
        rows = (await wire.get("/executions?page_size=1000")).json["items"]
        assert {row["id"] for row in rows} == ids
        assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)


async def test_the_place_and_the_creation_time_of_a_row_never_change(local, connect):
    @local.workflow("w")
    async def w(run):
        await run.step("s", lambda: 1)

    async with connect(local) as wire:
        ids = [await wire.create("w") for _ in range(10)]
        details = {one: await wire.until(one, "completed") for one in ids}
        before = [(row["id"], row["created_at"]) for row in (await wire.get("/executions")).json["items"]]
        for one in ids[::2]:
            await wire.move(one, "rollback", details[one]["checkpoints"][0]["id"])
        after = [(row["id"], row["created_at"]) for row in (await wire.get("/executions")).json["items"]]
        assert after == before


async def test_filters(local, connect):
    @local.workflow("done")
    async def done(run):
        pass

    @local.workflow("broken")
    async def broken(run):
        raise ValueError

    async with connect(local) as wire:
        ids = {}
        for n in range(30):
            name = ("done", "broken", "none")[n % 3]
            ids.setdefault(name, []).append(await wire.create(name))
        for name, status in (("done", "completed"), ("broken", "failed"), ("none", "pending")):
            for one in ids[name]:
                await wire.until(one, status)
            for query in (f"workflow_id={name}", f"status={status}", f"workflow_id={name}&status={status}"):
                page = (await wire.get(f"/executions?{query}&page_size=4&page=3")).json
                assert ([row["id"] for row in page["items"]], page["total"]) == (ids[name][::-1][8:], 10)
        assert (await wire.get("/executions?workflow_id=done&status=failed")).json["items"] == []
        assert (await wire.get("/executions?workflow_id=")).json["total"] == 0
        assert (await wire.get("/executions?workflow_id=x&workflow_id=done")).json["total"] == 10


async def test_the_clock(connect, tmp_path):
    moment = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    local = LocalOmium(tmp_path / "o.db", clock=lambda: moment)
    async with connect(local) as wire:
        first = await wire.create()
        moment = dt.datetime(2025, 1, 1, 12, 0, 0, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))  # far back
        second = await wire.create()
        moment = dt.datetime(2027, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)
        third = await wire.create()
        rows = (await wire.get("/executions")).json["items"]
        assert [row["id"] for row in rows] == [third, second, first]
        assert (await wire.get("/executions")).headers["Date"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert [row["created_at"] for row in rows] == [
            "2027-01-01T00:00:00.000001Z", "2026-01-01T12:00:00.000000Z", "2026-01-01T12:00:00.000000Z"]  # fmt: skip


async def test_a_clock_that_goes_back_in_the_middle_of_a_run(connect):
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    gate = asyncio.Event()

    def clock():
        nonlocal moment
        moment -= dt.timedelta(hours=1)
        return moment

    local = LocalOmium(clock=clock)

    @local.workflow("w")
    async def w(run):
        await gate.wait()
        await run.step("s", lambda: 1)

    async with connect(local) as wire:
        execution_id = await wire.create("w")
        gate.set()
        detail = await wire.until(execution_id, "completed")
        times = [detail[name] for name in ("created_at", "started_at", "completed_at", "updated_at")]
        assert times == sorted(times)
        assert detail["checkpoints"][0]["created_at"] >= detail["created_at"]


@pytest.mark.parametrize(
    "wrong",
    [5, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), lambda: "now", lambda: None, lambda: dt.datetime(2026, 1, 1)],  # noqa: DTZ001
)
def test_a_clock_that_gives_no_time_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"clock .*must"):
        LocalOmium(clock=wrong)


@pytest.mark.parametrize("days", [(1, 2, 3), (1,)])
async def test_a_clock_may_be_a_list_of_moments(connect, days):
    """None of them is lost, to the trial at the construction or to a `Date`; at its end time stands still."""
    moments = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in days]
    async with connect(LocalOmium(clock=iter(moments).__next__)) as wire:
        assert (await wire.get("/executions")).headers["Date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
        for moment in [*moments, moments[-1]]:
            answer = await wire.call("POST", "/executions", {"workflow_id": "w"})
            assert answer.status == 201
            assert answer.json["created_at"] == moment.strftime("%Y-%m-%dT00:00:00.000000Z")
            assert answer.headers["Date"] == moment.strftime("%a, %d %b %Y 00:00:00 GMT")


async def test_a_clock_that_is_set_before_the_first_write(connect):
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    async with connect(LocalOmium(clock=lambda: moment)) as wire:
        moment = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
        assert (await wire.detail(await wire.create()))["created_at"] == "2027-01-01T00:00:00.000000Z"


async def test_a_clock_that_breaks_leaves_no_run_without_an_end(connect, caplog):
    moments = iter([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 3)
    local = LocalOmium(clock=lambda: next(moments))

    @local.workflow("w")
    async def w(run):
        return await run.step("s", lambda: 1)

    async with connect(local) as wire:
        detail = await wire.until(await wire.create("w"), "completed")
        assert detail["completed_at"] == "2026-01-01T00:00:00.000000Z"
    assert {(record.name, record.levelname) for record in caplog.records} == {("omium_async.local.times", "WARNING")}


@pytest.fixture
def database():
    connection = tables.open_memory().writer
    yield connection
    connection.close()


def tenants(connection: sqlite3.Connection, *names: str):
    return load_keys(connection, {f"key-{name}": name for name in names}).tenants()


def test_no_page_sorts_or_scans(database):
    (tenant,) = tenants(database, "t")
    statements: list[str] = []
    database.set_trace_callback(statements.append)
    store.fill(
        database, tenant, [(f"e{n}", Submission("w", b"{}", b"{}", None)) for n in range(10)], status="pending", now=NOW
    )
    statements.clear()
    for workflow_id in (None, "w"):
        for status in (None, "pending"):
            for number in (1, 5):
                assert len(lists.page(database, tenant, number, 2, workflow_id=workflow_id, status=status).rows) == 2
    store.unfinished(database, workflow_id="w", after=0, limit=5)
    database.set_trace_callback(None)
    for statement in statements:
        plan = " / ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "SCAN" not in plan, (statement, plan)
        assert "TEMP B-TREE" not in plan, (statement, plan)


actions = st.lists(
    st.tuples(st.sampled_from(["create", "fill", "begin", "finish", "fail", "rollback"]), st.integers(0, 30)),
    max_size=40,
)


@given(actions=actions)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_store_against_a_model(actions):
    """Positions have no gaps, totals are counts, and every page of every filter is a slice of a plain list."""
    connection = tables.open_memory().writer
    try:
        tenant, other = tenants(connection, "t", "u")
        model: list[list[str]] = []  # [id, workflow, status]
        for action, number in actions:
            _act(connection, tenant, other, model, action, number)
        for workflow_id in (None, "w0", "w1", "absent"):
            for status in (None, "pending", "running", "completed", "failed", "paused"):
                expected = [
                    one[0] for one in reversed(model) if workflow_id in {None, one[1]} and status in {None, one[2]}
                ]
                for size in (1, 3, 7):
                    for page in range(1, len(expected) // size + 3):
                        found = lists.page(connection, tenant, page, size, workflow_id=workflow_id, status=status)
                        assert found.total == len(expected)
                        assert [row[0] for row in found.rows] == expected[(page - 1) * size : page * size]
    finally:
        connection.close()


def _act(connection, tenant, other, model, action, number):
    name = f"e{len(model)}"
    new = Submission(f"w{number % 2}", b"{}", b"{}", None)
    store.create(connection, other, f"o{name}-{action}-{connection.total_changes}", new, status="pending", now=NOW)
    if action == "create":
        store.create(connection, tenant, name, new, status="pending", now=NOW)
        model.append([name, new.workflow_id, "pending"])
    elif action == "fill":
        store.fill(connection, tenant, [(f"{name}-{n}", new) for n in range(number)], status="completed", now=NOW)
        model.extend([f"{name}-{n}", new.workflow_id, "completed"] for n in range(number))
    elif model:
        one = model[number % len(model)]
        run = store.begin(connection, one[0], NOW)
        assert (run is not None) == (one[2] in {"pending", "running"})
        if run is None:
            return
        one[2] = "running"
        if action == "finish":
            store.finish(connection, run, output=b"1", error=None, now=NOW)
            one[2] = "completed"
        elif action == "fail":
            store.finish(connection, run, output=None, error="E", now=NOW)
            one[2] = "failed"
        elif action == "rollback":
            store.record(connection, run, checkpoint_id="c", name=f"s{connection.total_changes}", result=b"1", now=NOW)
            store.rollback(connection, tenant, one[0], "c", NOW)
            one[2] = "paused"
            with pytest.raises(store.StaleRunError):
                store.finish(connection, run, output=b"1", error=None, now=NOW)
            with pytest.raises(store.StaleRunError):
                store.record(connection, run, checkpoint_id="d", name="late", result=b"1", now=NOW)
