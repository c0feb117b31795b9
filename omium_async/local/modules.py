"""The workflows of a module of the user's, for what serves them by its name: `omiumctl serve` and the pytest plugin.

It defines ``workflows``, a mapping of id to function, or has a LocalOmium whose decorator registered them.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from .errors import LocalOmiumError
from .run import WorkflowFunction, is_async
from .server import LocalOmium

__all__ = ["load_workflows"]

_NAME = "workflows"


def load_workflows(module_name: str) -> dict[str, WorkflowFunction]:
    """The workflows that a module defines, by their ids.

    :param module_name: a module to be imported, the current folder first, or the path of a file ``.py``.
    :raises LocalOmiumError: it does not import, or defines none; in one line that says where.
    """
    if module_name.endswith(".py"):
        module_name, module = _of_file(Path(module_name))
    else:
        module = _imported(module_name, Path.cwd())
    found: Any = getattr(module, _NAME, None)
    registered = _registered(module)
    if not isinstance(found, Mapping) or not found:
        if registered:
            return registered
        raise LocalOmiumError(
            f"the module {module_name} defines no {_NAME}: give it a dict of workflow id to async function, such as"
            f' {_NAME} = {{"word-count": word_count}}, or a LocalOmium with its workflows'
        )
    mapping: Mapping[Any, Any] = found  # pyright: ignore[reportUnknownVariableType] - it is the user's: all is checked
    for name, function in mapping.items():
        if not isinstance(name, str) or not name:
            raise LocalOmiumError(f"the module {module_name}: {name!r} in {_NAME} is no workflow id")
        if not callable(function) or not is_async(function):
            raise LocalOmiumError(f"the module {module_name}: {name!r} in {_NAME} is no async function")
    return {**registered, **mapping}


def _registered(module: ModuleType) -> dict[str, WorkflowFunction]:
    """The workflows of each LocalOmium of a module, which itself is not started."""
    found: dict[str, WorkflowFunction] = {}
    for value in list(vars(module).values()):
        served = _behind(value)
        if served is not None:
            found |= served.workflows
    return found


def _behind(value: object) -> LocalOmium | None:
    """A LocalOmium, or the one that the facade's stands for: that one cannot be imported here."""
    if not isinstance(value, LocalOmium):
        value = cast("dict[str, object]", getattr(value, "__dict__", {})).get("_core")
    return value if isinstance(value, LocalOmium) else None


def _of_file(path: Path) -> tuple[str, ModuleType]:
    if not path.is_file():
        raise LocalOmiumError(f"there is no file {path}")
    module = _imported(path.stem, path.absolute().parent)
    origin: str | None = getattr(module, "__file__", None)  # a module that is built in has none
    if origin is None or not path.samefile(origin):
        raise LocalOmiumError(f"{path} has the name of another module ({origin or 'built in'}): give it another one")
    return path.stem, module


def _imported(module_name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the module is the user's: whatever stops it, they are told where
        raise LocalOmiumError(f"the module {module_name} cannot be imported: {_in_words(error)}") from None


def _in_words(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # which names the place itself
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _of_importing(frame.filename)]
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text


def _of_importing(filename: str) -> bool:
    return filename.startswith("<frozen ") or filename in (__file__, importlib.__file__)
