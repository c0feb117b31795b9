"""Many calls, flat memory and file descriptors: `python tests/client/soak.py [CALLS]` (100,000 by default).

Half of the calls meet a fault: refused, dropped, cut, garbage, slow, cancelled by their caller.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tracemalloc
from pathlib import Path

from omium_async import AsyncOmium, OmiumError

BODY = b'{"id": "exec_1", "status": "running"}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
ANSWERS = [
    *([GOOD] * 5),
    b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 307 No\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"",
]
CONCURRENT = 64


class Server(asyncio.Protocol):
    """Answers each request, a POST too as soon as its head is there."""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.draw = random.Random(1)

    def data_received(self, data: bytes) -> None:
        if b"\r\n\r\n" not in data:
            return
        answer = GOOD if data.startswith((b"GET /elsewhere", b"POST /elsewhere")) else self.draw.choice(ANSWERS)
        self.transport.write(answer)
        if answer == b"" or answer.endswith(b"{"):
            self.transport.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def calls(omium: AsyncOmium, count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        for number in left:
            call = omium.executions.get("exec_1") if number % 2 else omium.executions.create("wf", {"n": number})
            try:
                if number % 10 == 0:
                    async with asyncio.timeout(0.0005):
                        await call
                else:
                    await call
            except (OmiumError, TimeoutError):
                pass

    await asyncio.gather(*(work() for _ in range(CONCURRENT)))


async def main(count: int) -> int:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncOmium("key-of-the-soak", base_url=url, max_retries=1, max_connections=32) as omium:
        await calls(omium, min(2000, count))
        gc.collect()
        tracemalloc.start()
        before, open_before = tracemalloc.get_traced_memory()[0], descriptors()
        step = count // 5
        for _ in range(5):
            await calls(omium, step)
            gc.collect()
            grown = (tracemalloc.get_traced_memory()[0] - before) / 2**20
            print(f"{step} calls: {grown:+.2f} MiB, {descriptors() - open_before:+d} descriptors", flush=True)
        tasks = len(asyncio.all_tasks()) - 1
        transport = omium._caller.shared.transport
        busy = 32 - transport._sessions.known().gate._free
    server.close()
    print(f"tasks left: {tasks}, slots taken: {busy}")
    return int(grown > 2 or descriptors() - open_before > 40 or tasks > 0 or busy > 0)


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
