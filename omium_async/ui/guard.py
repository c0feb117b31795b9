"""The guard: it refuses requests that other sites make, and reads the forms of the console's own pages."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

MAX_FORM: Final = 64 * 2**20  # bytes, as browsers escape it
_MOST_FIELDS: Final = 100

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" Chromium would send "Origin: null" with the console's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = logging.getLogger("omium_async.ui")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every response, also of those that aiohttp makes itself."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def parse_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return the origins in the form that browsers send.

    :raises TypeError: ``origins`` is not a collection of texts. :raises ValueError: one is not an origin.
    """
    if isinstance(origins, str):
        raise TypeError(f"origins: got the text {origins!r}; give a collection of origins, such as ({origins!r},)")
    return frozenset(_parse_origin(text) for text in origins)


def _parse_origin(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"origins: {text!r} is not a text such as 'https://console.example.com'")
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    more = (parts.path not in ("", "/"), parts.query, parts.fragment, parts.username is not None, "*" in text)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(more) or port == -1:
        raise ValueError(f"origins: {text!r} is not an origin; give scheme, host and port: 'https://example.com:8443'")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


class Guard:
    """Refuses requests of other sites before a page is made or the service is called.

    :param origins: where the console is served besides loopback.
    """

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._hosts = frozenset(urlsplit(origin).netloc for origin in origins)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return a refusal, or the response of the handler; a defect is logged, and its response says little."""
        refused = self._refusal(request)
        if refused is not None:
            return web.Response(status=403, text=f"Refused: {refused}.\n")
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001 - the log has the traceback, the page does not
            _log.exception("the console could not make a page")
            return web.Response(status=500, text="The console has failed; its log says why.\n")

    def _refusal(self, request: web.Request) -> str | None:
        headers = request.headers
        host = headers.getall("Host", [])
        if len(host) != 1 or not self._is_own_host(host[0]):
            return "this host is not the console's own; open http://127.0.0.1, or name its origin to console()"
        if headers.get("Sec-Fetch-Dest") in ("iframe", "frame", "embed", "object", "fencedframe"):
            return "the console is not shown inside other pages"
        origins = headers.getall("Origin", [])
        is_own_origin = len(origins) == 1 and origins[0] in self._own_origins(request.scheme, host[0])
        is_own_site = headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
        if request.method == "POST":
            return None if is_own_origin and is_own_site else "the form does not come from the console"
        if request.method not in ("GET", "HEAD"):
            return f"the console has no {request.method[:20]}"
        if origins and not is_own_origin:
            return "the request comes from another site"
        if "Upgrade" in headers or "prefetch" in (headers.get("Sec-Purpose") or headers.get("Purpose") or "").lower():
            return "the console has neither sockets nor pages to fetch ahead"
        # A link on another site may lead here. Another site may not make the console call the service.
        is_navigation = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        return None if is_own_site or is_navigation else "another site requests a part of the console"

    def _own_origins(self, scheme: str, host: str) -> frozenset[str]:
        """Return the named origins, and on loopback the address itself; of a named host only the named scheme."""
        return self._origins if host.lower() in self._hosts else self._origins | {f"{scheme}://{host}"}

    def _is_own_host(self, host: str) -> bool:
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


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form.

    :raises web.HTTPException: the body is too large, is not a form as the console's pages send it, or cannot be read.
    """
    try:
        body = await request.clone(client_max_size=MAX_FORM).read()
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001 - broken transfer or compression: aiohttp's errors for it have no common base
        raise web.HTTPBadRequest(text="The form could not be read.\n") from None
    if body and request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="A form is application/x-www-form-urlencoded.\n")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise web.HTTPUnsupportedMediaType(text="A form is UTF-8.\n")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise web.HTTPBadRequest(text="The form is malformed.\n") from None
