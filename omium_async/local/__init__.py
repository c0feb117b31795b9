"""A local Omium server: the Executions API on this machine, with workflows that are Python functions.

For development and tests. The hosted service, the engine that scales out, has the same calls.
"""

from __future__ import annotations

from .._public import publish
from .app import SeenRequest
from .errors import DatabaseInUseError, LocalOmiumError, PortInUseError
from .faults import Fault
from .run import SyncWorkflowRun, WorkflowRun
from .server import LocalOmium, load_workflows

__all__ = [
    "DatabaseInUseError",
    "Fault",
    "LocalOmium",
    "LocalOmiumError",
    "PortInUseError",
    "SeenRequest",
    "SyncWorkflowRun",
    "WorkflowRun",
    "load_workflows",
]

publish(__name__, __name__)
