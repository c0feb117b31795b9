"""Points in time as RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

__all__ = ["read_moment", "read_timestamp", "write_timestamp"]


def read_moment(text: str) -> datetime | None:
    """A datetime for RFC 3339 text, to the microsecond; naive text stays naive. ``None`` for text that is none."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def read_timestamp(text: str) -> datetime | None:
    """An aware datetime for RFC 3339 text, to the microsecond; naive text is UTC, as the service means it.

    ``None`` for text that is no timestamp.
    """
    moment = read_moment(text)
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def write_timestamp(moment: datetime) -> str:
    """RFC 3339 text for an aware datetime, UTC as ``Z``."""
    offset = moment.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in its offsets
        moment = moment.astimezone(UTC)
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text
