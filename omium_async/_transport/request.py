"""One HTTP call as it goes out, the same on every attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import attrs

__all__ = ["Operation", "Request"]


class Operation(NamedTuple):
    """What a request is called wherever calls are counted or traced: names without ids.

    :ivar name: such as ``omium.executions.get``.
    :ivar template: the path below the base URL, such as ``/executions/{execution_id}``.
    """

    name: str
    template: str


@attrs.define(eq=False)  # not frozen: that would double the time it takes to make one
class Request:
    """Method, absolute URL (escaped), body and extra headers.

    :ivar key: the ``Idempotency-Key`` of a write, ``None`` of a read.
    :ivar operation: what it is called, ``None`` of requests that users make by hand.
    """

    method: str
    url: str
    body: bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    key: str | None = None
    operation: Operation | None = None

    @property
    def is_write(self) -> bool:
        """Everything but GET, HEAD and OPTIONS counts as one."""
        return self.key is not None

    @property
    def path(self) -> str:
        """The path of the URL, without its query."""
        _, _, rest = self.url.partition("?")[0].partition("://")
        return "/" + rest.partition("/")[2]

    @property
    def execution_id(self) -> str | None:
        """The execution that the path names, where the operation's template has one."""
        if self.operation is None:
            return None
        parts = self.operation.template.split("/")
        if "{execution_id}" not in parts:
            return None
        return unquote(self.path.split("/")[parts.index("{execution_id}") - len(parts)])
