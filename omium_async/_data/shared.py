"""Make converters, and keep the one that the process shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from .converter import OmiumConverter, register_data

__all__ = ["add_rules", "is_ours", "make_converter", "shared"]

_RULES: Final[list[Callable[[OmiumConverter], None]]] = []


def add_rules(register: Callable[[OmiumConverter], None]) -> None:
    """Have every converter made from now on given the hooks that ``register`` registers, above those for data."""
    _RULES.append(register)


def make_converter() -> OmiumConverter:
    """A new converter: a ``cattrs.Converter`` on which every rule of this package is a registered hook.

    Hooks registered with it, at any time before they are needed, come before those rules. Given to a client or a
    LocalOmium (``converter=``), it is their one way in and out: for the models, ``input_data``, ``metadata``, typed
    inputs and outputs, and results of steps.

    ``converter.structure(data, Execution)`` and ``converter.unstructure(execution)`` are what ``from_dict`` and
    ``to_dict`` do with the converter that the process shares; ``converter.loads(body, ExecutionPage)`` and
    ``converter.dumps(value)`` do the same from and to JSON, as converters of ``cattrs.preconf`` do.

    :return: the converter.
    """
    made = OmiumConverter()
    register_data(made)
    for register in _RULES:
        register(made)
    return made


@cache
def shared() -> OmiumConverter:
    """The process's converter, of all who bring none of their own."""
    return make_converter()


def is_ours(converter: Any) -> bool:
    """Whether it is what `make_converter` gives, or a copy of that."""
    return isinstance(converter, OmiumConverter)
