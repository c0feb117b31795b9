"""The sync client of the Omium Executions API, for scripts, notebooks, views, workers and prompts.

The names, arguments, models and errors are those of `omium_async`. Plain iterators replace async generators. ``with``
and ``close()`` are optional. The first call starts a thread with an event loop, which serves all clients of the process
and ends with the last one. With ``OMIUM_UVLOOP=1`` in the environment the loop is uvloop's, if it is installed.

Programs may rely on the following, which ``tests/lifecycle`` tests:

- The interpreter exits at once, whatever is open, half-read, or in progress in daemon threads.
- Ctrl-C, or an exception of any signal handler, cancels the call in progress and is raised when the call has ended. A
  write that was not sent yet is never sent. The client still works.
- Any number of threads may share a client or an iterator. Hooks see the context variables of the calling thread.
- A forked child, also of gunicorn and multiprocessing, gets its own loop and connections. An iterator that was begun
  before the fork continues in the parent only.
- Calls work inside a running event loop, which they block, and in notebooks.
- A call after ``close`` raises ``RuntimeError``. So does a call from a hook such as ``on_attempt``, which would wait
  for itself. ``SystemExit`` of a hook is logged and ignored.
- ``create_many`` takes the items of a plain iterable in the thread that reads the outcomes. The iterable may be a
  database cursor, may block, and may call the client itself.
"""

from typing import TYPE_CHECKING, Any

from omium_async import __version__ as __version__
from omium_async._lazy import public_name as _public_name

if TYPE_CHECKING:
    from ._exports import *  # noqa: F403 - the lists of public names are there
    from ._local_exports import *  # noqa: F403
else:  # unseen by type checkers, which would accept any name

    def __getattr__(name: str) -> Any:
        return _public_name(__name__, name, "_exports", "_local_exports")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
