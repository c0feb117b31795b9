"""JSON as people type it: read as exactly the value it says, or refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

__all__ = ["parse"]


def parse(text: str) -> Any:
    """The value of a JSON text.

    Whole numbers are exact whatever their size. What JSON does not know (NaN), a number that a float would change, a
    name that stands twice in one object, and half of a surrogate pair are refused: they would arrive as something else.

    :raises ValueError: it is refused; the message says why, and where the text stops being JSON.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_exact, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("it has a whole number of more than 4,300 digits") from None
        raise
    _no_lone_surrogate(text, value)
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _exact(text: str) -> float:
    number = float(text)
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {shown} is too large for a float")
    if not _same(text, number):
        raise ValueError(f"the number {shown} would arrive as {number!r}: write it so, or as a text")
    return number


def _same(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except ArithmeticError:  # an exponent that not even a Decimal can hold
        return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {json.dumps(name)[:60]} stands twice in one object")
            seen.add(name)
    return found


def _no_lone_surrogate(text: str, value: Any) -> None:
    if "\\u" not in text and text.isascii():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (such as \\ud800), which is no text") from None
