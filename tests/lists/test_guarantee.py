"""The guarantee of lists under any change of the list and any order of responses."""

from __future__ import annotations

import contextlib
import random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from omium_async import UnstableListError

from .model import ModelList, ModelServer, Reader

WHERE = st.floats(0, 1)
BURSTS = st.one_of(st.integers(1, 3), st.integers(1, 30), st.integers(20, 400))


class ChangingList(RuleBasedStateMachine):
    """Everything that may happen between two steps of a reader, in any order."""

    reader: Reader

    @initialize(
        size=st.one_of(st.integers(0, 60), st.integers(0, 600)),
        page_size=st.sampled_from([1, 20, 23, 40, 100]),
        depth=st.sampled_from([0, 1, 2, 8]),
        cap=st.sampled_from([1000, 1000, 20, 37]),
        least=st.sampled_from([1, 1, 20]),
        says_total=st.booleans(),
        total=st.sampled_from([None, None, None, 0, 7, 10**12]),
        says_size=st.sampled_from([True, True, False]),
    )
    def begin(
        self,
        size: int,
        page_size: int,
        depth: int,
        cap: int,
        least: int,
        says_total: bool,
        total: int | None,
        says_size: bool,
    ) -> None:
        self.list = ModelList.of(size)
        least = least if least < cap else 1  # one size alone gives no windows that overlap
        server = ModelServer(self.list, cap, None, least, says_size, says_total=says_total, total=total)
        self.reader = Reader(server, page_size, depth)
        self.smallest = min(max(20, page_size), cap)
        self.changes = 0

    def at(self, where: float) -> int:
        return round(where * len(self.list))

    @rule(where=WHERE, count=BURSTS)
    def insert(self, where: float, count: int) -> None:
        self.list.insert(self.at(where), count)
        self.changes += 1

    @rule(count=BURSTS)
    def insert_at_the_head(self, count: int) -> None:
        self.insert(0.0, count)

    @rule(where=WHERE, count=BURSTS)
    def remove(self, where: float, count: int) -> None:
        self.list.remove(self.at(where), count)
        self.changes += 1

    @rule(count=BURSTS)
    def remove_at_the_head(self, count: int) -> None:
        self.remove(0.0, count)

    @rule(there=WHERE, here=WHERE, count=BURSTS)
    def insert_and_remove(self, there: float, here: float, count: int) -> None:
        """As many as are removed, so that the total shows nothing."""
        count = min(count, len(self.list) - self.at(there))
        self.list.remove(self.at(there), count)
        self.list.insert(self.at(here), count)
        self.changes += 1

    @rule(count=BURSTS)
    def bring_back(self, count: int) -> None:
        self.list.bring_back(count)
        self.changes += 1

    @rule()
    def remove_everything(self) -> None:
        self.list.remove(0, len(self.list))
        self.changes += 1

    @precondition(lambda self: not self.reader.reading.ended)
    @rule(which=WHERE)
    def server_counts(self, which: float) -> None:
        self.reader.count(round(which * (len(self.reader.flying) - 1)))

    @precondition(lambda self: not self.reader.reading.ended)
    @rule(which=WHERE)
    def server_answers(self, which: float) -> None:
        self.reader.answer(round(which * (len(self.reader.flying) - 1)))

    @precondition(lambda self: not self.reader.reading.ended)
    @rule(count=st.integers(1, 4))
    def consumer_takes(self, count: int) -> None:
        for _ in range(count):
            if not self.reader.reading.ended:
                self.reader.step()

    @invariant()
    def nothing_twice(self) -> None:
        if hasattr(self, "reader"):
            assert len(set(self.reader.got)) == len(self.reader.got)

    def teardown(self) -> None:
        if hasattr(self, "reader"):
            self.reader.finish()
            self.reader.check()
            # Twice what plain pages cost, and for each change what a search and windows in vain cost at the most.
            assert self.reader.requests <= 30 + 2 * self.list.ever / self.smallest + 40 * self.changes


def test_no_row_is_missed_or_yielded_twice_in_any_schedule() -> None:
    run_state_machine_as_test(
        ChangingList,
        settings=settings(suppress_health_check=list(HealthCheck)),
    )


def play(seed: int) -> Reader:
    """One long schedule: many requests and changes, which hypothesis would be too slow to find its way through."""
    rnd = random.Random(seed)
    page_size = rnd.choice([1, 5, 20, 25, 40, 100])
    size = max(20, page_size)
    rows = ModelList.of(rnd.choice([0, 1, rnd.randint(0, 50), rnd.randint(0, 500), rnd.randint(0, 2000)]))
    cap, says_total = rnd.choice([1000, 1000, 20, 30, 50]), rnd.random() < 0.75
    least = rnd.choice([1, 1, 20]) if cap > 20 else 1
    server = ModelServer(rows, cap=cap, least=least, says_total=says_total, says_size=rnd.random() < 0.75)
    reader = Reader(server, page_size, rnd.choice([0, 1, 2, 4, 8]))
    rate, left = rnd.choice([0.02, 0.1, 0.3, 0.7]), rnd.choice([20, 100, 400])
    while not reader.reading.ended:
        assert reader.requests < 20_000, "it does not end"
        if left and rnd.random() < rate:
            change(rnd, rows, size)
            left -= 1
        chance, index = rnd.random(), rnd.randrange(len(reader.flying))
        if chance < 0.2:
            reader.count(index)
        elif chance < 0.5:
            reader.answer(index)
        else:
            reader.step()
    return reader


def change(rnd: random.Random, rows: ModelList, size: int) -> None:
    def burst() -> int:
        chance = rnd.random()
        most = 3 if chance < 0.5 else size if chance < 0.75 else 3 * size if chance < 0.95 else 20 * size
        return rnd.randint(1, most)

    where = rnd.choice([0, rnd.randint(0, len(rows))])
    chance = rnd.random()
    if chance < 0.40:
        rows.insert(where, burst())
    elif chance < 0.75:
        rows.remove(where, burst())
    elif chance < 0.85:
        rows.bring_back(burst())
    elif chance < 0.98:
        count = min(burst(), len(rows))
        rows.remove(rnd.randint(0, len(rows)), count)
        rows.insert(rnd.randint(0, len(rows)), count)
    else:
        rows.remove(0, len(rows))


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 2000), marks=pytest.mark.slow)])
def test_no_row_is_missed_or_yielded_twice_in_long_schedules(seeds: range) -> None:
    for seed in seeds:
        reader = play(seed)
        try:
            reader.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from None


def test_a_full_last_window_that_the_total_takes_for_the_end_is_not_the_end() -> None:
    """A row inserted between the count and the query."""
    rows = ModelList.of(100)
    reader = Reader(ModelServer(rows), 100, depth=0)
    reader.count(0)
    rows.insert(0, 1)
    reader.step()
    assert reader.reading.total == 100 == len(reader.got)
    reader.finish()
    reader.check()


def test_rows_yielded_long_ago_are_not_yielded_again() -> None:
    """A burst much larger than a page pushes them before the reading point."""
    rows = ModelList.of(3000)
    reader = Reader(ModelServer(rows), 100, depth=0)
    while len(reader.got) < 2500:
        reader.step()
    rows.insert(0, 2300)
    reader.finish()
    reader.check()


def test_windows_requested_ahead_are_used_once_the_gap_before_them_is_read() -> None:
    rows = ModelList.of(1000)
    reader = Reader(ModelServer(rows), 100, depth=8)
    reader.step()
    reader.answer(0)
    rows.remove(0, 40)
    for index in range(1, 8):
        reader.answer(index)
    reader.finish()
    reader.check()
    assert reader.requests <= 17  # 12 without the change


def test_only_yielded_rows_make_a_window_known() -> None:
    """Rows inserted before the reading point may hide that other rows were skipped."""
    rows = ModelList.of(300)
    reader = Reader(ModelServer(rows), 100, depth=0)
    reader.step()
    rows.remove(50, 60)
    rows.insert(45, 10)
    reader.finish()
    reader.check()


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("burst", [99, 1000, 20_000])
@pytest.mark.parametrize("depth", [0, 8])
def test_a_burst_of_any_size_is_passed_by_jumping(burst: int, depth: int, says_total: bool) -> None:
    rows = ModelList.of(1500)
    reader = Reader(ModelServer(rows, says_total=says_total), 100, depth)
    while len(reader.got) < 700:
        reader.step()
    before = reader.requests
    rows.insert(0, burst)
    reader.finish()
    reader.check()
    # Without a total, rows inserted before all known ones look like unread ones: they are yielded.
    yielded = 0 if says_total or burst < 700 else burst / 85
    assert reader.requests - before <= 10 + depth + 35 + yielded


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("depth", [0, 8])
def test_a_burst_that_the_total_does_not_show_is_passed_by_doubling(depth: int, says_total: bool) -> None:
    rows = ModelList.of(9000)
    reader = Reader(ModelServer(rows, says_total=says_total), 100, depth)
    while len(reader.got) < 5000:
        reader.step()
    before = reader.requests
    rows.remove(6000, 3000)
    rows.insert(0, 3000)
    reader.finish()
    reader.check()
    assert reader.requests - before <= 10 + depth + 20


@pytest.mark.parametrize("says_total", [True, False])
@pytest.mark.parametrize("left", [0, 1, 600])
def test_the_reading_point_is_found_in_a_list_that_shrinks(left: int, says_total: bool) -> None:
    rows = ModelList.of(5000)
    reader = Reader(ModelServer(rows, says_total=says_total), 100, depth=8)
    while len(reader.got) < 2500:
        reader.step()
    before = reader.requests
    rows.remove(0, len(rows) - left)
    reader.finish()
    reader.check()
    assert reader.requests - before <= 50


@pytest.mark.parametrize("depth", [0, 8])
def test_a_list_that_changes_at_every_request_is_read_to_its_end(depth: int) -> None:
    """Runs finish under ``status=running``, others begin: fifty pages, each one shifted."""
    rnd = random.Random(3)
    rows = ModelList.of(5000)
    reader = Reader(ModelServer(rows), 100, depth)
    while not reader.reading.ended:
        rows.insert(0, rnd.randint(0, 3))
        rows.remove(rnd.randint(0, len(rows)), rnd.randint(0, 5))
        rows.remove(rnd.randint(0, 200), 2)
        reader.step()
    reader.check()
    assert reader.requests < 125


@pytest.mark.parametrize("depth", [0, 8])
@pytest.mark.parametrize(("size", "page_size", "burst"), [(1000, 100, 100), (1000, 100, 300), (50, 20, 300)])
def test_a_list_that_grows_faster_than_it_is_read_is_read_to_its_end(
    size: int, page_size: int, burst: int, depth: int
) -> None:
    rows = ModelList.of(size)
    reader = Reader(ModelServer(rows), page_size, depth)
    while not reader.reading.ended:
        reader.step()
        rows.insert(0, burst)
        assert reader.requests < 150
    reader.check()


@pytest.mark.parametrize(
    ("size", "page_size", "burst", "every"),
    [(200, 100, 300, 1), (200, 20, 500, 10), (50, 20, 100, 1)],
)
def test_a_list_that_grows_without_a_total_ends(size: int, page_size: int, burst: int, every: int) -> None:
    """At its end, or with an error."""
    rows = ModelList.of(size)
    reader = Reader(ModelServer(rows, says_total=False), page_size, depth=0)
    with contextlib.suppress(UnstableListError):
        while not reader.reading.ended:
            if reader.requests % every == 0:
                rows.insert(0, burst)
            reader.step()
            assert reader.requests < 700
        reader.check()
    assert len(reader.got) == len(set(reader.got))


@pytest.mark.parametrize("says_total", [True, False])
def test_a_list_whose_rows_are_all_replaced_is_read_from_its_start(says_total: bool) -> None:
    rows = ModelList.of(1000)
    reader = Reader(ModelServer(rows, says_total=says_total), 100, depth=0)
    for _ in range(3):
        for _ in range(5):
            reader.step()
        rows.remove(0, len(rows))
        rows.insert(0, 1000)
    reader.finish()
    reader.check()
    assert set(rows.ids) <= set(reader.got)
    assert reader.requests <= 100


def test_a_list_that_changes_faster_than_it_can_be_read_raises() -> None:
    """Each request finds other rows, except on the first page."""

    class Racing(ModelServer):
        def show(self, window, counted=None):
            if window.page > 1:
                self.list.remove(100, len(self.list))
                self.list.insert(len(self.list), 1000)
                del self.list.rows[100 : 100 + self.answered]
                return ModelServer(ModelList(self.list.rows[100:])).show(window, 10_000)
            return super().show(window, 10_000)

    reader = Reader(Racing(ModelList.of(1000)), 100, depth=0)
    with pytest.raises(UnstableListError, match="64 requests in a row"):
        reader.finish()
    assert len(reader.got) == len(set(reader.got)) == 100
    assert reader.requests == 1 + 64
