"""Which executions are replays of which: as the service says, and as this console has replayed them."""

from __future__ import annotations

from typing import Any, Final

from omium_async import ExecutionDetail

from .memory import remember

__all__ = ["Relations"]

_REMEMBERED: Final = 10_000

#: Names under which a service may say it, in words.
_SAID: Final = {
    "replay_execution_id": "replayed as",
    "replayed_from": "replay of",
    "replay_of": "replay of",
    "original_execution_id": "replay of",
    "source_execution_id": "replay of",
    "parent_execution_id": "started by",
}


class Relations:
    """What is known of them while the console runs."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}
        self._replays: dict[str, str] = {}

    def note(self, origin: str, execution_id: str) -> None:
        """A replay that the service made a new execution of."""
        if origin != execution_id:
            remember(self._origins, execution_id, origin, _REMEMBERED)
            remember(self._replays, origin, execution_id, _REMEMBERED)

    def of(self, execution: ExecutionDetail) -> dict[str, str]:
        """Other executions that have to do with one: id by what it is called."""
        found: dict[str, str] = {}
        for words, known in (("replay of", self._origins), ("replayed as", self._replays)):
            if execution.id in known:
                found[words] = known[execution.id]
        for place in (execution.extra, execution.metadata or {}):
            for name, words in _SAID.items():
                value: Any = place.get(name)
                if isinstance(value, str) and value and value != execution.id:
                    found.setdefault(words, value)
        return found
