"""The converter: a ``cattrs.Converter`` with the rules for users' data as its hooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import cattrs
from cattrs.errors import ClassValidationError, StructureHandlerNotFoundError

from .codec import decode_json, encode
from .hooks import register_readers, reject_bytes
from .kinds import is_union
from .plain import FORMS, form_of, plain
from .validation import ValidationError, validation_error_of

T = TypeVar("T")


class InvalidValueError(ClassValidationError, ValueError):
    """A value does not have the type; also a ``ValueError``, which cattrs raises for plain values."""


class OmiumConverter(cattrs.Converter):
    """A ``cattrs.Converter`` with the rules of this package. ``make_converter()`` makes one."""

    def get_structure_hook(self, type: Any, cache_result: bool = True) -> Any:
        """Return the hook as cattrs does, except that ``bytes`` have none: JSON has no form for them."""
        hook = super().get_structure_hook(type, cache_result)
        if hook is reject_bytes:
            raise StructureHandlerNotFoundError("bytes have no form in JSON; register a hook for them", type)
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
            place = f"{error.path}: " if error.path else ""
            invalid: Any = InvalidValueError  # exception groups have a constructor of other types
            raise invalid(f"While structuring {cl!r}: {place}{error.message}", [error], cl) from error.__cause__

    def unstructure(self, obj: Any, unstructure_as: Any = None) -> Any:
        """Unstructure a value, as cattrs does, and check that JSON has a form for the result.

        :param obj: the value.
        :param unstructure_as: the type whose hook is used; ``None``: the value's own.
        :raises TypeError: a value has no form in JSON.
        :raises ValueError: JSON would change a value, such as NaN.
        """
        hook = self.get_unstructure_hook(obj.__class__ if unstructure_as is None else unstructure_as)
        # That of a model returns what JSON contained.
        return hook(obj) if getattr(hook, "returns_json", False) else plain(obj, "the value", self, hook)

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
        hook = self.get_structure_hook(cl)
        decode = getattr(hook, "decode", None)
        if decode is not None:
            return cast("T", decode(data))
        decoded = decode_json(data)
        try:
            return cast("T", hook(decoded, cl))
        except Exception as error:  # noqa: BLE001 - a user's hook may raise anything
            raise validation_error_of(error) from (None if isinstance(error, ValidationError) else error)

    def decoder(self, cl: type[T]) -> Callable[[bytes], T]:
        """Return the function that decodes one type, with the hooks registered by the time it is called.

        :param cl: the type of the results.
        """
        return partial(self.decode, cl=cl)

    def dumps(self, obj: Any, unstructure_as: Any = None) -> bytes:
        """Unstructure a value and encode it as JSON.

        :param obj: the value.
        :param unstructure_as: the type whose hook is used; ``None``: the value's own.
        :raises TypeError: a value has no form in JSON.
        :raises ValueError: JSON would change a value, such as NaN.
        """
        hook = None if unstructure_as is None else self.get_unstructure_hook(unstructure_as)
        return encode(plain(obj, "the value", self, hook))

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
        return super().register_structure_hook(cl, cast("Any", func))  # ``None``: as a decorator

    def register_unstructure_hook(self, cls: Any = None, func: Callable[[Any], Any] | None = None) -> Any:
        """Register an unstructure hook, as in cattrs."""
        if func is not None and _is_model(cls):
            return self.register_unstructure_hook_func(_equal_to(cls), func)
        return super().register_unstructure_hook(cls, cast("Any", func))  # ``None``: as a decorator


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and getattr(cls, "_hooks_are_its_own", False)


def _equal_to(cls: Any) -> Callable[[Any], bool]:
    return lambda other: bool(other == cls)


# -- making converters -------------------------------------------------------------------------------------------------

_RULES: Final[list[Callable[[OmiumConverter], None]]] = []


def add_rules(register: Callable[[OmiumConverter], None]) -> None:
    """Give every converter made from now on the hooks that ``register`` registers, before those for users' data."""
    _RULES.append(register)


def make_converter() -> OmiumConverter:
    """Make a converter: a ``cattrs.Converter`` on which every rule of this package is a registered hook.

    Hooks of your own come before these rules; register them at any time before they are needed. A client or a
    LocalOmium (``converter=``) uses its converter for all data: models, ``input_data``, ``metadata``, typed inputs and
    outputs, and results of steps.

    ``converter.structure(data, Execution)`` and ``converter.unstructure(execution)`` do what ``from_dict`` and
    ``to_dict`` do with the converter that the process shares. ``converter.loads(body, ExecutionPage)`` and
    ``converter.dumps(value)`` read and write JSON, as converters of ``cattrs.preconf`` do.

    :return: the converter.
    """
    made = OmiumConverter()
    # cattrs uses the last rule that applies, so the most specific one comes last.
    for applies, form in reversed(FORMS):
        made.register_unstructure_hook_func(applies, form)
    # cattrs itself has hooks for these, by class, which come before all others.
    for cls in (str, bytes, Path):
        made.register_unstructure_hook(cls, form_of(cls))
    register_readers(made)
    for register in _RULES:
        register(made)
    return made


@cache
def shared() -> OmiumConverter:
    """Return the converter of all clients, servers and models without another."""
    return make_converter()
