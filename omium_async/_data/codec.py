"""JSON text to plain Python data and back: exact and strict."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from .validation import ValidationError

__all__ = ["InvalidJSONError", "decode_json", "encode"]


class InvalidJSONError(ValidationError):
    """The body is not JSON; it may be cut off, so a read is worth a retry."""


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


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
        raise ValueError(text)
    return number
