"""Classes of libraries that this package does not import: whoever has one of their instances has imported them."""

from __future__ import annotations

import builtins
import sys
from typing import Any

__all__ = ["full_name", "is_numpy_scalar", "is_pydantic_model"]


def is_pydantic_model(cls: Any) -> bool:
    """Whether it is a class of pydantic models."""
    return _is_a(cls, "pydantic", "BaseModel")


def is_numpy_scalar(cls: Any) -> bool:
    """Whether it is a class of numpy's single values, such as ``numpy.int64``."""
    return _is_a(cls, "numpy", "generic")


def _is_a(cls: Any, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and isinstance(cls, type) and issubclass(cls, base)


def full_name(cls: type[Any]) -> str:
    """A class's name as messages show it: with its library where Python has one of that name, as of ``numpy.bool``."""
    name = cls.__name__
    is_another = getattr(builtins, name, cls) is not cls
    return f"{cls.__module__.partition('.')[0]}.{name}" if is_another else name
