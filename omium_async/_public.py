"""What makes a name public: it has the public module as ``__module__``, and its type hints resolve at run time."""

from __future__ import annotations

import inspect
import sys


def publish(package: str, module: str) -> None:
    """Give the classes and functions of a module the public package as their ``__module__``, and set its ``__all__``.

    Pickles then name the public package, so that private modules may move.

    :param package: the public package, such as ``omium_async``. Names of other packages keep their ``__module__``.
    :param module: the module that lists the names; the package itself, or a private part of it. An ``__all__`` that it
        has is kept.
    """
    listed = vars(sys.modules[module])
    # pytest, which rewrites the modules of plugins, adds names that begin with "@".
    names: list[str] = listed.setdefault("__all__", [name for name in listed if not name.startswith(("_", "@"))])
    for found in map(listed.__getitem__, names):
        home: object = getattr(found, "__module__", None)
        if isinstance(home, str) and home.startswith(f"{package}."):
            if isinstance(found, type):
                # The annotations are text, and resolve only in the module that defines the class.
                found.__annotations__ = inspect.get_annotations(found, eval_str=True)
            found.__module__ = package
