"""Read messages, request ids, times to wait and rate limits from responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Final, NamedTuple, cast

import attrs
from multidict import istr

from .._data.codec import decode_json
from .._data.validation import ValidationError
from .._errors.attempts import Headers

LARGEST_ERROR_BODY: Final = 2**16  # bytes, decompressed: kept of an unsuccessful response
_MOST_FIELDS: Final = 20
_REMAINING: Final = ("ratelimit-remaining", "x-ratelimit-remaining-minute", "x-ratelimit-remaining")
_RESET: Final = ("ratelimit-reset", "x-ratelimit-reset-minute", "x-ratelimit-reset")
_RATE_HEADERS: Final = tuple(istr(name) for name in (*_REMAINING, "ratelimit"))
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-kong-request-id", "cf-ray")


@attrs.frozen
class RawResponse:
    """The successful response to ``request``, unchanged.

    :ivar status: the HTTP status, 200 to 299.
    :ivar headers: the headers of the response, looked up in any case.
    :ivar body: the bytes of the body, decompressed.
    :ivar request_id: the id under which the service or its gateway knows the request.
    """

    status: int
    headers: Headers = attrs.field(converter=Headers)
    body: bytes
    request_id: str | None

    def json(self) -> Any:
        """Return the body as JSON.

        :raises ValueError: the body is not JSON.
        """
        try:
            return decode_json(self.body)
        except ValidationError as error:
            raise ValueError(error.message) from None


def joined(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as a dict: names in lower case, repeated ones joined, all of it valid UTF-8."""
    found: dict[str, str] = {}
    for sent_name, sent_value in headers.items():
        name, value = _text(sent_name).lower(), _text(sent_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(value: str) -> str:
    """Replace the lone surrogates by which aiohttp represents bytes that are not UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def request_id_of(headers: Mapping[str, str], body: bytes = b"") -> str | None:
    """Return the request id of a response: of a header, or ``trace_id`` of a body that is not large."""
    return _id_in(headers) or (_trace_id(json_object(body)) if len(body) <= LARGEST_ERROR_BODY else None)


def _id_in(headers: Mapping[str, str]) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        if found := headers.get(name):
            return found
    return None


def _trace_id(data: Mapping[str, Any] | None) -> str | None:
    trace = None if data is None else data.get("trace_id")
    return trace if isinstance(trace, str) and trace else None


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """Return a body as the JSON object that it is; ``None`` if it is anything else."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        return cast("Mapping[str, Any]", decode_json(body))
    except ValidationError:  # no JSON, or numbers and depth that Python cannot hold
        return None


class ErrorBody(NamedTuple):
    """The content of an unsuccessful response, parsed once.

    :ivar message: the message of the service, its gateway or its edge, not cleaned and not shortened.
    :ivar request_id: the request id, unchanged.
    """

    message: str
    request_id: str | None


def read_error_body(body: bytes, headers: Mapping[str, str], reason: str | None) -> ErrorBody:
    """Parse an unsuccessful response.

    :param body: at most `LARGEST_ERROR_BODY` bytes; the time is linear in their number.
    """
    data = json_object(body)
    text = None if data is None else _message_of(data)
    if text is None:
        text = _page_title(body) or body.decode(errors="replace")
    if not text.strip():
        text = reason or "no message"
    return ErrorBody(text, _id_in(headers) or _trace_id(data))


def _message_of(data: Mapping[str, Any], depth: int = 3) -> str | None:
    for name in ("detail", "message", "error"):
        found = data.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, list) and found:
            return "; ".join(_field_error(entry) for entry in found[:_MOST_FIELDS])  # pyright: ignore[reportUnknownVariableType]
        if isinstance(found, dict) and depth and (text := _message_of(cast("dict[str, Any]", found), depth - 1)):
            return text
    return None


def _field_error(entry: Any) -> str:
    """Return place and message of one entry of a 422, without its ``input``, which echoes the caller's data."""
    if not isinstance(entry, dict):
        return entry if isinstance(entry, str) else "invalid"
    fields = cast("dict[str, Any]", entry)
    place: Any = fields.get("loc")
    message = fields.get("msg")
    text = message if isinstance(message, str) else "invalid"
    if isinstance(place, list) and place:
        parts = cast("list[object]", place)
        return f"{'.'.join(str(part) for part in parts)}: {text}"
    return text


def _page_title(body: bytes) -> str | None:
    start = body[:2048].lstrip().lower()
    if not (start.startswith((b"<!doctype html", b"<html")) or b"<title" in start):
        return None
    words = _first_title(body).decode(errors="replace").strip()
    return f"an HTML page, not the service's own answer{': ' + words if words else ''}"


def _first_title(page: bytes) -> bytes:
    # A regular expression would take quadratic time on a page of many titles without an end.
    lowered = page.lower()
    start = lowered.find(b">", lowered.find(b"<title"))
    end = lowered.find(b"</title", start)
    return page[start + 1 : end] if 0 <= start < end and b"<title" in lowered else b""


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``retry-after-ms`` or of ``Retry-After`` (RFC 9110, section 10.2.3), or ``None``."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, headers.get("date"))


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,300}(\.\d*)?\s*", text, re.ASCII):
        return None
    return float(text)


def _until(text: str, date: str | None) -> float | None:
    """Return the seconds until a date, by the server's clock if the response has a date."""
    when = _http_date(text)
    if when is None:
        return None
    now = (_http_date(date) if date is not None else None) or datetime.now(UTC)
    return max(0.0, (when - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    """Parse the date of a header (RFC 9110, section 5.6.7); return ``None`` if it is not valid."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# -- rate limits -------------------------------------------------------------------------------------------------------


def says_what_remains(headers: Mapping[str, str]) -> bool:
    """Whether headers may say how many requests remain."""
    return any(map(headers.__contains__, _RATE_HEADERS))


def what_remains(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
    """Return how many requests remain, and the seconds until more do; ``None`` for what the headers do not say."""
    remaining = _first_number(headers, _REMAINING)
    reset = _first_number(headers, _RESET)
    if remaining is None and "ratelimit" in headers:  # one header, as in drafts of the IETF
        fields = dict(re.findall(r"\b(remaining|reset|[rt])\s*=\s*(\d+)", headers["ratelimit"]))
        remaining = _number(fields.get("remaining", fields.get("r")))
        reset = _number(fields.get("reset", fields.get("t")))
    if reset is not None and reset > 10**6:  # some servers send the time as seconds since 1970
        reset = max(0.0, reset - time())
    if reset is None and "x-ratelimit-remaining-minute" in headers:
        reset = _to_next_minute(headers.get("date"))
    return None if remaining is None else int(remaining), reset


def _first_number(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        found = _number(headers.get(name))
        if found is not None:
            return found
    return None


def _to_next_minute(date: str | None) -> float | None:
    """Return the seconds to the next minute of the server's clock, by which Kong counts."""
    moment = None if date is None else _http_date(date)
    return None if moment is None else 60.0 - moment.second
