"""Classes of other libraries, none of which is imported for it: who has an instance has imported the library."""

from __future__ import annotations

import builtins
import copy
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["dump_pydantic", "dump_struct", "full_name", "is_numpy_scalar", "is_pydantic_model"]


def is_pydantic_model(cls: Any) -> bool:
    """Whether ``cls`` is a class of pydantic models."""
    return _is_a(cls, "pydantic", "BaseModel")


def is_numpy_scalar(cls: Any) -> bool:
    """Whether ``cls`` is a class of numpy's scalars, such as ``numpy.int64``."""
    return _is_a(cls, "numpy", "generic")


def _is_a(cls: Any, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and isinstance(cls, type) and issubclass(cls, base)


def dump_pydantic(model: Any) -> Any:
    """Return a pydantic model as pydantic writes it."""
    return model.model_dump(mode="json", by_alias=True)


def dump_struct(struct: Any, values: Mapping[str, Any]) -> Any:
    """Return a msgspec struct as msgspec writes it, with the given values of its fields.

    The values are JSON values already, because msgspec leaves out fields of attrs classes in them.
    """
    whole = copy.copy(struct)
    for name, value in values.items():
        msgspec.structs.force_setattr(whole, name, value)
    return msgspec.to_builtins(whole)


def full_name(cls: type[Any]) -> str:
    """Return a class's name for messages, with its library if Python has a class of that name (``numpy.bool``)."""
    name = cls.__name__
    is_another = getattr(builtins, name, cls) is not cls
    return f"{cls.__module__.partition('.')[0]}.{name}" if is_another else name
