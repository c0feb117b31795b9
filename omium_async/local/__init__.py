"""An Omium of one's own: the Executions API served on this machine, with workflows that are async functions.

For development and tests. The same client code then works with the hosted service, which is the scale-out engine.
"""

from __future__ import annotations

from .._public import publish
from .arrivals import SeenRequest
from .errors import DatabaseInUseError, LocalOmiumError, PortInUseError
from .faults import Fault
from .modules import load_workflows
from .run import WorkflowRun
from .server import LocalOmium

__all__ = [
    "DatabaseInUseError",
    "Fault",
    "LocalOmium",
    "LocalOmiumError",
    "PortInUseError",
    "SeenRequest",
    "WorkflowRun",
    "load_workflows",
]

publish(__name__, __name__, __all__)
