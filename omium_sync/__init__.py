"""The facade of `omium_async` for code that is not async: scripts, notebooks, views, workers, prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omium_async import (
    SETTLED,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    Checkpoint,
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
    NotFoundError,
    OmiumError,
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
    __version__,
)

from .client import Omium

if TYPE_CHECKING:
    from .local import LocalOmium

__all__ = [
    "SETTLED",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "Checkpoint",
    "ConfigurationError",
    "ConflictError",
    "CreateOutcome",
    "Execution",
    "ExecutionDetail",
    "ExecutionFailedError",
    "ExecutionPage",
    "ExecutionRequest",
    "ExecutionStatus",
    "InvalidResponseError",
    "Journal",
    "JournalError",
    "LocalOmium",
    "MissingExecutionsError",
    "NotFoundError",
    "Omium",
    "OmiumError",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "ReplayOutcome",
    "ReplayResult",
    "RollbackResult",
    "ServerError",
    "UnprocessableEntityError",
    "UnstableListError",
    "WaitTimeoutError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "LocalOmium":  # a server, with what it needs, is imported by those who want one
        from .local import LocalOmium  # noqa: PLC0415

        return LocalOmium
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
