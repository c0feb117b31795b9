"""Make converters, and keep the one that the process shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from .converter import OmiumConverter, register_data

__all__ = ["add_rules", "is_ours", "make_converter", "shared"]

_RULES: Final[list[Callable[[OmiumConverter], None]]] = []


def add_rules(register: Callable[[OmiumConverter], None]) -> None:
    """Give every converter made from now on the hooks that ``register`` registers, before those for users' data."""
    _RULES.append(register)


def make_converter() -> OmiumConverter:
    """Make a converter: a ``cattrs.Converter`` on which every rule of this package is a registered hook.

    Hooks of your own come before these rules; register them at any time before they are needed. A client or a
    LocalOmium (``converter=``) uses its converter for all data: models, ``input_data``, ``metadata``, typed inputs and
    outputs, and results of steps.

    ``converter.structure(data, Execution)`` and ``converter.unstructure(execution)`` do what ``from_dict`` and
    ``to_dict`` do with the converter that the process shares. ``converter.loads(body, ExecutionPage)`` and
    ``converter.dumps(value)`` read and write JSON, as converters of ``cattrs.preconf`` do.

    :return: the converter.
    """
    made = OmiumConverter()
    register_data(made)
    for register in _RULES:
        register(made)
    return made


@cache
def shared() -> OmiumConverter:
    """Return the converter of all clients, servers and models that have none of their own."""
    return make_converter()


def is_ours(converter: Any) -> bool:
    """Whether ``converter`` comes from `make_converter`, or is a copy of one."""
    return isinstance(converter, OmiumConverter)
