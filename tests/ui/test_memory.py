"""Memories of bounded size: the latest are kept."""

from __future__ import annotations

from omium_async.ui.memory import remember


def test_what_was_told_longest_ago_is_forgotten_first():
    memory = {}
    for key in ("a", "b", "a", "c"):
        remember(memory, key, key.upper(), 2)
    assert memory == {"a": "A", "c": "C"}
    assert list(memory) == ["a", "c"]
    remember(memory, "b", "B", 3)
    assert list(memory) == ["a", "c", "b"]
