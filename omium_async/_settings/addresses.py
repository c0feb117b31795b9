"""The URLs of the service and of the proxy."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urlsplit

import idna  # comes with aiohttp; the codec of Python has older rules

from .._data.masked import Secret
from .._data.text import encodes
from .checks import CONTROL, InvalidSettingError, shown
from .secret import basic_auth

PRODUCTION_URL: Final = "https://api.omium.ai"

_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST_HOST: Final = 254  # characters, with the dot that may end it


class Proxy(NamedTuple):
    """An HTTP proxy; the credentials of its URL are masked.

    :ivar authorization: the value of its ``Proxy-Authorization`` header.
    :ivar secrets: the forms of its credentials that must not be shown.
    """

    url: str
    authorization: Secret | None = None
    secrets: tuple[Secret, ...] = ()


def base_url(value: Any) -> str:
    """Validate the base URL, and return it with one ``/api/v1`` at its end, whichever form was given."""
    if not isinstance(value, str):
        raise InvalidSettingError(f"{shown(value)} is not text")
    text = str.__str__(value).strip(" ")
    parts = _split(text)
    if parts is None or not text or " " in text or "\\" in text:
        raise InvalidSettingError("this is not a URL")
    if parts.username is not None or parts.password is not None:
        raise InvalidSettingError("it contains credentials", "give the key as api_key or OMIUM_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise InvalidSettingError("it does not begin with https:// and a host name")
    if "?" in text or "#" in text or ".." in unquote(parts.path).split("/"):
        raise InvalidSettingError("it contains a query, a fragment or '..'")
    host = _ascii_host(parts.hostname)
    if host is None:
        raise InvalidSettingError("its host name is not valid")
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = re.sub(r"(/api/v1)+$", "", path, flags=re.IGNORECASE)
    authority = host + ("" if parts.port is None else f":{parts.port}")
    escaped = quote(path, safe="/%:@!$&'()*+,;=-._~")
    return f"{parts.scheme}://{authority}{escaped}/api/v1"


def sends_in_the_clear(url: str) -> str | None:
    """Return the host to which requests would go unencrypted over a network, or ``None``."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.scheme == "http" and not is_loopback(host) else None


def _split(text: str) -> SplitResult | None:
    """Return the parts of a URL, or ``None`` if it is not valid."""
    if not encodes(text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return None if CONTROL.search(text) else parts


def _ascii_host(host: str) -> str | None:
    """Return a host name in ASCII, or ``None`` if it is not valid."""
    if ":" in host:
        return f"[{host}]"
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except UnicodeError:
            return None
    labels = host.removesuffix(".").split(".")
    whole = len(host) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return host if whole else None


def is_loopback(host: str) -> bool:
    """Whether requests to ``host`` stay on this machine.

    Names below ``localhost`` should too (RFC 6761), but resolvers ask the network for them.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# -- proxies -----------------------------------------------------------------------------------------------------------


def proxy_url(value: Any) -> Proxy:
    """Validate the URL of a proxy."""
    if not isinstance(value, str):
        raise InvalidSettingError(f"{shown(value)} is not text")
    parts = _split(str.__str__(value))
    host = _ascii_host(parts.hostname) if parts is not None and parts.hostname else None
    if parts is None or host is None or parts.scheme not in ("http", "https"):
        raise InvalidSettingError("this is not the URL of an HTTP proxy")
    url = f"{parts.scheme}://{host}" + ("" if parts.port is None else f":{parts.port}")
    if parts.username is None:
        return Proxy(url)
    user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    authorization = basic_auth(user, password)
    seen = [each.decode(errors="replace") for each in (user + b":" + password, password, user)]
    secrets = (authorization.removeprefix("Basic "), *seen)
    return Proxy(url, authorization, tuple(Secret(secret) for secret in secrets))


def proxy_of_environment(base: str) -> tuple[Secret, str] | None:
    """Return the proxy of the environment for requests to ``base``, and the variable; never one for loopback."""
    parts = urlsplit(base)
    if is_loopback(parts.hostname or ""):
        return None
    scheme, netloc = parts.scheme, parts.netloc
    bypassed: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    proxies = urllib.request.getproxies_environment()
    found = proxies.get(scheme) or proxies.get("all")
    if found and scheme not in proxies and "://" in found and not found.lower().startswith(("http://", "https://")):
        return None  # ALL_PROXY may name a SOCKS proxy, for other programs
    if not found or bypassed(netloc, proxies):
        return None
    variable = f"{scheme if scheme in proxies else 'all'}_proxy"
    name = variable if variable in os.environ else variable.upper()
    return Secret(found if "://" in found else f"http://{found}"), name
