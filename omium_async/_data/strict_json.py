"""JSON that people type: read as exactly the value it says, or rejected."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final, NoReturn

__all__ = ["MAX_DEPTH", "is_deeper", "parse_json"]

#: Levels of nesting that are accepted: far more than people write, far fewer than exhaust the stack of a decoder.
MAX_DEPTH: Final = 400
_LONGEST_SHOWN: Final = 60


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Integers are exact up to Python's limit of 4,300 digits.

    :param text: the JSON text.
    :raises ValueError: the text is not JSON (also NaN), or its value would change on the way: a number that a float
        would round, a name that occurs twice in one object, half of a surrogate pair, or more than 400 levels of
        nesting. The message says why, and the line and column if the text is not JSON.
    """
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_exact, object_pairs_hook=_unique_names)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("it has an integer of more than 4,300 digits") from None
        raise
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    _reject_surrogates(text, value)
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Whether a JSON value has more levels of lists and objects than ``levels``."""
    containers: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        containers = [entry for each in containers for entry in _entries(each) if isinstance(entry, dict | list)]
    return bool(containers)


def _entries(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _exact(text: str) -> float:
    number = float(text)
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {shown} is too large for a float")
    if not _is_same(text, number):
        raise ValueError(f"the number {shown} would arrive as {number!r}: write that number, or a text")
    return number


def _is_same(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except ArithmeticError:  # the exponent exceeds the range of Decimal
        return False


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {json.dumps(name)[:_LONGEST_SHOWN]} occurs twice in one object")
            seen.add(name)
    return found


def _reject_surrogates(text: str, value: Any) -> None:
    if "\\u" not in text and text.isascii():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (such as \\ud800), which is not text") from None
