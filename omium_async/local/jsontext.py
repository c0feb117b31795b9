"""JSON of the server: exact, strict, and limited in depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from .._data.codec import MAX_DEPTH, InvalidJSONError, decode_json, encode, is_deeper
from .._data.plain import plain
from .._data.validation import ValidationError

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

decode = decode_json
dumps = encode
fingerprint = msgspec.json.Encoder(order="sorted").encode


class NotJSONError(ValueError):
    """Bytes that are not JSON, or JSON that is rejected; the message says why."""


class RejectedJSONError(NotJSONError):
    """JSON that is nested too deeply, or holds a number that cannot be kept."""


def decode_untrusted(text: bytes) -> Any:
    """Return the value of a JSON text of a request.

    :raises NotJSONError: it is not JSON, or could not be returned exactly.
    """
    try:
        value = decode_json(text)
    except InvalidJSONError as error:
        raise NotJSONError(error.message) from None
    except ValidationError as error:
        raise RejectedJSONError(error.message) from None
    _check_depth(text, value)
    return value


def encode_result(value: object, what: str, converter: OmiumConverter) -> bytes:
    """Return the JSON text of a value of user code.

    :param what: the beginning of the error message, such as "step 'x' returned".
    :param converter: its hooks convert users' classes.
    :raises TypeError: JSON cannot hold the value; the message names the place.
    """
    try:
        found = plain(value, "result", converter)
        text = encode(found)
        _check_depth(text, found)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} a value that JSON cannot hold: {error}") from error
    except RecursionError:  # the stack has less room than MAX_DEPTH needs
        raise TypeError(f"{what} a value that JSON cannot hold: too many levels of nesting") from None
    return text


def _check_depth(text: bytes, value: Any) -> None:
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise RejectedJSONError(f"nested deeper than {MAX_DEPTH} levels")
