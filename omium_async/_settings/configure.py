"""The settings of a client: argument, environment, ``~/.omium/config.json``, default, in this order, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

import attrs

from .._data.masked import Secret
from .._errors import ConfigurationError
from . import checks
from .addresses import proxy_of_environment, sends_in_the_clear
from .checks import Unfit
from .declared import REQUIRED, Declaration, OnAttempt, Options, Settings, declarations
from .secret import Redactor
from .sources import ConfigFile, environment

__all__ = ["OnAttempt", "OptionChanges", "Options", "Settings", "changed", "checked_header", "configure"]

_NO_KEY: Final = "no API key: pass api_key, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
_SHORT: Final = 8  # what is as long may be a key in the wrong place, and is not shown


def configure(arguments: Mapping[str, Any]) -> tuple[Settings, Options]:
    """Settings and options of a client, every value checked and every absent one looked up.

    :param arguments: by name; whatever may hold a secret is as `masked` gives it.
    :raises ConfigurationError: naming the setting and where it came from, never the key.
    """
    lookup = _Lookup(arguments)
    found = {name: lookup.value(name, each) for name, each in declarations(Settings).items()}
    if found["proxy"] is None and (of_environment := proxy_of_environment(found["base_url"])) is not None:
        value, variable = of_environment
        proxy = declarations(Settings)["proxy"]
        found["proxy"] = _checked(value, _Place("proxy", variable, f"{variable} (environment)"), proxy)
    lookup.check_encrypted(found["base_url"], allow_insecure_http=found["allow_insecure_http"])
    lookup.check_session(found["session"], found["auth"])
    secrets = () if found["proxy"] is None else found["proxy"].secrets
    settings = Settings(**found, redactor=Redactor(found["api_key"], *secrets), origins=lookup.origins())
    return settings, Options(**{name: lookup.value(name, each) for name, each in declarations(Options).items()})


@attrs.frozen
class _Place:
    """Where a value came from, as errors say it."""

    setting: str
    source: str
    words: str

    @classmethod
    def argument(cls, name: str) -> _Place:
        return cls(name, "argument", f"{name} (argument)")

    def refuse(self, problem: str, advice: str) -> ConfigurationError:
        """The error that says what is wrong with the value."""
        return ConfigurationError(
            f"{self.words}: {problem}; {advice}",
            setting=self.setting,
            source=self.source,
            problem=problem,
            outcome="not_applied",
        )


class _Lookup:
    """Finds the value of each setting, where it is said first."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._places: dict[str, _Place] = {}
        known = declarations(Settings)
        # The file is asked only for what must come from somewhere: a broken one harms nobody who does not need it.
        is_open = any(self._said(name, known[name]) is None for name in ("api_key", "base_url"))
        self._file = ConfigFile.read(_names_in_file()) if is_open else ConfigFile()

    def value(self, name: str, declared: Declaration) -> Any:
        """The value of a setting, checked."""
        said = self._said(name, declared) or self._said_in_file(name, declared)
        if said is None and declared.otherwise is REQUIRED:
            raise ConfigurationError(_NO_KEY, setting=name, outcome="not_applied")
        value, self._places[name] = said or (declared.otherwise, _Place(name, "default", f"{name} (default)"))
        return _checked(value, self._places[name], declared)

    def _said(self, name: str, declared: Declaration) -> tuple[Any, _Place] | None:
        """What the argument says, else the environment."""
        argument = self._arguments[name]
        if declared.variable is None or argument is not declared.default:
            return argument, _Place.argument(name)
        text = environment(declared.variable)
        place = _Place(name, declared.variable, f"{declared.variable} (environment)")
        return None if text is None else (_read(text, place, declared), place)

    def _said_in_file(self, name: str, declared: Declaration) -> tuple[Any, _Place] | None:
        value = self._file.values.get(declared.in_file or "")
        if value is None or value == "":
            return None
        return value, _Place(name, self._file.path, f"{declared.in_file} (in {self._file.path})")

    def origins(self) -> dict[str, str]:
        """Where each setting came from: an argument, a variable, the file, the default."""
        return {name: place.source for name, place in self._places.items()}

    def check_encrypted(self, base_url: str, *, allow_insecure_http: bool) -> None:
        """Refuse a URL to which the key would go in the clear."""
        host = None if allow_insecure_http else sends_in_the_clear(base_url)
        if host is not None:
            raise self._places["base_url"].refuse(
                f"it would send the key over plain http to {host}", "give https://, or allow_insecure_http=True"
            )

    def check_session(self, session: Any, auth: str) -> None:
        """Refuse a session whose own credentials would be sent in the same header as the key."""
        if auth == "bearer" and getattr(session, "auth", None) is not None:
            raise self._places["session"].refuse(
                "it has an auth of its own, and the key goes into the same header",
                "give a session without auth, or auth='x-api-key'",
            )


def _names_in_file() -> list[str]:
    both = [*declarations(Settings).values(), *declarations(Options).values()]
    return [declared.in_file for declared in both if declared.in_file is not None]


def _read(text: Secret, place: _Place, declared: Declaration) -> Any:
    if declared.read is str:
        return text
    try:
        return declared.read(str.__str__(text))
    except ValueError:
        what = f"{str.__str__(text)!r}" if len(text) < _SHORT else "this text"
    raise place.refuse(f"{what} is not a number", declared.advice)


def _checked(value: Any, place: _Place, declared: Declaration) -> Any:
    if value is None and declared.optional:
        return None
    try:
        return declared.check(value)
    except Unfit as unfit:
        problem = unfit
    raise place.refuse(problem.problem, problem.advice or declared.advice)


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


def changed(options: Options, changes: OptionChanges) -> Options:
    """``options`` with some of them changed and checked.

    :raises ConfigurationError: a value is out of range.
    :raises TypeError: there is no such option.
    """
    known = declarations(Options)
    unknown = [name for name in changes if name not in known]
    if unknown:
        changes.clear()  # type: ignore[attr-defined] # the value may be a key, and tracebacks may show it
        raise TypeError(f"with_options has no {unknown[0]!r}; it changes {', '.join(known)}")
    values = {name: _checked(value, _Place.argument(name), known[name]) for name, value in changes.items()}
    return attrs.evolve(options, **values)


def checked_header(name: object, value: object, source: str, *, allowed: str = "") -> str:
    """The name of a header that a user adds to a request.

    :raises ConfigurationError: the client sets it itself, or it would break the request.
    """
    try:
        return checks.header(name, value, allowed=allowed)
    except Unfit as unfit:
        problem = unfit
    raise _Place("headers", "argument", source).refuse(problem.problem, problem.advice or "")
