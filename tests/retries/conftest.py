"""Fixtures of this folder: a server that speaks bytes, and an empty environment and home."""

from ..rawserver import home, raw

__all__ = ["home", "raw"]
