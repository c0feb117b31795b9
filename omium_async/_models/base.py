"""The base of the response models: their fields, dicts, reprs and schemas."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

from .._data.converter import shared
from .._data.text import short

M = TypeVar("M")

#: A datetime of a model. It has its own hooks: naive text means UTC; other text goes to ``extra``.
Timestamp = Annotated[datetime, "of a model"]

_MOST_ENTRIES: Final = 3


# -- reprs -------------------------------------------------------------------------------------------------------------


def _few(entries: Sequence[Any]) -> str:
    shown = [repr(entry) for entry in _first(entries)]
    return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"


def _first(entries: Sequence[Any]) -> list[Any]:
    """Return the first entries of a tuple of models, and a note of how many more there are."""
    left = len(entries) - _MOST_ENTRIES
    return [*entries[:_MOST_ENTRIES], *([_Text(f"... {left:,} more")] if left > 0 else [])]


class _Text:
    """A value that is shown as a given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


# -- declaring fields --------------------------------------------------------------------------------------------------


def _no_extra() -> dict[str, Any]:
    return {}


def id_field() -> Any:
    """Declare the id, the only field that is required."""
    return attrs.field(repr=short)


def value_field(*, fallback: str | None = None, converter: Any = None) -> Any:
    """Declare an optional value.

    :param fallback: the key that the live service uses instead of the field's name.
    :param converter: passed to ``attrs.field``.
    """
    return attrs.field(default=None, converter=converter, hash=False, repr=short, metadata={"fallback": fallback})


def rows_field(*, fallback: str | None = None, nested: str | None = None) -> Any:
    """Declare a tuple of models.

    :param fallback: the key that the live service uses instead of the field's name.
    :param nested: the field in which the live service has them, under the field's name, if its own place is empty.
        Such a field may be null or absent.
    """
    return attrs.field(
        default=(), converter=_tuple, hash=False, repr=_few, metadata={"fallback": fallback, "nested": nested}
    )


def _tuple(entries: Any) -> tuple[Any, ...]:
    return tuple(entries or ())


def extra_field(*known: str) -> Any:
    """Return the field ``extra`` of a model, for keys without a field.

    :param known: keys without a field that the live service sends, so that they do not slow down decoding.
    """
    return attrs.field(factory=_no_extra, hash=False, kw_only=True, repr=short, metadata={"known": known})


class Field(NamedTuple):
    """How a field of a model is read.

    :ivar name: the attribute, and the key.
    :ivar type: its type without ``None``.
    :ivar optional: whether it may be null or absent.
    :ivar fallback: the other key that the live service uses.
    :ivar nested: the field in which the live service has it, if its own place is empty.
    """

    name: str
    type: Any
    optional: bool
    fallback: str | None
    nested: str | None


@cache
def fields_of(cls: Any) -> tuple[Field, ...]:
    """Return the fields of a model in the order of their declaration, without ``extra``."""
    hints = get_type_hints(cls, include_extras=True)
    found: list[Field] = []
    for field in attrs.fields(cls):
        if field.name == "extra":
            continue
        kind, nested = hints[field.name], field.metadata.get("nested")
        optional = kind is Any or kind is bool or nested is not None
        if get_origin(kind) in (Union, types.UnionType):
            optional = True
            kind = next(inner for inner in get_args(kind) if inner is not type(None))
        found.append(Field(field.name, kind, optional, field.metadata.get("fallback"), nested))
    return tuple(found)


def known_extras(cls: Any) -> tuple[str, ...]:
    """Return the keys without a field that the live service sends."""
    known: tuple[str, ...] = attrs.fields(cls).extra.metadata.get("known", ())
    return known


def entry_type(kind: Any) -> Any:
    """Return the model of which a field holds a tuple; ``None`` for another field."""
    entry: Any = get_args(kind)[0] if get_origin(kind) is tuple else None
    return entry if entry is not None and attrs.has(entry) else None


# -- other libraries ---------------------------------------------------------------------------------------------------


def _unstructure(value: Any) -> Any:
    return shared().unstructure(value)


class _PydanticSerializer:
    """The attribute that pydantic reads of a value without a schema. pydantic_core is imported at the first read."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:  # pydantic's own attribute of classes also means a finished schema
            raise AttributeError("__pydantic_serializer__")
        return _pydantic_serializer()


@cache
def _pydantic_serializer() -> Any:
    try:
        import pydantic_core  # noqa: PLC0415 - only for those who have it
    except ImportError:
        raise AttributeError("__pydantic_serializer__: pydantic_core is not installed") from None
    how: Any = {"type": "function-plain", "function": _unstructure}
    return pydantic_core.SchemaSerializer({"type": "any", "serialization": how})


class PydanticType:
    """A class that pydantic and FastAPI can validate, serialize and describe. Nothing of theirs is imported."""

    __slots__ = ()
    #: For values without a schema: `pydantic_core.to_json` and the like write them as the converter does.
    __pydantic_serializer__: ClassVar = _PydanticSerializer()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        def validate(value: Any) -> Any:
            if isinstance(value, cls):
                return value
            try:
                return shared().structure(value, cls)
            except Exception as error:
                raise ValueError(str(error)) from error

        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": validate},
            "serialization": {"type": "function-plain", "function": _unstructure},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return _json_schema(cls)


def _json_schema(cls: Any) -> dict[str, Any]:
    """Return the JSON schema of what ``to_dict`` returns."""
    properties: dict[str, Any] = {}
    for field in fields_of(cls):
        found = _schema_of(field.type)
        nullable = found and field.optional and entry_type(field.type) is None
        properties[field.name] = {"anyOf": [found, {"type": "null"}]} if nullable else found
    required = [field.name for field in fields_of(cls) if not field.optional]
    return {"title": cls.__name__, "type": "object", "properties": properties, "required": required}


def _schema_of(kind: Any) -> dict[str, Any]:
    if kind is Any:
        return {}
    if kind is Timestamp:
        return {"type": "string", "format": "date-time"}
    if get_origin(kind) is tuple:
        entry = get_args(kind)[0]
        return {"type": "array", "items": _json_schema(entry) if attrs.has(entry) else _schema_of(entry)}
    base = get_origin(kind) or kind
    for python, name in ((bool, "boolean"), (int, "integer"), (str, "string")):
        if issubclass(base, python):
            return {"type": name}
    return {"type": "object"}


# -- models ------------------------------------------------------------------------------------------------------------


class Model(PydanticType):
    """A response of the service. The attrs classes below it are read and written by the hooks of a converter."""

    # `_sent` is beside the attrs fields, which are the contract's: see `sent_of`.
    __slots__ = ("__weakref__", "_sent")
    _sent: dict[str, Any]
    #: Hooks that are registered for a class are not those of its subclasses: an `Execution` is no `ExecutionDetail`.
    _hooks_are_its_own: ClassVar = True

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a model from its JSON object. Nested values are taken over, not copied.

        :param data: the object, as JSON gives it.
        :return: the model, read by the converter that the process shares.
        :raises InvalidResponseError: a value has the wrong type; ``path`` names its place.
        """
        return shared().structure(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return every key and value that was sent, keys without a value as ``None``, timestamps as RFC 3339 text.

        Timestamps are kept to the microsecond; further digits of the response are rounded. Nested values are the
        model's own, not copies. ``dict(model)`` is the same.

        :return: the object, written by the converter that the process shares.
        """
        return cast("dict[str, Any]", shared().unstructure(self))

    # `dict(model)` is what FastAPI calls for a route without an annotation.

    def keys(self) -> Any:
        """Return the keys of ``to_dict()``."""
        return self.to_dict().keys()

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in attrs.fields(cast("Any", type(self)))}
        return _rebuild, (type(self), values, sent_of(self))

    def shown_fields(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields that have a value, each with something whose repr is not long."""
        for field in attrs.fields(cast("Any", type(self))):
            value = getattr(self, field.name)
            if field.repr is _few:
                yield field.name, _first(value)
            elif value is not None and (value or field.name != "extra"):
                write: Any = field.repr if callable(field.repr) else repr
                yield field.name, _Text(write(value))

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return self.shown_fields()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        setattr(cls, "_repr_pretty_", _print)  # noqa: B010 - IPython takes a class's own `__repr__` before an inherited one


def _print(model: Model, printer: Any, cycle: bool) -> None:
    """Write a model with each field on its own line."""
    with printer.group(4, f"{type(model).__name__}("):
        for name, value in () if cycle else model.shown_fields():
            printer.break_()
            printer.text(f"{name}=")
            printer.pretty(value)
            printer.text(",")
    printer.break_()
    printer.text(")")


_set: Final[Callable[[Any, str, Any], None]] = object.__setattr__  # what frozen classes leave open


def _rebuild(cls: type[M], values: Mapping[str, Any], sent: Mapping[str, Any]) -> M:
    return remember(cls(**values), sent)


def remember(model: M, sent: Mapping[str, Any]) -> M:
    """Add keys and values to those that `sent_of` returns for a model; return the model."""
    if sent:
        _set(model, "_sent", {**getattr(model, "_sent", {}), **sent})
    return model


def sent_of(model: Model) -> Mapping[str, Any]:
    """Return what was sent under the name of each field whose value comes from another place of the response."""
    return getattr(model, "_sent", {})
