"""Filters of the client keep the guarantee of lists, and stop the reading early where that is safe."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, date, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import AsyncOmium, Execution, ExecutionStatus
from omium_async._filters import Filters
from omium_async._lists.client_filter import ClientFilter
from omium_async._lists.streams import stream_batches, stream_pages, stream_rows
from omium_async._lists.windows import Window
from omium_async.local import LocalOmium

from .model import ModelList, ModelServer

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUSES = ("completed", "failed", "paused")


def row_at(place: float, id: str) -> Execution:
    """A row whose fields follow from its place in the list and its number."""
    number = int(id.removeprefix("row-"))
    return Execution(
        id,
        status=STATUSES[number % 3],
        created_at=None if number % 10 == 7 else NOON - timedelta(seconds=place),
        metadata={"team": "a" if number % 2 else "b", "number": number % 5},
    )


class Drifting:
    """Answers windows of a list in descending order of creation, that changes before each."""

    def __init__(self, size: int, chance: random.Random | None = None) -> None:
        self.list = ModelList.of(size)
        self.places = {id: place for place, id in self.list.rows}
        self.chance = chance
        self.server = ModelServer(self.list)
        self.asked = 0

    async def fetch(self, page: int, size: int):
        await asyncio.sleep(0)
        self.asked += 1
        if self.list.stayed is None:
            self.list.begin()
        elif self.chance is not None:
            where, count = self.chance.randrange(len(self.list) + 1), self.chance.randrange(30)
            self.chance.choice([self.list.insert, self.list.remove])(self.chance.choice([0, where]), count)
        self.places |= {id: place for place, id in self.list.rows}
        answer = self.server.show(Window(page, size))
        return attrs.evolve(answer, items=tuple(row_at(self.places[row.id], row.id) for row in answer.items))


WANTED = st.builds(
    Filters,
    statuses=st.sampled_from([(), ("failed", "paused"), STATUSES]),
    since=st.sampled_from([None, NOON - timedelta(hours=1), NOON - timedelta(seconds=100), NOON + timedelta(days=1)]),
    before=st.sampled_from([None, NOON, NOON - timedelta(seconds=50)]),
    metadata=st.sampled_from([None, {"team": "a"}, {"team": "a", "number": 3}]),
)


def passes(row: Execution, wanted: Filters) -> bool:
    if wanted.statuses and row.status not in wanted.statuses:
        return False
    if (wanted.since or wanted.before) and row.created_at is None:
        return False
    if wanted.since and row.created_at < wanted.since:
        return False
    if wanted.before and row.created_at >= wanted.before:
        return False
    return all(row.metadata[key] == value for key, value in (wanted.metadata or {}).items())


@given(WANTED, st.integers(0, 600), st.sampled_from([0, 1, 8]), st.integers(0, 2**32))
def test_no_row_that_passes_is_missed_or_yielded_twice_while_the_list_changes(wanted, size, prefetch, seed):
    server = Drifting(size, random.Random(seed))

    async def read():
        rows = stream_rows(server.fetch, page_size=50, prefetch=prefetch, filters=wanted)
        return [row async for row in rows]

    found = asyncio.run(read())
    assert len({row.id for row in found}) == len(found)
    assert all(passes(row, wanted) for row in found)
    stayed = [row_at(server.places[id], id) for id in server.list.stayed or ()]
    assert {row.id for row in stayed if passes(row, wanted)} <= {row.id for row in found}


async def test_reading_stops_after_a_hundred_rows_older_than_since():
    server = Drifting(5000)
    wanted = Filters(since=NOON - timedelta(seconds=server.list.rows[30][0]))
    rows = [row async for row in stream_rows(server.fetch, page_size=50, prefetch=0, filters=wanted)]
    assert len(rows) == 28  # the three without a time do not pass
    assert server.asked <= 5


@pytest.mark.parametrize("order", [reversed, lambda rows: random.Random(3).sample(rows, len(rows))])
def test_a_list_in_another_order_is_read_to_its_end(order):
    rows = [Execution(f"row-{number}", created_at=NOON - timedelta(seconds=number)) for number in range(1000)]
    sieve = ClientFilter(Filters(since=NOON - timedelta(seconds=5)), None)
    found = sieve.apply(list(order(rows)))
    assert {row.id for row in found} == {f"row-{number}" for number in range(6)}
    assert not sieve.ended


@pytest.mark.parametrize("step", [0, 1])
def test_the_hundredth_row_past_since_is_the_last(step):
    """What was created at that very time is not past it; rows of one time are in order too."""
    at = [Execution(f"at-{number}", created_at=NOON) for number in range(10)]
    rows = [Execution(f"row-{number}", created_at=NOON - timedelta(seconds=1 + step * number)) for number in range(100)]
    sieve = ClientFilter(Filters(since=NOON), None)
    assert sieve.apply([*at, *rows[:99]]) == at
    assert not sieve.ended
    assert sieve.apply(rows[99:]) == []
    assert sieve.ended


async def test_pages_have_no_total_and_limits_count_rows_that_pass_if_the_client_filters():
    pages = [
        page
        async for page in stream_pages(
            Drifting(300).fetch, page_size=20, prefetch=0, filters=Filters(statuses=("failed", "paused"))
        )
    ]
    assert {page.total for page in pages} == {None}
    assert [len(page) for page in pages[:-1]] == [20] * (len(pages) - 1)
    plain = [page async for page in stream_pages(Drifting(300).fetch, page_size=20, prefetch=0, filters=Filters())]
    assert {page.total for page in plain} == {300}
    wanted = Filters(statuses=("failed",))  # the service's own filter is believed, and its total
    filtered = [page async for page in stream_pages(Drifting(300).fetch, page_size=20, prefetch=0, filters=wanted)]
    assert {page.total for page in filtered} == {300}
    assert ClientFilter(wanted, None).apply([Execution("x", status="paused")])
    server = Drifting(5000)
    wanted = Filters(metadata={"team": "a"})
    batches = [one async for one in stream_batches(server.fetch, page_size=50, prefetch=0, limit=7, filters=wanted)]
    assert sum(len(batch.rows) for batch in batches) == 7
    assert server.asked == 1
    one = [row async for row in stream_rows(server.fetch, page_size=50, prefetch=0, limit=1, filters=wanted)]
    assert len(one) == 1
    assert [one async for one in stream_rows(server.fetch, page_size=50, prefetch=0, limit=0, filters=wanted)] == []


@pytest.mark.parametrize("shown", [None, {}])
def test_rows_without_any_metadata_log_one_warning(caplog, shown):
    sieve = ClientFilter(Filters(metadata={"a": 1}), None)
    for _ in range(5):
        assert sieve.apply([Execution("x", metadata=shown)] * 40) == []
        sieve.warn()
    sieve.warn(at_end=True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    caplog.clear()
    sieve = ClientFilter(Filters(metadata={"a": 1}), None)
    sieve.apply([Execution("x", metadata=shown)] * 99)
    sieve.warn()
    assert not caplog.records
    sieve.apply([Execution("x", metadata=shown)])
    sieve.warn()
    assert [record.omium_rows for record in caplog.records] == [100]
    caplog.clear()
    few = ClientFilter(Filters(metadata={"a": 1}), None)
    few.apply([Execution("x")])
    few.warn()
    assert not caplog.records
    few.warn(at_end=True)
    assert len(caplog.records) == 1


def test_a_missing_key_equals_nothing_and_true_does_not_equal_1():
    def found(metadata, wanted):
        return bool(ClientFilter(Filters.of(metadata=wanted), None).apply([Execution("x", metadata=metadata)]))

    assert found({"a": None, "b": 1}, {"a": None})
    assert not found({"b": 1}, {"a": None})
    assert found({"a": 1}, {"a": 1.0})
    assert not found({"a": 1}, {"a": True})
    assert not found({"a": [{"b": 0}]}, {"a": [{"b": False}]})
    assert found({"a": [{"b": 0}]}, {"a": ({"b": 0},)})
    assert not found({"a": [1]}, {"a": [1, 2]})


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (ValueError, {"since": datetime(2026, 1, 1)}),  # noqa: DTZ001 - naive on purpose
        (TypeError, {"since": date(2026, 1, 1)}),
        (TypeError, {"before": "2026-01-01"}),
        (ValueError, {"since": NOON, "before": NOON - timedelta(seconds=1)}),
        (TypeError, {"metadata": [1]}),
        (TypeError, {"metadata": {"a": {1}}}),
        (TypeError, {"status": 3}),
        (TypeError, {"status": ["failed", 3]}),
        (ValueError, {"status": []}),
        (ValueError, {"status": ""}),
        (TypeError, {"workflow_id": 3}),
    ],
)
async def test_bad_filters_are_rejected_when_called(kind, wrong):
    async with AsyncOmium("omium_some_key") as omium:
        for call in (omium.executions.list, omium.executions.pages, omium.executions.replay_many):
            with pytest.raises(kind, match="|".join(wrong)):
                call(**wrong)


@pytest.mark.parametrize("status", ["complete", ["failed", "complete"]])
async def test_an_unknown_status_is_rejected_before_a_request(status):
    async with AsyncOmium("omium_some_key") as omium:
        many = omium.executions
        for call in (many.list, many.pages, many.replay_many, many.cancel_many):
            with pytest.raises(ValueError, match="'complete' is not a known status; use one of 'pending'"):
                call(status=status)
        await omium.executions.list(status=["failed", ExecutionStatus("weird")]).aclose()


def test_an_age_counts_back_from_now():
    before = datetime.now(UTC)
    found = Filters.of(since=timedelta(days=1), before=timedelta())
    assert before - timedelta(days=1) <= found.since <= datetime.now(UTC) - timedelta(days=1)
    assert before <= found.before <= datetime.now(UTC)
    assert found.in_words() == Filters.of(since=timedelta(days=1), before=timedelta()).in_words()
    for bad in (timedelta(-1), timedelta.max):
        with pytest.raises(ValueError, match="since"):
            Filters.of(since=bad)


async def test_ids_and_filters_together_are_rejected():
    async with AsyncOmium("omium_some_key") as omium:
        for given in ({"status": "paused"}, {"workflow_id": "w"}, {"since": NOON}, {"status": None}):
            with pytest.raises(ValueError, match="execution_ids"):
                omium.executions.replay_many(["exec_1"], **given)
        for nothing in ({"status": "failed"}, {"metadata": {}}):
            await omium.executions.replay_many(["exec_1"], **nothing).aclose()


async def test_on_a_server():
    now = NOON

    def clock():
        nonlocal now
        now += timedelta(seconds=1)
        return now

    async with LocalOmium(clock=clock, strict=False) as local, AsyncOmium(local.api_key, base_url=local.url) as omium:

        @local.workflow("fails")
        async def fails(run):
            raise ValueError("no")

        for number in range(10):
            await omium.executions.create("fails" if number % 2 else "nobody", metadata={"n": number})
        executions = omium.executions
        await executions.wait((await executions.create("fails", metadata={"n": 10})).id)
        every = [row async for row in executions.list()]
        both = [row async for row in executions.list(status=["failed", "pending"])]
        assert [row.id for row in both] == [row.id for row in every]
        one = [row async for row in executions.list(status=["failed"], metadata={"n": 3})]
        assert [row.metadata["n"] for row in one] == [3]
        middle = every[4].created_at.astimezone(timezone(timedelta(hours=2)))
        assert [row.id for row in every if row.created_at >= middle] == [
            row.id async for row in executions.list(since=middle)
        ]
        assert [row.id for row in every if row.created_at < middle] == [
            row.id async for row in executions.list(before=middle)
        ]
        planned = [one.execution.id async for one in executions.replay_many(dry_run=True, metadata={"n": 3})]
        assert len(planned) == 1
        by_id = [one async for one in executions.replay_many([*planned, "exec_unknown", *planned])]
        assert {(one.execution.id, one.state) for one in by_id} == {
            (planned[0], "rejected"),  # it has no checkpoint
            ("exec_unknown", "rejected"),
        }


def test_filters_have_a_description():
    assert Filters().in_words() == "executions of all workflows with status any"
    filters = Filters("w", statuses=frozenset({"failed", "paused"}), metadata={"b": 1, "a": 2})
    assert filters.in_words() == (
        'executions of workflow w with status failed or paused, with metadata {"a": 2, "b": 1}'
    )
