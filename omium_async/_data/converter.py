"""The converter: cattrs, with the rules for users' data as its hooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import cattrs
from cattrs.errors import ClassValidationError, IterableValidationError

from .arrays import is_array
from .codec import decode_json, encode
from .forms import SHAPES, Shape
from .hooks import is_structured, register_readers
from .plain import Form, plain
from .unions import is_union
from .validation import ValidationError, validation_error_of

__all__ = ["OmiumConverter", "register_data"]

T = TypeVar("T")


class InvalidValueError(ClassValidationError, ValueError):
    """What cattrs raises for a class, where a hook of this package found it; cattrs has ValueError for plain values."""


class InvalidEntriesError(IterableValidationError, ValueError):
    """What cattrs raises for what has entries, where a hook of this package found it."""


#: The name of a class attribute: hooks of the class are not those of the classes below it.
_OWN_HOOKS: Final = "_hooks_are_its_own"


class OmiumConverter(cattrs.Converter):
    """A ``cattrs.Converter`` with the rules of this package; ``make_converter()`` makes one.

    :ivar changes: how many structure hooks were registered: what was looked up before the last may be out of date.
    """

    changes = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decoders: dict[type, Callable[[bytes], Any]] = {}
        self._ways: dict[type, tuple[int, Callable[[bytes], Any]]] = {}  # with the changes before they were looked up

    def get_structure_hook(self, type: Any, cache_result: bool = True) -> Any:
        """As cattrs does; also ``bytes``, for which it has a hook, have none here: JSON has no form for them."""
        hook = super().get_structure_hook(type, cache_result)
        if not is_structured(hook):
            hook(None, type)
        return hook

    def structure(self, obj: Any, cl: type[T]) -> T:
        """As cattrs does, and with its errors.

        :param obj: plain data.
        :param cl: the class of the result.
        :raises InvalidResponseError: it does not fit a model.
        :raises cattrs.BaseValidationError: it does not fit another type.
        """
        try:
            return super().structure(obj, cl)
        except ValidationError as error:
            kind: Any = InvalidEntriesError if is_array(cl) else InvalidValueError
            place = f"{error.path}: " if error.path else ""
            raise kind(f"While structuring {cl!r}: {place}{error.message}", [error], cl) from None

    def loads(self, data: bytes, cl: type[T]) -> T:
        """Decode JSON and structure it.

        :param data: the JSON text.
        :param cl: the class of the result.
        :raises InvalidResponseError: it does not fit a model, or is no JSON.
        :raises ValueError: it is no JSON, or does not fit another type: then what cattrs raises.
        """
        hook: Any = self.get_structure_hook(cl)
        loads = getattr(hook, "loads", None)
        return self.structure(decode_json(data), cl) if loads is None else loads(data)

    def decode(self, data: bytes, cl: type[T]) -> T:
        """As `loads`, for answers of the service.

        :param data: the JSON text.
        :param cl: the class of the result.
        :raises InvalidJSONError: it is no JSON.
        :raises ValidationError: it does not fit, or a hook failed on it.
        """
        return self.decoder(cl)(data)

    def decoder(self, cl: type[T]) -> Callable[[bytes], T]:
        """What does as `decode` for one class, with whatever hooks there are by the time it is called.

        :param cl: the class of the results.
        """
        found = self._decoders.get(cl)  # for one is asked for with every call of the service
        if found is None:
            found = self._decoders[cl] = partial(self._decode, cl)
        return found

    def _decode(self, cl: type, data: bytes) -> Any:
        changes, way = self._ways.get(cl) or (-1, None)
        if way is None or changes != self.changes:
            changes, way = self._ways[cl] = (self.changes, self._way_of(cl))
        return way(data)

    def _way_of(self, cl: type) -> Callable[[bytes], Any]:
        """What decodes a class until another hook is registered."""
        hook: Any = self.get_structure_hook(cl)
        way = getattr(hook, "decoder", None)
        return partial(_decode_by, hook, cl) if way is None else way()

    def dumps(self, obj: Any, unstructure_as: Any = None) -> bytes:
        """Unstructure and encode as JSON.

        :param obj: any value.
        :param unstructure_as: the type whose hook is used; ``None``: that of the value.
        :raises TypeError: something in it has no form in JSON.
        :raises ValueError: something in it would be changed by JSON, such as NaN.
        """
        found = obj if unstructure_as is None else self.unstructure(obj, unstructure_as)
        return encode(plain(found, "the value", self))

    def __copy__(self) -> Self:
        return self.copy()  # else the two would share their hooks

    # What was looked up is looked up again after any of these; cattrs itself forgets its own look-ups.

    def register_structure_hook(self, cl: Any, func: Callable[[Any, Any], Any] | None = None) -> Any:
        """As cattrs does, but that a hook of a model is not that of the models below it.

        A union's hook is found before our own for unions, and goes along with a copy.
        """
        if func is not None and (is_union(cl) or _is_model(cl)):
            return self.register_structure_hook_func(_equal_to(cl), func)
        try:
            return super().register_structure_hook(cl, cast("Any", func))  # ``None``: as a decorator
        finally:
            self.changes += 1

    def register_unstructure_hook(self, cls: Any = None, func: Callable[[Any], Any] | None = None) -> Any:
        """As cattrs does, but that a hook of a model is not that of the models below it."""
        if func is not None and _is_model(cls):
            return self.register_unstructure_hook_func(_equal_to(cls), func)
        return super().register_unstructure_hook(cls, cast("Any", func))  # ``None``: as a decorator

    def register_structure_hook_func(self, check_func: Callable[[Any], bool], func: Callable[[Any, Any], Any]) -> None:
        """As cattrs does."""
        super().register_structure_hook_func(check_func, func)
        self.changes += 1

    def register_structure_hook_factory(self, predicate: Callable[[Any], bool], factory: Any = None) -> Any:
        """As cattrs does."""
        if factory is None:
            return partial(self.register_structure_hook_factory, predicate)
        try:
            return super().register_structure_hook_factory(predicate, factory)
        finally:
            self.changes += 1


def _decode_by(hook: Callable[[Any, Any], Any], cl: type, data: bytes) -> Any:
    decoded = decode_json(data)
    try:
        return hook(decoded, cl)
    except Exception as error:  # noqa: BLE001 - whatever a hook raises, its data did not fit
        raise validation_error_of(error) from (None if isinstance(error, ValidationError) else error)


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and getattr(cls, _OWN_HOOKS, False)


def _equal_to(cls: Any) -> Callable[[Any], bool]:
    return lambda other: bool(other == cls)


def _form_factory(shape: Shape) -> Any:
    def make(_: Any, converter: OmiumConverter) -> Form:
        return Form(shape, converter)

    return make


def register_data(converter: OmiumConverter) -> None:
    """Register the rules for users' data, the most special last, for the last that applies is used."""
    for applies, shape in reversed(SHAPES):
        converter.register_unstructure_hook_factory(applies, _form_factory(shape))
    # cattrs has hooks of its own for these, by class, which come before all others.
    for cls in (str, bytes, Path):
        shape = next(shape for applies, shape in SHAPES if applies(cls))
        converter.register_unstructure_hook(cls, Form(shape, converter))
    register_readers(converter)
