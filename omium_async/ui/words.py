"""Moments, spans, counts and failures in words, as templates show them."""

from __future__ import annotations

from datetime import UTC, datetime

from omium_async import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    NotFoundError,
    OmiumError,
    PermissionDeniedError,
    RateLimitError,
)

__all__ = ["advice", "exact", "headline", "iso", "plain_status", "said", "span"]


def iso(moment: datetime) -> str:
    """For ``datetime`` attributes."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(moment: datetime) -> str:
    """For people, to the second; the page shows how long ago it was, and this on hover."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float | None) -> str:
    """A length of time, as exact as it matters."""
    if seconds is None:
        return "unknown"
    if 0.00005 <= seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, length, smaller, below in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length:,} {unit} {rest} {smaller}" if rest else f"{whole // length:,} {unit}"
    return f"{whole} s"


def plain_status(status: object) -> str:
    """A status without its underscores; one that the service did not give is called so."""
    return str(status).replace("_", " ") if status else "no status"


def said(error: Exception) -> str:
    """What went wrong, in one line."""
    return error.message if isinstance(error, OmiumError) and error.message else str(error) or type(error).__name__


def headline(error: Exception) -> str:
    """What an error means for a page, in a sentence without its end."""
    match error:
        case AuthenticationError():
            return "The service refuses the console's key"
        case RateLimitError():
            return "The service asks for fewer requests"
        case APITimeoutError() if not error.attempts:
            return "The client holds its requests back"
        case APIStatusError() if error.status < 500:
            return "The service refuses what this page asks"
        case OmiumError():
            return "The service does not answer as it should"
        case _:
            return "The page could not be made"


def advice(error: Exception) -> str:
    """What somebody who sees an error can do about it."""
    match error:
        case AuthenticationError():
            return "Set OMIUM_API_KEY or api_key in ~/.omium/config.json, and start the console anew."
        case PermissionDeniedError():
            return "The console's key may not do this, or something before the service refuses it."
        case RateLimitError():
            return "The service asks for a pause; the console keeps it."
        case NotFoundError():
            return "The service does not know it: look at the id, and at whose key the console uses."
        case APITimeoutError() if not error.attempts:
            return "The service asked for a pause, or its limit is used up; the console goes on when it may."
        case APITimeoutError():
            return "The service did not answer in time; the console goes on asking."
        case APIStatusError() if error.status >= 500:
            return "The service has failed; the console goes on asking."
        case APIStatusError():
            return "The service refuses what was asked."
        case OmiumError():
            return "The console goes on asking."
        case _:
            return ""
