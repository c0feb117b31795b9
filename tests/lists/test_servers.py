"""Servers outside the terms of the guarantee, and servers that contradict themselves."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
from typing import Any

import attrs
import pytest

from omium_async import Execution, ExecutionPage, UnstableListError
from omium_async._lists.windows import Window

from .model import ModelList, ModelServer, Reader


def read(server: ModelServer, page_size: int = 100, depth: int = 8, limit: int | None = None) -> Reader:
    reader = Reader(server, page_size, depth, limit)
    reader.finish(most=600)
    assert len(set(reader.got)) == len(reader.got)
    return reader


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("size", [0, 1, 20, 99, 101, 2000])
def test_a_list_that_does_not_change_costs_little_more_than_its_pages(
    size: int, caplog: pytest.LogCaptureFixture
) -> None:
    for page_size, depth in itertools.product((1, 20, 100, 5000), (0, 8)):
        server = ModelServer(ModelList.of(size))
        reader = read(server, page_size, depth)
        assert reader.got == server.list.ids
        largest = min(max(page_size, 20), 1000)
        assert max(window.size for window in reader.asked) == largest
        assert reader.requests <= (1 if size < largest else 2 + 1.4 * size / largest)
    assert not warnings(caplog)


@pytest.mark.parametrize(
    ("limit", "requests", "rows"), [(0, 0, 0), (1, 1, 1), (100, 1, 100), (101, 2, 170), (1000, 11, 1100)]
)
def test_a_limit_requests_no_more_than_it_needs(limit: int, requests: int, rows: int) -> None:
    server = ModelServer(ModelList.of(2000))
    for depth in (0, 8):
        reader = read(server, 100, depth, limit)
        assert reader.got == server.list.ids[:limit]
        assert reader.requests == requests
        assert sum(window.size for window in reader.asked) <= rows


#: Whether a server names its page size, and the total.
SAYS: list[dict[str, bool]] = [
    {"says_size": size, "says_total": total} for size in (True, False) for total in (True, False)
]


@pytest.mark.parametrize("cap", [50, 20, 19, 3, 1])
def test_a_smaller_page_size_is_followed_and_one_below_20_is_warned_of(
    cap: int, caplog: pytest.LogCaptureFixture
) -> None:
    for says in SAYS:
        caplog.clear()
        server = ModelServer(ModelList.of(300), cap=cap, **says)
        assert read(server).got == server.list.ids
        assert len(warnings(caplog)) == (1 if cap < 20 else 0)


OUTSIDE: dict[str, dict[str, Any]] = {
    "own size of 3": {"fixed": 3},
    "own size of 20": {"fixed": 20},
    "own size of 50": {"fixed": 50},
    "own size of 128": {"fixed": 128},
    "a smallest size of 50": {"least": 50},
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_list_that_does_not_change_is_read_whole_from_a_server_with_other_page_sizes(name: str) -> None:
    sizes = (0, 3, 30, 60, 70, 96, 136, 200)
    for says, size, page_size, depth in itertools.product(SAYS, sizes, (1, 100), (0, 8)):
        server = ModelServer(ModelList.of(size), **says, **OUTSIDE[name])
        reader = read(server, page_size, depth)
        assert sorted(reader.got) == sorted(server.list.ids)
        assert reader.requests <= 20 + 1.4 * size / server.size(20)


def test_a_larger_page_size_that_the_server_says_is_followed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The server sends 50 rows whatever is requested: its second page begins at row 50, not at the overlap."""
    server = ModelServer(ModelList.of(96), fixed=50)
    reader = read(server)
    assert reader.got == server.list.ids
    assert len(warnings(caplog)) == 1
    assert reader.requests <= 5


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (60, 0), (100, 1), (250, 1)])
def test_a_server_that_always_says_its_largest_page_size_is_read_whole(
    size: int, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It honours the size requested, so a full first window is not the short one that it looks like."""

    class SaysLargest(ModelServer):
        def show(self, window: Window, counted: int | None = None) -> ExecutionPage:
            return attrs.evolve(super().show(window, counted), page_size=1000)

    for says_total in (True, False):
        caplog.clear()
        server = SaysLargest(ModelList.of(size), says_total=says_total)
        assert read(server).got == server.list.ids
        assert len(warnings(caplog)) == expected


@pytest.mark.parametrize("limit", [5, 25, None])
def test_sizes_below_20_may_be_raised_without_a_warning(limit: int | None, caplog: pytest.LogCaptureFixture) -> None:
    for page_size, says_total, depth in itertools.product((1, 20, 30), (True, False), (0, 8)):
        server = ModelServer(ModelList.of(300), least=20, says_total=says_total)
        assert read(server, page_size, depth, limit).got == server.list.ids[:limit]
    assert not warnings(caplog)


def test_a_silent_cap_that_the_total_contradicts_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """The server names the requested size, and sends fewer rows."""
    server = ModelServer(ModelList.of(300), cap=50, echoes_size=True)
    assert read(server).got == server.list.ids
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("size", "fixed", "shown"), [(500, None, 500), (1500, None, 1000), (300, 50, 50), (300, 10, 10)]
)
def test_a_server_that_ignores_the_page_is_noticed(
    size: int, fixed: int | None, shown: int, caplog: pytest.LogCaptureFixture
) -> None:
    for says in SAYS:
        caplog.clear()
        server = ModelServer(ModelList.of(size), fixed=fixed, ignores_page=True, **says)
        reader = read(server)
        assert reader.got == server.list.ids[:shown]
        assert len(warnings(caplog)) == 1
        assert reader.requests <= 20


@pytest.mark.parametrize("depth", [0, 8])
def test_a_total_below_the_truth_is_not_believed(depth: int, caplog: pytest.LogCaptureFixture) -> None:
    for total in (0, 10, 299):
        server = ModelServer(ModelList.of(300), total=total)
        assert read(server, 100, depth).got == server.list.ids
    assert not warnings(caplog)


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize(("size", "total"), [(0, 5), (1, 10**12), (300, 301)])
def test_an_end_that_the_total_contradicts_is_requested_again_and_then_accepted_with_a_warning(
    size: int, total: int, depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(ModelList.of(size), total=total)
    reader = read(server, 100, depth)
    assert reader.got == server.list.ids
    assert len(warnings(caplog)) == 1
    assert f"although its total is {total}" in warnings(caplog)[0]
    assert reader.requests <= 10 + 2 * depth


@pytest.mark.parametrize(("total", "expected"), [(10, 0), (12, 1)])
def test_a_short_list_whose_page_size_is_not_said_ends_with_a_warning_if_the_total_contradicts(
    total: int, expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(ModelList.of(10), says_size=False, total=total)
    assert read(server, 100, 0).got == server.list.ids
    assert len(warnings(caplog)) == expected


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("hole", [(0, 50), (0, 100), (250, 700)])
def test_a_list_with_a_hole_that_the_total_contradicts_ends_with_a_warning(
    hole: tuple[int, int], depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(ModelList.of(1500), hole=range(*hole))
    reader = read(server, 100, depth)
    assert set(reader.got) <= set(server.list.ids)
    assert len(reader.got) == 1450 if hole == (0, 50) else warnings(caplog)


@pytest.mark.parametrize("slips", [(1,), (2,), (7,), (3, 8)])
def test_an_answer_that_shows_too_little_is_requested_again(slips: tuple[int, ...]) -> None:
    for kept, depth in itertools.product((0, 1, 50), (0, 8)):
        server = ModelServer(ModelList.of(1000), slips=slips, slip=lambda rows, kept=kept: rows[:kept])
        assert sorted(read(server, 100, depth).got) == sorted(server.list.ids)


@pytest.mark.parametrize("slips", [(2,), (9,)])
def test_an_empty_answer_without_a_total_is_not_the_end(slips: tuple[int, ...]) -> None:
    server = ModelServer(ModelList.of(1000), slips=slips, says_total=False)
    assert sorted(read(server).got) == sorted(server.list.ids)


def test_a_row_twice_in_one_answer_is_yielded_once_and_makes_no_window_known() -> None:
    rows = ModelList.of(300)

    class Twice(ModelServer):
        def show(self, window, counted=None):
            page = super().show(window, counted)
            if self.answered != 2:
                return page
            items = (*page.items[:-1], page.items[0])
            return ExecutionPage(items=items, total=page.total, page=page.page, page_size=page.page_size)

    reader = Reader(Twice(rows), 100, depth=0)
    reader.step()
    rows.remove(0, 30)
    reader.finish()
    assert len(set(reader.got)) == len(reader.got)
    assert set(rows.ids) - set(reader.got) <= {rows.ids[-1]}


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_moves_rows_is_read_to_an_end_with_one_warning(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rnd = random.Random(seed)

    class Shuffling(ModelServer):
        def show(self, window, counted=None):
            rnd.shuffle(self.list.rows)
            return super().show(window, counted)

    read(Shuffling(ModelList.of(1000)))
    assert len(warnings(caplog)) == 1


def test_random_answers_come_to_an_end() -> None:
    rnd = random.Random(0)

    class Random(ModelServer):
        def show(self, window, counted=None):
            ids = [f"row-{rnd.randrange(2000)}" for _ in range(rnd.choice([0, 1, window.size, rnd.randint(0, 300)]))]
            return ExecutionPage(
                items=tuple([Execution(id=id) for id in ids]),
                total=rnd.choice([None, 0, 2000, rnd.randrange(5000), 10**12, -1]),
                page_size=rnd.choice([None, window.size, rnd.randrange(300), -1]),
            )

    for _ in range(20):
        reader = Reader(Random(ModelList()), 100, rnd.choice([0, 8]))
        with contextlib.suppress(UnstableListError):
            reader.finish(most=5000)
        assert len(set(reader.got)) == len(reader.got)


GROWING: dict[str, dict[str, Any]] = {
    "ignores the page": {"ignores_page": True},
    "own size of 3": {"fixed": 3},
    "own size of 3, not named": {"fixed": 3, "says_size": False},
    "cap of 1": {"cap": 1},
}


@pytest.mark.parametrize("name", GROWING)
def test_a_server_outside_the_terms_is_read_to_an_end_while_its_list_grows(name: str) -> None:
    for says_total, rows_a_request in itertools.product((True, False), (1, 5)):
        rows = ModelList.of(400)
        reader = Reader(ModelServer(rows, says_total=says_total, **GROWING[name]), 100, depth=0)
        with contextlib.suppress(UnstableListError):
            while not reader.reading.ended:
                assert reader.requests < 1000
                reader.step()
                rows.insert(0, rows_a_request)
        assert len(set(reader.got)) == len(reader.got)


@pytest.mark.parametrize("fixed", [3, 50])
@pytest.mark.parametrize("says_size", [True, False])
def test_a_list_that_stands_still_again_never_raises(fixed: int, says_size: bool) -> None:
    """60 rows are inserted before the second request, 40 removed before the third, then nothing changes."""
    rows = ModelList.of(3000)
    reader = Reader(ModelServer(rows, fixed=fixed, says_size=says_size), 100, depth=0)
    reader.step()
    rows.insert(0, 60)
    reader.step()
    rows.remove(0, 40)
    reader.finish(2000)
    assert len(set(reader.got)) == len(reader.got)


class RoundServer(ModelServer):
    """Shows the first page again after the last."""

    def show(self, window: Window, counted: int | None = None) -> ExecutionPage:
        pages = -(-len(self.list) // self.size(window.size))
        return super().show(Window((window.page - 1) % pages + 1, window.size), counted)


@pytest.mark.parametrize("says_total", [True, False])
def test_a_list_that_stands_still_and_shows_its_pages_in_a_round_ends(says_total: bool) -> None:
    reader = Reader(RoundServer(ModelList.of(300), fixed=50, says_total=says_total, says_size=False), 100, depth=0)
    reader.finish(200)
    assert len(set(reader.got)) == len(reader.got) == 300


@pytest.mark.parametrize("seed", range(5))
def test_rows_missed_on_a_server_outside_the_terms_are_warned_of(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    rnd = random.Random(seed)
    rows = ModelList.of(1000)
    reader = Reader(ModelServer(rows, fixed=25, says_size=False), 100, depth=0)
    while not reader.reading.ended:
        if rnd.random() < 0.2:
            rows.remove(rnd.randrange(len(rows)), rnd.randint(1, 3))
        reader.step()
    assert len(warnings(caplog)) == 1
