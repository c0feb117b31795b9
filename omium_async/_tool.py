"""The name, description and signature of a workflow that agent frameworks call as a function."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from . import _arguments as check
from ._data.dataclass_form import dataclass_form

F = TypeVar("F", bound=Callable[..., Any])

_LONGEST: Final = 64  # characters of a tool's name, for the models of OpenAI and Anthropic


def describe(function: F, workflow: Any, read: Callable[[Any], object], name: str | None, description: str | None) -> F:
    """Give the function of one parameter ``data`` its name, docstring, signature and annotations.

    :param workflow: a definition, which has the id and the types.
    :param read: raises ``TypeError`` for JSON that is not of the input type.
    :param name: its name; ``None``: the workflow's id as an identifier.
    :param description: its docstring; ``None``: that of the input type, if it has its own.
    """
    given = dict[str, Any] if workflow.input_type is None else workflow.input_type
    returned = Any if workflow.output_type is None else workflow.output_type
    function.__name__ = function.__qualname__ = (
        _identifier(workflow.workflow_id) if name is None else check.text(name, "name")
    )
    if description is None:
        description = _docstring(given) or f"Run the workflow {workflow.workflow_id!r} and return its result."
    function.__doc__ = description
    if (form := dataclass_form(given)) is not given:
        # Without a text AutoGen rejects the metadata itself, with a message that does not name the class.
        given = Annotated[given, _docstring(given) or "The input.", _Described(form, read)]
    function.__annotations__ = {"data": given, "return": returned}
    data = inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=given)
    vars(function)["__signature__"] = inspect.Signature([data], return_annotation=returned)
    return function


class _Described:
    """Metadata that lets pydantic describe and check a type with attrs classes. The value stays the JSON of it."""

    def __init__(self, form: Any, read: Callable[[Any], object]) -> None:
        self._form = form
        self._read = read

    def __repr__(self) -> str:
        return "<schema for pydantic>"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": self._check},
            "schema": handler.generate_schema(self._form),
            "serialization": {"type": "function-plain", "function": _as_it_is},
        }

    def _check(self, value: Any, _: Any) -> Any:
        try:
            self._read(value)
        except TypeError as error:
            raise ValueError(str(error)) from None  # pydantic reports no other error
        return value


def _as_it_is(value: Any) -> Any:
    return value


def _identifier(workflow_id: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]+", "_", workflow_id).strip("_")
    if not found or found[0].isdigit():
        found = f"workflow_{found}".rstrip("_")
    return f"{found}_" if keyword.iskeyword(found) else found[:_LONGEST]


def _docstring(kind: Any) -> str | None:
    """Return the docstring that the author of a class wrote; ``None`` for a generated or inherited one."""
    if not isinstance(kind, type) or kind.__module__ == "builtins":
        return None
    own = vars(kind).get("__doc__")
    if not isinstance(own, str) or own.startswith(f"{kind.__name__}("):  # of a dataclass or a named tuple
        return None
    return inspect.cleandoc(own)
