"""JSON text and RFC 3339 text to values and back: exact and strict."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec

from .validation import ValidationError

#: Levels of nesting that are accepted: far more than people write, far fewer than exhaust the stack of a decoder.
MAX_DEPTH: Final = 400
_LONGEST_SHOWN: Final = 60


class InvalidJSONError(ValidationError):
    """The body is not JSON; it may be cut off, so a read is worth a retry."""


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


# -- JSON of programs --------------------------------------------------------------------------------------------------


def encode(value: Any) -> bytes:
    """Return the JSON text of a value that `plain` returned. Integers are exact."""
    return _encode(value)


def decode_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    :raises InvalidJSONError: it is not JSON.
    :raises ValidationError: Python cannot hold it: an integer of more than 4,300 digits, a number beyond the range of
        floats, or more depth than the interpreter allows.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        return _decode_extremes(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidJSONError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise ValidationError("the body is JSON nested too deeply") from None


def _decode_extremes(body: bytes) -> Any:
    """Decode numbers that msgspec rejects: it counts the minus sign as one of the 4,300 digits."""
    try:
        found = json.loads(body.decode(), parse_float=_finite, parse_constant=_finite)
        encode(found)  # msgspec rejects lone surrogates, which json accepts
    except (msgspec.MsgspecError, UnicodeError, json.JSONDecodeError) as error:
        raise InvalidJSONError(f"the body is not JSON: {error}") from None
    except (ValueError, RecursionError):
        raise ValidationError("the body holds a number that cannot be read, or is nested too deeply") from None
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {_shortened(text)} is too large for a float")
    return number


def is_deeper(value: Any, levels: int) -> bool:
    """Whether a JSON value has more levels of lists and objects than ``levels``."""
    containers: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        containers = [entry for each in containers for entry in _entries(each) if isinstance(entry, dict | list)]
    return bool(containers)


def _entries(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


# -- JSON that people type ---------------------------------------------------------------------------------------------


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
        encode(value)  # rejects lone surrogates
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (such as \\ud800), which is not text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("it has an integer of more than 4,300 digits") from None
        raise
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return value


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _exact(text: str) -> float:
    number = _finite(text)
    if not _is_same(text, number):
        raise ValueError(f"the number {_shortened(text)} would arrive as {number!r}: write that number, or a text")
    return number


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _is_same(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except ArithmeticError:  # the exponent exceeds the range of Decimal
        return False


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {json.dumps(name)[:_LONGEST_SHOWN]} occurs twice in one object")
        found[name] = value
    return found


# -- RFC 3339 ----------------------------------------------------------------------------------------------------------


def read_moment(text: str) -> datetime | None:
    """Return the datetime of RFC 3339 text, to the microsecond; naive text stays naive. ``None`` for other text."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def read_timestamp(text: str) -> datetime | None:
    """Return the aware datetime of RFC 3339 text, to the microsecond; naive text is UTC, as the service means it.

    Return ``None`` for other text.
    """
    moment = read_moment(text)
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def write_timestamp(moment: datetime) -> str:
    """Return the RFC 3339 text of an aware datetime, UTC as ``Z``."""
    offset = moment.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in its offsets
        moment = moment.astimezone(UTC)
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text
