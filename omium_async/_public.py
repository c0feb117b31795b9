"""What makes a name public: it has the public module as ``__module__``, and its type hints resolve at run time."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable

__all__ = ["publish"]


def publish(package: str, module: str, names: Iterable[str]) -> None:
    """Give the classes and functions that a module exports the public package as their ``__module__``.

    Pickles then name the public package, so that private modules may move.

    :param package: the public package, such as ``omium_async``.
    :param module: the module that holds the names; the package itself, or a private part of it.
    :param names: the public names; those of other packages are left alone.
    """
    for name in names:
        found = vars(sys.modules[module])[name]
        home: object = getattr(found, "__module__", None)
        if isinstance(home, str) and home.startswith(f"{package}."):
            if isinstance(found, type):
                # The annotations are text, and resolve only in the module that defines the class.
                found.__annotations__ = inspect.get_annotations(found, eval_str=True)
            found.__module__ = package
