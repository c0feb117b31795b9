"""What arrived at the server, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import attrs

from .routes import find

__all__ = ["RequestLog", "SeenRequest"]

_KEPT: Final = 1000
_STRANGERS_KEPT: Final = 100


@attrs.define
class SeenRequest:
    """A request as it arrived, without its API key.

    :ivar method: of the request.
    :ivar path: below `/api/v1`.
    :ivar query: the part of the URL after the `?`.
    :ivar request_id: its `X-Request-ID`, or the one that was made for it.
    :ivar idempotency_key: its `Idempotency-Key`, or None.
    :ivar status: of the answer that was made for it, None when there was none (yet); a fault after the handling may
        have kept that answer back.
    """

    method: str
    path: str
    query: str
    request_id: str
    idempotency_key: str | None
    status: int | None = None


class RequestLog:
    """The last 1,000 requests, and how many there were of each kind.

    Those without an accepted key are kept apart, the last 100 of them: they push no other out.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all of them."""
        self._count = 0
        self._seen: deque[tuple[int, SeenRequest]] = deque(maxlen=_KEPT)
        self._strangers: deque[tuple[int, SeenRequest]] = deque(maxlen=_STRANGERS_KEPT)
        self._counts: Counter[str] = Counter()

    def arrived(self, seen: SeenRequest, *, known: bool) -> None:
        """Notes a request, at its arrival; `known`: it has an accepted key."""
        self._count += 1
        (self._seen if known else self._strangers).append((self._count, seen))
        self._counts[_kind(seen.method, seen.path)] += 1

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """Oldest first."""
        return tuple(seen for _, seen in sorted([*self._seen, *self._strangers], key=_number))

    @property
    def counts(self) -> dict[str, int]:
        """By kind, such as `GET /executions/*`."""
        return dict(self._counts)


def _number(numbered: tuple[int, SeenRequest]) -> int:
    return numbered[0]


def _kind(method: str, path: str) -> str:
    """`GET /executions/*` for any id; what is no endpoint is one kind, so that the counters stay few."""
    routes, _ = find(path)
    for route in routes.values():
        return route.kind.replace(route.method, method, 1)
    return f"{method} other"
