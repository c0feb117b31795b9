"""Ids that nobody guesses, and that sort in the order in which they were made."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

__all__ = ["Ids"]

_PREFIX: Final = "exec_"
_STAMP: Final = re.compile(rf"{_PREFIX}([0-9a-f]{{16}})[0-9a-f]*", re.ASCII)


class Ids:
    """Gives out ids of 36 characters at most: the official command line cuts there.

    They begin with the machine's own time in milliseconds and a count within it, which only ever grow: new ids are
    neighbours in the index, and greater than all before, also when the time goes back. Called by the writer alone.
    """

    def __init__(self) -> None:
        self._latest = 0

    def go_on_behind(self, execution_id: str) -> None:
        """Give out greater ids than this one."""
        found = _STAMP.fullmatch(execution_id)
        if found is not None:
            self._latest = max(self._latest, min(int(found[1], 16), 2**63))

    def execution(self) -> str:
        """The id of a new execution."""
        self._latest = max(self._latest + 1, time.time_ns() // 1_000_000 << 16)
        return f"{_PREFIX}{self._latest:016x}{secrets.token_hex(8)[:15]}"

    @staticmethod
    def checkpoint() -> str:
        """The id of a new checkpoint; these are listed by number, and sort for the index alone."""
        return f"chk_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
