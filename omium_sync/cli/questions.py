"""Questions before what cannot be undone: asked where somebody can answer, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from .failures import Failure

__all__ = ["can_ask", "confirm", "yes_option"]

F = TypeVar("F", bound=Callable[..., Any])

yes_option: Final = click.option("--yes", "-y", is_flag=True, help="Do not ask before it begins.")


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def confirm(question: str) -> None:
    """Ask, and go on only after a yes.

    :raises Failure: the answer was no; nothing was sent.
    """
    if not click.confirm(question, err=True):
        raise Failure("not confirmed: nothing was sent")
