"""Validators, of settings and of arguments: each returns the value to use, or raises `InvalidSettingError`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from multidict import CIMultiDict, istr

from .._data.converter import OmiumConverter
from .._data.masked import Secret, SecretFunction, kind_of
from .._data.text import encodes

_LARGEST: Final = 10**15  # whatever is larger is a mistake
_MOST_SHOWN: Final = 60  # characters of text in a message
_MOST_DIGITS: Final = 10**60
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SET_BY_THE_CLIENT: Final = frozenset({
    "host", "connection", "content-length", "transfer-encoding", "expect", "x-api-key", "authorization",
    "idempotency-key",
})  # fmt: skip


class InvalidSettingError(Exception):
    """A value that cannot be used. The caller adds what the value is for.

    :ivar problem: what was given and what is wrong with it.
    :ivar advice: what to give instead, if it differs from the usual advice.
    :ivar is_type: whether the type of the value is wrong.
    """

    def __init__(self, problem: str, advice: str | None = None, *, is_type: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.is_type = is_type


def shown(value: Any, *, show_text: bool = False) -> str:
    """Return a value for a message: numbers and constants as they are, the type of any other.

    :param show_text: whether text may be shown, shortened. Text in the place of a setting may be a key.
    """
    if show_text and isinstance(value, str):
        text = str(value)
        return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}..."
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < _MOST_DIGITS else "a number of so many digits"
    return f"a value of type {kind_of(value)}"


# -- numbers -------------------------------------------------------------------------------------------------------


def number(value: Any, *, zero: bool = False) -> float:
    """Validate a finite number above 0, or also 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidSettingError(f"{shown(value)} is not a number", is_type=True)
    return float(_in_range(value, zero=zero))


def whole(value: Any, *, zero: bool = False) -> int:
    """Validate a whole number above 0, or also 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidSettingError(f"{shown(value)} is not a whole number", is_type=True)
    return int(_in_range(value, zero=zero))


def _in_range(value: float, *, zero: bool) -> float:
    if not value < _LARGEST:  # NaN compares as false
        raise InvalidSettingError(f"{shown(value)} is too large" if value > 0 else f"{shown(value)} is not a number")
    if value < 0 or (value == 0 and not zero):
        raise InvalidSettingError(f"{shown(value)} is {'below' if zero else 'not above'} 0")
    return value


def _pair(value: Any, *, zero: bool = False) -> tuple[float, float]:
    pair: list[Any] = [*cast("Any", value)] if isinstance(value, (tuple, list)) else []
    if len(pair) != 2:
        raise InvalidSettingError(f"{shown(value)} is not a pair" if not pair else f"{len(pair)} values are not a pair")
    return number(pair[0], zero=zero), number(pair[1], zero=zero)


def rate_limit(value: Any) -> float | tuple[float, float]:
    """Validate a number of requests a minute, or a pair: a minute and an hour."""
    return _pair(value) if isinstance(value, (tuple, list)) else number(value)


def delays(value: Any, *, zero: bool = False) -> tuple[float, float]:
    """Validate a pair: the first and the longest of growing delays."""
    first, longest = _pair(value, zero=zero)
    if longest < first:
        raise InvalidSettingError(f"{first:g} is more than {longest:g}")
    return first, longest


# -- the rest ------------------------------------------------------------------------------------------------------


def flag(value: Any) -> bool:
    """Validate ``True`` or ``False``; other values that are true or false are rejected."""
    if not isinstance(value, bool):
        raise InvalidSettingError(f"{shown(value)} is neither True nor False", is_type=True)
    return value


def auth(value: Any) -> Literal["x-api-key", "bearer"]:
    """Validate how the key is sent."""
    if value not in ("x-api-key", "bearer"):
        raise InvalidSettingError(
            "this text is not a known scheme" if isinstance(value, str) else f"{shown(value)} is not a known scheme"
        )
    return "bearer" if value == "bearer" else "x-api-key"


def key(value: Any) -> Secret:
    """Validate the key; spaces at its ends are removed, because no header keeps them."""
    if not isinstance(value, str):
        raise InvalidSettingError(f"{shown(value)} is not text")
    text = str.__str__(value).strip()
    if not text:
        raise InvalidSettingError("it is empty")
    if CONTROL.search(str.__str__(value)):
        raise InvalidSettingError("it contains control characters (a line break?)", "give the key alone")
    if not encodes(text):
        raise InvalidSettingError("it contains a lone surrogate, which UTF-8 cannot encode")
    return Secret(text)


def key_or_function(value: Any) -> Secret | SecretFunction:
    """Validate the key, or a function without arguments that returns it."""
    if not isinstance(value, SecretFunction):
        return key(value)
    try:
        inspect.signature(value.function).bind()
    except TypeError:
        raise InvalidSettingError("the function needs arguments") from None
    except ValueError:  # its signature is not known
        pass
    return value


def is_async(function: Callable[..., object]) -> bool:
    """Whether a function, or an object that can be called like one, is awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def agent_id(value: Any) -> str:
    """Validate the name of an agent."""
    if not isinstance(value, str):
        raise InvalidSettingError(f"{shown(value)} is not text")
    if not value or not encodes(value):
        raise InvalidSettingError(
            "it is empty" if not value else "it contains a lone surrogate, which UTF-8 cannot encode"
        )
    return value


def hook(value: Any) -> Callable[[Any], object]:
    """Validate a plain function."""
    if not callable(value):
        raise InvalidSettingError(f"{shown(value)} is not a function", is_type=True)
    if inspect.iscoroutinefunction(value):
        raise InvalidSettingError("it is a coroutine function, which is not awaited", is_type=True)
    return cast("Callable[[Any], object]", value)


def header(name: Any, value: Any, *, allowed: str = "") -> str:
    """Validate a header that a user adds, and return its name.

    :param allowed: the one reserved header that may be given here.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidSettingError(
            "one of the names is not valid", "use letters, digits and a few characters such as '-' in names"
        )
    if name.lower() in _SET_BY_THE_CLIENT and name.lower() != allowed:
        raise InvalidSettingError(f"{name} is set by the client", "leave it out")
    if not isinstance(value, str) or CONTROL.search(value.replace("\t", " ")) or not encodes(value):
        raise InvalidSettingError(
            f"the value of {name} is not text, or contains control characters", "give one line of text"
        )
    return name


def headers(value: Any, before: CIMultiDict[str] | None = None) -> CIMultiDict[str]:
    """Validate headers that a user adds to every request.

    :param before: those of the client of which a copy is made. The new ones replace them; ``None`` leaves one out.
    """
    found = CIMultiDict[str]() if before is None else before.copy()
    if value is None:
        return found
    if not isinstance(value, Mapping):
        raise InvalidSettingError(f"{shown(value)} is not a mapping")
    entries: Mapping[Any, Any] = cast("Any", value)
    for name, text in entries.items():
        found.popall(header(name, "" if text is None and before is not None else text), None)
        if text is not None:
            # As `istr`, because aiohttp otherwise creates one of each name for every request.
            found.add(istr(name), text)
    return found


def ssl(value: Any) -> Any:
    """Validate the ``ssl`` argument of aiohttp."""
    if value is None:
        return True
    if isinstance(value, bool) or _is_a(value, "ssl.SSLContext", "aiohttp.client_reqrep.Fingerprint"):
        return value
    raise InvalidSettingError(f"{shown(value)} is not an SSLContext, a Fingerprint or a bool")


def converter(value: Any) -> Any:
    """Validate a converter from `make_converter`."""
    if isinstance(value, OmiumConverter):
        return value
    raise InvalidSettingError(f"{shown(value)} is not a converter with the rules of this package")


def telemetry(value: Any) -> Any:
    """Validate an `omium_async.otel.Telemetry`."""
    if _is_a(value, "omium_async.otel.Telemetry"):
        return value
    raise InvalidSettingError(f"{shown(value)} is not a Telemetry")


def session(value: Any) -> Any:
    """Validate a session of the user's own, which must not send other credentials."""
    if not callable(getattr(value, "request", None)):
        raise InvalidSettingError(f"{shown(value)} is not a session")
    if getattr(value, "trust_env", False):
        raise InvalidSettingError(
            "it has trust_env=True and would send credentials of ~/.netrc to the service", "create it without trust_env"
        )
    return value


def _is_a(value: Any, *names: str) -> bool:
    """Whether the value's class is one of these, by name: the telemetry module needs an extra."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__}
    return not kinds.isdisjoint(names)
