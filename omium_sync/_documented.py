"""Docstrings of the core for the facade, so that there is one text to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["documented"]

F = TypeVar("F", bound=Callable[..., Any])


def documented(original: object) -> Callable[[F], F]:
    """Gives a function the docstring of the core's."""

    def document(function: F) -> F:
        function.__doc__ = original.__doc__
        return function

    return document
