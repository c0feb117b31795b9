"""What belongs to the process: its loops, and what becomes of them when it forks or ends.

One loop thread serves all clients of a process. Two loops are no faster, for Python runs one thread at a time, and a
program that makes a client for each task would have as many threads; a thread a client would only keep slow hooks
apart. It ends with the last client that is closed or collected, so that a program that has closed its clients forks
with one thread only.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Final

from .portal import Portal

__all__ = ["Process", "process"]

_PATIENCE_AT_EXIT: Final = 1.0


class Process:
    """This process. :ivar number: changed by each fork, so that it tells a child from its parent."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may call while its thread holds it.
        self.lock = threading.RLock()
        self.number = 0
        self._shared: Portal | None = None
        self._running: set[Portal] = set()
        self._inherited: list[Portal] = []

    def join(self) -> Portal:
        """For one more client, holding the lock: the loop of all clients, started if need be."""
        portal = self._shared
        if portal is None or not portal.alive:
            portal = self.run(Portal("omium_sync"))
            self._shared = portal
        portal.users += 1
        return portal

    def leave(self, portal: Portal) -> None:
        """A client has left; the last one ends the loop."""
        with self.lock:
            portal.users -= 1
            last = portal.users == 0 and portal.alive
            if last and self._shared is portal:
                self._shared = None
        if last:
            self.end(portal)

    def run(self, portal: Portal) -> Portal:
        """Start a portal that ends with the process at the latest."""
        if sys.is_finalizing():
            raise RuntimeError("no call can be begun any more: the interpreter is shutting down")
        with self.lock:
            self._running.add(portal)
            try:
                portal.start()
            except BaseException:
                self._running.discard(portal)
                raise
        return portal

    def end(self, portal: Portal) -> None:
        """Stop a portal."""
        self._running.discard(portal)
        portal.stop()

    def after_fork(self) -> None:
        """In the child: the threads of the loops are gone, and locks are as they were at that moment.

        What was inherited is kept for ever: closing the parent's loop here would take sockets out of the parent's
        poller, which both processes share.
        """
        self.lock = threading.RLock()
        self.number += 1
        self._shared = None
        for portal in self._running:
            portal.leave_to_parent()
            self._inherited.append(portal)
        self._running = set()

    def at_exit(self) -> None:
        """Cancel what is under way and end the loops, so that no thread is cut off in the middle of a line.

        Runs after the handlers that were registered since the import of this package: they may call.
        """
        self._shared = None
        for portal in list(self._running):
            portal.stop(patience=_PATIENCE_AT_EXIT, exiting=True)


process: Final = Process()
atexit.register(process.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.after_fork)
