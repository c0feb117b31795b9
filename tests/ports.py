"""Ports at which nobody listens until the test does."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """One that no other program is given meanwhile: systems give away those from 32768 on, or from 49152."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are in use")
