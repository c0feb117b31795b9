"""Every public name of `omium_async`; the package imports this file when one of them is first used."""

from ._client import AsyncOmium
from ._data.converter import make_converter
from ._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InvalidResponseError,
    JournalError,
    MissingExecutionsError,
    NoCheckpointError,
    NotFoundError,
    OmiumError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnprocessableEntityError,
    UnstableListError,
    WaitTimeoutError,
    WriteOutcome,
)
from ._executions import Executions
from ._journal.settings import Journal
from ._models.outcomes import CancelOutcome, CreateOutcome, DeleteOutcome, ReplayOutcome, RunOutcome
from ._models.types import (
    SETTLED,
    CancelResult,
    Checkpoint,
    CheckpointDetail,
    Execution,
    ExecutionDetail,
    ExecutionFailedError,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    OutputError,
    ReplayResult,
    RollbackResult,
    WorkflowInfo,
)
from ._public import publish
from ._resources import Checkpoints, Workflows
from ._run import Run
from ._transport.answers import RawResponse
from ._workflow import Workflow

__all__ = [
    "SETTLED",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncOmium",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CancelOutcome",
    "CancelResult",
    "Checkpoint",
    "CheckpointDetail",
    "Checkpoints",
    "ConfigurationError",
    "ConflictError",
    "CreateOutcome",
    "DeleteOutcome",
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
    "MissingExecutionsError",
    "NoCheckpointError",
    "NotFoundError",
    "OmiumError",
    "OutputError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "ReplayOutcome",
    "ReplayResult",
    "RollbackResult",
    "Run",
    "RunOutcome",
    "ServerError",
    "UnprocessableEntityError",
    "UnstableListError",
    "WaitTimeoutError",
    "Workflow",
    "WorkflowInfo",
    "Workflows",
    "WriteOutcome",
    "make_converter",
]

publish("omium_async", __name__, __all__)
