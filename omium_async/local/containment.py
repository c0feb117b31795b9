"""Whatever a workflow raises, as the end of that run alone: kept from the event loop, and put into words."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["Containment", "StepExit", "comes_from_outside", "describe", "inside_a_run"]

_LENGTH: Final = 10_000  # characters
_PARTS: Final = 1000  # of an exception group


#: Set in the context of a workflow function, and so in that of every task that it makes.
inside_a_run: Final[ContextVar[bool]] = ContextVar("inside_a_run", default=False)


class StepExit(BaseException):
    """Stands for a `SystemExit` of a step or a task: asyncio lets that one out of any task and ends the whole program.

    Like it, it is no `Exception`. `__cause__` is the original.
    """


class Containment:
    """Makes the tasks of a loop, as long as there is a server on it: those that a workflow makes raise a `StepExit`
    where they would end the program."""

    _of_loops: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Containment]] = weakref.WeakKeyDictionary()

    def __init__(self, former: Callable[..., asyncio.Future[Any]] | None) -> None:
        self._former = former
        self._servers = 0

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Containment:
        """That of the loop, from now on."""
        found = cls._of_loops.get(loop)
        if found is None:
            found = cls._of_loops[loop] = cls(loop.get_task_factory())
            loop.set_task_factory(found.make)
        return found

    def begin(self) -> None:
        """For one more server on the loop."""
        self._servers += 1

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """One server less; behind the last all is as it was, unless somebody has built on it meanwhile."""
        self._servers -= 1
        if not self._servers and loop.get_task_factory() == self.make:
            loop.set_task_factory(self._former)
            del self._of_loops[loop]

    def make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **how: Any) -> Any:
        """A task, as the loop asks for it."""
        context = how.get("context")
        inside = inside_a_run.get() if context is None else context.get(inside_a_run, False)
        if inside:
            coroutine = _Contained(coroutine)
        if self._former is not None:
            return self._former(loop, coroutine, **how)
        return asyncio.Task(coroutine, loop=loop, **how)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine, but for `SystemExit`. A wrapper that is one itself would leave it behind when cancelled at once."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any, /) -> Any:
        try:
            return self._inner.send(value)
        except SystemExit as error:
            raise StepExit from error

    def throw(self, *raised: Any) -> Any:
        try:
            return self._inner.throw(*raised)
        except SystemExit as error:
            raise StepExit from error

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()

    def __repr__(self) -> str:
        return repr(self._inner)


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
