"""What holds at servers that bend the terms or break them; lists stand still here unless a test says otherwise."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random

import pytest

from omium_async._errors import UnstableListError
from omium_async._models.types import Execution, ExecutionPage
from omium_async._streaming.rule import MOST_EMPTY
from omium_async._streaming.windows import Sizes
from omium_async._streaming.witness import Witness

from .model import ModelList, ModelServer, Reader


def read(server: ModelServer, page_size: int = 100, depth: int = 8, limit: int | None = None) -> Reader:
    reader = Reader(server, page_size, depth, limit)
    reader.finish(most=600)
    assert len(set(reader.got)) == len(reader.got)
    return reader


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


SIZES = [0, 1, 2, 19, 20, 21, 99, 100, 101, 199, 500, 5000]


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("page_size", [1, 20, 100, 1000, 5000])
@pytest.mark.parametrize("size", SIZES)
def test_an_honest_server(size: int, page_size: int, depth: int, caplog: pytest.LogCaptureFixture) -> None:
    server = ModelServer(ModelList.of(size))
    reader = read(server, page_size, depth)
    assert reader.got == server.list.ids
    assert not warnings(caplog)
    largest = min(max(page_size, 20), 1000)
    assert max(window.size for window in reader.asked) == largest
    # Overlap costs 14 % at a hundred, a little more at twenty; what is shorter than a window costs one request.
    assert reader.requests <= (1 if size < largest else 2 + 1.4 * size / largest)


def test_overlap_costs_about_a_seventh() -> None:
    for size, most in ((20, 1.40), (100, 1.15), (500, 1.06), (1000, 1.05)):
        sizes, point, requests = Sizes(size), 0, 0
        while point < 200_000:
            point, requests = sizes.over(point, 1, 10**9).end, requests + 1
        assert requests <= most * 200_000 / size


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize(
    ("limit", "requests", "rows"),
    [(0, 0, 0), (1, 1, 1), (5, 1, 5), (100, 1, 100), (101, 2, 170), (150, 2, 210), (1000, 11, 1100)],
)
def test_a_limit_asks_for_no_more_than_it_needs(limit: int, requests: int, rows: int, depth: int) -> None:
    server = ModelServer(ModelList.of(5000))
    reader = read(server, 100, depth, limit)
    assert reader.got == server.list.ids[:limit]
    assert reader.requests == requests
    assert sum(window.size for window in reader.asked) <= rows


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("cap", [50, 20, 19, 12, 10, 3, 2, 1])
def test_a_smaller_page_size_is_followed(
    cap: int, says_total: bool, says_size: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(ModelList.of(300), cap=cap, says_total=says_total, says_size=says_size)
    reader = read(server)
    assert reader.got == server.list.ids
    assert len(warnings(caplog)) == (1 if cap < 20 else 0)


def test_a_size_that_was_not_given_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    """The server says the size asked for and gives fewer rows: its total tells."""
    server = ModelServer(ModelList.of(300), cap=50, echoes_size=True)
    assert read(server).got == server.list.ids
    assert not warnings(caplog)


@pytest.mark.parametrize("page_size", [20, 100])
@pytest.mark.parametrize("says", ["both", "size", "total", "none", "echo"])
@pytest.mark.parametrize("fixed", [10, 20, 50, 100, 150, 299])
def test_a_server_that_ignores_the_page_size(
    fixed: int, says: str, page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(
        ModelList.of(1000),
        fixed=fixed,
        says_size=says in ("both", "size", "echo"),
        says_total=says in ("both", "total", "echo"),
        echoes_size=says == "echo",
    )
    reader = read(server, page_size)
    assert sorted(reader.got) == sorted(server.list.ids)
    assert len(warnings(caplog)) == 1
    assert reader.requests <= 1000 / fixed * 1.2 + 12


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("least", [20, 50, 100])
def test_a_server_with_a_smallest_page_size(least: int, says_size: bool, caplog: pytest.LogCaptureFixture) -> None:
    server = ModelServer(ModelList.of(500), least=least, says_size=says_size)
    assert read(server, 20).got == server.list.ids
    assert read(server, 20, limit=5).requests == 1
    assert not warnings(caplog)


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize(
    ("size", "fixed", "shown"), [(500, None, 500), (1500, None, 1000), (100, None, 100), (300, 50, 50)]
)
def test_a_server_that_ignores_the_page(
    size: int, fixed: int | None, shown: int, says_total: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = ModelServer(ModelList.of(size), fixed=fixed, ignores_page=True, says_total=says_total)
    reader = read(server)
    assert reader.got == server.list.ids[:shown]
    assert len(warnings(caplog)) == 1
    assert reader.requests <= 15


@pytest.mark.parametrize("says_total", [True, False])
def test_a_server_without_pages(says_total: bool) -> None:
    """It gives the whole list, whatever is asked for."""
    server = ModelServer(ModelList.of(300), fixed=10**6, ignores_page=True, says_total=says_total, says_size=False)
    reader = read(server)
    assert reader.got == server.list.ids
    assert reader.requests <= 8


def test_a_burst_that_shows_the_first_row_on_another_page_is_no_ignored_page() -> None:
    rows = ModelList.of(400)
    reader = Reader(ModelServer(rows), 100, depth=0)
    reader.step()
    for _ in range(2):
        rows.insert(0, reader.flying[0].window.start)
        reader.step()
    reader.finish()
    reader.check()


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("total", [0, 10, 299])
def test_a_total_below_the_truth(total: int, depth: int, caplog: pytest.LogCaptureFixture) -> None:
    server = ModelServer(ModelList.of(300), total=total)
    reader = read(server, 100, depth)
    assert reader.got == server.list.ids
    assert not warnings(caplog)


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("total", [301, 310, 396])
def test_a_total_a_little_above_the_truth(total: int, depth: int, caplog: pytest.LogCaptureFixture) -> None:
    """It costs one question more, and is known not to hold."""
    server = ModelServer(ModelList.of(300), total=total)
    reader = read(server, 100, depth)
    assert reader.got == server.list.ids
    assert not warnings(caplog)
    assert reader.requests <= 7


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("size", [0, 1, 300])
def test_a_total_of_a_million_millions(size: int, depth: int, caplog: pytest.LogCaptureFixture) -> None:
    server = ModelServer(ModelList.of(size), total=10**12)
    reader = read(server, 100, depth)
    assert reader.got == server.list.ids
    assert len(warnings(caplog)) == 1
    assert "empty" in warnings(caplog)[0]
    assert reader.requests <= 4 + 2 + MOST_EMPTY + depth


@pytest.mark.parametrize("total", [10**12, 500])
def test_everything_is_removed_meanwhile(total: int | None) -> None:
    rows = ModelList.of(500)
    reader = Reader(ModelServer(rows, total=total), 100, depth=8)
    reader.step()
    reader.step()
    rows.remove(0, 500)
    reader.finish(most=60)
    reader.check()


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("hole", [(0, 50), (0, 100), (3, 150), (200, 300), (250, 260), (250, 700), (99, 600)])
def test_holes_are_passed_over(hole: tuple[int, int], depth: int) -> None:
    """Offsets whose rows are not shown; the total counts them."""
    server = ModelServer(ModelList.of(1500), hole=range(*hole))
    reader = read(server, 100, depth)
    assert reader.got == server.list.ids[: hole[0]] + server.list.ids[hole[1] :]


def test_eight_empty_windows_are_the_end(caplog: pytest.LogCaptureFixture) -> None:
    server = ModelServer(ModelList.of(1500), hole=range(100, 860))  # seven
    assert read(server).got == server.list.ids[:100] + server.list.ids[860:]
    assert "empty" not in "".join(warnings(caplog))
    caplog.clear()
    server = ModelServer(ModelList.of(1500), hole=range(100, 1200))
    assert read(server).got == server.list.ids[:100]
    assert len(warnings(caplog)) == 1
    nothing = read(ModelServer(ModelList.of(0), total=1500), depth=0)
    assert [window.page for window in nothing.asked] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert "8 pages in a row were empty, although its total is 1500" in warnings(caplog)[1]


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("pages", [(2,), (3,), (5, 6)])
def test_pages_that_are_always_empty_are_read_from_others(pages: tuple[int, ...], depth: int) -> None:
    server = ModelServer(ModelList.of(1000), blank_pages=pages)
    assert sorted(read(server, 100, depth).got) == sorted(server.list.ids)


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("size", [60, 100])
def test_a_page_that_is_always_empty_and_whose_rows_no_other_shows_is_passed_over(size: int, depth: int) -> None:
    """Also where rows behind it are known already: it is not asked for again and again."""
    server = ModelServer(ModelList.of(size), least=20, blank_pages=(2,))
    reader = read(server, 20, depth)
    assert reader.got[:40] == server.list.ids[:40]
    assert reader.requests <= 35


@pytest.mark.parametrize("slip", ["empty", "half", "one"])
@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("slips", [(1,), (2,), (3,), (7,), (11,), (3, 8)])
def test_slips_are_asked_for_again(slips: tuple[int, ...], depth: int, slip: str) -> None:
    """Now and then an answer shows too little."""
    kept = {"empty": 0, "half": 50, "one": 1}[slip]
    server = ModelServer(ModelList.of(1000), slips=slips, slip=lambda rows: rows[:kept])
    assert sorted(read(server, 100, depth).got) == sorted(server.list.ids)


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("slips", [(2, 3), (5, 6), (8, 9)])
def test_an_empty_slip_repeated_is_read_from_another_page(slips: tuple[int, ...], depth: int) -> None:
    server = ModelServer(ModelList.of(1000), slips=slips)
    assert sorted(read(server, 100, depth).got) == sorted(server.list.ids)


@pytest.mark.parametrize("slips", [(2,), (3,), (9,)])
def test_an_empty_answer_without_a_total_is_no_end(slips: tuple[int, ...]) -> None:
    """It shows no row that was read, so it may be a list that shrank as well as a slip."""
    server = ModelServer(ModelList.of(1000), slips=slips, says_total=False)
    assert sorted(read(server).got) == sorted(server.list.ids)


def test_a_row_twice_in_one_answer_is_given_once() -> None:
    class Twice(ModelServer):
        def show(self, window, counted=None):
            page = super().show(window, counted)
            items = list(page.items)
            if len(items) > 3:
                items[3] = items[1]
                items[-1] = items[0]
            return ExecutionPage(items=tuple(items), total=page.total, page=page.page, page_size=page.page_size)

    read(Twice(ModelList.of(1000)))


def test_a_row_twice_in_one_answer_is_no_known_row() -> None:
    """Nothing in the window was yielded, so rows before it may be missing."""
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
    assert set(rows.ids) - set(reader.got) <= {rows.ids[-1]}


@pytest.mark.parametrize("seed", range(20))
def test_a_server_that_moves_rows(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Any order, another one each time: nothing twice, an end, and it is said."""
    rnd = random.Random(seed)

    class Shuffling(ModelServer):
        def show(self, window, counted=None):
            rnd.shuffle(self.list.rows)
            return super().show(window, counted)

    read(Shuffling(ModelList.of(1000)))
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("then", "told"), [("bcd", 0), ("cbd", 1), ("dcb", 1), ("cd", 0), ("bxc", 0)])
def test_two_rows_that_change_places_are_enough_to_tell(then: str, told: int, caplog: pytest.LogCaptureFixture) -> None:
    witness = Witness()
    for ids, known in (("abc", 0), (then, len(set(then) & set("abc")))):
        witness.look_at_order(ExecutionPage(items=tuple([Execution(id=id) for id in ids])), known)
    assert len(warnings(caplog)) == told


@pytest.mark.parametrize("seed", range(40))
def test_anything_at_all_ends(seed: int) -> None:
    """Answers without any sense: nothing twice, and an end."""
    rnd = random.Random(seed)

    class Mad(ModelServer):
        def show(self, window, counted=None):
            ids = [f"row-{rnd.randrange(2000)}" for _ in range(rnd.choice([0, 1, window.size, rnd.randint(0, 300)]))]
            return ExecutionPage(
                items=tuple([Execution(id=id) for id in ids]),
                total=rnd.choice([None, 0, 2000, rnd.randrange(5000), 10**12, -1]),
                page_size=rnd.choice([None, window.size, rnd.randrange(300), -1]),
            )

    reader = Reader(Mad(ModelList()), 100, rnd.choice([0, 8]))
    with contextlib.suppress(UnstableListError):
        reader.finish(most=5000)
    assert len(set(reader.got)) == len(reader.got)


@pytest.mark.parametrize("cap", [20, 23, 37, 50, 64, 99])
@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("removed", [1, 7, 30])
def test_a_silent_cap_loses_nothing_while_rows_go_at_the_head(cap: int, says_total: bool, removed: int) -> None:
    for when in range(8):
        for page_size in (100, 1000):
            rows = ModelList.of(332)
            reader = Reader(ModelServer(rows, cap=cap, says_size=False, says_total=says_total), page_size, depth=0)
            while reader.requests < when and not reader.reading.ended:
                reader.step()
            rows.remove(0, removed)
            reader.finish(200)
            reader.check()


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize("says", [True, False])
def test_a_growing_list_whose_pages_are_all_the_first_comes_to_an_end(every: int, depth: int, says: bool) -> None:
    rows = ModelList.of(400)
    reader = Reader(ModelServer(rows, ignores_page=True, says_size=says, says_total=says), 100, depth)
    with contextlib.suppress(UnstableListError):
        while not reader.reading.ended:
            assert reader.requests < 200
            reader.step()
            if reader.requests % every == 0:
                rows.insert(0, 1)
    assert len(set(reader.got)) == len(reader.got)


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("size", [20, 21, 39, 50, 60, 100, 128, 200])
@pytest.mark.parametrize("limits", [{"fixed": 20}, {"fixed": 50}, {"fixed": 100}, {"fixed": 1000}, {"least": 50}])
def test_a_size_that_is_neither_honoured_nor_said_is_found_out(
    limits: dict[str, int], size: int, says_total: bool
) -> None:
    """Also where its windows are no larger than those asked for: a short one, or an empty one, is not the end then."""
    for page_size, depth in itertools.product((1, 20, 50, 100, 128, 1000), (0, 8)):
        server = ModelServer(ModelList.of(size), says_size=False, says_total=says_total, **limits)
        reader = read(server, page_size, depth)
        assert reader.got == server.list.ids
        assert reader.requests <= 15 + 1.4 * size / 20


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize(
    "limits", [{"cap": 3}, {"fixed": 3}, {"fixed": 7}, {"fixed": 20}, {"fixed": 50}, {"fixed": 128}]
)
@pytest.mark.parametrize("size", [0, 3, 20, 200])
def test_every_size_that_a_server_may_give_is_read_whole(
    limits: dict[str, int], size: int, says_size: bool, says_total: bool
) -> None:
    for page_size, depth in itertools.product((5, 100), (0, 8)):
        rows = ModelList.of(size)
        server = ModelServer(rows, says_size=says_size, says_total=says_total, **limits)
        reader = Reader(server, page_size, depth)
        reader.finish(400)
        assert reader.got == rows.ids
