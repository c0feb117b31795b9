"""JSON as a tree that is made as far as it is looked at: a value of any size costs what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

import attrs

__all__ = ["Found", "Node", "NotThere", "at", "found_in", "tree"]

_CHILDREN: Final = 100  # of one object or list, before "more"
_OPEN: Final = 40  # a container of no more values than this is open from the start
_DEEP: Final = 16  # levels that are open from the start
_TEXT: Final = 600  # characters of a text, before "all of it"
_FINDS: Final = 100


class NotThere(LookupError):  # noqa: N818 - it says what is the case
    """The value has no such place."""


@attrs.frozen
class Node:
    """One value of a tree.

    :ivar pointer: where it is, as RFC 6901 has it. :ivar name: its own, or its number in a list; ``None`` at the root.
    :ivar kind: ``object``, ``list``, ``text``, ``number``, ``word`` (true, false, null).
    :ivar text: the value as JSON writes it; of a container, how much is in it.
    :ivar more: characters of a text, or values of a container, that are not shown. :ivar start: the first value shown.
    :ivar children: of a container; ``None`` while they are to be asked for. :ivar size: of a container.
    """

    pointer: str
    name: str | None
    kind: str
    text: str
    size: int = 0
    more: int = 0
    start: int = 0
    children: tuple[Node, ...] | None = None


@attrs.frozen
class Found:
    """A place where a search found its text."""

    pointer: str
    text: str


def at(value: Any, pointer: str) -> Any:
    """The value at a place.

    :raises NotThere: there is none.
    """
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            held: Any = value
            value = held[_number(name) if isinstance(value, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise NotThere(pointer) from None
    return value


def _number(name: str) -> int:
    if not (name.isascii() and name.isdecimal()):
        raise ValueError(name)
    return int(name)


def tree(value: Any, pointer: str = "", start: int = 0, *, whole_text: bool = False) -> Node:
    """The tree of a value as far as it is open from the start: small containers are, what is in large ones is not."""
    name = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~") if pointer else None
    return _node(value, pointer, name, start, _Budget(), whole_text=whole_text, open_=True)


@attrs.define
class _Budget:
    """Values that may still be open from the start, and levels below."""

    values: int = 2 * _CHILDREN
    levels: int = _DEEP


def _node(
    value: Any, pointer: str, name: str | None, start: int, budget: _Budget, *, whole_text: bool, open_: bool
) -> Node:
    budget.values -= 1
    if isinstance(value, dict | list):
        held = cast("dict[str, Any] | list[Any]", value)
        kind, unit = ("object", "key") if isinstance(held, dict) else ("list", "item")
        text = f"{len(held):,} {unit}{'' if len(held) == 1 else 's'}" if held else ("{}" if kind == "object" else "[]")
        if not held or not (open_ or (budget.levels > 0 and len(held) <= min(_OPEN, budget.values))):
            return Node(pointer, name, kind, text, len(held), children=None if held else ())
        budget.levels -= 1
        shown = [
            _node(child, f"{pointer}/{_escaped(key)}", key, 0, budget, whole_text=False, open_=False)
            for key, child in islice(_items(held), start, start + _CHILDREN)
        ]
        budget.levels += 1
        more = max(0, len(held) - start - len(shown))
        return Node(pointer, name, kind, text, len(held), more, start, tuple(shown))
    if isinstance(value, str):
        shown_text = value if whole_text else value[:_TEXT]
        return Node(pointer, name, "text", shown_text, more=len(value) - len(shown_text))
    return Node(pointer, name, "word" if isinstance(value, bool | None) else "number", _plain(value))


def found_in(value: Any, wanted: str) -> tuple[list[Found], bool]:
    """Where a text stands in names or values, in any case, and whether there are more such places than these."""
    wanted = wanted.casefold()
    finds: list[Found] = []
    for pointer, name, leaf in _walk(value):
        text = "" if leaf is _CONTAINER else leaf if isinstance(leaf, str) else _plain(leaf)
        place = text.casefold().find(wanted)
        if place < 0 and (name is None or wanted not in name.casefold()):
            continue
        if len(finds) == _FINDS:
            return finds, True
        begin = max(0, place - 40)
        finds.append(Found(pointer, ("…" if begin else "") + text[begin : begin + 160]))
    return finds, False


_CONTAINER: Final = object()


def _walk(value: Any) -> Iterator[tuple[str, str | None, Any]]:
    """Every place of a value in reading order, without recursion: it may be nested deeply."""
    stack: list[Iterator[tuple[str, str | None, Any]]] = [iter([("", None, value)])]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            continue
        pointer, name, held = step
        if isinstance(held, dict | list):
            yield pointer, name, _CONTAINER
            stack.append(_below(pointer, cast("dict[str, Any] | list[Any]", held)))
        else:
            yield pointer, name, held


def _below(pointer: str, held: dict[str, Any] | list[Any]) -> Iterator[tuple[str, str | None, Any]]:
    return ((f"{pointer}/{_escaped(key)}", key, child) for key, child in _items(held))


def _items(held: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(held, dict):
        return iter(held.items())
    return ((str(number), child) for number, child in enumerate(held))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _plain(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of more than 4,300 digits"
