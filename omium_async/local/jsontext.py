"""JSON of the server: exact, strict, and limited in depth."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from .._data.plain import plain
from .._data.strict_json import MAX_DEPTH, is_deeper

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

__all__ = [
    "NotJSONError",
    "TooDeepError",
    "decode",
    "decode_untrusted",
    "dumps",
    "encode_result",
    "fingerprint",
]

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="sorted")

dumps = _encoder.encode
fingerprint = _sorting_encoder.encode


class NotJSONError(ValueError):
    """Bytes that are not JSON, or JSON that is rejected; the message says why."""


class TooDeepError(NotJSONError):
    """JSON with too many levels of nesting."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


def decode(text: bytes) -> Any:
    """Return the value of a JSON text that this module wrote."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        # msgspec counts the sign as a digit, so it rejects negative integers of 4,300 digits.
        value = json.loads(text.decode(), parse_constant=_refuse_constant, parse_float=_finite)
        _encoder.encode(value)  # rejects lone surrogates, which the standard library accepts
        return value


def decode_untrusted(text: bytes) -> Any:
    """Return the value of a JSON text of a request.

    :raises NotJSONError: it is not JSON, or could not be returned exactly.
    """
    try:
        value = decode(text)
    except UnicodeDecodeError as error:
        raise NotJSONError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise TooDeepError from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJSONError(str(error)) from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise TooDeepError
    return value


def encode_result(value: object, what: str, converter: OmiumConverter) -> bytes:
    """Return the JSON text of a value of user code.

    :param what: the beginning of the error message, such as "step 'x' returned".
    :param converter: its hooks convert users' classes.
    :raises TypeError: JSON cannot hold the value; the message names the place.
    """
    try:
        found = plain(value, "result", converter)
        text = _encoder.encode(found)
        if text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_deeper(found, MAX_DEPTH):
            raise TooDeepError
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} a value that JSON cannot hold: {error}") from error
    except RecursionError:  # the stack has less room than MAX_DEPTH needs
        raise TypeError(f"{what} a value that JSON cannot hold: too many levels of nesting") from None
    return text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSONError(f"{text:.40} is out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSONError(f"{name} is not JSON")
