"""The facade of `omium_async` for code that is not async: scripts, notebooks, views, workers, prompts.

The same names, arguments, models and errors; plain iterators instead of async generators; ``with`` or ``close()``, or
neither. One thread with an event loop, started at the first call, serves all clients of a process and ends with the
last one. With ``OMIUM_UVLOOP=1`` in the environment it runs uvloop, where that is installed.

What programs may rely on, each of it tested as a program of its own (``tests/lifecycle``):

- The interpreter exits at once, whatever was left open, half-read or under way in daemon threads.
- Ctrl-C, or what any signal's handler raises: the call in flight is cancelled and has ended before it is raised; a
  write that was not sent yet is never sent. The client works on.
- Any number of threads share a client, or an iterator. Context variables of the calling thread are visible in hooks.
- A forked child, also of gunicorn and multiprocessing, has a loop and connections of its own; an iterator begun before
  the fork goes on in the parent alone.
- It works inside a running event loop, which it blocks, and in notebooks.
- Use after ``close`` is a ``RuntimeError``, and so is a call from a hook such as ``on_attempt``: it would wait for
  itself. What a hook raises to end the program (``SystemExit``) is raised to the caller and harms nobody else.
- ``create_many`` takes a plain iterable's items in the thread that reads the outcomes: it may be a database cursor, may
  block, and may call the client itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from omium_async import (
        SETTLED,
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        Attempt,
        AuthenticationError,
        BadRequestError,
        CancelOutcome,
        CancelResult,
        Checkpoint,
        CheckpointDetail,
        ConfigurationError,
        ConflictError,
        CreateOutcome,
        Execution,
        ExecutionDetail,
        ExecutionFailedError,
        ExecutionPage,
        ExecutionRequest,
        ExecutionStatus,
        InvalidResponseError,
        Journal,
        JournalError,
        MissingExecutionsError,
        NoCheckpointError,
        NotFoundError,
        OmiumError,
        OutputError,
        PermissionDeniedError,
        RateLimitError,
        RawResponse,
        ReplayOutcome,
        ReplayResult,
        RollbackResult,
        ServerError,
        UnprocessableEntityError,
        UnstableListError,
        WaitTimeoutError,
        WorkflowInfo,
        WriteOutcome,
        __version__,
        make_converter,
    )

    from ._client import Executions, Omium
    from ._local import LocalOmium
    from ._workflow import Run, Workflow

__all__ = [
    "SETTLED",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CancelOutcome",
    "CancelResult",
    "Checkpoint",
    "CheckpointDetail",
    "ConfigurationError",
    "ConflictError",
    "CreateOutcome",
    "Execution",
    "ExecutionDetail",
    "ExecutionFailedError",
    "ExecutionPage",
    "ExecutionRequest",
    "ExecutionStatus",
    "Executions",
    "InvalidResponseError",
    "Journal",
    "JournalError",
    "LocalOmium",
    "MissingExecutionsError",
    "NoCheckpointError",
    "NotFoundError",
    "Omium",
    "OmiumError",
    "OutputError",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "ReplayOutcome",
    "ReplayResult",
    "RollbackResult",
    "Run",
    "ServerError",
    "UnprocessableEntityError",
    "UnstableListError",
    "WaitTimeoutError",
    "Workflow",
    "WorkflowInfo",
    "WriteOutcome",
    "__version__",
    "make_converter",
]


#: Where the names are that are not of `omium_async`. A server, with what it needs, is imported by those who want one.
_HERE: Final = {
    "Executions": "._client",
    "LocalOmium": "._local",
    "Omium": "._client",
    "Run": "._workflow",
    "Workflow": "._workflow",
}


def __getattr__(name: str) -> Any:
    # All of it at the first use: what only starts, such as `omiumctl`, can be interrupted by then without a traceback.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HERE.get(name, "omium_async"), __name__), name)
    globals()[name] = value
    if name in _HERE:
        from omium_async._public import publish  # noqa: PLC0415 - with everything else, at the first use

        publish(__name__, __name__, [name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
