"""The requests that arrived at the server, for tests."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import attrs

from .routes import find

__all__ = ["RequestLog", "SeenRequest"]

_KEPT: Final = 1000
_UNAUTHORIZED_KEPT: Final = 100


@attrs.define
class SeenRequest:
    """A request as it arrived, without its API key.

    :ivar method: the HTTP method.
    :ivar path: the path below `/api/v1`.
    :ivar query: the part of the URL after the `?`.
    :ivar request_id: its `X-Request-ID`, or the one that the server created.
    :ivar idempotency_key: its `Idempotency-Key`, or None.
    :ivar status: of the response that was sent; None while there is none, or if a fault dropped it.
    """

    method: str
    path: str
    query: str
    request_id: str
    idempotency_key: str | None
    status: int | None = None


class RequestLog:
    """The last 1,000 requests, and how many arrived of each kind.

    The last 100 requests without an accepted key are kept apart, so that they displace no others.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all requests and counts."""
        self._count = 0
        self._seen: deque[tuple[int, SeenRequest]] = deque(maxlen=_KEPT)
        self._unauthorized: deque[tuple[int, SeenRequest]] = deque(maxlen=_UNAUTHORIZED_KEPT)
        self._counts: Counter[str] = Counter()

    def arrived(self, seen: SeenRequest, *, authorized: bool) -> None:
        """Record a request at its arrival. `authorized`: it has an accepted key."""
        self._count += 1
        (self._seen if authorized else self._unauthorized).append((self._count, seen))
        self._counts[_kind(seen.method, seen.path)] += 1

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The requests, oldest first."""
        return tuple(seen for _, seen in sorted([*self._seen, *self._unauthorized], key=_number))

    @property
    def counts(self) -> dict[str, int]:
        """The number of requests by kind, such as `GET /executions/*`."""
        return dict(self._counts)


def _number(numbered: tuple[int, SeenRequest]) -> int:
    return numbered[0]


def _kind(method: str, path: str) -> str:
    """Return `GET /executions/*` for any id. All unknown paths are one kind, so that there are few counters."""
    routes, _ = find(path)
    for route in routes.values():
        return route.kind.replace(route.method, method, 1)
    return f"{method} other"
