"""The page of one execution: its status, its timeline, its data."""

from __future__ import annotations

import gc
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import Checkpoint, Execution, ExecutionDetail, ExecutionStatus
from omium_async.ui.json_view import NoSuchPlaceError, at, tree
from omium_async.ui.timeline import WINDOW, timeline

from .conftest import START, row


async def test_a_failed_execution_shows_where_it_stopped_and_what_a_replay_runs(page, service):
    noise = {"tenant_id": "t-1", "metadata": {"user": "ada", "checkpoints": [{"id": "chk_1"}]}}
    service.rows = [row(1, "failed", error="the ledger does not add up", output_data={"pages": [1, 2]}, **noise)]
    service.checkpoints("exec_1", "load", "parse", "measure")
    text = await page.get("/executions/exec_1")
    for part in ("the ledger does not add up", "stopped here", "pages", "Replay from load (runs parse, measure again)"):
        assert part in text
    assert "<title>exec_1 failed" in text
    assert "tenant_id" not in text
    assert "checkpoints</span>" not in text
    service.rows[0]["status"] = "completed"
    assert "/replay" not in await page.get("/executions/exec_1")  # the service would refuse it


async def test_a_checkpoint_shows_its_state(page, service):
    service.rows = [row(1, "failed")]
    service.checkpoints("exec_1", "read")
    service.state = {"current_step": "read", "result": {"words": 3}}
    place = re.search(r'hx-get="\.\.(/[^"]*part=state[^"]*)"', await page.get("/executions/exec_1"))[1]
    shown = await page.get(place.replace("&amp;", "&"), **{"HX-Request": "true"})
    assert "words" in shown
    assert "<html" not in shown
    service.state = None
    assert "no state" in await page.get(place.replace("&amp;", "&"), 404)


async def test_a_page_shows_since_when_it_runs_and_links_the_replay_that_the_service_names(page, service):
    more = {"replay_execution_id": "exec_2", "metadata": {"replayed_from": "exec_0"}}
    service.rows = [row(1, "running", started_at="2026-01-01T12:00:05Z", **more)]
    for path in ("/", "/executions/exec_1"):
        text = await page.get(path)
        assert re.search(r'<time datetime="2026-01-01T12:00:05.000Z"[^>]* data-for>', text)
    assert 'href="../executions/exec_2"' in text
    assert 'href="../executions/exec_0"' not in text


async def test_an_execution_that_does_not_exist_has_a_page_that_says_so(page):
    for segment in ("..%2F..", "live", "exec_none", "%3Cb%3E"):
        assert "No such execution" in await page.get(f"/executions/{segment}", 404)


async def test_data_of_megabytes_is_shown_as_far_as_it_is_opened(page, service):
    service.rows = [row(1, output_data=[{"n": n, "text": "x" * 80} for n in range(20_000)])]
    text = await page.get("/executions/exec_1")
    assert len(text) < 100_000
    assert "19,900 more" in text
    fragment = await page.get("/executions/exec_1/json?part=output&start=100", **{"HX-Request": "true"})
    assert "19,800 more" in fragment
    answer = await page.client.get("/executions/exec_1/raw?part=output")
    assert len(await answer.json()) == 20_000
    assert "attachment" in answer.headers["Content-Disposition"]


async def test_a_deep_value_is_saved_and_copied_into_a_form_without_becoming_huge(page, service):
    deep = [1] * 2_048
    for _ in range(399):
        deep = [deep]
    service.rows = [row(1, input_data={"deep": deep, "flat": [deep] * 20})]
    await page.get("/executions/exec_1")
    answer = await page.client.get("/executions/exec_1/raw?part=input")
    assert len(await answer.read()) < 500_000
    assert len(await page.get("/new?like=exec_1")) < 1_200_000


async def test_the_console_keeps_nothing_of_pages_that_were_shown(page, service):
    service.fill(9, output_data="x" * 10_000)
    before = {id(held) for held in gc.get_objects() if isinstance(held, Execution)}  # of other tests
    await page.get("/?metadata=a%3Db")
    for number in range(1, 9):
        await page.get(f"/executions/exec_{number}")
    gc.collect()
    assert [held for held in gc.get_objects() if isinstance(held, Execution) and id(held) not in before] == []


moments = st.none() | st.integers(-1000, 1000).map(lambda seconds: START + timedelta(seconds=seconds))


def execution(times, **more):
    checkpoints = tuple(Checkpoint(f"chk_{number}", "step", time) for number, time in enumerate(times))
    return ExecutionDetail("exec_1", checkpoints=checkpoints, **{"status": ExecutionStatus.FAILED, **more})


@given(st.lists(moments, max_size=250), moments, moments, st.none() | st.integers(-5, 400))
def test_every_bar_of_a_timeline_lies_within_its_scale(times, begin, end, first):
    line = timeline(execution(times, created_at=begin, completed_at=end), first)
    assert line.earlier + len(line.steps) + line.later == len(times)
    assert len(line.steps) <= WINDOW
    for step in [*line.steps, *([line.tail] if line.tail else [])]:
        assert 0 <= step.left <= 100
        assert 0 <= step.width <= 100.000001 - step.left
        assert step.seconds is None or step.seconds >= 0


def test_bars_are_as_long_as_the_steps_took():
    times = [START + timedelta(seconds=seconds) for seconds in (1, 4, 5)]
    line = timeline(execution(times, created_at=START, completed_at=START + timedelta(seconds=10)))
    steps = [(step.left, step.width, step.seconds, step.later) for step in line.steps]
    assert steps == [(0, 10, 1, 2), (10, 30, 3, 1), (40, 10, 1, 0)]
    assert (line.tail.left, line.tail.width, line.tail.seconds) == (50, 50, 5)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=30,
)


def nodes(node):
    yield node
    for child in node.children or ():
        yield from nodes(child)


@given(values)
def test_every_node_is_where_it_says(value):
    for node in nodes(tree(value)):
        there = at(value, node.pointer)
        assert node.kind != "text" or there == node.text
        assert not node.size or len(there) == node.size


def test_a_tree_costs_what_is_shown_of_it():
    large = {"rows": [{"n": n, "text": "x" * 100} for n in range(20_000)]}
    assert sum(1 for _ in nodes(tree(large))) == 2
    assert (tree("x" * 10_000).more, tree("x" * 10_000, is_whole=True).more) == (9_400, 0)
    for pointer in ("/a", "/0", "/b/x", "/b/-1", "/b/9"):
        with pytest.raises(NoSuchPlaceError):
            at({"b": [1]}, pointer)
