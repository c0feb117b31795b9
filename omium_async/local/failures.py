"""Whatever a workflow raises, as the end of that run alone: kept from the event loop, and put into words."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

__all__ = ["StepExit", "comes_from_outside", "describe"]

_LENGTH: Final = 10_000  # characters
_PARTS: Final = 1000  # of an exception group


class StepExit(BaseException):
    """Stands for a `SystemExit` that a step raised: asyncio lets that one out of any task and ends the whole program.

    Like it, it is no `Exception`. `__cause__` is the original.
    """


def comes_from_outside(raised: BaseException, task: asyncio.Task[object] | None) -> bool:
    """Whether the exception is meant for more than the run in this task: it passes then, and the execution goes on at
    the next start. A Ctrl-C is to stop the program; a coroutine that is thrown away with its loop cannot await any
    more."""
    if isinstance(raised, GeneratorExit) and task is not None:
        return asyncio.current_task(task.get_loop()) is not task
    return isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def describe(error: BaseException) -> str:
    """What is kept as the error of a failed execution: the type and the message, of a group each of its parts."""
    said: list[str] = []
    left = [error]
    while left and len(said) < _PARTS:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            parts: tuple[BaseException, ...] = one.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            left.extend(reversed(parts))
        else:
            said.append(_text_of(one))
    return "; ".join(said)[:_LENGTH]


def _text_of(error: BaseException) -> str:
    if isinstance(error, StepExit) and error.__cause__ is not None:
        error = error.__cause__
    try:
        message = str(error)
    except BaseException as raised:  # an error whose text cannot be made has none
        if comes_from_outside(raised, None):
            raise
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text[:_LENGTH].encode(errors="backslashreplace").decode()
