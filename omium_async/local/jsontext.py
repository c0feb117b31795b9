"""JSON in and out of the server: exact, strict, and bounded in depth."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from .._data.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._data.converter import OmiumConverter

__all__ = [
    "MAX_DEPTH",
    "NotJSONError",
    "TooDeepError",
    "decode",
    "decode_untrusted",
    "dumps",
    "encode_result",
    "fingerprint",
]

#: Levels of nesting that are accepted. Far more than people write, far fewer than exhaust the stack of the decoder.
MAX_DEPTH: Final = 400

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="sorted")

dumps = _encoder.encode
fingerprint = _sorting_encoder.encode


class NotJSONError(ValueError):
    """Bytes that are no JSON text, or one that is not accepted; the message says why."""


class TooDeepError(NotJSONError):
    """A JSON text with too many levels of nesting."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


def decode(text: bytes) -> Any:
    """The value of a JSON text that this module wrote."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        # msgspec counts the sign among the digits that it allows: a negative integer of 4,300 digits is one too long.
        value = json.loads(text.decode(), parse_constant=_refuse_constant, parse_float=_finite)
        _encoder.encode(value)  # refuses lone surrogates, which the standard library lets through
        return value


def decode_untrusted(text: bytes) -> Any:
    """The value of a JSON text from outside; raises NotJSONError for what could not be given back exactly."""
    try:
        value = decode(text)
    except UnicodeDecodeError as error:
        raise NotJSONError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise TooDeepError from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJSONError(str(error)) from None
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise TooDeepError
    return value


def encode_result(value: object, what: str, converter: OmiumConverter) -> bytes:
    """The JSON text of a value that user code gave.

    :param what: begins the error: "step 'x' returned".
    :param converter: whose hooks give users' classes a form.
    :raises TypeError: JSON cannot hold it; the message names the place.
    """
    try:
        found = plain(value, "result", converter)
        text = _encoder.encode(found)
        if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth_exceeds(found, MAX_DEPTH):
            raise TooDeepError
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} what JSON cannot hold: {error}") from error
    except RecursionError:  # less room than MAX_DEPTH needs: called from deep within something
        raise TypeError(f"{what} what JSON cannot hold: too many levels of nesting") from None
    return text


def _depth_exceeds(value: object, limit: int) -> bool:
    level: list[Any] = [value]
    for _ in range(limit):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSONError(f"{text:.40} is out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSONError(f"{name} is not JSON")
