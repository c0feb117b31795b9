"""Decorators that turn methods of the core into sync methods with the same names, arguments and docstrings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._rows import Groups, IterableAdapter, SyncIterator

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def docstring(original: object) -> str:
    """Return the docstring of the core without its indentation, which compilers remove from Python 3.13 on."""
    return inspect.cleandoc(original.__doc__ or "")


def documented(original: object) -> Callable[[F], F]:
    """Give a function the docstring of the core."""

    def document(function: F) -> F:
        function.__doc__ = original.__doc__
        return function

    return document


def mirrored(original: Callable[..., Any], returns: object = None) -> Callable[[F], F]:
    """Give a function the arguments and the docstring of a method of the core, as ``help`` shows them.

    :param returns: the type of the result, if it differs.
    """

    def mirror(function: F) -> F:
        functools.update_wrapper(function, original, ("__name__", "__doc__", "__annotations__"), ())
        function.__module__, function.__qualname__ = "omium_sync", original.__qualname__.removeprefix("Async")
        if returns is not None:
            function.__annotations__ = function.__annotations__ | {"return": returns}
            vars(function)["__signature__"] = inspect.signature(original).replace(return_annotation=returns)
        return function

    return mirror


def signature_of(
    original: Callable[Concatenate[Any, P], Any], returns: object = None
) -> Callable[[Callable[Concatenate[S, ...], T]], Callable[Concatenate[S, P], T]]:
    """Give a function the arguments and the docstring of a method of the core, also for type checkers."""
    mirror: Callable[[Any], Any] = mirrored(original, returns)
    return mirror


def same_method(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Return a method that calls a method of the core which needs no event loop."""

    @signature_of(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> T:
        return method(self._core, *args, **kwargs)

    return call


def sync_method(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]], *, creates: bool = False
) -> Callable[Concatenate[Any, P], T]:
    """Return a method that runs a coroutine method of the core in the loop and waits for its result.

    :param creates: whether the method takes ``on_created``; an interrupt then has a note of the new execution.
    """

    @signature_of(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> T:
        if creates:
            kwargs.setdefault("on_created", None)
        result: T = self._call(method, self._core, *args, **kwargs)
        return result

    return call


def sync_iterator(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T]],
    item: type[T],
    *,
    groups: Callable[..., AsyncGenerator[Any]] | None = None,
    ahead: bool = False,
    iterable: str = "",
    at_once: tuple[str, int] = ("concurrency", 32),
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """Return a method that returns a plain iterator over an async generator of the core.

    :param groups: a method of the core that yields the same items in groups.
    :param ahead: whether the generator continues between two items, so that items cross in groups.
    :param iterable: the name of the first parameter, if it is an iterable whose items the reading thread takes.
    :param at_once: the name and the default of the parameter that limits how far ahead of the outcomes it takes them.
    """

    @signature_of(method, Iterator[item])  # type: ignore[valid-type]
    def read(self: Any, *args: Any, **kwargs: Any) -> Iterator[T]:
        source = None
        if iterable:
            source = IterableAdapter.of(args[0] if args else kwargs.get(iterable), kwargs.get(*at_once))
        if source is not None and args:
            args = (source, *args[1:])
        elif source is not None:
            kwargs[iterable] = source
        items = (groups or method)(self._core, *args, **kwargs)
        return SyncIterator(self._dispatcher, Groups[T](items, grouped=groups is not None, ahead=ahead), source)

    return read
