"""A server and its client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from omium_async import AsyncOmium
from omium_async.local import LocalOmium


@pytest.fixture
async def local() -> AsyncIterator[LocalOmium]:
    async with LocalOmium() as server:
        yield server


@pytest.fixture
async def omium(local, patient) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium(local.api_key, base_url=local.url) as client:
        yield client
