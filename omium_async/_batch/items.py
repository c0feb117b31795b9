"""The items of `create_many`: their bodies, and their keys in journal, metadata and header."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import attrs
import msgspec

from .. import _endpoints as endpoints
from .._arguments import shown
from .._arguments import text as text_argument
from .._caller import Caller
from .._models.outcomes import CreateOutcome
from .._models.types import Execution, ExecutionRequest, InvalidRequest

BATCH: Final = "create_many"  # in log messages and journals

#: Sends the create of one item: its body and its key for the header.
Send = Callable[[Caller, Mapping[str, Any], str], Awaitable[tuple[Execution, bytes]]]

_LONGEST_IN_HEADER: Final = 200
_canonical = msgspec.json.Encoder(order="deterministic").encode


@attrs.frozen(eq=False)
class Item:
    """A request with its place in the batch.

    :ivar id: in the journal; -1 for an item with a key of the user's, until its entry was looked for.
    :ivar key: the key of the item in the journal and in the metadata.
    :ivar header: the key as sent in ``Idempotency-Key``.
    :ivar digest: a digest of the content.
    :ivar body: plain JSON data, with the key in its metadata.
    """

    request: ExecutionRequest
    position: int
    id: int
    key: str
    header: str
    digest: str
    body: dict[str, Any] = attrs.field(repr=False)

    @property
    def workflow_id(self) -> str:
        """The workflow, whose executions are searched for this one."""
        found: str = self.body["workflow_id"]
        return found

    @property
    def is_named(self) -> bool:
        """Whether the user gave the item a key."""
        return self.request.key is not None

    def __str__(self) -> str:
        return f"item {self.position} (key {self.key!r})" if self.is_named else f"item {self.position}"


def check_item(request: Any) -> None:
    """:raises TypeError: an item of the batch is not a request."""
    if not isinstance(request, (ExecutionRequest, InvalidRequest)):
        raise TypeError(
            f"requests: {shown(request)} is not an ExecutionRequest; give ExecutionRequest(workflow_id, ...)"
        )


def body_of(caller: Caller, request: ExecutionRequest | InvalidRequest) -> dict[str, Any]:
    """Return the JSON body that creates an execution for a request.

    :raises TypeError: the request contains a value that JSON cannot hold.
    :raises ValueError: JSON would change a value.
    """
    if isinstance(request, InvalidRequest):
        raise request.error
    return endpoints.create_body(caller, request.workflow_id, request.input_data, request.metadata, request.agent_id)


def rejected(request: ExecutionRequest | InvalidRequest, error: Exception) -> CreateOutcome:
    """Return the outcome of an item that cannot be sent."""
    given = request.request if isinstance(request, InvalidRequest) else request
    return CreateOutcome(given, "rejected", None, error)


def make_item(request: ExecutionRequest, position: int, body: dict[str, Any], batch: str, key_field: str) -> Item:
    """Return the item of a request at this position.

    :raises TypeError: its key is not text.
    :raises ValueError: its key is not valid, or its metadata has another value under ``key_field``.
    """
    digest = blake2b(_canonical(body), digest_size=16).hexdigest()
    key = item_key(batch, position, digest) if request.key is None else _valid_key(request.key)
    metadata: dict[str, Any] = body.get("metadata", {})
    if metadata.get(key_field, key) != key:
        raise ValueError(
            f"metadata.{key_field}: the journal stores the key of the item under this name; use another one, as in "
            "Journal(path, key_field=...)"
        )
    return Item(
        request,
        position,
        position if request.key is None else -1,
        key,
        key if request.key is None else header_key(key),
        digest,
        {**body, "metadata": {**metadata, key_field: key}},
    )


def item_key(batch: str, position: int, digest: str) -> str:
    """Return the key of an item without a key of the user's.

    It contains the id of the batch, so that the same requests in another batch are other items.
    """
    return blake2b(f"{batch}:{position}:{digest}".encode(), digest_size=16).hexdigest()


def header_key(key: object) -> str:
    """Return the key as sent in ``Idempotency-Key``: as given if a header can hold it, otherwise a digest of it.

    :raises TypeError: it is not text.
    :raises ValueError: it is empty, or contains a NUL or a lone surrogate.
    """
    text = _valid_key(key)
    if len(text) <= _LONGEST_IN_HEADER and re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", text):
        return text
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _valid_key(key: object) -> str:
    text = text_argument(key, "key")
    if "\0" in text:
        raise ValueError("key: it contains a NUL character; remove it")
    return text
