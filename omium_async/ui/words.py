"""Times, durations, texts and errors in words, as templates show them."""

from __future__ import annotations

from datetime import UTC, datetime

from omium_async import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    OmiumError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
)

from .._errors.calls import ends_batch
from .._errors.statuses import status_meaning

__all__ = ["advice", "cut", "duration", "exact", "headline", "iso", "message_of", "plain_status"]


def iso(moment: datetime) -> str:
    """Format a time for ``datetime`` attributes."""
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(moment: datetime) -> str:
    """Format a time for people, to the second."""
    moment = _in_utc(moment)
    shown = moment.isoformat(" ", timespec="seconds")
    return shown.replace("+00:00", " UTC")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in UTC the year would be 0 or 10,000: show it as the service sent it
        return moment


def duration(seconds: float | None) -> str:
    """Format a duration with two or three digits."""
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


def cut(text: object, length: int = 200) -> str:
    """Shorten a text to so many characters."""
    text = str(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def plain_status(status: object) -> str:
    """Return a status without underscores, shortened."""
    return cut(status, 60).replace("_", " ") if status else "no status"


def message_of(error: Exception) -> str:
    """Return the message of an error."""
    return error.message if isinstance(error, OmiumError) and error.message else str(error) or type(error).__name__


def headline(error: Exception) -> str:
    """Say in a few words what an error means for a page."""
    return _explain(error)[0]


def advice(error: Exception) -> str:
    """Say what the reader of an error can do."""
    return _explain(error)[1]


def explained(error: Exception) -> str:
    """Say what an error means, what can be done, and what the service said, on one line."""
    if not isinstance(error, OmiumError):
        return message_of(error)
    return " ".join(filter(None, (f"{headline(error)}.", advice(error), message_of(error))))


def _explain(error: Exception) -> tuple[str, str]:
    if ends_batch(error):
        return _explain_account(error)
    refused = "The service refuses the request"
    match error:
        case PermissionDeniedError():
            return "A gateway in front of the service refuses the request", "It may refuse only this one."
        case RateLimitError():
            pause = "The service asked for a pause; the console waits for its end."
            return "The service asks for fewer requests", pause
        case NotFoundError():
            return refused, "The service does not have it: check the id, and whose key the console uses."
        case APITimeoutError() if not error.attempts:
            pause = "The service asked for a pause, or the rate limit is used up; the console continues afterwards."
            return "The client waits before its next request", pause
        case APIStatusError() if not status_meaning(error.status).outage:
            return refused, ""
        case OmiumError() | TimeoutError():
            return "The service does not respond as it should", "The console tries again."
        case _:
            return "The page could not be made", ""


def _explain_account(error: Exception) -> tuple[str, str]:
    """Explain a refusal that concerns the key, the account or the address, not the request."""
    match error:
        case AuthenticationError():
            fix = "Set OMIUM_API_KEY, or api_key in ~/.omium/config.json, and restart the console."
            return "The service refuses the console's key", fix
        case PaymentRequiredError():
            return "The account is out of credits", "Top up the account; the console needs no restart."
        case PermissionDeniedError():
            return "The console's key may not do this", "Use a key that may, and restart the console."
        case ConfigurationError():
            return "The settings of the console cannot be used", "Correct them, and restart the console."
        case _:
            fix = "Check the base URL (OMIUM_API_URL, or api_url in ~/.omium/config.json), and restart the console."
            return "The address does not serve this call", fix
