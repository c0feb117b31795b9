"""Structure hooks of users' types: strict about the JSON type, and exact about the place of what does not fit.

cattrs itself turns a null in the place of text into ``'None'`` and ``"false"`` into ``True``. These hooks accept the
right JSON type only: ``"5"`` is not a whole number; a whole number may be a float.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePath
from typing import (
    Any,
    Final,
    NotRequired,
    Required,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import attrs
import cattrs
import cattrs.gen.typeddicts
import msgspec
from cattrs.errors import StructureHandlerNotFoundError

from .codec import read_moment
from .containers import (
    array_hook,
    hook_of,
    is_array,
    is_enum,
    is_literal,
    is_mapping,
    literal_hook,
    mapping_hook,
    read_member,
    take_object,
)
from .foreign import is_numpy_scalar, is_pydantic_model
from .unions import is_union, union_hook
from .validation import ValidationError, validation_error_of, wrong

__all__ = ["is_structured", "read_text", "read_whole_number", "register_readers"]

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
    return read_member(value, cls) if is_enum(cls) else cls(value)


def _read_number(value: Any, cls: Any = float) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong("a number", value)
    try:
        found = cls(value)
    except OverflowError:
        raise ValidationError("expected a number, got a whole number that no float is equal to") from None
    if isinstance(value, int) and int(found) != value:
        raise ValidationError("expected a number, got a whole number that no float is equal to")
    return found


def _read_boolean(value: Any, _: Any = bool) -> bool:
    if not isinstance(value, bool):
        raise wrong("a boolean", value)
    return value


def _read_null(value: Any, _: Any) -> None:
    if value is not None:
        raise wrong("null", value)


def _as_it_is(value: Any, _: Any) -> Any:
    return value


def _read_numpy(value: Any, cls: Any) -> Any:
    kind: Any = cls(0).item().__class__
    read: Hook = {bool: _read_boolean, int: read_whole_number}.get(kind, _read_number)
    number = read(value, kind)
    try:
        found = cls(number)
    except OverflowError:
        found = None
    if found is None or found.item() != value:
        raise ValidationError(f"expected a number that {cls.__name__} holds, got another")
    return found


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


_READ_DATETIME = _written("a date and time", _datetime_of)
_READ_DATE = _written("a date", _date_of)
_READ_TIME = _written("a time of day", _time_of)
_READ_UUID = _written("a UUID", _uuid_of)
_READ_DECIMAL = _written("a decimal number as text", _decimal_of)


def _read_decimal(value: Any, cls: Any) -> Any:
    """Return the number of its exact text, or of a whole number, which is exact too."""
    return cls(value) if type(value) is int else _READ_DECIMAL(value, cls)


# -- classes with fields ---------------------------------------------------------------------------------------------


def _has_fields(cls: Any) -> bool:
    base = get_origin(cls) or cls
    return isinstance(base, type) and (attrs.has(base) or dataclasses.is_dataclass(base))


def _fields_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return the hook of an attrs class or a dataclass; it also sets the fields that ``__init__`` does not take."""
    base: Any = get_origin(cls) or cls
    if attrs.has(base):
        attrs.resolve_types(base)  # before cattrs does: some releases cannot resolve those of generic classes
    read: Hook = converter.gen_structure_attrs_fromdict(cls)
    late = _late_fields(base, converter)

    def hook(value: Any, cls: Any) -> Any:
        if not isinstance(value, Mapping):
            raise wrong("an object", value)
        found = read(value, cls)
        for name, kind, structure in late:
            if name in value:
                try:
                    object.__setattr__(found, name, structure(value[name], kind))
                except Exception as error:
                    raise validation_error_of(error).inside(name) from error
        return found

    # cattrs needs it to distinguish the classes of a union.
    hook.overrides = getattr(read, "overrides", {})  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]
    return hook


def _late_fields(cls: Any, converter: cattrs.Converter) -> list[tuple[str, Any, Hook]]:
    fields: Any = attrs.fields(cls) if attrs.has(cls) else dataclasses.fields(cls)
    names = [field.name for field in fields if not field.init]
    hints: dict[str, Any] = get_type_hints(cls, include_extras=True) if names else {}
    return [(name, kind, hook_of(kind, converter)) for name in names for kind in [hints.get(name, Any)]]


def _typed_dict_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    """Return cattrs' hook of a TypedDict, without unknown keys.

    Python itself takes ``NotRequired`` for required if annotations are text, so the hook is that of a TypedDict made
    from the resolved annotations.
    """
    base: Any = get_origin(cls) or cls
    arguments = dict(zip(getattr(base, "__parameters__", ()), get_args(cls), strict=False))
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(base, include_extras=True).items():
        required = name in base.__required_keys__
        kind = hint
        while get_origin(kind) in (Required, NotRequired):
            required = get_origin(kind) is Required
            (kind,) = get_args(kind)
        kind = _with_arguments(kind, arguments)
        fields[name] = Required[kind] if required else NotRequired[kind]  # pyright: ignore[reportGeneralTypeIssues, reportInvalidTypeForm]
    resolved: Any = TypedDict(base.__name__, fields)  # type: ignore[misc] # pyright: ignore[reportArgumentType]
    typed_dicts: Any = cattrs.gen.typeddicts  # whose types are not all known
    read = typed_dicts.make_dict_structure_fn(resolved, converter)

    def hook(value: Any, _: Any) -> dict[str, Any]:
        sent = take_object(value)
        return dict(read({name: sent[name] for name in sent if name in fields}, resolved))

    return hook


def _with_arguments(kind: Any, arguments: dict[Any, Any]) -> Any:
    """Return a type with type arguments in the place of its type parameters."""
    if kind in arguments:
        return arguments[kind]
    parameters = getattr(kind, "__parameters__", ())
    return kind[tuple(arguments.get(each, each) for each in parameters)] if parameters and arguments else kind


def _pydantic_hook(cls: Any, _: cattrs.Converter) -> Hook:
    return lambda value, _: cls.model_validate(value)


def _struct_hook(cls: Any, converter: cattrs.Converter) -> Hook:
    return lambda value, _: msgspec.convert(value, cls, dec_hook=lambda kind, inner: converter.structure(inner, kind))


# -- all of them -----------------------------------------------------------------------------------------------------


def _below(*bases: type) -> Callable[[Any], bool]:
    return lambda cls: isinstance(cls, type) and issubclass(cls, bases)


def _always(hook: Hook) -> Factory:
    def make(_: Any, __: cattrs.Converter) -> Hook:
        return hook

    return make


#: Whether a type has a hook, and the factory of the hook; the first that applies.
_READERS: Final[tuple[tuple[Callable[[Any], bool], Factory], ...]] = (
    (is_enum, _always(read_member)),
    (is_literal, literal_hook),
    (is_union, union_hook),
    (lambda cls: cls is object, _always(_as_it_is)),
    (lambda cls: cls is type(None), _always(_read_null)),
    (is_typeddict, _typed_dict_hook),
    (lambda cls: is_typeddict(get_origin(cls)), _typed_dict_hook),
    (is_pydantic_model, _pydantic_hook),
    (_below(msgspec.Struct), _struct_hook),
    (lambda cls: _below(msgspec.Struct)(get_origin(cls)), _struct_hook),
    (_has_fields, _fields_hook),
    (is_array, array_hook),
    (is_mapping, mapping_hook),
    (_below(datetime), _always(_READ_DATETIME)),
    (_below(date), _always(_READ_DATE)),
    (_below(time), _always(_READ_TIME)),
    (_below(uuid.UUID), _always(_READ_UUID)),
    (_below(Decimal), _always(_read_decimal)),
    (_below(PurePath), _always(_written("a path", lambda text, cls: cls(text)))),
    (is_numpy_scalar, _always(_read_numpy)),
)


def _read_bytes(_: Any, cls: Any) -> Any:
    raise StructureHandlerNotFoundError("bytes have no form in JSON; register a hook for them", cls)


def is_structured(hook: Hook) -> bool:
    """Whether a hook is not the one of ``bytes``, which rejects everything."""
    return hook is not _read_bytes


# Some release of cattrs has hooks of its own for these, by class, which come before all others.
_BY_CLASS: Final[dict[type, Hook]] = {
    str: read_text,
    int: read_whole_number,
    float: _read_number,
    bool: _read_boolean,
    Path: _written("a path", lambda text, cls: cls(text)),
    bytes: _read_bytes,
    enum.Enum: read_member,
}


def register_readers(converter: cattrs.Converter) -> None:
    """Register the structure hooks. cattrs uses the last that applies, so the most special comes last."""
    for applies, factory in reversed(_READERS):
        converter.register_structure_hook_factory(applies, factory)
    for cls, hook in _BY_CLASS.items():
        converter.register_structure_hook(cls, hook)
