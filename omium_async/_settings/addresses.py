"""URLs among the settings: where the service is, and through which proxy it is reached."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urlsplit

import attrs

from .._data.masked import Secret
from .._data.text import encodes
from .checks import CONTROL, Unfit, shown
from .secret import basic_auth

__all__ = [
    "PRODUCTION_URL",
    "Proxy",
    "base_url",
    "is_loopback",
    "proxy_of_environment",
    "proxy_url",
    "sends_in_the_clear",
]

PRODUCTION_URL: Final = "https://api.omium.ai"

_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST_HOST: Final = 254  # characters, with the dot that may end it


@attrs.frozen
class Proxy:
    """An HTTP proxy; the credentials of its URL are kept apart and masked.

    :ivar authorization: the value of its ``Proxy-Authorization`` header.
    :ivar secrets: what of its credentials must not be seen in any form.
    """

    url: str
    authorization: Secret | None = None
    secrets: tuple[Secret, ...] = ()


def base_url(value: Any) -> str:
    """The URL that paths are appended to: with one ``/api/v1`` at its end, whichever form it was given in."""
    if not isinstance(value, str):
        raise Unfit(f"{shown(value)} is not text")
    found = _read_base_url(str.__str__(value))
    del value  # it may hold credentials, and tracebacks may show local variables
    if isinstance(found, Unfit):
        raise found
    return found


def _read_base_url(value: str) -> str | Unfit:
    text = value.strip(" ")
    parts = _split(text)
    if parts is None or not text or " " in text or "\\" in text:
        return Unfit("this is no URL")
    if parts.username is not None or parts.password is not None:
        return Unfit("it holds credentials", "give the key as api_key or OMIUM_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        return Unfit("it does not begin with https:// and the name of a host")
    if "?" in text or "#" in text or ".." in unquote(parts.path).split("/"):
        return Unfit("it holds a query, a fragment or '..'")
    host = _ascii_host(parts.hostname)
    if host is None:
        return Unfit("the name of its host is none")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = re.sub(r"(/api/v1)+$", "", path, flags=re.IGNORECASE)
    authority = host + ("" if parts.port is None else f":{parts.port}")
    escaped = quote(path, safe="/%:@!$&'()*+,;=-._~")
    return f"{parts.scheme}://{authority}{escaped}/api/v1"


def sends_in_the_clear(url: str) -> str | None:
    """The host to which requests to ``url`` go unencrypted over a network; ``None`` where they do not."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.scheme == "http" and not is_loopback(host) else None


def _split(text: str) -> SplitResult | None:
    """The parts of a URL; ``None`` for what is none."""
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return None if CONTROL.search(text) else parts


def _ascii_host(host: str) -> str | None:
    """A host as it goes on the wire; ``None`` for what names none."""
    if ":" in host:
        return f"[{host}]"
    if not host.isascii():
        import idna  # noqa: PLC0415 - comes with aiohttp; Python's own codec has older rules, by which ß becomes ss

        try:
            host = idna.encode(host, uts46=True).decode()
        except UnicodeError:
            return None
    labels = host.removesuffix(".").split(".")
    whole = len(host) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return host if whole else None


def is_loopback(host: str) -> bool:
    """Whether requests to ``host`` stay on this machine.

    Not so for names below ``localhost``: they should (RFC 6761), but resolvers ask the network for them.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# -- proxies -----------------------------------------------------------------------------------------------------------


def proxy_url(value: Any) -> Proxy:
    """A proxy by its URL."""
    if not isinstance(value, str):
        raise Unfit(f"{shown(value)} is not text")
    found = _read_proxy(str.__str__(value))
    del value
    if found is None:
        raise Unfit("this is no URL of an HTTP proxy")
    return found


def _read_proxy(text: str) -> Proxy | None:
    parts = _split(text) if encodes(text) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = _ascii_host(parts.hostname)
    if host is None:
        return None
    url = f"{parts.scheme}://{host}" + ("" if parts.port is None else f":{parts.port}")
    if parts.username is None:
        return Proxy(url)
    user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    authorization = basic_auth(user, password)
    seen = [each.decode(errors="replace") for each in (user + b":" + password, password, user)]
    secrets = (authorization.removeprefix("Basic "), *seen)
    return Proxy(url, authorization, tuple(Secret(secret) for secret in secrets))


def proxy_of_environment(base: str) -> tuple[Secret, str] | None:
    """The proxy that the environment names for requests to ``base``, and by which variable: never one for loopback."""
    parts = urlsplit(base)
    if is_loopback(parts.hostname or ""):
        return None
    return _environment_says(parts.scheme, parts.netloc)


def _environment_says(scheme: str, netloc: str) -> tuple[Secret, str] | None:
    import urllib.request  # noqa: PLC0415 - it brings an HTTP client of its own, a tenth of the import time

    bypassed: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    proxies = urllib.request.getproxies_environment()
    found = proxies.get(scheme) or proxies.get("all")
    if found and scheme not in proxies and "://" in found and not found.lower().startswith(("http://", "https://")):
        return None  # ALL_PROXY is meant for others too, who speak SOCKS
    if not found or bypassed(netloc, proxies):
        return None
    variable = f"{scheme if scheme in proxies else 'all'}_proxy"
    name = variable if variable in os.environ else variable.upper()
    return Secret(found if "://" in found else f"http://{found}"), name
