"""JSON in and out of the server: exact, strict, and bounded in depth."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def encode_result(value: object, what: str) -> bytes:
    """The JSON text of a value that user code gave (`what` begins the error: "step 'x' returned"); raises TypeError
    that names the place where JSON ends.

    msgspec alone would write NaN as null, a set as a list and the key 1 as "1": another value than was returned.
    """
    try:
        return _encoder.encode(_plain(value, "result", 0))
    except (TypeError, ValueError) as error:  # ValueError: a lone surrogate, an integer beyond Python's own limit
        raise TypeError(f"{what} what JSON cannot hold: {error}") from None
    except RecursionError:  # less room than MAX_DEPTH needs: called from deep within something
        raise TypeError(f"{what} what JSON cannot hold: too many levels of nesting") from None


def _plain(value: object, place: str, depth: int) -> object:
    if value is None or value is True or value is False:
        return value
    if depth > MAX_DEPTH:
        raise TypeError(f"more than {MAX_DEPTH} levels of nesting, or a value that contains itself")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{float(value)!r} at {place}")
        return float(value)
    if isinstance(value, dict):
        return _plain_dict(value, place, depth)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        items: list[object] | tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return [_plain(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(items)]
    raise TypeError(f"{type(value).__qualname__} at {place}")


def _plain_dict(value: dict[object, object], place: str, depth: int) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise TypeError(f"the key {key!r:.80} at {place}, which is no text")
        out[str.__str__(key)] = _plain(item, f"{place}.{key}", depth + 1)
    return out


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
