"""The set of rows yielded so far is exact."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omium_async import Execution
from omium_async._lists import seen
from omium_async._lists.seen import Seen


def rows(ids: list[str]) -> list[Execution]:
    return [Execution(id=id) for id in ids]


@given(
    batches=st.lists(st.lists(st.one_of(st.text(max_size=3), st.integers(0, 3000).map(str)), max_size=40), max_size=40),
    expected=st.sampled_from([None, 0, 100, 10_000, 10**12]),
)
def test_it_holds_what_was_added(batches: list[list[str]], expected: int | None) -> None:
    memory, truth = Seen(), set[str]()
    for batch in batches:
        for id in batch:
            assert memory.holds(Execution(id=id)) == (id in truth)
        new = [id for id in dict.fromkeys(batch) if id not in truth]
        assert [row.id for row in memory.add(rows(batch), expected)] == new
        truth.update(new)
        assert len(memory) == len(truth)


@pytest.mark.parametrize("expected", [None, 5_000, 10**12])
def test_it_stays_exact_while_its_table_grows(expected: int | None) -> None:
    rnd = random.Random(1)
    memory, truth = Seen(), list[str]()
    while len(truth) < 6_000:
        fresh = [f"{rnd.getrandbits(64):x}" for _ in range(rnd.choice([1, 20, 100, 1000]))]
        old = rnd.sample(truth, min(len(truth), 20))
        mixed = fresh + old
        rnd.shuffle(mixed)
        assert all(memory.holds(row) for row in rows(old))
        assert {row.id for row in memory.add(rows(mixed), expected)} == set(fresh)
        truth += fresh
    assert all(memory.holds(row) for row in rows(truth))
    assert not any(memory.holds(Execution(id=f"other-{number}")) for number in range(1000))


def test_every_text_can_be_an_id() -> None:
    """The empty one hashes to 0, which marks a free slot; a lone surrogate has no UTF-8."""
    for make in (seen._digest, seen._long_digest):
        memory = Seen()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(seen, "_digest", make)
            odd = rows(["", "\ud800", "\x00", "\xe9", "e\u0301", "a" * 10_000])
            assert memory.add([*odd, *odd]) == odd
            assert all(memory.holds(row) for row in odd)
            assert memory.add(odd) == []
