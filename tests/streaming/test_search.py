"""The bounds of a search, and what it looks at next, to the row."""

from __future__ import annotations

import pytest

from omium_async._streaming.search import MOST_FORWARD, Search

UNSAID = (0, None, None)


def search(window: int = 100, *, poor: bool = False) -> Search:
    return Search(window, poor=poor)


def test_steps_beyond_what_is_known_double() -> None:
    looking = search()
    looking.saw_known(300)
    assert [looking.target(*UNSAID) for _ in range(4)] == [300, 400, 500, 700]


@pytest.mark.parametrize(("total", "then"), [(1000, 400), (350, 350), (301, 301), (300, 400), (299, 400)])
def test_no_step_goes_beyond_the_total_unless_that_is_not_so(total: int, then: int) -> None:
    looking = search()
    looking.saw_known(300)
    assert [looking.target(0, total, total) for _ in range(2)] == [300, then]


@pytest.mark.parametrize(("window", "then"), [(1, [999, 998, 996, 992]), (100, [950, 900, 800, 600])])
def test_steps_before_what_is_foreign_double(window: int, then: list[int]) -> None:
    looking = search(window)
    looking.saw_foreign(1000)
    for place in then:
        assert looking.target(*UNSAID) == place
    looking.saw_foreign(3)
    assert looking.target(*UNSAID) == 0


def test_between_two_bounds_it_halves() -> None:
    looking = search()
    looking.saw_known(100)
    looking.saw_foreign(900)
    assert looking.target(*UNSAID) == 500
    looking.saw_foreign(150)
    assert looking.target(*UNSAID) == 100  # one window shows both


@pytest.mark.parametrize("poor", [False, True])
def test_bounds_that_meet_are_looked_at(poor: bool) -> None:
    for first, second in (("saw_known", "saw_foreign"), ("saw_foreign", "saw_known")):
        looking = search(poor=poor)
        getattr(looking, first)(50)
        getattr(looking, second)(50)
        assert (looking.known, looking.foreign, looking.target(*UNSAID)) == (50, 50, 50)


def test_a_bound_gives_way_where_it_is_contradicted() -> None:
    looking = search()
    looking.saw_known(50)
    looking.saw_foreign(49)
    assert (looking.known, looking.foreign) == (0, 49)
    looking.saw_known(60)
    assert (looking.known, looking.foreign) == (60, None)
    looking.saw_foreign_start()
    assert (looking.known, looking.foreign) == (0, 0)


@pytest.mark.parametrize(("poor", "then"), [(False, 190), (True, 90)])
def test_the_total_is_believed_first(poor: bool, then: int) -> None:
    looking = search(poor=poor)
    looking.saw_known(50)
    assert looking.target(60, 1000, 1020) == 80
    looking.saw_known(90)
    assert looking.target(60, 1000, 1020) == then


def test_where_rows_went_from_everywhere_the_guess_is_their_share() -> None:
    for point, guess in ((500, 375), (5, 0)):
        looking = search()
        looking.saw_foreign(500)
        assert looking.target(point, 1000, 800) == guess


def test_forward_to_the_end_and_back_by_a_fifth() -> None:
    """Steps that double; then between the farthest and the end; then back, each time a fifth of the way farther."""
    looking = search()
    looking.saw_foreign_start()
    seen: list[int | None] = []
    while (place := looking.target(100, 900, 900)) is not None:
        seen.append(place)
        looking.saw_foreign(place)
    assert seen == [200, 300, 500, 800, 700, 600, 500, 400, 300, 180, 36]


def test_the_end_is_met_by_halving() -> None:
    looking = search()
    looking.saw_foreign_start()
    looking.saw_foreign(400)
    looking.saw_end(1000)
    assert looking.target(*UNSAID) == 700
    looking.saw_foreign(900)
    assert looking.target(*UNSAID) == 900  # near enough: a window before the end
    looking = search()
    looking.saw_foreign_start()
    looking.saw_end(1001)
    assert looking.target(*UNSAID) == 500


def test_a_list_of_one_window_holds_nothing_behind_its_start() -> None:
    looking = search()
    looking.saw_foreign_start()
    assert looking.target(100, 100, 100) is None


def test_a_step_that_meets_the_end_goes_back() -> None:
    looking = search()
    looking.saw_foreign_start()
    assert looking.target(100, 200, 200) == 100


def test_a_list_without_an_end_is_searched_forward_so_far() -> None:
    looking = search()
    looking.saw_foreign_start()
    places = []
    while (place := looking.target(*UNSAID)) is not None:
        places.append(place)
        looking.saw_foreign(place)
    assert places == [100 * 2**step for step in range(MOST_FORWARD)]
    assert MOST_FORWARD == 40


def test_only_the_search_forward_is_counted() -> None:
    looking = search()
    looking.saw_known(100)
    assert None not in [looking.target(*UNSAID) for _ in range(2 * MOST_FORWARD)]
