"""The converter: a ``cattrs.Converter`` with the rules for users' data as its hooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import cattrs
from cattrs.errors import ClassValidationError, IterableValidationError

from .codec import decode_json, encode
from .containers import is_array
from .hooks import is_structured, register_readers
from .plain import FORMS, Form, Write, plain
from .unions import is_union
from .validation import ValidationError, validation_error_of

__all__ = ["OmiumConverter", "register_data"]

T = TypeVar("T")
_Decoder = Callable[[bytes], Any]


class InvalidValueError(ClassValidationError, ValueError):
    """A value does not have the type; also a ``ValueError``, which cattrs raises for plain values."""


class InvalidEntriesError(IterableValidationError, ValueError):
    """An entry of an array does not have the type."""


#: The name of a class attribute: hooks of the class are not those of its subclasses.
_OWN_HOOKS: Final = "_hooks_are_its_own"


class OmiumConverter(cattrs.Converter):
    """A ``cattrs.Converter`` with the rules of this package. ``make_converter()`` makes one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decoders: dict[Any, _Decoder] = {}  # replaced when a hook is registered

    def get_structure_hook(self, type: Any, cache_result: bool = True) -> Any:
        """Return the hook as cattrs does, except that ``bytes`` have none: JSON has no form for them."""
        hook = super().get_structure_hook(type, cache_result)
        if not is_structured(hook):
            hook(None, type)
        return hook

    def structure(self, obj: Any, cl: type[T]) -> T:
        """Structure plain data, as cattrs does.

        :param obj: the plain data.
        :param cl: the type of the result.
        :raises InvalidResponseError: the data does not fit a model.
        :raises cattrs.BaseValidationError: the data does not fit another type.
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
        :param cl: the type of the result.
        :raises InvalidResponseError: the data does not fit a model, or is not JSON.
        :raises ValueError: the data is not JSON, or does not fit another type (then cattrs' error).
        """
        loads = getattr(self.get_structure_hook(cl), "loads", None)
        return self.structure(decode_json(data), cl) if loads is None else loads(data)

    def decode(self, data: bytes, cl: type[T]) -> T:
        """Decode a response of the service.

        :param data: the JSON text.
        :param cl: the type of the result.
        :raises InvalidJSONError: the data is not JSON.
        :raises ValidationError: the data does not fit, or a hook failed.
        """
        decoders = self._decoders
        found = decoders.get(cl)
        if found is None:
            hook = self.get_structure_hook(cl)
            make = getattr(hook, "decoder", None)
            found = decoders[cl] = partial(_decode_by, hook, cl) if make is None else make()
        return cast("T", found(data))

    def decoder(self, cl: type[T]) -> Callable[[bytes], T]:
        """Return the function that decodes one type, with the hooks registered by the time it is called.

        :param cl: the type of the results.
        """
        return lambda data: self.decode(data, cl)

    def dumps(self, obj: Any, unstructure_as: Any = None) -> bytes:
        """Unstructure a value and encode it as JSON.

        :param obj: the value.
        :param unstructure_as: the type whose hook is used; ``None``: the value's own.
        :raises TypeError: a value has no form in JSON.
        :raises ValueError: JSON would change a value, such as NaN.
        """
        found = obj if unstructure_as is None else self.unstructure(obj, unstructure_as)
        return encode(plain(found, "the value", self))

    def __copy__(self) -> Self:
        return self.copy()  # a shallow copy would share its hooks

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    # Hooks are registered as in cattrs, except that those of a model are not those of its subclasses, and that those of
    # a union come before our own for unions and are copied with the converter.

    def register_structure_hook(self, cl: Any, func: Callable[[Any, Any], Any] | None = None) -> Any:
        """Register a structure hook, as in cattrs."""
        if func is not None and (is_union(cl) or _is_model(cl)):
            return self.register_structure_hook_func(_equal_to(cl), func)
        try:
            return super().register_structure_hook(cl, cast("Any", func))  # ``None``: as a decorator
        finally:
            self._decoders = {}

    def register_unstructure_hook(self, cls: Any = None, func: Callable[[Any], Any] | None = None) -> Any:
        """Register an unstructure hook, as in cattrs."""
        if func is not None and _is_model(cls):
            return self.register_unstructure_hook_func(_equal_to(cls), func)
        return super().register_unstructure_hook(cls, cast("Any", func))  # ``None``: as a decorator

    def register_structure_hook_func(self, check_func: Callable[[Any], bool], func: Callable[[Any, Any], Any]) -> None:
        """Register a structure hook for all types that a function selects, as in cattrs."""
        super().register_structure_hook_func(check_func, func)
        self._decoders = {}

    def register_structure_hook_factory(self, predicate: Callable[[Any], bool], factory: Any = None) -> Any:
        """Register a factory of structure hooks, as in cattrs."""
        if factory is None:
            return partial(self.register_structure_hook_factory, predicate)
        try:
            return super().register_structure_hook_factory(predicate, factory)
        finally:
            self._decoders = {}


def _decode_by(hook: Callable[[Any, Any], Any], cl: type, data: bytes) -> Any:
    decoded = decode_json(data)
    try:
        return hook(decoded, cl)
    except Exception as error:  # noqa: BLE001 - a user's hook may raise anything
        raise validation_error_of(error) from (None if isinstance(error, ValidationError) else error)


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and getattr(cls, _OWN_HOOKS, False)


def _equal_to(cls: Any) -> Callable[[Any], bool]:
    return lambda other: bool(other == cls)


def _form_factory(write: Write) -> Any:
    def make(_: Any, converter: OmiumConverter) -> Form:
        return Form(write, converter)

    return make


def register_data(converter: OmiumConverter) -> None:
    """Register the rules for users' data. cattrs uses the last that applies, so the most special comes last."""
    for applies, write in reversed(FORMS):
        converter.register_unstructure_hook_factory(applies, _form_factory(write))
    # cattrs has hooks of its own for these, by class, which come before all others.
    for cls in (str, bytes, Path):
        write = next(write for applies, write in FORMS if applies(cls))
        converter.register_unstructure_hook(cls, Form(write, converter))
    register_readers(converter)
