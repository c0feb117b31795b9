"""Every parameter of the public API is described, and every file that a page names exists."""

from __future__ import annotations

import inspect
import re
from typing import Any

from .api import exported, is_made_by_users, members, of_ours
from .conftest import ROOT


def described(docstring: str) -> set[str]:
    return set(re.findall(r":(?:param|ivar) \*{0,2}(\w+):", docstring))


def callables() -> list[tuple[str, Any, str]]:
    """Return each public callable: its dotted name, the object, and the docstrings that describe its parameters."""
    found: list[tuple[str, Any, str]] = []
    for dotted, _, thing in exported():
        if inspect.isclass(thing):
            if is_made_by_users(thing):
                words = [base.__doc__ or "" for base in thing.__mro__ if of_ours(base)]
                found.append((dotted, thing, "\n".join(words)))
            for name, member in members(thing).items():
                function = getattr(member, "__func__", member)
                if inspect.isfunction(function):
                    found.append((f"{dotted}.{name}", function, function.__doc__ or ""))
        elif inspect.isfunction(thing):
            found.append((dotted, thing, thing.__doc__ or ""))
    return found


def test_every_parameter_is_described():
    missing = {}
    for dotted, thing, words in callables():
        parameters = set(inspect.signature(thing).parameters) - {"self", "cls"}
        if lacking := parameters - described(words) or not words.strip():
            missing[dotted] = lacking
    assert missing == {}


def test_every_file_that_a_page_names_exists():
    missing = []
    for page in (ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        named = re.findall(r"`((?:tests|benchmarks|docs|examples)/[\w./-]+)`", text)
        if page.parent == ROOT:
            named += re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)
        missing += [(page.name, name) for name in named if not (ROOT / name).exists()]
    assert missing == []
