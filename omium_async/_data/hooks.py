"""Structure hooks of users' types: strict about the JSON type, and exact about the place of what does not fit.

cattrs itself turns a null in the place of text into ``'None'`` and ``"false"`` into ``True``. These hooks accept the
right JSON type only: ``"5"`` is not a whole number; a whole number may be a float.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import Any, Final

import attrs
import cattrs
import cattrs.gen
import msgspec

from . import kinds
from .codec import read_moment
from .containers import array_hook, choice_hook, hook_of, mapping_hook, read_choice, typed_dict_hook
from .kinds import below
from .unions import union_hook
from .validation import ValidationError, of_pydantic, read_inside, wrong

Hook = Callable[[Any, Any], Any]
Factory = Callable[[Any, cattrs.Converter], Hook]


# -- text, numbers, null ---------------------------------------------------------------------------------------------


def read_text(value: Any, cls: Any = str) -> Any:
    """Return text."""
    if not isinstance(value, str):
        raise wrong("text", value)
    return value if cls is str else _below_built_in(value, cls)


def read_whole_number(value: Any, cls: Any = int) -> Any:
    """Return a whole number of any size; a boolean is rejected."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong("a whole number", value)
    return value if cls is int else _below_built_in(value, cls)


def _below_built_in(value: Any, cls: Any) -> Any:
    """Return an instance of a subclass of ``str`` or ``int``, also of an enum, for which cattrs finds their hooks."""
    return read_choice(value, cls) if kinds.is_enum(cls) else cls(value)


def _read_number(value: Any, cls: Any = float) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong("a number", value)
    with suppress(OverflowError):
        number = float(value)  # numpy's numbers compare as floats
        if number == value or isinstance(value, float):
            return number if cls is float else cls(number)
    raise ValidationError("expected a number, got a whole number that no float is equal to")


def _read_boolean(value: Any, _: Any = bool) -> bool:
    if not isinstance(value, bool):
        raise wrong("a boolean", value)
    return value


def _read_null(value: Any, _: Any) -> None:
    if value is not None:
        raise wrong("null", value)


def _read_numpy(value: Any, cls: Any) -> Any:
    kind: Any = cls(0).item().__class__
    read: Hook = {bool: _read_boolean, int: read_whole_number}.get(kind, _read_number)
    number = read(value, kind)
    with suppress(OverflowError):
        found = cls(number)
        if found.item() == value:
            return found
    raise ValidationError(f"expected a number that {cls.__name__} holds, got another")


# -- types that are text in JSON ---------------------------------------------------------------------------------------


def _written(what: str, read: Callable[[str, Any], Any]) -> Hook:
    """Return the hook of a type with one text for each value; ``read`` raises or returns ``None`` for other texts."""

    def hook(value: Any, cls: Any) -> Any:
        if not isinstance(value, str):
            raise wrong(what, value)
        try:
            found = read(value, cls)
        except (ValueError, InvalidOperation):
            found = None
        if found is None:
            raise ValidationError(f"expected {what}, got other text")
        return found

    return hook


def _datetime_of(text: str, cls: Any) -> Any:
    moment = read_moment(text)
    return moment if moment is None or cls is datetime else cls.fromisoformat(text)


def _date_of(text: str, cls: Any) -> Any:
    found = cls.fromisoformat(text)
    return found if found.isoformat() == text else None


def _time_of(text: str, cls: Any) -> Any:
    found = cls.fromisoformat(text.replace("Z", "+00:00"))
    return found if ":" in text else None


def _uuid_of(text: str, cls: Any) -> Any:
    return cls(text) if text.count("-") == 4 else None


def _decimal_of(text: str, cls: Any) -> Any:
    found = cls(text)
    return found if found.is_finite() and text.strip() == text and "_" not in text else None


_READ_DECIMAL = _written("a decimal number as text", _decimal_of)
_READ_PATH = _written("a path", lambda text, cls: cls(text))


def _read_decimal(value: Any, cls: Any) -> Any:
    """Return the number of its exact text, or of a whole number, which is exact too."""
    return cls(value) if type(value) is int else _READ_DECIMAL(value, cls)


# -- classes with fields ---------------------------------------------------------------------------------------------


def _fields_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of an attrs class or a dataclass; it also sets the fields that ``__init__`` does not take."""
    base = kinds.base_of(cls)
    if attrs.has(base):
        attrs.resolve_types(base)  # before cattrs does: some releases cannot resolve those of generic classes
    read = _init_fields_hook(cls, converter)
    late = _late_fields(cls, converter)

    def hook(value: Any, cls: Any) -> Any:
        if not isinstance(value, Mapping):
            raise wrong("an object", value)
        found = read(value, cls)
        for name, structure, kind in late:
            if name in value:
                object.__setattr__(found, name, read_inside(name, structure, kind, value[name]))
        return found

    # cattrs needs it to distinguish the classes of a union.
    hook.overrides = getattr(read, "overrides", {})  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]
    return hook


def _init_fields_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return cattrs' hook. cattrs fills in the variables of a generic class, but not those in `list[T] | None`."""
    if not kinds.type_arguments(cls):
        return converter.gen_structure_attrs_fromdict(cls)
    types = kinds.types_of_fields(cls)
    overrides: Any = {
        field.name: cattrs.override(struct_hook=_hook_with_type(types[field.name], converter))
        for field in _fields_of(cls)
        if field.init
    }
    return cattrs.gen.make_dict_structure_fn(cls, converter, **overrides)


def _hook_with_type(kind: Any, converter: cattrs.Converter) -> Hook:
    hook = hook_of(kind, converter)
    return lambda value, _: hook(value, kind)


def _late_fields(cls: Any, converter: cattrs.Converter) -> list[tuple[str, Hook, Any]]:
    names = [field.name for field in _fields_of(cls) if not field.init]
    types = kinds.types_of_fields(cls) if names else {}
    return [(name, hook_of(types[name], converter), types[name]) for name in names]


def _fields_of(cls: Any) -> Any:
    base = kinds.base_of(cls)
    return attrs.fields(base) if attrs.has(base) else dataclasses.fields(base)


def _pydantic_hook(cls: Any, _: cattrs.Converter) -> Hook:
    pydantic: Any = sys.modules["pydantic"]

    def hook(value: Any, _: Any) -> Any:
        try:
            return cls.model_validate(value)
        except pydantic.ValidationError as error:
            raise of_pydantic(error, value) from error

    return hook


def _struct_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    msgspec.json.Decoder(cls)  # raises an error for a field that msgspec does not support

    def read_other(kind: Any, value: Any) -> Any:
        return read_inside("", converter.get_structure_hook(kind), kind, value)

    return lambda value, _: msgspec.convert(value, cls, dec_hook=read_other)


# -- all of them -----------------------------------------------------------------------------------------------------


def _always(hook: Hook) -> Factory:
    def make(_: Any, __: cattrs.Converter) -> Hook:
        return hook

    return make


#: Whether a type has a hook, and the factory of the hook; the first that applies.
_READERS: Final[tuple[tuple[Callable[[Any], bool], Factory], ...]] = (
    (kinds.is_enum, choice_hook),
    (kinds.is_literal, choice_hook),
    (kinds.is_union, union_hook),
    (lambda cls: cls is object, _always(lambda value, _: value)),
    (lambda cls: cls is type(None), _always(_read_null)),
    (kinds.is_typed_dict, typed_dict_hook),
    (kinds.is_pydantic_model, _pydantic_hook),
    (kinds.is_struct, _struct_hook),
    (kinds.has_fields, _fields_hook),
    (kinds.is_array, array_hook),
    (lambda cls: kinds.is_mapping(cls) and not below(Counter, defaultdict)(kinds.base_of(cls)), mapping_hook),
    (below(datetime), _always(_written("a date and time", _datetime_of))),
    (below(date), _always(_written("a date", _date_of))),
    (below(time), _always(_written("a time of day", _time_of))),
    (below(uuid.UUID), _always(_written("a UUID", _uuid_of))),
    (below(Decimal), _always(_read_decimal)),
    (below(PurePath), _always(_READ_PATH)),
    (kinds.is_numpy_scalar, _always(_read_numpy)),
)


def reject_bytes(_: Any, __: Any) -> Any:
    """Mark ``bytes`` as rejected. The converter looks for this hook and never calls it."""
    raise AssertionError


# Some releases of cattrs have hooks for these, by class, which come before all others.
_BY_CLASS: Final[dict[type, Hook]] = {
    str: read_text,
    int: read_whole_number,
    float: _read_number,
    bool: _read_boolean,
    Path: _READ_PATH,
    bytes: reject_bytes,
    enum.Enum: read_choice,
}


def register_readers(converter: cattrs.Converter) -> None:
    """Register the structure hooks. cattrs uses the last hook that applies, so the most specific one comes last."""
    for applies, factory in reversed(_READERS):
        converter.register_structure_hook_factory(applies, factory)
    for cls, hook in _BY_CLASS.items():
        converter.register_structure_hook(cls, hook)
