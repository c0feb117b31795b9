"""URLs among the settings: where the service is, and through which proxy it is reached."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import attrs

from .._errors import ConfigurationError
from .secret import Secret, basic_auth, kind_of

__all__ = ["PRODUCTION_URL", "Proxy", "base_url", "is_loopback", "proxy_of_environment", "proxy_url"]

PRODUCTION_URL: Final = "https://api.omium.ai"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EXAMPLE: Final = f"give one such as {PRODUCTION_URL}"


@attrs.frozen
class Proxy:
    """An HTTP proxy; the credentials of its URL are kept apart and masked.

    :ivar authorization: the value of its ``Proxy-Authorization`` header.
    :ivar secrets: what of its credentials must not be seen in any form.
    """

    url: str
    authorization: Secret | None = None
    secrets: tuple[Secret, ...] = ()


def base_url(value: object, source: str, *, allow_insecure_http: bool) -> str:
    """The URL that paths are appended to: with one ``/api/v1`` at its end, whichever form it was given in.

    :raises ConfigurationError: it is no URL, holds credentials, or would send the key in the clear.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} must be text, not {kind_of(value)}")
    found = _read_base_url(value, allow_insecure_http=allow_insecure_http)
    del value  # it may hold credentials, and tracebacks may show local variables
    if isinstance(found, _Problem):
        raise ConfigurationError(f"{source} {found.text}")
    return found


@attrs.frozen
class _Problem:
    text: str


def _read_base_url(value: str, *, allow_insecure_http: bool) -> str | _Problem:
    text = value.strip(" ")
    parts = _split(text)
    if parts is None or not text or " " in text or "\\" in text:
        return _Problem(f"is no URL: {_EXAMPLE}")
    if parts.username is not None or parts.password is not None:
        return _Problem("holds credentials: give the key as api_key or OMIUM_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        return _Problem(f"must begin with https:// and name a host: {_EXAMPLE}")
    if "?" in text or "#" in text or ".." in unquote(parts.path).split("/"):
        return _Problem(f"must not hold a query, a fragment or '..': {_EXAMPLE}")
    host = _ascii_host(parts.hostname)
    if host is None:
        return _Problem(f"has a host name that is none: {_EXAMPLE}")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(parts.hostname):
        return _Problem(f"would send the key over plain http to {host}: use https://, or allow_insecure_http=True")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = re.sub(r"(/api/v1)+$", "", path, flags=re.IGNORECASE)
    authority = host + ("" if parts.port is None else f":{parts.port}")
    escaped = quote(path, safe="/%:@!$&'()*+,;=-._~")
    return f"{parts.scheme}://{authority}{escaped}/api/v1"


def _split(text: str) -> SplitResult | None:
    """The parts of a URL; ``None`` for what is none."""
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return None if _CONTROL.search(text) else parts


def _ascii_host(host: str) -> str | None:
    if ":" in host:
        return f"[{host}]"
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:
        return None
    return ascii_host if re.fullmatch(r"[A-Za-z0-9._-]+", ascii_host) else None


def is_loopback(host: str) -> bool:
    """Whether requests to ``host`` stay on this machine."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# -- proxies -----------------------------------------------------------------------------------------------------------


def proxy_url(value: object, source: str) -> Proxy:
    """A proxy by its URL.

    :raises ConfigurationError: it is no URL of an HTTP proxy.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} must be text, not {kind_of(value)}")
    found = _read_proxy(value)
    del value
    if found is None:
        raise ConfigurationError(
            f"{source} must be the URL of an HTTP proxy, such as http://proxy.example:3128 (SOCKS is not supported)"
        )
    return found


def _read_proxy(text: str) -> Proxy | None:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = _ascii_host(parts.hostname)
    if host is None:
        return None
    url = f"{parts.scheme}://{host}" + ("" if parts.port is None else f":{parts.port}")
    if parts.username is None:
        return Proxy(url)
    user, password = unquote(parts.username), unquote(parts.password or "")
    authorization = basic_auth(user, password)
    secrets = (authorization.removeprefix("Basic "), f"{user}:{password}", password, user)
    return Proxy(url, authorization, tuple(Secret(secret) for secret in secrets))


def proxy_of_environment(base: str) -> Proxy | None:
    """The proxy that the environment names for requests to ``base``: never one for loopback.

    :raises ConfigurationError: what it names is no HTTP proxy.
    """
    parts = urlsplit(base)
    if is_loopback(parts.hostname or ""):
        return None
    found = _environment_says(parts.scheme, parts.netloc)
    return None if found is None else proxy_url(found, f"{parts.scheme.upper()}_PROXY (environment)")


def _environment_says(scheme: str, netloc: str) -> Secret | None:
    import urllib.request  # noqa: PLC0415 - it brings an HTTP client of its own, a tenth of the import time

    bypassed: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    proxies = urllib.request.getproxies_environment()
    found = proxies.get(scheme) or proxies.get("all")
    if found and scheme not in proxies and "://" in found and not found.lower().startswith(("http://", "https://")):
        return None  # ALL_PROXY is meant for others too, who speak SOCKS
    if not found or bypassed(netloc, proxies):
        return None
    return Secret(found if "://" in found else f"http://{found}")
