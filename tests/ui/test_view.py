"""Filters in addresses: read, refused, written back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from omium_async.ui.view import BadView, View

texts = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)
pairs = st.builds(lambda key, value: f"{key}={value}".strip(), st.from_regex(r"[a-z/<&]{1,9}", fullmatch=True), texts)
views = st.builds(
    View,
    workflow_id=st.just("") | texts,
    statuses=st.lists(texts, unique=True, max_size=3).map(tuple),
    since=st.sampled_from(["", "2h", "30 m", "2026-01-01", "2026-01-01T10:00:00+02:00"]),
    before=st.sampled_from(["", "7d", "2026-01-01T00:00Z"]),
    metadata=st.lists(pairs, unique=True, max_size=3).map(tuple),
    page=st.integers(1, 10_000),
    reach=st.integers(1, 99),
)


@given(views)
def test_an_address_says_the_view_whole(view):
    query = MultiDict(parse_qsl(view.query().lstrip("?"), keep_blank_values=True))
    assert View.of(query) == view


def test_filters_become_what_lists_take():
    view = View.of(
        MultiDict(
            [("status", "failed"), ("since", "2026-01-01T10:00"), ("metadata", "user=a=b"), ("metadata", "n:=12")]
        )
    )
    assert view.arguments() == {
        "status": ["failed"],
        "since": datetime(2026, 1, 1, 10, tzinfo=UTC),
        "metadata": {"user": "a=b", "n": 12},
    }
    assert View.of(MultiDict([("status", "failed"), ("status", "error")])).arguments() == {
        "status": ["failed", "error"]
    }


def test_an_age_is_counted_from_now():
    since = View(since="2h").arguments()["since"]
    assert abs(since - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("since", "yesterday"),
        ("before", "2 hours"),
        ("since", "999999w"),
        ("metadata", "user"),
        ("metadata", "=x"),
        ("metadata", "n:={"),
        ("metadata", "n:=NaN"),
        ("page", "99999999"),
    ],
)
def test_what_makes_no_sense_is_named(name, text):
    with pytest.raises(BadView) as refused:
        View.of(MultiDict([(name, text)]))
    assert list(refused.value.problems) == [name]


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1e3", "٣"])
def test_a_page_that_is_no_number_is_the_first(text):
    assert View.of(MultiDict([("page", text)])).page == 1
