"""Who may ask: the console's own pages on hosts that it knows. Everybody else is refused before a page is made."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["Guard", "checked_origins"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer", with which Chromium sends "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = logging.getLogger("omium_async.ui")

_SAFE: Final = frozenset({"GET", "HEAD"})


def checked_origins(origins: Iterable[str]) -> frozenset[str]:
    """Origins as browsers write them.

    :raises TypeError: they are no collection of texts. :raises ValueError: one is no origin.
    """
    if isinstance(origins, str):
        raise TypeError(f"origins is a collection of origins, not a text: ({origins!r},)")
    return frozenset(_origin(text) for text in origins)


def _origin(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"an origin is a text such as 'https://console.example.com', not {text!r}")
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username is not None
        or "*" in text
        or port == -1
    ):
        raise ValueError(f"{text!r} is no origin: scheme, host and port, such as 'https://console.example.com'")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


class Guard:
    """Refuses what is not asked by the console's own pages, and forbids pages what they do not need.

    :param origins: where the console is reached from besides this machine.
    """

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._hosts = frozenset(urlsplit(origin).netloc for origin in origins)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: a refusal, or what the handler answers, with the headers of every answer."""
        refused = self._refusal(request)
        if refused is not None:
            answer: web.StreamResponse = web.Response(status=403, text=f"Refused: {refused}.\n")
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                error.headers.update(_HEADERS)
                raise
            except Exception:  # noqa: BLE001 - a defect is told in the log, and its answer is guarded too
                _log.exception("a page of the console could not be made")
                answer = web.Response(status=500, text="The console has failed; its log says why.\n")
        answer.headers.update(_HEADERS)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    def _refusal(self, request: web.Request) -> str | None:
        """Why the request is refused, ``None`` if it is not."""
        host = request.headers.getall("Host", [])
        if len(host) != 1 or not self._is_ours(host[0]):
            return "this address is not the console's own; open it as http://127.0.0.1, or name its origin to console()"
        site, mode = request.headers.get("Sec-Fetch-Site"), request.headers.get("Sec-Fetch-Mode")
        if request.headers.get("Sec-Fetch-Dest") in ("iframe", "frame", "embed", "object", "fencedframe"):
            return "the console is not shown within other pages"
        if request.method in _SAFE:
            # A link from elsewhere may lead here. Another page may not make the console ask the service.
            foreign = site not in (None, "same-origin", "none") and mode != "navigate"
            return "another site asks for a part of the console" if foreign else None
        if request.method != "POST":
            return f"the console has no {request.method[:20]}"
        if site not in (None, "same-origin", "none"):
            return "another site sends a form to the console"
        origin = request.headers.getall("Origin", [])
        if len(origin) != 1 or origin[0] not in self._own_origins(request.scheme, host[0]):
            return "the form is not the console's own (Origin)"
        return None

    def _own_origins(self, scheme: str, host: str) -> frozenset[str]:
        """Those named; on this machine also the address itself. Of a named host the named scheme alone is right."""
        return self._origins if host.lower() in self._hosts else self._origins | {f"{scheme}://{host}"}

    def _is_ours(self, host: str) -> bool:
        if host.lower() in self._hosts:
            return True
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
        if name == "localhost":
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False
