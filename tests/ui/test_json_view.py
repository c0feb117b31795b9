"""JSON trees: everything can be reached, nothing costs more than is shown of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omium_async.ui.json_view import NotThere, at, found_in, tree

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=30,
)


def nodes(node):
    yield node
    for child in node.children or ():
        yield from nodes(child)


def size(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(size, inside))


@given(values)
def test_every_node_stands_where_it_says(value):
    for node in nodes(tree(value)):
        there = at(value, node.pointer)
        if node.kind == "text":
            assert there == node.text
        if node.size:
            assert len(there) == node.size


@given(values)
def test_a_small_value_is_shown_whole(value):
    if size(value) <= 40:
        assert sum(1 for _ in nodes(tree(value))) == size(value)


def test_a_large_value_costs_what_is_shown_of_it():
    large = {"rows": [{"n": n, "text": "x" * 100} for n in range(50_000)]}
    assert sum(1 for _ in nodes(tree(large))) == 2
    opened = tree(large["rows"], "/rows", 100)
    assert (opened.start, opened.more, len(opened.children)) == (100, 50_000 - 200, 100)
    assert opened.children[0].pointer == "/rows/100"


def test_a_long_text_is_cut_until_all_of_it_is_asked_for():
    assert tree("x" * 10_000).more == 9_400
    assert tree("x" * 10_000, whole_text=True).more == 0


@given(values, st.text(min_size=1, max_size=2))
def test_a_search_finds_what_is_there(value, wanted):
    finds, more = found_in(value, wanted)
    assert not more
    for found in finds:
        at(value, found.pointer)  # it is a place

    def leaves(held):
        inside = held.values() if isinstance(held, dict) else held if isinstance(held, list) else None
        return [held] if inside is None else [leaf for each in inside for leaf in leaves(each)]

    texts = [leaf for leaf in leaves(value) if isinstance(leaf, str) and wanted.casefold() in leaf.casefold()]
    assert len(finds) >= len(texts)


def test_a_search_stops_at_a_hundred_places_and_says_so():
    finds, more = found_in(["a"] * 1000, "A")
    assert (len(finds), more) == (100, True)


def test_values_nested_deeply_are_searched_and_shown():
    deep = "end"
    for _ in range(5_000):
        deep = [deep]
    finds, _ = found_in(deep, "end")
    assert finds[0].pointer == "/0" * 5_000
    assert tree(deep).size == 1


def test_places_that_are_not_there():
    for pointer in ("/a", "/0", "/b/x", "/b/-1", "/b/9"):
        try:
            at({"b": [1]}, pointer)
        except NotThere:
            continue
        raise AssertionError(pointer)
