"""A large body is sent without a warning, and read completely."""

from __future__ import annotations

from omium_async import AsyncOmium
from omium_async.local import LocalOmium


async def test_five_megabytes_there_and_back():
    text = "x" * 5_000_000
    async with LocalOmium() as local, AsyncOmium(local.api_key, base_url=local.url) as omium:
        created = await omium.executions.create("w", {"text": text})
        detail = await omium.executions.get(created.id)
    assert detail.input_data == {"text": text}
