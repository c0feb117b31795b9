"""JSON as a tree of the nodes that a page shows: a value of any size costs what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

import attrs

_CHILDREN: Final = 100  # values of one container that are shown before "more"
_OPEN: Final = 40  # a container of at most so many values is open from the start
_DEEP: Final = 16  # levels open from the start
_TEXT: Final = 600  # characters of a text that are shown before "all of it"


class NoSuchPlaceError(LookupError):
    """The value has no such place."""


@attrs.frozen
class Node:
    """One value of a tree.

    :ivar pointer: its place (RFC 6901). :ivar name: its key, or its number in a list; ``None`` at the root.
    :ivar kind: ``object``, ``list``, ``text``, ``number``, ``word`` (true, false, null).
    :ivar text: the value as JSON; of a container, its size in words. :ivar size: of a container.
    :ivar more: characters of a text, or values of a container, that are not shown. :ivar start: the first value shown.
    :ivar children: of a container; ``None`` if the page has to request them.
    """

    pointer: str
    name: str | None
    kind: str
    text: str
    size: int = 0
    more: int = 0
    start: int = 0
    children: tuple[Node, ...] | None = None


def at(value: Any, pointer: str) -> Any:
    """Return the value at a place.

    :raises NoSuchPlaceError: the value has no such place.
    """
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            held: Any = value
            value = held[_number(name) if isinstance(value, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise NoSuchPlaceError(pointer) from None
    return value


def _number(name: str) -> int:
    if not (name.isascii() and name.isdecimal()):
        raise ValueError(name)
    return int(name)


def tree(value: Any, pointer: str = "", start: int = 0, *, is_whole: bool = False) -> Node:
    """Return the tree of a value: the children of small containers too, of large ones only their size."""
    name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~") if pointer else None
    return _node(value, pointer, name, start, _DisplayLimit(), is_whole=is_whole, is_open=True)


@attrs.define
class _DisplayLimit:
    """How many more values and levels the first response may contain."""

    values: int = 2 * _CHILDREN
    levels: int = _DEEP


def _node(
    value: Any, pointer: str, name: str | None, start: int, budget: _DisplayLimit, *, is_whole: bool, is_open: bool
) -> Node:
    budget.values -= 1
    if isinstance(value, dict | list):
        held = cast("dict[str, Any] | list[Any]", value)
        return _container(held, pointer, name, start, budget, is_open=is_open)
    if isinstance(value, str):
        shown = value if is_whole else value[:_TEXT]
        return Node(pointer, name, "text", shown, more=len(value) - len(shown))
    return Node(pointer, name, "word" if isinstance(value, bool | None) else "number", _plain(value))


def _container(
    held: dict[str, Any] | list[Any],
    pointer: str,
    name: str | None,
    start: int,
    budget: _DisplayLimit,
    *,
    is_open: bool,
) -> Node:
    kind, unit, empty = ("object", "key", "{}") if isinstance(held, dict) else ("list", "item", "[]")
    size = len(held)
    if not size:
        return Node(pointer, name, kind, empty, children=())
    text = f"{size:,} {unit}{'' if size == 1 else 's'}"
    if not is_open and (budget.levels <= 0 or size > min(_OPEN, budget.values)):
        return Node(pointer, name, kind, text, size)
    budget.levels -= 1
    children = tuple(
        _node(child, f"{pointer}/{_escaped(key)}", key, 0, budget, is_whole=False, is_open=False)
        for key, child in islice(_items(held), start, start + _CHILDREN)
    )
    budget.levels += 1
    return Node(pointer, name, kind, text, size, max(0, size - start - len(children)), start, children)


def _items(held: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(held, dict):
        return iter(held.items())
    return ((str(number), child) for number, child in enumerate(held))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _plain(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # an integer with more digits than Python converts to text
        return "a number of more than 4,300 digits"
