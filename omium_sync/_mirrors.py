"""Methods of the facade made from those of the core: the same names, arguments, defaults and docstrings, once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

from omium_async import Execution
from omium_async import _arguments as check

from ._bridge.call import Call
from ._bridge.feed import feed_of
from ._bridge.reading import Gathered, OneByOne
from ._iterators import Stream

__all__ = ["called", "documented", "fed", "forwarded", "gathered", "like", "mirrored", "one_by_one", "told", "words_of"]

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def words_of(original: object) -> str:
    """The docstring of the core's without its indentation, which compilers from Python 3.13 on take out, too."""
    return inspect.cleandoc(original.__doc__ or "")


def documented(original: object) -> Callable[[F], F]:
    """Gives a function the docstring of the core's."""

    def document(function: F) -> F:
        function.__doc__ = original.__doc__
        return function

    return document


def mirrored(original: Callable[..., Any], returns: object = inspect.Signature.empty) -> Callable[[F], F]:
    """Gives a function the arguments and the docstring of the core's, as ``help`` shows them.

    :param returns: what it gives, where that is not what the core's does.
    """

    def mirror(function: F) -> F:
        functools.update_wrapper(function, original, ("__name__", "__doc__", "__annotations__"), ())
        function.__module__, function.__qualname__ = "omium_sync", original.__qualname__.removeprefix("Async")
        if returns is not inspect.Signature.empty:
            function.__annotations__ = function.__annotations__ | {"return": returns}
            signature = inspect.signature(original).replace(return_annotation=returns)
            vars(function)["__signature__"] = signature
        return function

    return mirror


def like(
    original: Callable[Concatenate[Any, P], Any], returns: object = inspect.Signature.empty
) -> Callable[[Callable[Concatenate[S, ...], T]], Callable[Concatenate[S, P], T]]:
    """The same for type checkers too."""
    mirror: Callable[[Any], Any] = mirrored(original, returns)
    return mirror


def forwarded(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """A method that is the core's, for one that needs no loop."""

    @like(method)
    def forward(self: Any, *args: Any, **kwargs: Any) -> T:
        return method(self._core, *args, **kwargs)

    return forward


def called(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """A method that calls the core's on the loop, and waits for it."""

    @like(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> T:
        result: T = self._make(Call(method, (self._core, *args), kwargs))
        return result

    return call


def told(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """The same of a method with ``on_created``, which is called in the thread that waits."""

    @like(method)
    def call(self: Any, *args: Any, on_created: Callable[[Execution], object] | None = None, **options: Any) -> T:
        check.plain_function(on_created, "on_created")
        call = Call(method, (self._core, *args), options)
        options["on_created"] = functools.partial(call.tell_created, on_created)
        result: T = self._make(call)
        return result

    return call


def one_by_one(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T]], item: type[T]
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """A method that gives an iterator over what the core's gives; nothing is asked for before it is wanted."""

    @like(method, Iterator[item])  # type: ignore[valid-type]
    def read(self: Any, *args: Any, **kwargs: Any) -> Iterator[T]:
        return Stream(self._line, OneByOne(method(self._core, *args, **kwargs)))

    return read


def gathered(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T]], item: type[T]
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The same of what works on meanwhile: whatever is there comes over at once."""

    @like(method, Iterator[item])  # type: ignore[valid-type]
    def read(self: Any, *args: Any, **kwargs: Any) -> Iterator[T]:
        return Stream(self._line, Gathered(method(self._core, *args, **kwargs)))

    return read


def fed(
    self: Any, method: Callable[..., AsyncGenerator[T]], items: Any, *, concurrency: int, **options: Any
) -> Iterator[T]:
    """What a method of the core makes of items that are taken in the thread that reads what it gives."""
    feed = feed_of(items)
    made = method(self._core, items if feed is None else feed, concurrency=concurrency, **options)
    if feed is not None:
        feed.ahead = 4 * concurrency + 64  # the contract's bound
    return Stream(self._line, Gathered(made, feed))
