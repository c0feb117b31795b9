"""What each HTTP status means: for retries, for the outcome of a write, and for outages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class StatusMeaning(NamedTuple):
    """What a status means for the call.

    :ivar retries_read: a read is sent again.
    :ivar refused_for_now: a write was not applied, and is sent again.
    :ivar write_unknown: a write may have been applied.
    :ivar outage: the service has a problem, not the request.
    :ivar ends_batch: the account or the address is refused, so that each other request would be refused too.
    """

    retries_read: bool = False
    refused_for_now: bool = False
    write_unknown: bool = False
    outage: bool = False
    ends_batch: bool = False


_REFUSED: Final = StatusMeaning()
_ACCOUNT_REFUSED: Final = StatusMeaning(ends_batch=True)
_UNCLEAR: Final = StatusMeaning(write_unknown=True)
_REFUSED_FOR_NOW: Final = StatusMeaning(retries_read=True, refused_for_now=True, outage=True)
_FAILED: Final = StatusMeaning(write_unknown=True, outage=True)
_FAILED_FOR_NOW: Final = StatusMeaning(retries_read=True, write_unknown=True, outage=True)

_STATUSES: Final[Mapping[int, StatusMeaning]] = {
    401: _ACCOUNT_REFUSED,
    402: _ACCOUNT_REFUSED,
    403: _ACCOUNT_REFUSED,  # in JSON: the edge refuses single requests, in HTML
    405: _ACCOUNT_REFUSED,  # this address does not serve the call
    408: _FAILED_FOR_NOW,  # sent by gateways when a handler ran too long
    425: _REFUSED_FOR_NOW,
    429: _REFUSED_FOR_NOW,
    499: _FAILED,  # sent by gateways as 408 is; a read is not retried
    501: _REFUSED,
    **dict.fromkeys([500, 502, 503, 504, *range(520, 528), 529, 530], _FAILED_FOR_NOW),
}


def status_meaning(status: int) -> StatusMeaning:
    """Return the meaning of a status: of an error, or of a success or redirect that the client cannot use."""
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500:
        return _FAILED
    return _REFUSED if status >= 400 else _UNCLEAR
