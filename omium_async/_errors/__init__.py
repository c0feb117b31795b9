"""Errors: what can go wrong, and what is known about a write when it does."""

from .attempts import Attempt, Headers, WriteOutcome
from .base import OmiumError
from .calls import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnprocessableEntityError,
    status_error_class,
)
from .others import (
    ConfigurationError,
    ExecutionFailedError,
    JournalError,
    MissingExecutionsError,
    OutputError,
    UnstableListError,
    WaitTimeoutError,
)
from .stored import error_from_json, error_to_json

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ExecutionFailedError",
    "Headers",
    "InvalidResponseError",
    "JournalError",
    "MissingExecutionsError",
    "NotFoundError",
    "OmiumError",
    "OutputError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "UnprocessableEntityError",
    "UnstableListError",
    "WaitTimeoutError",
    "WriteOutcome",
    "error_from_json",
    "error_to_json",
    "status_error_class",
]
