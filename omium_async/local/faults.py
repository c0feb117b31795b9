"""Faults on purpose, so that tests see a client meet what networks and servers really do."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from typing import Final, Literal, get_args

import attrs

from .._data.shared import shared
from .jsontext import encode_result

__all__ = ["Fault", "FaultAction", "Faults"]

FaultAction = Literal["drop", "stall", "status", "truncate", "garbage", "delay"]
_ACTIONS: Final = get_args(FaultAction)


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers = dict(given or {})
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"headers must map text to text, not {name!r} to {value!r}")
        if not (name + value).isprintable() or not name or not value.isascii():
            raise ValueError(f"headers must be printable ASCII, not {name!r}: {value!r}")
    return headers


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(given: object, name: str) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{name} must be text, not {given!r}")
    return given


def _upper(method: str) -> str:
    return _text(method, "method").upper()


def _body(given: object) -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    if isinstance(given, bytearray):
        return bytes(given)
    return given.encode() if isinstance(given, str) else encode_result(given, "the body of a Fault is", shared())


def _pattern(path: str) -> str:
    """The path as it is matched: also one copied from the service's document, with its base and its `{names}`."""
    if _text(path, "path") != "*" and not path.startswith("/"):
        path = f"/{path}"
    path = path.removeprefix("/api/v1") if path.startswith("/api/v1/") else path
    return "/".join("*" if part[:1] == "{" and part[-1:] == "}" else part for part in path.split("/"))


def _usual_action(fault: Fault) -> FaultAction:
    return "drop" if fault.status is None and not fault.headers and fault.body is None else "status"


@attrs.frozen(kw_only=True)
class Fault:
    """What is to go wrong with the next requests that it matches. Requests without an accepted API key meet none.

    :ivar method: of the requests: `"GET"`, `"POST"` or `"*"`.
    :ivar path: of the requests, below `/api/v1`: each segment a shell pattern (`"/executions/*/replay"`) or a `{name}`,
        which is any; `"*"` alone is every path.
    :ivar when: `"before"` the request is handled (nothing is done), or `"after"` (it is done, and committed).
    :ivar times: how many requests it meets, 1 or more; None: all, until `clear_faults`.
    :ivar status: of the answer of the action `"status"`, from 200 to 599; None: 503.
    :ivar headers: of the answer; they take the place of those that it has.
    :ivar body: of the answer: bytes and text as they are, anything else as JSON; None: an error in the service's form.
    :ivar action: `"drop"` closes the connection without an answer; `"stall"` never answers, until the client goes away
        or the server stops; `"status"` answers `status` with `headers` and `body`; `"truncate"` sends a head and the
        first half of the body, then closes (before the handling, it cuts an answer that says 200); `"garbage"` answers
        200 with what is no JSON; `"delay"` only waits. Unless given: `"status"` with a status, headers or a body, else
        `"drop"`.
    :ivar delay: seconds to wait first, 0 or more.
    :raises ValueError: one of them makes no sense.
    :raises TypeError: one of them is of a wrong type.
    """

    method: str = attrs.field(default="*", converter=_upper)
    path: str = attrs.field(default="*", converter=_pattern)
    when: Literal["before", "after"] = "before"
    times: int | None = attrs.field(default=1)
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_headers)
    body: bytes | None = attrs.field(default=None, converter=_body)
    action: FaultAction = attrs.field(default=attrs.Factory(_usual_action, takes_self=True))
    delay: float = 0.0

    def __attrs_post_init__(self) -> None:
        if self.when not in {"before", "after"}:
            raise ValueError(f"when must be 'before' or 'after', not {self.when!r}")
        if self.action not in _ACTIONS:
            raise ValueError(f"action must be one of {', '.join(_ACTIONS)}, not {self.action!r}")
        if self.status is not None and (not _is_whole(self.status) or not 200 <= self.status <= 599):
            raise ValueError(f"status must be a whole number from 200 to 599, not {self.status!r}")
        if not _is_number(self.delay) or not 0 <= self.delay < float("inf"):
            raise ValueError(f"delay must be a number of seconds, 0 or more, not {self.delay!r}")
        if self.times is not None and (not _is_whole(self.times) or self.times < 1):
            raise ValueError(f"times must be a whole number of 1 or more, or None for always, not {self.times!r}")

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for this request.

        :param method: of the request.
        :param path: of the request, below `/api/v1`.
        """
        if self.method not in {"*", method}:
            return False
        if self.path == "*":
            return True
        patterns, segments = self.path.split("/"), path.split("/")
        return len(patterns) == len(segments) and all(map(fnmatch.fnmatchcase, segments, patterns))


@attrs.define(eq=False)
class _Coming:
    """A fault that was injected, how many more requests it is for (``None``: any number), and whether one met it."""

    fault: Fault
    left: int | None
    met: bool = False


class Faults:
    """The faults that are still to come, oldest first; may be filled from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: list[_Coming] = []

    def __bool__(self) -> bool:
        return bool(self._coming)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._coming.append(_Coming(fault, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._coming.clear()

    @property
    def unmet(self) -> tuple[Fault, ...]:
        """Those that no request has met at all."""
        with self._lock:
            return tuple(coming.fault for coming in self._coming if not coming.met)

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that is meant for a request, one time less of which is left then."""
        with self._lock:
            for index, coming in enumerate(self._coming):
                if coming.fault.matches(method, path):
                    coming.met = True
                    if coming.left is not None:
                        coming.left -= 1
                        if not coming.left:
                            del self._coming[index]
                    return coming.fault
        return None
