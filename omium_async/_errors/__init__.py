"""Errors, with the outcome of the write that failed."""

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
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnprocessableEntityError,
    ends_batch,
    is_final_refusal,
    status_error_class,
)
from .others import (
    ConfigurationError,
    JournalError,
    MissingExecutionsError,
    NoCheckpointError,
    UnstableListError,
    WaitTimeoutError,
)

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "Headers",
    "InvalidResponseError",
    "JournalError",
    "MissingExecutionsError",
    "NoCheckpointError",
    "NotFoundError",
    "OmiumError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "UnprocessableEntityError",
    "UnstableListError",
    "WaitTimeoutError",
    "WriteOutcome",
    "ends_batch",
    "is_final_refusal",
    "status_error_class",
]
