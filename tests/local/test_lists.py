"""Lists: newest first, exact pages and totals with every filter, a clock for tests, and large rows."""

from __future__ import annotations

import datetime as dt

import pytest

from omium_async.local import LocalOmium

from .conftest import in_memory_and_on_file, serving

MIB = 2**20
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def ids(page):
    return [row["id"] for row in page["items"]]


async def finish(run):
    await run.step("one", lambda: 1)


async def fail(run):
    raise ValueError


@in_memory_and_on_file
async def test_a_list_has_the_newest_first_in_pages_of_20(http):
    created = [await http.create("w", n) for n in range(45)]
    pages = [await http.page(f"page={n}") for n in (1, 2, 3, 4)]
    assert [len(page["items"]) for page in pages] == [20, 20, 5, 0]
    assert [one for page in pages for one in ids(page)] == created[::-1] == sorted(created, reverse=True)
    assert [(page["total"], page["page"]) for page in pages] == [(45, n) for n in (1, 2, 3, 4)]


async def test_a_page_far_behind_the_end_is_empty(http):
    await http.create()
    for number in (2, 2**63, 10**3000):
        page = await http.page(f"page={number}&page_size=1000")
        assert (page["items"], page["total"], page["page"]) == ([], 1, number)


async def test_filters_by_workflow_and_status_have_exact_pages_and_totals(local, http):
    local.workflow("done")(finish)
    local.workflow("broken")(fail)
    created: dict[str, list[str]] = {"done": [], "broken": [], "none": []}
    for n in range(30):
        name = list(created)[n % 3]
        created[name].append(await http.create(name))
    for name, status in (("done", "completed"), ("broken", "failed"), ("none", "pending")):
        await http.until(created[name][-1], status)
        for query in (f"workflow_id={name}", f"status={status}", f"workflow_id={name}&status={status}"):
            page = await http.page(f"{query}&page_size=4&page=3")
            assert (ids(page), page["total"]) == (created[name][::-1][8:], 10)
    assert await http.total("workflow_id=done&status=failed") == await http.total("workflow_id=") == 0
    assert await http.total("workflow_id=x&workflow_id=done") == 10, "the last of two equal parameters counts"


@in_memory_and_on_file
async def test_ids_and_creation_times_keep_the_order_of_creation_when_the_clock_goes_back(local, tmp_path):
    moment = NEW_YEAR
    in_memory = "memory" in repr(local)
    local = LocalOmium(None if in_memory else tmp_path / "clock.db", clock=lambda: moment)
    async with serving(local) as http:
        created = [await http.create()]
        moment = NEW_YEAR - dt.timedelta(days=365)
        created += [await http.create(), await http.create()]
        moment = dt.datetime(2027, 1, 1, 2, 0, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
        created.append(await http.create())
        rows = (await http.page())["items"]
        assert [row["id"] for row in rows] == created[::-1] == sorted(created, reverse=True)
        earlier = ["2026-01-01T00:00:00.000000Z"] * 3
        assert [row["created_at"] for row in rows] == ["2027-01-01T00:00:00.000001Z", *earlier]


@pytest.mark.parametrize(
    ("clock", "error"), [(lambda: NEW_YEAR.replace(tzinfo=None), ValueError), (lambda: None, TypeError), (5, TypeError)]
)
def test_a_clock_must_return_aware_datetimes(clock, error):
    with pytest.raises(error, match="clock"):
        LocalOmium(clock=clock)
