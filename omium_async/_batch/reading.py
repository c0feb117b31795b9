"""What batches ask of the service besides their writes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from .._models.types import ExecutionDetail, ExecutionPage

__all__ = ["Reader"]


class Reader(Protocol):
    """Details of one execution, and the list."""

    async def get(self, execution_id: str) -> ExecutionDetail:
        """One execution in full."""
        ...

    def pages(
        self, *, workflow_id: str | None = None, page_size: int = 100, prefetch: int | None = None
    ) -> AsyncGenerator[ExecutionPage]:
        """The list, newest first, none left out and none twice."""
        ...
