"""Errors as JSON objects, for files and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._errors import OmiumError, calls, others
from . import types

__all__ = ["error_from_json", "error_to_json"]

_CLASSES: Final[Mapping[str, type[OmiumError]]] = {
    "OmiumError": OmiumError,
    **{
        name: vars(module)[name]
        for module in (calls, others, types)
        for name in module.__all__
        if name.endswith("Error")
    },
}


def error_to_json(error: OmiumError) -> dict[str, Any]:
    """All that an error carries, as one JSON object: ``type``, ``message``, and the details of its ``args``.

    A class of somebody else's making comes back as the class of this package that it is made from.
    """
    message, *details = error.args
    kind = next(cls.__name__ for cls in type(error).__mro__ if _CLASSES.get(cls.__name__) is cls)
    return {"type": kind, "message": message, **(details[0] if details else {})}


def error_from_json(data: Mapping[str, Any]) -> OmiumError:
    """The error of `error_to_json`; of a type that this version does not know, an `OmiumError` that says so.

    :raises TypeError: what is there was not made by `error_to_json`.
    """
    details = {name: value for name, value in data.items() if name not in ("type", "message")}
    kind = str(data.get("type"))
    if kind not in _CLASSES:
        return OmiumError(f"{kind}: {data.get('message', '')}", details)
    return _CLASSES[kind](str(data.get("message", "")), details)
