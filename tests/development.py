"""Output of programs in Python's development mode."""

from __future__ import annotations


def complaints(said: str) -> str:
    """Return the warnings, except those about slow turns of an event loop, which a busy machine causes."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("Executing <"))
