"""One HTTP call as it goes out, the same on every attempt."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

__all__ = ["Request"]


@attrs.define(eq=False)  # not frozen: that would double the time it takes to make one
class Request:
    """Method, absolute URL (escaped), body and extra headers.

    :ivar key: the ``Idempotency-Key`` of a write, ``None`` of a read.
    """

    method: str
    url: str
    body: bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    key: str | None = None

    @property
    def is_write(self) -> bool:
        """Everything but GET, HEAD and OPTIONS counts as one."""
        return self.key is not None
