"""Declares every setting of a client: its validator, its default, and its other sources."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any, Final, Literal, NamedTuple

import aiohttp
import attrs
from multidict import CIMultiDict

from .._data.converter import OmiumConverter
from .._data.masked import Secret, SecretFunction
from .._errors.attempts import Attempt
from .._telemetry import Telemetry
from . import checks
from .addresses import PRODUCTION_URL, Proxy, base_url, proxy_url
from .secret import Redactor

Auth = Literal["x-api-key", "bearer"]
SSLSetting = ssl_module.SSLContext | aiohttp.Fingerprint | bool
OnAttempt = Callable[[Attempt], object]
KeyFunction = Callable[[], str] | Callable[[], Awaitable[str]]


class _DefaultFloat(float):
    """A default that differs from the same number given as an argument, which has priority over the environment."""


class _DefaultInt(int):
    """A whole number of the same kind."""


DEFAULT_TIMEOUT: Final[float] = _DefaultFloat(120.0)
DEFAULT_RETRIES: Final[int] = _DefaultInt(3)
DEFAULT_PATIENCE: Final[float] = _DefaultFloat(300.0)
DEFAULT_BACKOFF: Final = (0.5, 8.0)
DEFAULT_POLL_INTERVAL: Final = (0.5, 10.0)

REQUIRED: Final[Any] = object()

_SECONDS: Final = "give a number of seconds above 0, or None for no limit"


class Declaration(NamedTuple):
    """The declaration of a setting.

    :ivar check: returns the value to use, or raises `checks.InvalidSettingError`.
    :ivar advice: what to give, for messages.
    :ivar default: of the constructor's parameter; it counts as not given.
    :ivar otherwise: the value if no source has one and the default is ``None``; `REQUIRED`: that is an error.
    :ivar optional: whether ``None`` is a valid value.
    :ivar variable: its environment variable, or ``None``.
    :ivar in_file: its name in the config file, or ``None``.
    :ivar read: parses the text of a variable.
    """

    check: Callable[[Any], Any]
    advice: str
    default: Any = None
    optional: bool = False
    variable: str | None = None
    in_file: str | None = None
    read: Callable[[str], Any] = str
    otherwise: Any = None


def _setting(check: Callable[[Any], Any], advice: str, *, show: bool = True, **more: Any) -> Any:
    return attrs.field(repr=show, metadata={Declaration: Declaration(check, advice, **more)})


@cache
def declarations(cls: type) -> Mapping[str, Declaration]:
    """Return the settings that a class declares, by name."""
    return {field.name: field.metadata[Declaration] for field in attrs.fields(cls) if Declaration in field.metadata}


@attrs.frozen
class Options:
    """The options of calls, which ``with_options`` changes."""

    timeout: float | None = _setting(
        checks.number, _SECONDS, default=DEFAULT_TIMEOUT, optional=True, variable="OMIUM_TIMEOUT", in_file="timeout",
        read=float,
    )  # fmt: skip
    attempt_timeout: float | None = _setting(checks.number, _SECONDS, default=30.0, optional=True)
    max_retries: int = _setting(
        partial(checks.whole, zero=True), "give a whole number, 0 or more", default=DEFAULT_RETRIES,
        variable="OMIUM_RETRY_ATTEMPTS", in_file="retry_attempts", read=int,
    )  # fmt: skip
    retry_ambiguous_writes: bool = _setting(checks.flag, "give True or False", default=False)
    agent_id: str | None = _setting(checks.agent_id, "give text that is not empty, or None", optional=True)
    on_attempt: OnAttempt | None = _setting(
        checks.hook, "give a plain function that takes an Attempt, or None", optional=True
    )
    patience: float | None = _setting(
        partial(checks.number, zero=True), "give a number of seconds, 0 or more, or None for no limit",
        default=DEFAULT_PATIENCE, optional=True, variable="OMIUM_PATIENCE", read=float,
    )  # fmt: skip
    backoff: tuple[float, float] = _setting(
        partial(checks.delays, zero=True), "give two numbers of seconds, 0 or more: the first delay and the longest",
        default=DEFAULT_BACKOFF,
    )  # fmt: skip
    poll_interval: tuple[float, float] = _setting(
        checks.delays, "give two numbers of seconds above 0: the first delay and the longest",
        default=DEFAULT_POLL_INTERVAL,
    )  # fmt: skip
    headers: CIMultiDict[str] = _setting(checks.headers, "give a mapping of text to text", show=False)


@attrs.frozen
class Settings:
    """The settings of a client as a whole.

    :ivar redactor: removes its secrets from text of the server.
    :ivar origins: the source of each setting: ``argument``, the name of a variable, the path of the file,
        ``default``, or ``api_key function``.
    """

    redactor: Redactor
    origins: Mapping[str, str] = attrs.field(repr=False)
    api_key: Secret | SecretFunction = _setting(
        checks.key_or_function,
        "give the key as text, or a function without arguments that returns it",
        otherwise=REQUIRED,
        variable="OMIUM_API_KEY",
        in_file="api_key",
    )
    base_url: str = _setting(
        base_url, f"give a URL such as {PRODUCTION_URL}", otherwise=PRODUCTION_URL, variable="OMIUM_API_URL",
        in_file="api_url",
    )  # fmt: skip
    auth: Auth = _setting(checks.auth, "give 'x-api-key' or 'bearer'", default="x-api-key")
    max_connections: int = _setting(checks.whole, "give a whole number above 0", default=100)
    rate_limit: float | tuple[float, float] | None = _setting(
        checks.rate_limit,
        "give a number of requests a minute above 0, or two: a minute and an hour, or None for no limit", optional=True,
    )  # fmt: skip
    max_response_bytes: int = _setting(checks.whole, "give a whole number of bytes above 0", default=64 * 2**20)
    proxy: Proxy | None = _setting(
        proxy_url, "give the URL of an HTTP proxy, such as http://proxy.example:3128 (SOCKS is not supported)",
        optional=True,
    )  # fmt: skip
    ssl: SSLSetting = _setting(checks.ssl, "give an SSLContext, an aiohttp.Fingerprint, True, False or None")
    session: aiohttp.ClientSession | None = _setting(
        checks.session, "give an aiohttp.ClientSession, or None", optional=True, show=False
    )
    allow_insecure_http: bool = _setting(checks.flag, "give True or False", default=False)
    converter: OmiumConverter | None = _setting(
        checks.converter, "give a converter from omium_async.make_converter(), a copy of one, or None", optional=True,
        show=False,
    )  # fmt: skip
    telemetry: Telemetry | None = _setting(
        checks.telemetry, "give an instance of omium_async.otel.Telemetry, or None", optional=True
    )
