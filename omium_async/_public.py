"""What makes a name public: it says the public module as its own, and its types can be asked for at run time."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["LazyModule", "publish"]


class LazyModule:
    """A module that is imported when something of it is asked for.

    It stands for a module that only some calls need; and where annotations name types of one that is too slow to import
    for them alone, so that ``typing.get_type_hints`` finds them.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # tools that look at everything, as pytest does, ask whether it is one of theirs
            raise AttributeError(name)
        return getattr(importlib.import_module(self._name), name)


def publish(module: str, names: Iterable[str]) -> None:
    """Have the classes and functions that a public module exports say it as their ``__module__``.

    Pickles then name what stays where it is, whatever becomes of the private modules behind it.
    """
    for name in names:
        found = vars(sys.modules[module])[name]
        home: object = getattr(found, "__module__", None)
        if isinstance(home, str) and home.startswith(f"{module}."):
            if isinstance(found, type):
                # Texts until now, and written for the module that the class comes from.
                found.__annotations__ = inspect.get_annotations(found, eval_str=True)
            found.__module__ = module
