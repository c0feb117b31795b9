"""What the annotations of users' functions say of inputs and results."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs

__all__ = ["ABSENT", "InputArgument", "input_argument", "result_type_of"]

#: Where there is no type, or no default.
ABSENT: Final[Any] = inspect.Parameter.empty

_UNTYPED: Final = (ABSENT, Any, object, None, type(None))
_FRAMES: Final = 5  # of callers, in which a class may have been defined that an annotation names


@attrs.frozen
class InputArgument:
    """The second argument of a workflow function.

    :ivar type: its annotation; ABSENT: it has none, or one that says nothing.
    :ivar default: what it is where no input was given; ABSENT: it has none.
    """

    type: Any
    default: Any


def input_argument(function: Callable[..., Any]) -> InputArgument | None:
    """The argument that takes the input; None: the function has no second one.

    To be called where the function is decorated: its annotation may name a class of the function around.

    :raises TypeError: its annotation does not resolve.
    """
    found = _second(function)
    if found is None:
        return None
    try:
        annotation = _resolved(function, found.annotation)
    except NameError as error:
        raise TypeError(f"the annotation of {found.name!r}, its input, does not resolve: {error}") from error
    return InputArgument(annotation, found.default)


def result_type_of(function: Callable[..., Any]) -> Any:
    """The type that a step's function is annotated to return, of an awaitable what it gives; ABSENT: none that says
    anything."""
    inner = _innermost(function)
    if "return" not in _annotations(inner):
        return ABSENT
    try:
        annotation = _resolved(inner, _annotations(inner)["return"])
    except Exception:  # noqa: BLE001 - an annotation that does not resolve is as none
        return ABSENT
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    return ABSENT if _says_nothing(annotation) else annotation


def _second(function: Callable[..., Any]) -> inspect.Parameter | None:
    """By position. A wrapper that passes on whatever it is given takes what it wraps takes."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
        if any(one.kind is one.VAR_POSITIONAL for one in signature.parameters.values()):
            signature = inspect.signature(function)
    except ValueError:  # of something built in
        return None
    by_position = [
        one for one in signature.parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    return by_position[1] if len(by_position) > 1 else None


def _resolved(function: Callable[..., Any], annotation: Any) -> Any:
    """The annotation alone: those beside it may name what is imported for type checkers only."""
    if _says_nothing(annotation):
        return ABSENT

    def bearer() -> None: ...

    bearer.__annotations__ = {"found": annotation}
    scope: dict[str, Any] = getattr(_innermost(function), "__globals__", {})
    refused: NameError | None = None
    for names in (dict[str, Any](), *_names_around()):
        try:
            found = get_type_hints(bearer, scope, names, include_extras=True)["found"]
        except NameError as error:
            refused = refused or error
        else:
            return ABSENT if _says_nothing(found) else found
    raise refused or NameError(str(annotation))


def _names_around() -> Iterator[dict[str, Any]]:
    """The local names of the functions that are being called, the innermost first."""
    frame: types.FrameType | None = sys._getframe(2)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    for _ in range(_FRAMES):
        frame = None if frame is None else frame.f_back
        if frame is not None:
            yield dict(frame.f_locals)


def _says_nothing(annotation: Any) -> bool:
    return any(annotation is one for one in _UNTYPED)


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] | None = getattr(function, "__annotations__", None)
    except NameError:  # of one that is evaluated only now
        return {}
    return found or {}


def _innermost(function: Any) -> Any:
    """The function behind partials, wrappers, methods and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        else:
            function = type(function).__call__
