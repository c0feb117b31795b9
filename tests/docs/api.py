"""The public API as a text listing.

``python tests/docs/api.py`` writes `docs/reference/api.txt`, and `test_api.py` compares it with the code. So each
change of the API shows in a review. Type checkers check the types (`tests/packages/test_typing.py`).
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "docs" / "_extensions"))
from given import GIVEN

LISTING = Path(__file__).parents[2] / "docs" / "reference" / "api.txt"
MODULES = [
    "omium_async",
    "omium_async.local",
    "omium_async.cluster",
    "omium_async.otel",
    "omium_async.ui",
    "omium_async.pytest_plugin",
    "omium_sync",
    "omium_sync.cli",
]


def of_ours(thing: Any) -> bool:
    """Whether it is of this project."""
    return str(getattr(thing, "__module__", "")).startswith("omium_")


def members(cls: type) -> dict[str, Any]:
    """The public attributes that a class or its bases define in this project."""
    found: dict[str, Any] = {}
    for name, value in inspect.getmembers_static(cls):
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        if not name.startswith("_") and not owner.__name__.startswith("_") and of_ours(owner):
            found[name] = value
    return found


def exported() -> Iterator[tuple[str, str, Any]]:
    """Each public name: its dotted name, its module, and its value."""
    for module in MODULES:
        names = importlib.import_module(module)
        for name in names.__all__:
            yield f"{module}.{name}", module, getattr(names, name)


def listing() -> str:
    """All of it, a line each."""
    lines: list[str] = []
    for dotted, module, thing in exported():
        if module == "omium_sync" and thing is getattr(importlib.import_module("omium_async"), dotted[11:], lines):
            lines.append(f"{dotted}: that of omium_async")
        elif inspect.isclass(thing):
            lines += _of_class(dotted, thing)
        elif inspect.isfunction(thing):
            lines.append(f"{dotted}{_signature(thing)}")
        else:
            lines.append(dotted)
    return "".join(f"{line}\n" for line in sorted(lines, key=str.casefold))


#: Of the classes behind a class, those that say nothing to its users.
_NOT_DOCUMENTED = {"object", "Exception", "BaseException", "Generic", "Protocol"}


def is_made_by_users(cls: type) -> bool:
    """Whether its constructor is of this project, and for users to call."""
    made_by = next((base for base in cls.__mro__ if "__init__" in vars(base)), object)
    return of_ours(made_by) and not getattr(cls, "_is_protocol", False)


def _of_class(dotted: str, cls: type) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__mro__[1:] if _is_documented(base)]
    shown = "" if dotted in GIVEN or not is_made_by_users(cls) else _signature(cls)
    yield f"{dotted}{shown}" + (f": {', '.join(bases)}" if bases else "")
    found = members(cls)
    for name in {*found, *fields(cls)} - of_public_bases(cls):
        member = found.get(name)
        function = getattr(member, "__func__", member)
        word = "async " if inspect.iscoroutinefunction(function) else ""
        yield f"{dotted}.{name}" + (f"{_signature(function)} {word}".rstrip() if inspect.isfunction(function) else "")


def _is_documented(base: type) -> bool:
    private = "._" in base.__module__ or base.__name__.startswith("_")
    return not private and base.__name__ not in _NOT_DOCUMENTED


def fields(cls: type) -> set[str]:
    """Return the fields of instances: those with annotations, and those that docstrings describe."""
    found: set[str] = set()
    for base in cls.__mro__:
        if of_ours(base):
            found |= {*inspect.get_annotations(base), *re.findall(r":ivar (\w+):", base.__doc__ or "")}
    return {name for name in found if not name.startswith("_")}


def of_public_bases(cls: type) -> set[str]:
    """Return the names that a class inherits from public bases, which describe them."""
    above = [base for base in cls.__mro__[1:] if of_ours(base) and _is_documented(base)]
    return {name for base in above for name in {*members(base), *fields(base)}} - {*vars(cls)}


def _signature(thing: Any) -> str:
    shown: list[str] = []
    signature = inspect.signature(thing)
    parameters = list(signature.parameters.values())
    for number, parameter in enumerate(parameters):
        before = parameters[number - 1].kind if number else None
        if parameter.kind is parameter.KEYWORD_ONLY and before not in {
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        }:
            shown.append("*")
        if before is parameter.POSITIONAL_ONLY and parameter.kind is not parameter.POSITIONAL_ONLY:
            shown.append("/")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        shown.append(f"{stars}{parameter.name}{_default(parameter.default)}")
    if parameters and parameters[-1].kind is inspect.Parameter.POSITIONAL_ONLY:
        shown.append("/")
    return f"({', '.join(shown)})"


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    plain = value is None or isinstance(value, (bool, int, float, str, tuple))
    return f"={value!r}" if plain else "=..."


if __name__ == "__main__":
    LISTING.write_text(listing())
