"""An item of a journalled batch, ready to be sent."""

from __future__ import annotations

from typing import Any

import attrs

from .._models.types import ExecutionRequest
from .keys import content_digest, header_key, item_key, own_key

__all__ = ["Item", "make_item"]


@attrs.frozen(eq=False)
class Item:
    """A request with its place in the batch.

    :ivar id: in the journal; ``None`` for one with a key of its own that is not known to be there.
    :ivar key: in the journal and in the metadata. :ivar header: the same as it fits a header.
    :ivar body: plain JSON data, with the key in its metadata.
    """

    request: ExecutionRequest
    position: int
    id: int | None
    key: str
    header: str
    digest: str
    body: dict[str, Any] = attrs.field(repr=False)

    @property
    def workflow_id(self) -> str:
        """The workflow by which its execution is found."""
        found: str = self.body["workflow_id"]
        return found

    @property
    def named(self) -> bool:
        """Whether the user gave it a key."""
        return self.request.key is not None

    def __str__(self) -> str:
        return f"item {self.position} (key {self.key!r})" if self.named else f"item {self.position}"


def make_item(request: ExecutionRequest, position: int, body: dict[str, Any], batch: str, key_field: str) -> Item:
    """The item that a request is at this position.

    :raises TypeError: its key is no text. :raises ValueError: its key, or what it has in the place of it in the
        metadata, cannot be used.
    """
    digest = content_digest(body)
    key = item_key(batch, position, digest) if request.key is None else own_key(request.key)
    metadata: dict[str, Any] = body.get("metadata", {})
    if metadata.get(key_field, key) != key:
        raise ValueError(
            f"metadata.{key_field}: this name is taken by the item's key; give the journal another one, as "
            "Journal(path, key_field=...)"
        )
    return Item(
        request,
        position,
        position if request.key is None else None,
        key,
        key if request.key is None else header_key(key),
        digest,
        {**body, "metadata": {**metadata, key_field: key}},
    )
