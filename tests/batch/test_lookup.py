"""Looking for executions by their keys: found wherever they stand, and absent only where they would have been seen."""

from __future__ import annotations

import random

import pytest

from omium_async import Execution, ExecutionDetail, NotFoundError
from omium_async._batch.lookup import Lookup

from ..waiting.fake import FakeCaller


class Shelf(FakeCaller):
    """A list of executions, with metadata shown here and there."""

    def __init__(self, shown, *, lists=True, details=True, hidden=None) -> None:
        super().__init__()
        self.shown, self.lists, self.details, self.hidden = shown, lists, details, hidden
        self.pages, self.read_ids = 0, []

    async def rows(self, query):
        assert query == {"workflow_id": "work"}
        self.pages += 1
        return [row if self.lists else self.hiding(row) for row in self.shown]

    async def get(self, execution_id):
        self.read_ids.append(execution_id)
        row = next(row for row in self.shown if row.id == execution_id)
        if execution_id.startswith("gone"):
            raise NotFoundError("gone", status=404, outcome="not_applied")
        return ExecutionDetail(row.id, metadata=row.metadata if self.details else self.hidden)

    def hiding(self, row):
        return Execution(row.id, metadata=self.hidden)

    async def find(self, keys, *, known=(), to_the_end=True):
        async def known_among(ids):
            return set(ids) & set(known)

        return await Lookup(lambda: self, "key", known_among).find("work", set(keys), to_the_end=to_the_end)


def row(name, **metadata):
    return Execution(name, metadata=metadata)


def ids(sighting):
    return {key: execution.id for key, execution in sighting.executions.items()}


HIDING = pytest.mark.parametrize("hidden", [None, {}])
HIDING_KEYS = pytest.mark.parametrize("hidden", [None, {}, {"source": "api"}])  # or all but what the service put there


async def test_by_the_key_in_the_list():
    shelf = Shelf([row("b", key="B"), row("x", other=1), row("a", key="A")])
    found = await shelf.find("AB")
    assert (ids(found), found.doubtful) == ({"A": "a", "B": "b"}, ())
    assert shelf.read_ids == []


@pytest.mark.parametrize("place", [0, 1500, 2999])
async def test_wherever_it_stands_in_the_list(place):
    rows = [row(f"n{number}", key=f"K{number}") for number in range(2999)]
    rows.insert(place, row("a", key="A"))
    assert ids(await Shelf(rows).find("A")) == {"A": "a"}


async def test_the_list_is_read_to_its_end_only_where_absence_counts():
    shelf = Shelf([row(f"n{number}", key=f"K{number}") for number in range(3000)])
    await shelf.find(["missing"], to_the_end=False)
    assert shelf.pages <= 5
    shelf.pages = 0
    found = await shelf.find(["missing"])
    assert (ids(found), found.doubtful) == ({}, ())
    assert 3 <= shelf.pages <= 6  # a thousand rows each
    shelf.pages = 0
    await shelf.find(["K0"])
    assert shelf.pages == 1


@pytest.mark.parametrize(("place", "seen"), [(0, True), (399, True), (400, False)])
async def test_a_look_that_only_may_find_reads_four_pages(place, seen):
    rows = [row(f"n{number}", key=f"K{number}") for number in range(999)]
    rows.insert(place, row("a", key="A"))
    found = await Shelf(rows).find("A", to_the_end=False)
    assert ids(found) == ({"A": "a"} if seen else {})


@HIDING_KEYS
async def test_where_lists_carry_no_metadata_details_of_candidates_are_read(hidden):
    rows = [row("x", other=1), row("mine", key="M"), row("a", key="A"), row("gone")]
    shelf = Shelf(rows, lists=False, hidden=hidden)
    found = await shelf.find("AB", known=["mine"])
    assert (ids(found), list(found.doubtful)) == ({"A": "a"}, [])
    assert sorted(shelf.read_ids) == ["a", "gone", "x"]


async def test_details_are_not_read_where_rows_show_keys():
    shelf = Shelf([row("mine", key="M"), row("x"), row("y", other=1)])
    assert (await shelf.find("A", known=["mine"])).doubtful == ()
    assert shelf.read_ids == []


@HIDING
async def test_where_nothing_shows_metadata_it_stays_in_doubt(hidden):
    found = await Shelf([row("x"), row("y")], lists=False, details=False, hidden=hidden).find("A")
    assert (ids(found), set(found.doubtful)) == ({}, {"x", "y"})


@HIDING_KEYS
async def test_where_not_even_details_show_what_is_known_to_be_ours_it_stays_in_doubt(hidden):
    shelf = Shelf([row("mine"), row("x"), row("y")], lists=False, details=False, hidden=hidden)
    found = await shelf.find("A", known=["mine"])
    assert (ids(found), set(found.doubtful)) == ({}, {"x", "y"})


@HIDING
async def test_rows_that_hide_what_is_known_to_be_ours_are_not_believed(hidden):
    """Though others show theirs."""
    rows = [row("foreign", key="F"), row("mine"), row("a")]
    shelf = Shelf(rows)
    details = {"mine": {"key": "M"}, "a": {"key": "A"}}

    async def get(execution_id):
        return ExecutionDetail(execution_id, metadata=details[execution_id])

    shelf.get = get
    assert ids(await shelf.find("A")) == {}
    assert ids(await shelf.find("A", known=["mine"])) == {"A": "a"}


async def test_details_that_are_known_to_show_keys_tell_of_absence():
    """An execution without metadata of its own is none of ours, once details are known to show what ours has."""
    rows = [row("mine", key="M"), row("bare")]
    shelf = Shelf(rows, lists=False)
    found = await shelf.find("A", known=["mine"])
    assert (ids(found), list(found.doubtful)) == ({}, [])
    shelf = Shelf(rows, lists=False)
    assert list((await shelf.find("A", known=[])).doubtful) == []  # the key of "mine" was seen in its details
    assert list((await Shelf([row("bare")], lists=False).find("A")).doubtful) == ["bare"]


async def test_of_a_long_list_that_hides_everything_those_beside_our_own_are_read():
    rows = [row(f"old{number}", other=1) for number in range(3000)]
    at = random.Random(3).randrange(100, 2900)
    rows[at : at + 3] = [row("mine", key="M"), row("a", key="A"), row("ours", key="O")]
    shelf = Shelf(rows, lists=False)
    assert ids(await shelf.find("A", known=["mine", "ours"])) == {"A": "a"}
    assert len(shelf.read_ids) <= 3
    shelf.read_ids.clear()
    found = await shelf.find("B", known=["mine", "ours"])
    assert len(shelf.read_ids) <= 257
    assert found.doubtful  # the others were not looked at, and so nothing is certain


async def test_what_stands_among_our_own_is_read_first_then_what_stands_beside_them():
    names = ["far", "before", "mine", "among", "between", "ours", "behind", "farther", "farthest"]
    shelf = Shelf([row(name, key="K" if name in {"mine", "ours"} else "other") for name in names], lists=False)
    await shelf.find("A", known=["ours", "mine"])
    assert shelf.read_ids == ["among", "between", "before", "behind", "far", "farther", "farthest"]


async def test_where_none_is_known_to_be_ours_the_ends_of_the_list_are_read_first():
    shelf = Shelf([row(name, key="other") for name in "abcdef"], lists=False)
    await shelf.find("A")
    assert shelf.read_ids == ["a", "f", "b", "e", "c", "d"]


async def test_at_most_256_details_are_read_in_one_look_and_the_others_stay_in_doubt():
    shelf = Shelf([row(f"n{number}", key="other") for number in range(258)], lists=False)
    found = await shelf.find("A")
    assert len(shelf.read_ids) == 256
    assert set(found.doubtful) == {"n128", "n129"}


async def test_two_with_one_key_are_told(caplog):
    found = await Shelf([row("a", key="A"), row("b", key="A")]).find(["A", "missing"])
    assert ids(found) == {"A": "b"}
    assert [record.omium_execution_id for record in caplog.records] == ["b"]
