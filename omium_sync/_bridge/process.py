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

from .loop import LoopThread, User

__all__ = ["Process", "process"]

_PATIENCE_AT_EXIT: Final = 1.0
_ENDING: Final = "no call can be begun any more: the interpreter is shutting down"


class Process:
    """This process. :ivar number: changed by each fork, so that it tells a child from its parent."""

    def __init__(self) -> None:
        # Reentrant: the handler of a signal may call while its thread holds it.
        self.lock = threading.RLock()
        self.number = 0
        self._shared: LoopThread | None = None
        self._running: set[LoopThread] = set()
        self._inherited: list[LoopThread] = []
        self._exiting = False

    def check_running(self) -> None:
        """:raises RuntimeError: the interpreter is at its very end: it imports nothing and starts no thread."""
        if sys.is_finalizing():
            raise RuntimeError(_ENDING)

    def shared(self) -> LoopThread:
        """The loop of all clients, started if need be. Hold the lock until the client is among its users."""
        if self._shared is None or not self._shared.alive:
            self._shared = self.run(LoopThread("omium_sync"))
        return self._shared

    def leave(self, thread: LoopThread, user: User) -> None:
        """A client has left; the last one ends the loop."""
        with self.lock:
            thread.users.discard(user)
            last = not thread.users
            if last:
                thread.alive = False
        if last:
            self.end(thread)

    def run(self, thread: LoopThread) -> LoopThread:
        """Start a thread that ends with the process at the latest."""
        with self.lock:
            self._running.add(thread)
            try:
                thread.start()
            except BaseException as error:
                self._running.discard(thread)
                if self._exiting and isinstance(error, RuntimeError):  # Python 3.12 starts no thread so late
                    raise RuntimeError(_ENDING) from error
                raise
        return thread

    def end(self, thread: LoopThread) -> None:
        """Stop a thread."""
        self._running.discard(thread)
        thread.stop()

    def after_fork(self) -> None:
        """In the child: the threads of the loops are gone, and locks are as they were at that moment.

        What was inherited is kept for ever: closing the parent's loop here would take sockets out of the parent's
        poller, which both processes share.
        """
        self.lock = threading.RLock()
        self.number += 1
        self._shared = None
        for thread in self._running:
            thread.alive = False
            for user in thread.users:
                user.leave_to_parent()
            self._inherited.append(thread)
        self._running = set()

    def at_exit(self) -> None:
        """Cancel what is under way and end the loops, so that no thread is cut off in the middle of a line.

        Runs after the handlers that were registered since the import of this package: they may call.
        """
        self._exiting = True
        self._shared = None
        for thread in list(self._running):
            thread.stop(patience=_PATIENCE_AT_EXIT, exiting=True)


process: Final = Process()
atexit.register(process.at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.after_fork)
