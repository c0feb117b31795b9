"""Free ports, for servers that a test starts later."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """Return a free port that the system assigns to no other program: it assigns those above 32768, or 49152."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are in use")
