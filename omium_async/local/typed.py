"""Users' types in workflows: annotations of functions, inputs and results read into types, results written as JSON."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs

from .._data.converter import OmiumConverter, shared
from .._data.reading import check_type, read_typed
from .._data.validation import ValidationError
from .._errors.others import ConfigurationError
from .jsontext import decode, encode_result

#: Stands for a missing type or default.
ABSENT: Final[Any] = inspect.Parameter.empty

_UNTYPED: Final = (ABSENT, Any, object, None, type(None))


class Types:
    """The converter of a server, as its workflows use it.

    :param converter: from `make_converter`; ``None``: the one that the process shares.
    :raises ConfigurationError: it is something else.
    """

    def __init__(self, converter: OmiumConverter | None) -> None:
        if not isinstance(converter, OmiumConverter | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"converter must come from make_converter(), or be a copy of such a one, not {converter!r:.80}",
                setting="converter",
                source="argument",
            )
        self._given = converter

    @property
    def converter(self) -> OmiumConverter:
        """The converter of the server, for users' types."""
        return shared() if self._given is None else self._given

    def check(self, type: Any, name: str) -> None:
        """Check that values of this type can be read.

        :raises TypeError: they cannot; the message says what would help.
        """
        check_type(self.converter, type, name)

    def read(self, value: Any, type: Any, place: str) -> Any:
        """Read JSON data into a type.

        :raises TypeError: the data does not fit; the message names the place, such as `input_data.lines`.
        """
        if type is ABSENT:
            return value
        try:
            return read_typed(self.converter, value, type, place)
        except ValidationError as error:
            raise TypeError(f"{error.path}: {error.message}") from error

    def written(self, value: Any, what: str) -> bytes:
        """Return the JSON text of a value of user code.

        :param what: the beginning of the error message.
        :raises TypeError: JSON cannot hold the value; the message names the place.
        """
        return encode_result(value, what, self.converter)

    def step_type(self, name: str, function: Callable[..., Any], result_type: Any) -> Any:
        """Return the type of a step's result: the given one, otherwise the annotated one if it can be read.

        :raises TypeError: the given type cannot be read.
        """
        if result_type is not ABSENT:
            self.check(result_type, f"result_type of step {name!r}")
            return result_type
        annotated = _result_type(function)
        if annotated is not ABSENT:
            try:
                self.check(annotated, "the annotation")
            except TypeError:
                return ABSENT
        return annotated

    def recorded(self, name: str, value: Any, type: Any) -> bytes:
        """Return the JSON text to record of a step's result, after reading it into its type once.

        So each later reading gives the same value.

        :raises TypeError: the result does not have its type, or JSON cannot hold it.
        """
        what = f"step {name!r} returned"
        text = self.written(value, what)
        if type is ABSENT:
            return text
        try:
            typed = self.read(decode(text), type, "result")
        except TypeError as error:
            raise TypeError(f"{what} a value of another type: {error}") from error
        return self.written(typed, what)


@attrs.frozen
class InputArgument:
    """The second argument of a workflow function.

    :ivar type: its annotation; ABSENT if there is none, or one without meaning, such as ``Any``.
    :ivar default: its default; ABSENT if there is none.
    """

    type: Any
    default: Any


def input_argument(function: Callable[..., Any]) -> InputArgument | None:
    """Return the argument that takes the input, or None if the function has no second argument.

    :raises TypeError: its annotation cannot be resolved.
    """
    found = _second_argument(function)
    if found is None:
        return None
    try:
        annotation = _resolved(function, found.annotation)
    except NameError as error:
        raise TypeError(
            f"the annotation of {found.name!r}, its input, cannot be resolved: {error}; define it at module level"
        ) from error
    return InputArgument(annotation, found.default)


def _result_type(function: Callable[..., Any]) -> Any:
    """Return the annotated return type of a step's function, of an awaitable its result; ABSENT if there is none."""
    inner = _innermost(function)
    if "return" not in _annotations(inner):
        return ABSENT
    try:
        annotation = _resolved(inner, _annotations(inner)["return"])
    except Exception:  # noqa: BLE001 - an annotation that cannot be resolved is ignored
        return ABSENT
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    return ABSENT if _is_untyped(annotation) else annotation


def _second_argument(function: Callable[..., Any]) -> inspect.Parameter | None:
    """Return the second positional parameter; of a wrapper with ``*args``, that of the wrapped function."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
        if any(one.kind is one.VAR_POSITIONAL for one in signature.parameters.values()):
            signature = inspect.signature(function)
    except ValueError:  # a built-in function
        return None
    positional = [
        one for one in signature.parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    return positional[1] if len(positional) > 1 else None


def _resolved(function: Callable[..., Any], annotation: Any) -> Any:
    """Resolve this annotation alone: others may name what is imported for type checkers only."""
    if _is_untyped(annotation):
        return ABSENT

    def bearer() -> None: ...

    bearer.__annotations__ = {"found": annotation}
    inner = _innermost(function)
    scope: dict[str, Any] = getattr(inner, "__globals__", {})
    names = dict(inspect.getclosurevars(inner).nonlocals) if inspect.isfunction(inner) else {}
    found = get_type_hints(bearer, scope, names, include_extras=True)["found"]
    return ABSENT if _is_untyped(found) else found


def _is_untyped(annotation: Any) -> bool:
    return any(annotation is one for one in _UNTYPED)


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] | None = getattr(function, "__annotations__", None)
    except NameError:  # Python 3.14 evaluates them now
        return {}
    return found or {}


def _innermost(function: Any) -> Any:
    """Return the function behind partials, wrappers, methods and callable objects."""
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
