"""Public names that a package imports when one of them is first used, so that calls import nothing (PEP 562)."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from typing import Any, Final

_ = logging  # imported first: its hooks for forks then run after those of this module, and the import needs its lock

#: Held during an import. A fork waits for it, because the child would inherit modules that are half initialized and
#: import locks that none of its threads releases.
_importing: Final = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )


def public_name(package: str, name: str, *modules: str) -> Any:
    """Return a public name of a package, or its ``__all__``.

    :param modules: the modules of the package that list its names. Each is imported only if those before it do not have
        the name.
    :raises AttributeError: the package has no such name.
    :raises ImportError: the handler of a signal interrupted the same import.
    """
    if name == "__all__":
        return sorted(each for module in modules for each in _names_of(package, module))
    for module in modules if not name.startswith("_") else ():  # an import of a private module asks for it here first
        if name in _names_of(package, module):
            value = getattr(sys.modules[f"{package}.{module}"], name)
            setattr(sys.modules[package], name, value)
            return value
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def _names_of(package: str, module: str) -> list[str]:
    with _importing:
        names: list[str] | None = getattr(importlib.import_module(f".{module}", package), "__all__", None)
    if names is None:  # set at the end of the module
        raise ImportError(
            f"a signal handler used {package} for the first time while the program did: use a name of {package}, "
            f"such as its client, before the handler is installed"
        )
    return names
