"""The answers of the service, decoded with the process's shared converter."""

from __future__ import annotations

from typing import TypeVar

from .._data.codec import NotJSON, decode_json, encode
from .._data.misfit import Misfit
from .._data.sending import plain
from .._data.shared import shared
from .types import Execution, ExecutionDetail, ExecutionPage

__all__ = [
    "Misfit",
    "NotJSON",
    "decode",
    "decode_detail",
    "decode_execution",
    "decode_json",
    "decode_page",
    "encode",
    "plain",
]

A = TypeVar("A")


def decode(body: bytes, cls: type[A]) -> A:
    """An answer of a class."""
    return shared().decode(body, cls)


def decode_page(body: bytes) -> ExecutionPage:
    """A page of a list."""
    return shared().decode(body, ExecutionPage)


def decode_execution(body: bytes) -> Execution:
    """One execution as ``create`` answers it."""
    return shared().decode(body, Execution)


def decode_detail(body: bytes) -> ExecutionDetail:
    """One execution in full."""
    return shared().decode(body, ExecutionDetail)
