"""Memory stays flat while clients are created and closed."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import asyncio, gc, tracemalloc
from omium_async import AsyncOmium
from omium_async.local import LocalOmium
import omium_sync

def held():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

def grown(work, warm_up, times):
    work(warm_up)
    tracemalloc.start()
    work(warm_up)
    growths = []
    for _ in range(2):  # a table of the interpreter that grows once, such as that of interned strings, is no leak
        before = held()
        work(times)
        growths.append(held() - before)
    return min(growths)
"""

COPIES = """
omium = AsyncOmium("omium_some_key", base_url="http://127.0.0.1:9")
facade = omium_sync.Omium("omium_some_key", base_url="http://127.0.0.1:9")
def work(times):
    for number in range(times):
        omium.with_options(timeout=number + 1)
        facade.with_options(timeout=number + 1)
print(grown(work, 100, 10_000))
"""

LOOPS = """
with omium_sync.LocalOmium() as local:
    omium = AsyncOmium(local.api_key, base_url=local.url)
    def work(times):
        for _ in range(times):
            asyncio.run(omium.executions.count())
            local.reset()
    print(grown(work, 20, 200))
    asyncio.run(omium.aclose())
"""

SERVERS = """
async def serve():
    async with LocalOmium():
        pass
def work(times):
    for _ in range(times):
        asyncio.run(serve())
        with omium_sync.LocalOmium():
            pass
print(grown(work, 20, 200))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("script", [COPIES, LOOPS, SERVERS], ids=["copies", "loops", "servers"])
def test_memory_stays_flat(script: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", MEASURE + script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # A single object left behind by each of them would be more.
    assert int(done.stdout) < 60_000, done.stdout
