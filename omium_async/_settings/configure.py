"""The settings of a client: argument, environment, ``~/.omium/config.json``, default, in this order, all checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast

import attrs

from .._data.shared import is_ours
from .._errors import Attempt, ConfigurationError
from .addresses import PRODUCTION_URL, Proxy, base_url, proxy_of_environment, proxy_url
from .secret import Redactor, Secret, kind_of
from .sources import ConfigFile, environment, environment_number

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

    from .._data.converter import OmiumConverter
    from .._telemetry import Telemetry

    SSLSetting = ssl_module.SSLContext | aiohttp.Fingerprint | bool

__all__ = [
    "DEFAULT_BACKOFF",
    "DEFAULT_PATIENCE",
    "DEFAULT_POLL_INTERVAL",
    "DEFAULT_RETRIES",
    "DEFAULT_TIMEOUT",
    "Auth",
    "OnAttempt",
    "OptionChanges",
    "Options",
    "Settings",
    "changed",
    "checked_header",
    "checked_session",
    "configure",
]

Auth = Literal["x-api-key", "bearer"]
OnAttempt = Callable[[Attempt], object]


class _DefaultFloat(float):
    """A default that can be told from the same number given by the user, which comes before the environment."""


class _DefaultInt(int):
    """The same for whole numbers."""


DEFAULT_TIMEOUT: Final[float] = _DefaultFloat(60.0)
DEFAULT_RETRIES: Final[int] = _DefaultInt(3)
DEFAULT_PATIENCE: Final[float] = _DefaultFloat(300.0)
DEFAULT_BACKOFF: Final = (0.5, 8.0)
DEFAULT_POLL_INTERVAL: Final = (0.5, 10.0)

_FORBIDDEN_HEADERS: Final = frozenset({
    "host", "connection", "content-length", "transfer-encoding", "expect", "x-api-key", "authorization",
    "idempotency-key",
})  # fmt: skip
_LARGEST: Final = 10**15  # NaN is not below it either; whatever is larger is a mistake
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
    patience: float | None
    backoff: tuple[float, float]
    poll_interval: tuple[float, float]


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
    converter: OmiumConverter | None = attrs.field(default=None, repr=False)
    telemetry: Telemetry | None = None


# -- checks of single values; `source` says in messages where the value came from ------------------------------------


def _number(value: Any, source: str, *, what: str, whole: bool = False, zero: bool = False) -> Any:
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigurationError(f"{source} must be {what}, not {kind_of(value)}")
    number: Any = value
    if not number < _LARGEST:
        raise ConfigurationError(f"{source} must be {what}, and not so much")
    if number < 0 or (number == 0 and not zero):
        raise ConfigurationError(f"{source} must be {what}, not below")
    return value


def _timeout(value: object, source: str) -> float | None:
    return None if value is None else float(_number(value, source, what="a number of seconds above 0 (or None)"))


def _patience(value: object, source: str) -> float | None:
    what = "a number of seconds, 0 or more (or None)"
    return None if value is None else float(_number(value, source, what=what, zero=True))


def _pauses(value: Any, name: str, *, zero: bool = False) -> tuple[float, float]:
    """The first and the longest of growing pauses."""
    source = f"{name} (argument)"
    pair: list[Any] = [*value] if isinstance(value, (tuple, list)) else []
    if len(pair) != 2:
        raise ConfigurationError(f"{source} must be two numbers of seconds: the first pause and the longest")
    what = f"two numbers of seconds{', 0 or more' if zero else ' above 0'}"
    first, longest = (float(_number(each, source, what=what, zero=zero)) for each in pair)
    if longest < first:
        raise ConfigurationError(f"{source} must be two numbers of seconds, of which the second is not the smaller one")
    return first, longest


def _retries(value: object, source: str) -> int:
    return int(_number(value, source, what="a whole number, 0 or more", whole=True, zero=True))


def _count(value: object, name: str) -> int:
    return int(_number(value, f"{name} (argument)", what="a whole number above 0", whole=True))


def _rate_limit(value: object) -> float | None:
    what = "a number of requests a minute above 0 (or None)"
    return None if value is None else float(_number(value, "rate_limit (argument)", what=what))


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} (argument) must be True or False, not {type(value).__name__}")
    return value


def _agent_id(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value or not _encodes(value)):
        raise ConfigurationError("agent_id (argument) must be text that is not empty (or None)")
    return value


def _hook(value: Any) -> OnAttempt | None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigurationError("on_attempt (argument) must be a plain function that takes an Attempt")
    return value  # type: ignore[no-any-return]


def _ssl(value: Any) -> Any:
    # By name: neither `ssl` nor aiohttp is imported for a client that has not made a call yet.
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__}
    if isinstance(value, bool) or not kinds.isdisjoint({"ssl.SSLContext", "aiohttp.client_reqrep.Fingerprint"}):
        return value
    raise ConfigurationError("ssl (argument) must be an SSLContext, an aiohttp.Fingerprint, True or False (or None)")


def _converter(value: object) -> OmiumConverter | None:
    if value is None or is_ours(value):
        return cast("OmiumConverter | None", value)
    raise ConfigurationError(
        "converter (argument) must be what omium_async.make_converter() gives, or a copy of that (or None), "
        f"not {kind_of(value)}"
    )


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which is no text
        return False
    return True


def _key(key: object, source: str) -> Secret:
    if not isinstance(key, str):
        raise ConfigurationError(f"{source} must be text, not {kind_of(key)}")
    if not key.strip():
        raise ConfigurationError(f"{source} is empty: give a key")
    if _CONTROL.search(key):
        raise ConfigurationError(f"{source} holds control characters (a line break?): give the key alone")
    if not _encodes(key):
        raise ConfigurationError(f"{source} holds a lone surrogate, which is no text")
    return Secret(key)


def _headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"headers must be a mapping of text to text, not {kind_of(value)}")
    return {checked_header(name, text, "headers (argument)"): text for name, text in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def checked_header(name: object, value: object, source: str, *, allowed: str = "") -> str:
    """The name of a header that a user adds.

    :raises ConfigurationError: the client sets it itself, or it would break the request.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"{source}: a name of a header is letters, digits and a few signs such as '-'")
    if name.lower() in _FORBIDDEN_HEADERS and name.lower() != allowed:
        raise ConfigurationError(f"{source}: {name} is set by the client itself")
    if not isinstance(value, str) or _CONTROL.search(value.replace("\t", " ")) or not _encodes(value):
        raise ConfigurationError(f"{source}: the value of {name} must be text without control characters")
    return name


# -- all together ------------------------------------------------------------------------------------------------------


def configure(
    *,
    api_key: str | None,
    base_url: str | None,
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
    patience: float | None,
    backoff: tuple[float, float],
    poll_interval: tuple[float, float],
    converter: object,
) -> tuple[Settings, Options]:
    """Settings and options of a client, every value checked and every absent one looked up.

    :param api_key: and whatever else may hold a secret: as `masked` gives it.
    :raises ConfigurationError: naming the setting and where it came from, never the key.
    """
    key, key_source = _first("api_key", api_key, "OMIUM_API_KEY")
    url, url_source = _first("base_url", base_url, "OMIUM_API_URL")
    file = ConfigFile.read() if key is None or url is None else ConfigFile()
    if key is None:
        key, key_source = file.text("api_key"), file.source("api_key")
    if key is None:
        raise ConfigurationError(
            "no API key: pass api_key, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
        )
    if url is None:
        url, url_source = file.text("api_url") or PRODUCTION_URL, file.source("api_url")
    checked_key = _key(key, key_source)
    checked_url = _base_url(url, url_source, allow_insecure_http=_flag(allow_insecure_http, "allow_insecure_http"))
    if auth not in ("x-api-key", "bearer"):
        raise ConfigurationError("auth (argument) must be 'x-api-key' or 'bearer'")
    found_proxy = proxy_of_environment(checked_url) if proxy is None else proxy_url(proxy, "proxy (argument)")
    settings = Settings(
        api_key=checked_key,
        base_url=checked_url,
        auth="bearer" if auth == "bearer" else "x-api-key",
        max_connections=_count(max_connections, "max_connections"),
        rate_limit=_rate_limit(rate_limit),
        max_response_bytes=_count(max_response_bytes, "max_response_bytes"),
        headers=_headers(headers),
        proxy=found_proxy,
        ssl=True if ssl is None else _ssl(ssl),
        redactor=Redactor(checked_key, *(() if found_proxy is None else found_proxy.secrets)),
        converter=_converter(converter),
    )
    options = Options(
        timeout=_timeout_setting(timeout, file),
        attempt_timeout=_timeout(attempt_timeout, "attempt_timeout (argument)"),
        max_retries=_retries_setting(max_retries, file),
        retry_ambiguous_writes=_flag(retry_ambiguous_writes, "retry_ambiguous_writes"),
        agent_id=_agent_id(agent_id),
        on_attempt=_hook(on_attempt),
        patience=_patience_setting(patience),
        backoff=_pauses(backoff, "backoff", zero=True),
        poll_interval=_pauses(poll_interval, "poll_interval"),
    )
    return settings, options


_base_url = base_url  # `configure` has a parameter of that name


def _first(name: str, argument: Any, variable: str) -> tuple[Any, str]:
    if argument is not None:
        return argument, f"{name} (argument)"
    return environment(variable), f"{variable} (environment)"


def _timeout_setting(argument: object, file: ConfigFile) -> float | None:
    if argument is not DEFAULT_TIMEOUT:
        return _timeout(argument, "timeout (argument)")
    found = environment_number("OMIUM_TIMEOUT", float, "a number of seconds above 0")
    if found is not None:
        return _timeout(found, "OMIUM_TIMEOUT (environment)")
    if file.values.get("timeout") not in (None, ""):
        return _timeout(file.values["timeout"], file.source("timeout"))
    return float(DEFAULT_TIMEOUT)


def _retries_setting(argument: object, file: ConfigFile) -> int:
    if argument is not DEFAULT_RETRIES:
        return _retries(argument, "max_retries (argument)")
    found = environment_number("OMIUM_RETRY_ATTEMPTS", int, "a whole number, 0 or more")
    if found is not None:
        return _retries(found, "OMIUM_RETRY_ATTEMPTS (environment)")
    if file.values.get("retry_attempts") not in (None, ""):
        return _retries(file.values["retry_attempts"], file.source("retry_attempts"))
    return int(DEFAULT_RETRIES)


def _patience_setting(argument: object) -> float | None:
    if argument is not DEFAULT_PATIENCE:
        return _patience(argument, "patience (argument)")
    found = environment_number("OMIUM_PATIENCE", float, "a number of seconds, 0 or more")
    return float(DEFAULT_PATIENCE) if found is None else _patience(found, "OMIUM_PATIENCE (environment)")


class OptionChanges(TypedDict, total=False):
    """The options that ``with_options`` changes."""

    timeout: float | None
    attempt_timeout: float | None
    max_retries: int
    retry_ambiguous_writes: bool
    agent_id: str | None
    on_attempt: OnAttempt | None
    patience: float | None
    backoff: tuple[float, float]
    poll_interval: tuple[float, float]


_OPTION_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timeout": lambda value: _timeout(value, "timeout (argument)"),
    "attempt_timeout": lambda value: _timeout(value, "attempt_timeout (argument)"),
    "max_retries": lambda value: _retries(value, "max_retries (argument)"),
    "retry_ambiguous_writes": lambda value: _flag(value, "retry_ambiguous_writes"),
    "agent_id": _agent_id,
    "on_attempt": _hook,
    "patience": lambda value: _patience(value, "patience (argument)"),
    "backoff": lambda value: _pauses(value, "backoff", zero=True),
    "poll_interval": lambda value: _pauses(value, "poll_interval"),
}


def changed(options: Options, changes: OptionChanges) -> Options:
    """``options`` with some of them changed and checked.

    :raises ConfigurationError: a value is out of range. :raises TypeError: there is no such option.
    """
    unknown = [name for name in changes if name not in _OPTION_CHECKS]
    if unknown:
        changes.clear()  # type: ignore[attr-defined] # the value may be a key, and tracebacks may show it
        raise TypeError(f"with_options has no {unknown[0]!r}; it changes {', '.join(_OPTION_CHECKS)}")
    return attrs.evolve(options, **{name: _OPTION_CHECKS[name](value) for name, value in changes.items()})


def checked_session(session: Any) -> Any:
    """The user's own session, which must not send what this client must not.

    :raises ConfigurationError: it is none, or trusts the environment: the credentials of ``~/.netrc`` would go to the
        service.
    """
    if session is None:
        return None
    if not callable(getattr(session, "request", None)):
        raise ConfigurationError("session (argument) must be an aiohttp.ClientSession (or None)")
    if getattr(session, "trust_env", False):
        raise ConfigurationError(
            "session (argument) must not have trust_env: it would send credentials of ~/.netrc to the service"
        )
    return session
