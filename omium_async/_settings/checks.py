"""What single settings may be: each check gives the value as it is used, or says what is wrong with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from .._data.masked import Secret, kind_of
from .._data.shared import is_ours
from .._data.text import encodes

__all__ = [
    "CONTROL",
    "Unfit",
    "agent_id",
    "auth",
    "converter",
    "flag",
    "header",
    "headers",
    "hook",
    "key",
    "number",
    "pauses",
    "session",
    "shown",
    "ssl",
    "telemetry",
    "whole",
]

_LARGEST: Final = 10**15  # NaN is not below it either; whatever is larger is a mistake
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, section 5.6.2
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SET_BY_THE_CLIENT: Final = frozenset({
    "host", "connection", "content-length", "transfer-encoding", "expect", "x-api-key", "authorization",
    "idempotency-key",
})  # fmt: skip


class Unfit(Exception):  # noqa: N818 - becomes a ConfigurationError that names the setting and where it came from
    """A value that cannot be used.

    :ivar problem: what is wrong with it, the value first.
    :ivar advice: what to give instead, where it is not what the setting's declaration says.
    """

    def __init__(self, problem: str, advice: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice


def shown(value: Any) -> str:
    """A value in a message. Text is not shown: it may be a key in the wrong place."""
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < _LARGEST else "a number of so many digits"
    return f"a value of type {kind_of(value)}"


# -- numbers -------------------------------------------------------------------------------------------------------


def number(value: Any, *, zero: bool = False) -> float:
    """A number above 0, or also 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit(f"{shown(value)} is not a number")
    _in_range(value, zero=zero)
    return float(value)


def whole(value: Any, *, zero: bool = False) -> int:
    """A whole number above 0, or also 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"{shown(value)} is not a whole number")
    _in_range(value, zero=zero)
    return int(value)


def _in_range(value: float, *, zero: bool) -> None:
    if not value < _LARGEST:
        raise Unfit(f"{shown(value)} is too large" if value > 0 else f"{shown(value)} is not a number")
    if value < 0 or (value == 0 and not zero):
        raise Unfit(f"{shown(value)} is {'below' if zero else 'not above'} 0")


def pauses(value: Any, *, zero: bool = False) -> tuple[float, float]:
    """The first and the longest of growing pauses."""
    pair: list[Any] = [*cast("Any", value)] if isinstance(value, (tuple, list)) else []
    if len(pair) != 2:
        raise Unfit(f"{shown(value)} is not a pair" if not pair else f"{len(pair)} values are not a pair")
    first, longest = (number(each, zero=zero) for each in pair)
    if longest < first:
        raise Unfit(f"{first:g} is more than {longest:g}")
    return first, longest


# -- the rest ------------------------------------------------------------------------------------------------------


def flag(value: Any) -> bool:
    """``True`` or ``False``, and nothing that only counts as one."""
    if not isinstance(value, bool):
        raise Unfit(f"{shown(value)} is neither")
    return value


def auth(value: Any) -> Literal["x-api-key", "bearer"]:
    """How the key is sent."""
    if value not in ("x-api-key", "bearer"):
        raise Unfit("this text is neither" if isinstance(value, str) else f"{shown(value)} is neither")
    return "bearer" if value == "bearer" else "x-api-key"


def key(value: Any) -> Secret:
    """The key, without spaces at its ends, which no header keeps: an echo without them is known all the same."""
    if not isinstance(value, str):
        raise Unfit(f"{shown(value)} is not text")
    text = str.__str__(value).strip()
    if not text:
        raise Unfit("it is empty")
    if CONTROL.search(str.__str__(value)):
        raise Unfit("it holds control characters (a line break?)", "give the key alone")
    if not encodes(text):
        raise Unfit("it holds a lone surrogate, which is no text")
    return Secret(text)


def agent_id(value: Any) -> str:
    """The name of an agent."""
    if not isinstance(value, str):
        raise Unfit(f"{shown(value)} is not text")
    if not value or not encodes(value):
        raise Unfit("it is empty" if not value else "it holds a lone surrogate, which is no text")
    return value


def hook(value: Any) -> Callable[[Any], object]:
    """A function that is called and not awaited."""
    if not callable(value):
        raise Unfit(f"{shown(value)} is not a function")
    if inspect.iscoroutinefunction(value):
        raise Unfit("it is a coroutine function, which nobody would await")
    return cast("Callable[[Any], object]", value)


def header(name: Any, value: Any, *, allowed: str = "") -> str:
    """The name of a header that a user adds.

    :param allowed: one that the client sets by itself, and that may be given here.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise Unfit("a name among them is none", "a header's name is letters, digits and a few signs such as '-'")
    if name.lower() in _SET_BY_THE_CLIENT and name.lower() != allowed:
        raise Unfit(f"{name} is set by the client itself", "leave it out")
    if not isinstance(value, str) or CONTROL.search(value.replace("\t", " ")) or not encodes(value):
        raise Unfit(f"the value of {name} is not text, or holds control characters", "give one line of text")
    return name


def headers(value: Any) -> dict[str, str]:
    """Headers that a user adds to every request."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unfit(f"{shown(value)} is not a mapping")
    entries: Mapping[Any, Any] = cast("Any", value)
    return {header(name, text): text for name, text in entries.items()}


def ssl(value: Any) -> Any:
    """What aiohttp takes as ``ssl``."""
    if value is None:
        return True
    if isinstance(value, bool) or _is_a(value, "ssl.SSLContext", "aiohttp.client_reqrep.Fingerprint"):
        return value
    raise Unfit(f"{shown(value)} is none of them")


def converter(value: Any) -> Any:
    """A converter with this package's rules."""
    if is_ours(value):
        return value
    raise Unfit(f"{shown(value)} is no converter with this package's rules")


def telemetry(value: Any) -> Any:
    """What `omium_async.otel` makes."""
    if _is_a(value, "omium_async.otel.Telemetry"):
        return value
    raise Unfit(f"{shown(value)} is not one")


def session(value: Any) -> Any:
    """A session of the user's own, which must not send what this client must not."""
    if not callable(getattr(value, "request", None)):
        raise Unfit(f"{shown(value)} is not one")
    if getattr(value, "trust_env", False):
        raise Unfit("it has trust_env, and would send credentials of ~/.netrc to the service", "make one without")
    return value


def _is_a(value: Any, *names: str) -> bool:
    """Whether the value's class is one of these: by name, for none of them is imported for a client to be made."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__}
    return not kinds.isdisjoint(names)
