"""What programs say in Python's development mode."""

from __future__ import annotations


def complaints(said: str) -> str:
    """But for those of turns of a loop that took long: a busy machine makes that of any."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("Executing <"))
