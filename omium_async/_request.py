"""A request of a call, for the transport and for telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import attrs


class Operation(NamedTuple):
    """The name of a request in traces and metrics, without ids.

    :ivar name: such as ``omium.executions.get``.
    :ivar template: the path below the base URL, such as ``/executions/{execution_id}``.
    :ivar is_documented: whether the service's document of executions has it; otherwise a service may not serve it.
    """

    name: str
    template: str
    is_documented: bool = True


@attrs.define(eq=False)  # not frozen: creating a frozen instance takes twice as long
class Request:
    """One HTTP request, the same on every attempt.

    :ivar url: absolute and escaped.
    :ivar key: the ``Idempotency-Key`` of a write, ``None`` of a read.
    :ivar operation: its name, ``None`` for requests made by ``AsyncOmium.request``.
    """

    method: str
    url: str
    body: bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    key: str | None = None
    operation: Operation | None = None

    @property
    def is_write(self) -> bool:
        """Whether the method is any other than GET, HEAD and OPTIONS."""
        return self.key is not None

    @property
    def path(self) -> str:
        """The path of the URL, escaped, without its query."""
        _, _, rest = self.url.partition("?")[0].partition("://")
        return "/" + rest.partition("/")[2]

    @property
    def execution_id(self) -> str | None:
        """The execution that the path names, if the operation's template has one."""
        if self.operation is None:
            return None
        parts = self.operation.template.split("/")
        if "{execution_id}" not in parts:
            return None
        return unquote(self.path.split("/")[parts.index("{execution_id}") - len(parts)])
