"""Where the settings of a client come from: argument, environment, ``~/.omium/config.json``, default, in this order."""

from __future__ import annotations

import inspect
import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

import attrs
import msgspec

from .errors import Attempt, ConfigurationError
from .secret import Redactor, Secret, basic_auth

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

    SSLSetting = ssl_module.SSLContext | aiohttp.Fingerprint | bool

__all__ = ["DEFAULT_RETRIES", "DEFAULT_TIMEOUT", "Auth", "Options", "Proxy", "Settings", "configure", "own_key"]

Auth = Literal["x-api-key", "bearer"]
OnAttempt = Callable[[Attempt], object]

PRODUCTION_URL: Final = "https://api.omium.ai"


class _DefaultFloat(float):
    """A default that can be told from the same number given by the user, which comes before the environment."""


class _DefaultInt(int):
    """The same for whole numbers."""


DEFAULT_TIMEOUT: Final[float] = _DefaultFloat(60.0)
DEFAULT_RETRIES: Final[int] = _DefaultInt(3)

_FORBIDDEN_HEADERS: Final = frozenset({
    "host", "connection", "content-length", "transfer-encoding", "expect", "x-api-key", "authorization",
    "idempotency-key",
})  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@attrs.frozen
class Options:
    """What may differ from call to call: ``with_options`` changes these."""

    timeout: float | None
    attempt_timeout: float | None
    max_retries: int
    retry_ambiguous_writes: bool
    agent_id: str | None
    on_attempt: OnAttempt | None


@attrs.frozen
class Proxy:
    """An HTTP proxy; the credentials of its URL are kept apart and masked."""

    url: str
    authorization: Secret | None = None


@attrs.frozen
class Settings:
    """What belongs to a client as a whole."""

    api_key: Secret
    base_url: str
    auth: Auth
    max_connections: int
    rate_limit: float | None
    max_response_bytes: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    proxy: Proxy | None
    ssl: SSLSetting
    redactor: Redactor


# -- checks of single values; `source` says in messages where the value came from ------------------------------------


def _number(value: object, source: str, *, what: str, whole: bool = False, zero: bool = False) -> Any:
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigurationError(f"{source} must be {what}, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):  # type: ignore[operator]
        raise ConfigurationError(f"{source} must be {what}, not {value!r}")
    return value


def _timeout(value: object, source: str) -> float | None:
    return None if value is None else _number(value, source, what="a number of seconds above 0 (or None)")


def _retries(value: object, source: str) -> int:
    return int(_number(value, source, what="a whole number, 0 or more", whole=True, zero=True))


def own_key(value: object) -> Secret | None:
    """``value`` masked from here on, so that no traceback shows it.

    :raises ConfigurationError: it is neither text nor ``None``.
    """
    if value is None or isinstance(value, str):
        return None if value is None else Secret(value)
    kind = type(value).__name__
    del value
    raise ConfigurationError(f"api_key (argument) must be text, not {kind}")


def _checked_key(key: Secret, source: str) -> Secret:
    if not key.strip():
        raise ConfigurationError(f"{source} is empty: give a key")
    if _CONTROL.search(key):
        raise ConfigurationError(f"{source} holds control characters (a line break?): give the key alone")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{source} holds a lone surrogate, which is no text") from None
    return key


def _base_url(value: object, source: str, *, allow_insecure_http: bool) -> str:
    """The URL that paths are appended to: with one ``/api/v1`` at its end, whichever form it was given in."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} must be text, not {type(value).__name__}")
    text = value.strip(" ")
    example = f"give one such as {PRODUCTION_URL}"
    if not text or _CONTROL.search(text) or " " in text or "\\" in text:
        raise ConfigurationError(f"{source} is no URL: {example}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{source} is no URL: {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{source} holds credentials: give the key as api_key or OMIUM_API_KEY")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ConfigurationError(f"{source} must begin with https:// and name a host: {example}")
    if "?" in text or "#" in text or ".." in unquote(parts.path).split("/"):
        raise ConfigurationError(f"{source} must not hold a query, a fragment or '..': {example}")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ConfigurationError(
            f"{source} would send the key over plain http to {host}: use https://, or allow_insecure_http=True"
        )
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    path = re.sub(r"(/api/v1)+$", "", path, flags=re.IGNORECASE)
    authority = _ascii_host(host, source) + ("" if port is None else f":{port}")
    escaped = quote(path, safe="/%:@!$&'()*+,;=-._~")
    return f"{parts.scheme}://{authority}{escaped}/api/v1"


def _ascii_host(host: str, source: str) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:
        raise ConfigurationError(f"{source} has a host name that is none") from None
    if not re.fullmatch(r"[A-Za-z0-9._-]+", ascii_host):
        raise ConfigurationError(f"{source} has a host name that is none")
    return ascii_host


def is_loopback(host: str) -> bool:
    """Whether requests to ``host`` stay on this machine."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"headers must be a mapping of text to text, not {type(value).__name__}")
    return {checked_header(name, text, "headers"): text for name, text in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def checked_header(name: object, value: object, source: str, *, allowed: str = "") -> str:
    """The name of a header that a user adds.

    :raises ConfigurationError: the client sets it itself, or it would break the request.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"{source}: {name!r} is no header name")
    if name.lower() in _FORBIDDEN_HEADERS and name.lower() != allowed:
        raise ConfigurationError(f"{source}: {name} is set by the client itself")
    if not isinstance(value, str) or _CONTROL.search(value.replace("\t", " ")):
        raise ConfigurationError(f"{source}: the value of {name} must be text without control characters")
    return name


def _proxy(value: object, source: str) -> Proxy:
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} must be text, not {type(value).__name__}")
    text = Secret(value)
    del value
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if parts is None or parts.scheme not in ("http", "https") or not host or _CONTROL.search(text):
        raise ConfigurationError(f"{source} must be a URL such as http://proxy.example:3128")
    authorization = None
    if parts.username is not None:
        authorization = basic_auth(unquote(parts.username), unquote(parts.password or ""))
    authority = _ascii_host(host, source) + ("" if port is None else f":{port}")
    return Proxy(f"{parts.scheme}://{authority}", authorization)


def _proxy_of_environment(base_url: str) -> Proxy | None:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    if is_loopback(host) or proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[arg-type]
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    return _proxy(found if "://" in found else f"http://{found}", f"the environment's proxy for {parts.scheme}")


# -- where values come from --------------------------------------------------------------------------------------------


def _environment(name: str) -> Secret | None:
    """A variable, masked, for it may be the key; an empty one is unset."""
    value = Secret(os.environ.get(name, ""))
    return value or None


def _environment_number(name: str, kind: type[int | float], what: str) -> float | int | None:
    text = _environment(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"{name} (environment) must be {what}, not {str(text)!r}") from None


@attrs.frozen
class _File:
    """What the config file says; ``source`` names it in messages."""

    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    path: str = ""

    def source(self, setting: str) -> str:
        return f"{setting} (in {self.path})"

    def text(self, setting: str) -> Secret | None:
        value = self.values.get(setting)
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            del value
            raise ConfigurationError(f"{self.source(setting)} must be text, not {kind}")
        return value or None  # type: ignore[return-value]


def _read_file() -> _File:
    try:
        path = Path.home() / ".omium" / "config.json"
        body = path.read_bytes()
    except FileNotFoundError:
        return _File()
    except RuntimeError:  # no home: then there is no such file
        return _File()
    except OSError as error:
        raise ConfigurationError(f"the config file {path} cannot be read: {error.strerror}") from None
    values = _known_values(body)
    del body
    if values is None:
        raise ConfigurationError(f"the config file {path} is no JSON object: mend or remove it")
    return _File(values, str(path))


def _known_values(body: bytes) -> dict[str, Any] | None:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    known = ("api_key", "api_url", "timeout", "retry_attempts")
    return {name: Secret(data[name]) if isinstance(data[name], str) else data[name] for name in known if name in data}


# -- all together ------------------------------------------------------------------------------------------------------


def configure(
    api_key: Secret | None,
    base_url: str | None,
    *,
    auth: Any,
    timeout: float | None,
    attempt_timeout: float | None,
    max_retries: int,
    retry_ambiguous_writes: bool,
    max_connections: int,
    rate_limit: float | None,
    max_response_bytes: int,
    agent_id: str | None,
    headers: Mapping[str, str] | None,
    proxy: str | None,
    ssl: SSLSetting | None,
    on_attempt: OnAttempt | None,
    allow_insecure_http: bool,
) -> tuple[Settings, Options]:
    """Settings and options of a client, every value checked and every absent one looked up.

    :raises ConfigurationError: naming the setting and where it came from, never the key.
    """
    key, key_source = (api_key, "api_key (argument)")
    if key is None:
        key, key_source = _environment("OMIUM_API_KEY"), "OMIUM_API_KEY (environment)"
    url: str | None = base_url
    url_source = "base_url (argument)"
    if url is None:
        url, url_source = _environment("OMIUM_API_URL"), "OMIUM_API_URL (environment)"
    file = _read_file() if key is None or url is None else _File()
    if key is None:
        key, key_source = file.text("api_key"), file.source("api_key")
    if url is None:
        url, url_source = file.text("api_url") or PRODUCTION_URL, file.source("api_url")
    if key is None:
        raise ConfigurationError(
            "no API key: pass api_key, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
        )
    key = _checked_key(key, key_source)
    if auth not in ("x-api-key", "bearer"):
        raise ConfigurationError(f"auth (argument) must be 'x-api-key' or 'bearer', not {type(auth).__name__}")
    checked_url = _base_url(url, url_source, allow_insecure_http=allow_insecure_http)
    found_proxy = _proxy_of_environment(checked_url) if proxy is None else _proxy(proxy, "proxy (argument)")
    settings = Settings(
        api_key=key,
        base_url=checked_url,
        auth=auth,
        max_connections=_number(
            max_connections, "max_connections (argument)", what="a whole number above 0", whole=True
        ),
        rate_limit=None
        if rate_limit is None
        else _number(rate_limit, "rate_limit (argument)", what="a number of requests a minute above 0 (or None)"),
        max_response_bytes=_number(
            max_response_bytes, "max_response_bytes (argument)", what="a whole number of bytes above 0", whole=True
        ),
        headers=_headers(headers),
        proxy=found_proxy,
        ssl=True if ssl is None else ssl,
        redactor=_redactor(key, found_proxy),
    )
    options = Options(
        timeout=_timeout_setting(timeout, file),
        attempt_timeout=_timeout(attempt_timeout, "attempt_timeout (argument)"),
        max_retries=_retries_setting(max_retries, file),
        retry_ambiguous_writes=bool(retry_ambiguous_writes),
        agent_id=_agent_id(agent_id),
        on_attempt=_hook(on_attempt),
    )
    return settings, options


def _redactor(key: Secret, proxy: Proxy | None) -> Redactor:
    if proxy is None or proxy.authorization is None:
        return Redactor(key)
    return Redactor(key, proxy.authorization, proxy.authorization.removeprefix("Basic "))


def _timeout_setting(argument: object, file: _File) -> float | None:
    if argument is not DEFAULT_TIMEOUT:
        return _timeout(argument, "timeout (argument)")
    found = _environment_number("OMIUM_TIMEOUT", float, "a number of seconds")
    if found is not None:
        return _timeout(found, "OMIUM_TIMEOUT (environment)")
    if file.values.get("timeout") not in (None, ""):
        return _timeout(file.values["timeout"], file.source("timeout"))
    return float(DEFAULT_TIMEOUT)


def _retries_setting(argument: object, file: _File) -> int:
    if argument is not DEFAULT_RETRIES:
        return _retries(argument, "max_retries (argument)")
    found = _environment_number("OMIUM_RETRY_ATTEMPTS", int, "a whole number")
    if found is not None:
        return _retries(found, "OMIUM_RETRY_ATTEMPTS (environment)")
    if file.values.get("retry_attempts") not in (None, ""):
        return _retries(file.values["retry_attempts"], file.source("retry_attempts"))
    return int(DEFAULT_RETRIES)


def _agent_id(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError("agent_id (argument) must be text that is not empty (or None)")
    return value


def _hook(value: Any) -> OnAttempt | None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigurationError("on_attempt (argument) must be a plain function that takes an Attempt")
    return value  # type: ignore[no-any-return]


_OPTION_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timeout": lambda value: _timeout(value, "timeout (argument)"),
    "attempt_timeout": lambda value: _timeout(value, "attempt_timeout (argument)"),
    "max_retries": lambda value: _retries(value, "max_retries (argument)"),
    "retry_ambiguous_writes": bool,
    "agent_id": _agent_id,
    "on_attempt": _hook,
}


class OptionChanges(TypedDict, total=False):
    """The options that ``with_options`` changes."""

    timeout: float | None
    attempt_timeout: float | None
    max_retries: int
    retry_ambiguous_writes: bool
    agent_id: str | None
    on_attempt: OnAttempt | None


def changed(options: Options, changes: OptionChanges) -> Options:
    """``options`` with some of them changed and checked.

    :raises ConfigurationError: a value is out of range. :raises TypeError: there is no such option.
    """
    for name in changes:
        if name not in _OPTION_CHECKS:
            raise TypeError(f"with_options has no {name!r}; it changes {', '.join(_OPTION_CHECKS)}")
    return attrs.evolve(options, **{name: _OPTION_CHECKS[name](value) for name, value in changes.items()})


def checked_session(session: Any) -> Any:
    """The user's own session, which must not send what this client must not.

    :raises ConfigurationError: it trusts the environment: the credentials of ``~/.netrc`` would go to the service.
    """
    if session is not None and getattr(session, "trust_env", False):
        raise ConfigurationError(
            "session (argument) must not have trust_env: it would send credentials of ~/.netrc to the service"
        )
    return session
