"""Modules that are imported when something of them is asked for, not with the package."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Later"]


class Later:
    """Stands for a module where annotations name something of it, so that ``get_type_hints`` finds it all the same.

    Checkers are shown the import itself, under ``TYPE_CHECKING``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
