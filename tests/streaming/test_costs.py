"""Where reading looks after the list has moved, and how many requests that costs: exactly, for both are its price.

What else holds of a list, other tests say, for any schedule. A change that makes reading dearer or cheaper shows here:
look at the walk, and whether it is what `search.py` and `windows.py` say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from omium_async._streaming.windows import Sizes, Window

from .model import ModelList, ModelServer, Reader

Change = Callable[[ModelList], object]


def walk(
    size: int, read: int, change: Change, page_size: int, again: int, server: dict[str, Any]
) -> tuple[int, list[int]]:
    """How many windows are asked for from the change on, which comes after ``read`` rows and then ``again`` times.

    And the offsets of the first ones.
    """
    rows = ModelList.of(size)
    reader = Reader(ModelServer(rows, **server), page_size, depth=0)
    while len(reader.got) < read:
        reader.step()
    before = reader.requests - 1  # one is asked for already
    for turn in range(1000):
        if turn <= again:
            change(rows)
        if reader.reading.ended:
            break
        reader.step()
    asked = [window.start for window in reader.asked[before:]]
    return len(asked), asked[:16]


def inserted(count: int, place: int = 0) -> Change:
    return lambda rows: rows.insert(place, count)


def removed(count: int, place: int = 0) -> Change:
    return lambda rows: rows.remove(place, count)


def swapped(rows: ModelList) -> None:
    """Thirty pages come before all, and as many go behind: no total shows it."""
    rows.remove(60_000, 30_000)
    rows.insert(0, 30_000)


def thinned(rows: ModelList) -> None:
    """Every second row goes."""
    for place in range(len(rows) // 2):
        rows.remove(place, 1)


UNSAID: dict[str, Any] = {"says_total": False}
CASES: dict[str, tuple[int, int, Change, int, int, dict[str, Any]]] = {
    "nothing": (500, 100, inserted(0), 100, 0, {}),
    "a few before": (1200, 700, inserted(30), 100, 0, {}),
    "a page before": (1200, 700, inserted(99), 100, 0, {}),
    "pages before": (1200, 700, inserted(3000), 100, 0, {}),
    "pages before, unsaid": (1200, 700, inserted(3000), 100, 0, UNSAID),
    "pages behind": (900, 700, inserted(250, 850), 100, 0, {}),
    "a page gone": (1200, 700, removed(150), 100, 0, {}),
    "a page gone, unsaid": (1200, 700, removed(150), 100, 0, UNSAID),
    "most gone": (1200, 700, removed(650), 100, 0, {}),
    "most gone, unsaid": (1200, 700, removed(650), 100, 0, UNSAID),
    "all gone": (1200, 700, removed(1200), 100, 0, {}),
    "all gone, unsaid": (1200, 700, removed(1200), 100, 0, UNSAID),
    "every second gone": (2000, 1300, thinned, 100, 0, {}),
    "every second gone, unsaid": (2000, 1300, thinned, 100, 0, UNSAID),
    "swapped": (90_000, 59_000, swapped, 1000, 0, {}),
    "the first page moves": (300, 100, inserted(1000), 100, 0, {}),
    "the first page moves, unsaid": (300, 100, inserted(1000), 100, 0, UNSAID),
    "the first page moves far, unsaid": (300, 100, inserted(20_000), 100, 0, UNSAID),
    "a page a request": (600, 200, inserted(100), 100, 20, {}),
    "pages a request": (400, 200, inserted(300), 100, 20, {}),
    "pages a request, small": (50, 20, inserted(300), 20, 10, {}),
    "pages a request, unsaid": (400, 200, inserted(300), 100, 4, UNSAID),
    "a few gone a request": (900, 200, removed(20), 100, 20, {}),
    "gone and come": (900, 300, lambda rows: (rows.remove(0, 60), rows.insert(0, 130)), 100, 5, {}),
    "a cap of 3": (14, 6, inserted(4), 100, 0, {"cap": 3}),
    "a cap of 3, unsaid": (14, 6, inserted(4), 100, 0, {"cap": 3, "says_total": False}),
    "a cap of 3, all unsaid": (14, 6, inserted(4), 100, 0, {"cap": 3, "says_total": False, "says_size": False}),
    "a cap of 3, gone": (30, 21, removed(12), 100, 0, {"cap": 3}),
    "a cap of 19": (120, 57, inserted(40), 100, 0, {"cap": 19}),
    "a cap of 20": (120, 57, inserted(40), 100, 0, {"cap": 20}),
    "a size of 10": (60, 30, inserted(25), 100, 0, {"fixed": 10}),
    "a size of 10, gone": (60, 30, removed(25), 100, 0, {"fixed": 10}),
    "a size of 10, gone and unsaid": (60, 30, removed(25), 100, 0, {"fixed": 10, "says_total": False}),
    "a silent size of 55, gone": (187, 35, removed(39), 1000, 2, {"fixed": 55, "says_size": False}),
    "a smallest size of 50": (400, 100, inserted(120), 20, 0, {"least": 50}),
    "a hole": (400, 100, inserted(0), 100, 0, {"hole": range(150, 320)}),
    "the first page for every page": (400, 100, inserted(0), 100, 0, {"ignores_page": True}),
    "ten rows for every page": (60, 10, inserted(0), 100, 0, {"ignores_page": True, "fixed": 10}),
    "a page a request, long": (4000, 200, inserted(99), 100, 60, {}),
    "a page a request, a cap of 20": (400, 60, inserted(20), 100, 60, {"cap": 20}),
    "a page a request, a cap of 23": (400, 60, inserted(25), 100, 60, {"cap": 23}),
    "a silent cap": (400, 90, inserted(0), 100, 0, {"cap": 40, "says_size": False, "says_total": False}),
    "a silent cap, rows come": (400, 40, inserted(60), 100, 12, {"cap": 40, "says_size": False, "says_total": False}),
    "a silent cap, rows go": (400, 40, removed(20), 100, 12, {"cap": 40, "says_size": False, "says_total": False}),
    "a silent cap, all goes": (400, 90, removed(400), 100, 0, {"cap": 40, "says_size": False, "says_total": False}),
    "a short answer": (400, 100, inserted(0), 100, 0, {"slips": (3,), "slip": lambda rows: rows[:50]}),
    "short answers, unsaid": (
        400,
        100,
        inserted(30),
        100,
        3,
        {"slips": (3, 4, 6), "slip": lambda rows: rows[:50], "says_size": False, "says_total": False},
    ),
    "empty answers": (400, 100, inserted(0), 100, 0, {"slips": (3, 5)}),
    "empty answers while it grows": (400, 100, inserted(70), 100, 8, {"slips": (3, 5, 6, 9)}),
    "empty answers while it shrinks": (900, 300, removed(40), 100, 12, {"slips": (5, 6, 9)}),
    "an empty page": (400, 100, inserted(0), 100, 0, {"blank_pages": (3,)}),
}


#: Windows, and the offsets of the first of them.
WALKS: dict[str, tuple[int, list[int]]] = {
    "nothing": (5, [99, 196, 291, 384, 475]),
    "a few before": (6, [736, 819, 900, 990, 1078, 1164]),
    "a page before": (7, [736, 837, 920, 1000, 1089, 1176, 1261]),
    "pages before": (7, [736, 3741, 3822, 3916, 4000, 4095, 4180]),
    "pages before, unsaid": (
        30,
        [736, 679, 576, 372, 0, 837, 940, 1140, 1536, 2340, 3936, 7128, 7020, 6816, 6510, 6100],
    ),
    "pages behind": (5, [736, 819, 900, 990, 1078]),
    "a page gone": (7, [736, 623, 588, 700, 819, 900, 990]),
    "a page gone, unsaid": (8, [736, 679, 576, 665, 768, 855, 940, 1032]),
    "most gone": (8, [736, 300, 93, 184, 273, 360, 445, 528]),
    "most gone, unsaid": (10, [736, 679, 576, 372, 0, 99, 196, 291, 384, 475]),
    "all gone": (2, [736, 0]),
    "all gone, unsaid": (5, [736, 679, 576, 372, 0]),
    "every second gone": (6, [1344, 644, 728, 800, 891, 980]),
    "every second gone, unsaid": (10, [1344, 1287, 1176, 970, 564, 800, 728, 686, 651, 891]),
    "swapped": (12, [58980, 59940, 61938, 64935, 69930, 78921, 89999, 84915, 87932, 89453, 89180, 88911]),
    "the first page moves": (4, [99, 1089, 1176, 1261]),
    "the first page moves, unsaid": (12, [99, 0, 198, 297, 495, 891, 1692, 1584, 1380, 1078, 1164, 1248]),
    "the first page moves far, unsaid": (
        271,
        [99, 0, 198, 297, 495, 891, 1692, 3298, 6497, 12878, 25696, 25578, 25365, 25056, 24651, 24130],
    ),
    "a page a request": (
        19,
        [291, 392, 588, 679, 784, 980, 1067, 1176, 1372, 1455, 1568, 1692, 1782, 1881, 1995, 2079],
    ),
    "pages a request": (9, [291, 588, 784, 728, 1782, 1880, 2178, 2376, 3038]),
    "pages a request, small": (9, [19, 315, 918, 931, 1232, 1830, 1840, 2140, 2740]),
    "pages a request, unsaid": (12, [291, 384, 332, 231, 0, 392, 490, 693, 1089, 1881, 1782, 1880]),
    "a few gone a request": (14, [291, 258, 252, 200, 384, 300, 282, 228, 475, 396, 372, 300, 558, 465]),
    "gone and come": (11, [384, 475, 564, 651, 736, 819, 900, 990, 1078, 1164, 1260]),
    "a cap of 3": (6, [6, 9, 12, 14, 15, 18]),
    "a cap of 3, unsaid": (8, [6, 8, 12, 9, 12, 14, 15, 18]),
    "a cap of 3, all unsaid": (15, [6, 8, 12, 0, 0, 2, 3, 6, 12, 8, 9, 12, 14, 15, 18]),
    "a cap of 3, gone": (8, [20, 12, 8, 9, 12, 14, 15, 18]),
    "a cap of 19": (6, [57, 102, 114, 126, 143, 152]),
    "a cap of 20": (5, [60, 100, 119, 133, 150]),
    "a size of 10": (5, [30, 50, 60, 70, 80]),
    "a size of 10, gone": (1, [30]),
    "a size of 10, gone and unsaid": (1, [30]),
    "a silent size of 55, gone": (4, [0, 54, 0, 55]),  # larger ones are not tried again
    "a smallest size of 50": (5, [99, 200, 297, 392, 485]),
    "a hole": (6, [99, 99, 196, 291, 291, 384]),
    "the first page for every page": (6, [99, 0, 196, 0, 392, 0]),
    "ten rows for every page": (1, [9]),
    "a page a request, long": (
        82,
        [291, 392, 588, 679, 784, 980, 1067, 1176, 1372, 1455, 1568, 1764, 1860, 1960, 2156, 2250],
    ),
    "a page a request, a cap of 20": (
        63,
        [60, 85, 120, 136, 152, 190, 208, 228, 266, 280, 304, 342, 360, 380, 418, 432],
    ),
    "a page a request, a cap of 23": (
        67,
        [60, 84, 126, 144, 171, 210, 230, 253, 294, 308, 336, 378, 396, 420, 462, 483],
    ),
    "a silent cap": (9, [111, 144, 175, 200, 234, 272, 304, 340, 370]),
    "a silent cap, rows come": (24, [39, 76, 152, 266, 296, 330, 400, 518, 546, 576, 646, 760, 798, 828, 858, 896]),
    "a silent cap, rows go": (18, [39, 0, 78, 117, 195, 351, 304, 222, 117, 78, 38, 0, 152, 120, 78, 0]),
    "a silent cap, all goes": (2, [111, 0]),
    "a short answer": (5, [99, 196, 196, 291, 384]),
    "short answers, unsaid": (2, [99, 196]),
    "empty answers": (6, [99, 196, 196, 291, 291, 384]),
    "empty answers while it grows": (12, [99, 196, 196, 336, 475, 291, 564, 651, 651, 792, 882, 979]),
    "empty answers while it shrinks": (17, [384, 384, 385, 300, 200, 148, 0, 98, 0, 460, 267, 138, 84, 0, 164, 350]),
    "an empty page": (6, [99, 196, 196, 195, 258, 340]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_walk(case: str) -> None:
    assert walk(*CASES[case]) == WALKS[case]


@pytest.mark.parametrize("smallest", [1, 3])
@pytest.mark.parametrize("largest", [3, 4, 5, 7, 12])
def test_the_window_over_a_point_is_the_one_that_reaches_farthest(smallest: int, largest: int) -> None:
    sizes = Sizes(100)
    sizes.smallest, sizes.largest = smallest, largest
    for point, overlap in itertools.product(range(1, 200), range(1, 5)):
        window = sizes.over(point, overlap, 1000)
        for depth in (min(overlap, point), 1):  # if none shows as many known rows, one will do
            page_ends = [size * ((point - depth) // size + 1) for size in range(smallest, largest + 1)]
            if max(page_ends) > point:
                assert (window.start <= point - depth, window.end) == (True, max(page_ends))
                assert not window.joined
                break
        else:
            assert window.joined
            assert window.start <= point < window.end


def test_the_test_of_sizes_asks_for_less_than_was_given_but_not_for_less_than_is_honoured() -> None:
    sizes = Sizes(100)
    sizes.smallest = sizes.delivered = 30
    assert sizes.test() is None
    sizes.delivered = 31
    assert [sizes.test(), sizes.test()] == [Window(1, 30), None]
