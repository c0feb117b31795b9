"""What a LocalOmium keeps from one start to the next."""

from __future__ import annotations

import attrs

from .arrivals import RequestLog
from .faults import Faults
from .handlers import Intake
from .ids import Ids
from .registry import Registry
from .times import Times
from .typed import Types

__all__ = ["Parts"]


@attrs.frozen
class Parts:
    """Of one LocalOmium, shared with each server that it starts."""

    times: Times
    types: Types
    workflows: Registry = attrs.field(factory=Registry)
    options: Intake = attrs.field(factory=Intake)
    faults: Faults = attrs.field(factory=Faults)
    log: RequestLog = attrs.field(factory=RequestLog)
    ids: Ids = attrs.field(factory=Ids)

    def forget(self) -> None:
        """Faults, requests and counts."""
        self.faults.clear()
        self.log.clear()
