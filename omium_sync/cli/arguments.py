"""Kinds of arguments: what could never be sent is wrong usage, and said before anything is."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from omium_async._arguments import execution_segment, text

from .render import Output

__all__ = ["execution_id", "json_option", "name", "output_option", "parse_json"]

F = TypeVar("F", bound=Callable[..., Any])


def execution_id(value: str) -> str:
    """An id that can be a segment of a path: as click's type of an argument."""
    _not_empty(value)
    try:
        execution_segment(value)
    except (TypeError, ValueError) as error:
        raise click.BadParameter(str(error)) from None
    return value


def name(value: str) -> str:
    """Text that is not empty: as click's type of an option."""
    _not_empty(value)
    try:
        return text(value, "it")
    except (TypeError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


def _not_empty(value: str) -> None:
    if not value:
        raise click.BadParameter("it is empty")


def parse_json(text: str) -> Any:
    """The value of a JSON text, without what JSON does not know (NaN) or floats cannot hold (1e999).

    :raises ValueError: it is none; the message says where.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"there is no {text} in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _json(text: str) -> Any:
    try:
        if text == "@-":
            text = sys.stdin.buffer.read().decode()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return parse_json(text)
    except OSError as error:
        raise click.BadParameter(f"{text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}") from None


def json_option(option: str, variable: str, text: str) -> Callable[[F], F]:
    """Adds an option whose value is JSON, given at once or in a file."""
    return click.option(option, variable, type=_json, metavar="JSON", help=text)


def _output(_context: click.Context, _parameter: click.Parameter, value: str) -> Output:
    return Output(value)


def output_option(*forms: Output) -> Callable[[F], F]:
    """Adds ``--output``, a choice of these forms."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice([form.value for form in forms]),
        default=Output.TABLE.value,
        show_default=True,
        callback=_output,
        help="For people, or for programs.",
    )
