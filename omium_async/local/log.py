"""What arrived at the server, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import attrs

__all__ = ["RequestLog", "SeenRequest"]

_KEPT: Final = 1000


@attrs.define
class SeenRequest:
    """A request as it arrived: its path below `/api/v1`, and no key. `status`: of the answer that was made for it, None
    when there was none (yet); a fault after the handling may have kept that answer back."""

    method: str
    path: str
    query: str
    request_id: str
    idempotency_key: str | None
    status: int | None = None


class RequestLog:
    """The last 1,000 requests, and how many there were of each kind."""

    def __init__(self) -> None:
        self._seen: deque[SeenRequest] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()

    def arrived(self, method: str, path: str, query: str, request_id: str, idempotency_key: str | None) -> SeenRequest:
        """Notes a request, at its arrival."""
        seen = SeenRequest(method, path, query, request_id, idempotency_key)
        self._seen.append(seen)
        self._counts[_kind(method, path)] += 1
        return seen

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        return tuple(self._seen)

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._counts)


def _kind(method: str, path: str) -> str:
    """`GET /executions/*` for any id; what is no endpoint is one kind, so that the counters stay few."""
    segments = path.split("/")
    if len(segments) in {3, 4} and segments[1] == "executions":
        segments[2] = "*"
        path = "/".join(segments)
    return f"{method} {path}" if path in _PATHS else f"{method} other"


_PATHS: Final = frozenset({"/executions", "/executions/*", "/executions/*/replay", "/executions/*/rollback"})
