"""JSON values as readable text of bounded size, for the console and the command line.

A small value can become a huge text: 204,800 ones nested 400 deep are 600 KB, and 165 MB when each has a line of its
own with its indentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

_MOST_CHARACTERS: Final = 1_000_000
_DEEPEST: Final = 40
_CUT: Final = "..."

_encode = json.JSONEncoder(ensure_ascii=False).encode


def show_json(
    value: Any, *, most: int = _MOST_CHARACTERS, depth: int = _DEEPEST, indent: int | None = 2
) -> tuple[str, bool]:
    """Return a JSON value as text, and whether that text is the whole value.

    Containers deeper than ``depth`` are written on one line, so that the text stays JSON. A text longer than ``most``
    is cut and ends in ``...``; what is cut off is not written first.

    :param value: the JSON value.
    :param most: the number of characters at which the text is cut.
    :param depth: the levels that are indented.
    :param indent: the spaces of each level; ``None``: everything on one line.
    """
    parts: list[str] = []
    left = most
    for part in _parts(value, "\n", depth if indent is not None else 0, " " * (indent or 0)):
        parts.append(part)
        left -= len(part)
        if left < 0:
            return "".join(parts)[:most] + _CUT, False
    return "".join(parts), True


def _parts(value: Any, line: str, depth: int, indent: str) -> Iterator[str]:
    """Write the value without recursion: ``open_containers`` holds the iterator of each level."""
    open_containers = [_container((value,), "", "", "")]
    while open_containers:
        for part in open_containers[-1]:
            if isinstance(part, str):
                yield part
                continue
            level = len(open_containers)
            inner = line + indent * level if level <= depth else ""
            outer = line + indent * (level - 1) if inner else ""
            open_containers.append(_container(part, inner, outer, "{}" if isinstance(part, dict) else "[]"))
            break
        else:
            open_containers.pop()


def _container(value: Any, inner: str, outer: str, brackets: str) -> Iterator[Any]:
    """Yield the parts of one container; an entry that is a container itself is yielded unchanged."""
    names = isinstance(value, dict)
    start = brackets[:1] + inner
    separator = f",{inner}" if inner else ", "
    entries: Any = value.items() if names else value  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    for entry in entries:
        yield start
        start = separator
        content: Any = entry
        if names:
            yield f"{_encode(entry[0])}: "
            content = entry[1]
        yield content if content and isinstance(content, dict | list | tuple) else _encode(content)
    yield outer + brackets[1:]
