"""Refusals by the service: of the key, and of one item."""

from __future__ import annotations

from .._data.codec import InvalidJSONError, decode_json
from .._data.validation import ValidationError
from .._errors import APIStatusError, AuthenticationError, OmiumError, PermissionDeniedError
from .._transport.retry import is_outage

__all__ = ["is_final_refusal", "key_is_refused"]


def key_is_refused(error: Exception) -> bool:
    """Whether a response refuses the key: 401, or 403 in JSON. The edge refuses single requests in HTML."""
    if not isinstance(error, PermissionDeniedError):
        return isinstance(error, AuthenticationError)
    try:
        decode_json(error.body)
    except InvalidJSONError:
        return False
    except ValidationError:
        pass
    return True


def is_final_refusal(error: OmiumError) -> bool:
    """Whether the service refused the item itself, and would again: a 4xx except 401, 403, 408, 425, 429 and 499."""
    if not isinstance(error, APIStatusError) or error.outcome_unknown or is_outage(error):
        return False
    return 400 <= error.status < 500 and error.status not in (401, 403)
