"""Collects the settings of a client: from the argument, the environment, the config file, or the default."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypedDict, TypeVar

import attrs

from .._data.masked import Secret, SecretFunction, masked
from .._errors.others import ConfigurationError
from . import checks
from .addresses import proxy_of_environment, sends_in_the_clear
from .checks import InvalidSettingError
from .declared import REQUIRED, Declaration, OnAttempt, Options, Settings, declarations
from .secret import Redactor
from .sources import ConfigFile, environment

F = TypeVar("F", bound=Callable[..., Any])

_NO_KEY: Final = "no API key: pass api_key, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
KEY_FUNCTION: Final = "api_key function"  # the source of keys that a function returns
_SHORT: Final = 8  # longer text may be a key in the wrong place, and is not shown
_MAY_HOLD_A_SECRET: Final = frozenset({"api_key", "base_url", "auth", "headers", "proxy"})


def takes_settings(*declared: type) -> Callable[[F], F]:
    """Mask the secrets that a method receives, and suggest the name of a misspelled setting.

    They are masked before anything else, because the traceback of any failure may show local variables.

    :param declared: the classes that declare the settings.
    """
    known = [name for cls in declared for name in declarations(cls)]
    plain = frozenset(known) - _MAY_HOLD_A_SECRET

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def checked(client: object, *args: Any, **settings: Any) -> Any:
            args = tuple(map(masked, args))
            settings = {name: value if name in plain else masked(value) for name, value in settings.items()}
            for name in settings.keys() - known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(sorted(known))}"
                raise TypeError(f"{method.__qualname__}() has no argument {name!r}; {hint}")
            return method(client, *args, **settings)

        return checked

    return decorate


def configure(**arguments: Any) -> tuple[Settings, Options]:
    """Return the validated settings and options of a client.

    :param arguments: of the constructor, masked by `takes_settings`.
    :raises ConfigurationError: a setting is missing or not valid; the message names it and its source, never the key.
    """
    lookup = _SettingReader(arguments)
    found = {name: lookup.value(name, each) for name, each in declarations(Settings).items()}
    if found["proxy"] is None and (in_environment := proxy_of_environment(found["base_url"])) is not None:
        value, variable = in_environment
        proxy = declarations(Settings)["proxy"]
        found["proxy"] = _validated(value, _Source.variable("proxy", variable), proxy)
    lookup.require_encryption(found["base_url"], allow_insecure_http=found["allow_insecure_http"])
    lookup.require_single_credential(found["session"], found["auth"])
    secrets = () if found["proxy"] is None else found["proxy"].secrets
    origins = lookup.origins()
    if isinstance(found["api_key"], SecretFunction):
        origins["api_key"] = KEY_FUNCTION
    else:
        secrets = (found["api_key"], *secrets)
    settings = Settings(**found, redactor=Redactor(*secrets), origins=origins)
    return settings, Options(**{name: lookup.value(name, each) for name, each in declarations(Options).items()})


class _Source(NamedTuple):
    """The source of a value.

    :ivar name: ``argument``, a variable, a file, or ``default``.
    :ivar words: the setting and the source, for messages.
    """

    setting: str
    name: str
    words: str

    @classmethod
    def argument(cls, setting: str) -> _Source:
        return cls(setting, "argument", f"{setting} (argument)")

    @classmethod
    def variable(cls, setting: str, variable: str) -> _Source:
        return cls(setting, variable, f"{variable} (environment)")

    def reject(self, problem: str, advice: str) -> NoReturn:
        """Raise an error about the value."""
        raise ConfigurationError(
            f"{self.words}: {problem}; {advice}",
            setting=self.setting,
            source=self.name,
            problem=problem,
            outcome="not_applied",
        ) from None


class _SettingReader:
    """Finds the value of each setting and its source."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._sources: dict[str, _Source] = {}
        known = declarations(Settings)
        # The file is read only if key or URL is missing: a broken file must not matter to clients that do not need it.
        is_missing = any(self._given(name, known[name]) is None for name in ("api_key", "base_url"))
        self._file = ConfigFile.read() if is_missing else ConfigFile()

    def value(self, name: str, declared: Declaration) -> Any:
        """Return the validated value of a setting."""
        default = declared.otherwise if declared.default is None else declared.default
        given = self._given(name, declared) or self._in_file(name, declared)
        if given is None and default is REQUIRED:
            raise ConfigurationError(_NO_KEY, setting=name, outcome="not_applied")
        value, self._sources[name] = given or (default, _Source(name, "default", f"{name} (default)"))
        return _validated(value, self._sources[name], declared)

    def _given(self, name: str, declared: Declaration) -> tuple[Any, _Source] | None:
        """Return the argument, or else the variable."""
        argument = self._arguments[name]
        if declared.variable is None or argument is not declared.default:
            return argument, _Source.argument(name)
        text = environment(declared.variable)
        source = _Source.variable(name, declared.variable)
        return None if text is None else (_parsed(text, source, declared), source)

    def _in_file(self, name: str, declared: Declaration) -> tuple[Any, _Source] | None:
        value = self._file.values.get(declared.in_file or "")
        if value is None or value == "":
            return None
        return value, _Source(name, self._file.path, f"{declared.in_file} (in {self._file.path})")

    def origins(self) -> dict[str, str]:
        """Return the source of each setting: ``argument``, a variable, the file, or ``default``."""
        return {name: source.name for name, source in self._sources.items()}

    def require_encryption(self, base_url: str, *, allow_insecure_http: bool) -> None:
        """Reject a URL to which the key would be sent unencrypted."""
        host = None if allow_insecure_http else sends_in_the_clear(base_url)
        if host is not None:
            self._sources["base_url"].reject(
                f"it would send the key over plain http to {host}", "give https://, or allow_insecure_http=True"
            )

    def require_single_credential(self, session: Any, auth: str) -> None:
        """Reject a session whose own credentials would be sent in the header of the key."""
        if auth == "bearer" and getattr(session, "auth", None) is not None:
            self._sources["session"].reject(
                "it has an auth of its own, which uses the same header as the key",
                "give a session without auth, or auth='x-api-key'",
            )


def _parsed(text: Secret, source: _Source, declared: Declaration) -> Any:
    if declared.read is str:
        return text
    try:
        return declared.read(str.__str__(text))
    except ValueError:
        what = f"{str.__str__(text)!r}" if len(text) < _SHORT else "this text"
    return source.reject(f"{what} is not a number", declared.advice)


def _validated(value: Any, source: _Source, declared: Declaration) -> Any:
    if value is None and declared.optional:
        return None
    try:
        return declared.check(value)
    except InvalidSettingError as error:
        problem = error
    return source.reject(problem.problem, problem.advice or declared.advice)


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
    headers: Mapping[str, str | None]


def changed(options: Options, changes: OptionChanges) -> Options:
    """Return ``options`` with validated changes.

    :raises ConfigurationError: a value is out of range.
    """
    known = dict(declarations(Options))
    known["headers"] = known["headers"]._replace(check=functools.partial(checks.headers, before=options.headers))
    values = {name: _validated(value, _Source.argument(name), known[name]) for name, value in changes.items()}
    return attrs.evolve(options, **values)


def checked_key(value: Any) -> Secret:
    """Validate the masked value that the ``api_key`` function returned.

    :raises ConfigurationError: it is no key.
    """
    try:
        return checks.key(value)
    except InvalidSettingError as error:
        problem = error
    advice = problem.advice or "return the key as text, from a plain function or from an async one"
    return _Source("api_key", KEY_FUNCTION, KEY_FUNCTION).reject(f"of what it returned, {problem.problem}", advice)


def checked_header(name: object, value: object, place: str, *, allowed: str = "") -> str:
    """Validate a header that a user adds to a request, and return its name.

    :raises ConfigurationError: the client sets it, or it would break the request.
    """
    try:
        return checks.header(name, value, allowed=allowed)
    except InvalidSettingError as error:
        problem = error
    return _Source("headers", "argument", place).reject(problem.problem, problem.advice or "")
