"""trio: the sync client in a thread of trio. The async client needs asyncio, because it is built on aiohttp."""

from __future__ import annotations

import functools

import trio

from omium_sync import Omium


async def main() -> None:
    with Omium() as omium:
        create = functools.partial(omium.executions.create, "report", {"day": 3})
        created = await trio.to_thread.run_sync(create)
        print(created.workflow_id)


if __name__ == "__main__":
    trio.run(main)
