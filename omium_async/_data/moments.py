"""Datetimes and RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

__all__ = ["read_moment", "read_timestamp", "write_timestamp"]


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
