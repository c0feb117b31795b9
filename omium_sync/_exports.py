"""The public names of `omium_sync` for clients, one a line; the package imports this file when a name is first used."""

from omium_async import SETTLED as SETTLED
from omium_async import APIConnectionError as APIConnectionError
from omium_async import APIStatusError as APIStatusError
from omium_async import APITimeoutError as APITimeoutError
from omium_async import Attempt as Attempt
from omium_async import AuthenticationError as AuthenticationError
from omium_async import BadRequestError as BadRequestError
from omium_async import CancelOutcome as CancelOutcome
from omium_async import CancelResult as CancelResult
from omium_async import Checkpoint as Checkpoint
from omium_async import CheckpointDetail as CheckpointDetail
from omium_async import ConfigurationError as ConfigurationError
from omium_async import ConflictError as ConflictError
from omium_async import CreateOutcome as CreateOutcome
from omium_async import DeleteOutcome as DeleteOutcome
from omium_async import Execution as Execution
from omium_async import ExecutionDetail as ExecutionDetail
from omium_async import ExecutionFailedError as ExecutionFailedError
from omium_async import ExecutionPage as ExecutionPage
from omium_async import ExecutionRequest as ExecutionRequest
from omium_async import ExecutionStatus as ExecutionStatus
from omium_async import InvalidResponseError as InvalidResponseError
from omium_async import Journal as Journal
from omium_async import JournalError as JournalError
from omium_async import MissingExecutionsError as MissingExecutionsError
from omium_async import NoCheckpointError as NoCheckpointError
from omium_async import NotFoundError as NotFoundError
from omium_async import OmiumError as OmiumError
from omium_async import OutputError as OutputError
from omium_async import PaymentRequiredError as PaymentRequiredError
from omium_async import PermissionDeniedError as PermissionDeniedError
from omium_async import RateLimitError as RateLimitError
from omium_async import RawResponse as RawResponse
from omium_async import ReplayOutcome as ReplayOutcome
from omium_async import ReplayResult as ReplayResult
from omium_async import RollbackResult as RollbackResult
from omium_async import RunOutcome as RunOutcome
from omium_async import ServerError as ServerError
from omium_async import UnprocessableEntityError as UnprocessableEntityError
from omium_async import UnstableListError as UnstableListError
from omium_async import WaitTimeoutError as WaitTimeoutError
from omium_async import WorkflowInfo as WorkflowInfo
from omium_async import WriteOutcome as WriteOutcome
from omium_async import make_converter as make_converter
from omium_async._public import publish as _publish

from ._client import Checkpoints as Checkpoints
from ._client import Executions as Executions
from ._client import Omium as Omium
from ._client import Workflows as Workflows
from ._workflow import Run as Run
from ._workflow import Workflow as Workflow

_publish("omium_sync", __name__)
