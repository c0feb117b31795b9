"""Users' data as JSON values. What JSON would change or lose is rejected with its place before anything is sent.

A hook of the converter, a user's or one of the forms below, makes a value simpler by one step. This is repeated until
only the classes of JSON are left.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import operator
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import attrs
import msgspec

from .codec import write_timestamp
from .kinds import below, full_name, has_fields, is_enum, is_numpy_scalar, is_pydantic_model, is_struct
from .text import short
from .validation import join

if TYPE_CHECKING:
    import cattrs

Hook = Callable[[Any], Any]

_TOO_LARGE: Final = 10**4300  # Python cannot read integers of more digits


class SerializationError(Exception):
    """A value cannot be JSON. It becomes a ``TypeError`` or ``ValueError`` with the place, built from the inside."""

    def __init__(self, kind: type[Exception], problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.place = ""

    def inside(self, place: str) -> SerializationError:
        """Make it the error that is seen from the container which holds the value at ``place``."""
        self.place = join(place, self.place)
        return self


def plain(value: Any, name: str, converter: cattrs.Converter | None = None, hook: Hook | None = None) -> Any:
    """Return ``value`` as a JSON value.

    Tuples become arrays, other mappings objects, attrs and dataclass instances objects of all their fields (also the
    private ones, as in ``attrs.asdict``), enums their value, datetimes RFC 3339 text (naive ones stay naive; the
    service reads them as UTC), dates, times, UUIDs, ``Decimal`` and paths their exact text, pydantic models and msgspec
    structs what their libraries write, numpy's scalars the number they are. Subclasses of ``str``, ``int`` and
    ``float`` become these.

    :param value: the data.
    :param name: the name of the data in messages, such as ``input_data``.
    :param converter: the converter whose hooks are used; ``None``: the forms of this package alone.
    :param hook: the hook for the value itself; by default that of its class.
    :raises TypeError: JSON has no form for a value: sets, bytes, keys that are not text, and so on. The message names
        the place, such as ``input_data.a[3]``, and the hook that would help.
    :raises ValueError: JSON would change a value (NaN, infinities, lone surrogates, integers of more than 4,300 digits,
        two keys of the same text), the data is nested too deeply or contains itself, or a user's hook failed.
    """
    writer = _Writer(form_of if converter is None else converter.get_unstructure_hook)
    try:
        return writer(value) if hook is None else writer.simplified(value, hook)
    except SerializationError as error:
        raise error.kind(f"{join(name, error.place)}: {error.problem}") from error.__cause__
    except RecursionError:
        raise ValueError(f"{name}: it is nested too deeply, or contains itself") from None


class _Writer:
    """Writes values with the hooks that ``hook_of`` returns for their classes."""

    __slots__ = ("_hook_of",)

    def __init__(self, hook_of: Callable[[Any], Hook]) -> None:
        self._hook_of = hook_of

    def __call__(self, value: Any) -> Any:
        kind = cast("Any", type(value))
        write = _BUILT_IN.get(kind)
        return self.simplified(value, self._hook_of(kind)) if write is None else write(value, self)

    def simplified(self, value: Any, hook: Hook) -> Any:
        """Return the JSON value of what the hook returns."""
        kind = cast("Any", type(value))
        try:
            found = hook(value)
        except (SerializationError, RecursionError):
            raise
        except Exception as error:
            raised = TypeError if isinstance(error, TypeError) else ValueError
            problem = f"the hook of {full_name(kind)} failed: {type(error).__name__}: {error}"
            raise SerializationError(raised, problem) from error
        if type(found) is kind and kind not in _BUILT_IN:  # the hook leaves the value to the form of this package
            found = form_of(kind)(found)
        return self(found)


def _reject(kind: type[Exception], problem: str) -> NoReturn:
    raise SerializationError(kind, problem)


# -- the classes of JSON -----------------------------------------------------------------------------------------------


def _itself(value: Any, _: Hook) -> Any:
    return value


def _text(value: str, _: Hook) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            _reject(ValueError, f"text with a lone surrogate has no form in JSON: {short(value)}")
    return value


def _integer(value: int, _: Hook) -> int:
    if not -_TOO_LARGE < value < _TOO_LARGE:
        _reject(ValueError, "an integer of more than 4,300 digits, which Python cannot read again")
    return value


def _number(value: float, _: Hook) -> float:
    if not math.isfinite(value):
        _reject(ValueError, f"{value} has no form in JSON")
    return value


def _array(value: list[Any] | tuple[Any, ...], inside: Hook) -> list[Any]:
    found: list[Any] = []
    for entry in value:
        try:
            found.append(inside(entry))
        except SerializationError as error:
            raise error.inside(f"[{len(found)}]") from error.__cause__
    return found


def _object(value: dict[Any, Any], inside: Hook) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        text = key if type(key) is str and key.isascii() else _key(key, inside)
        try:
            if text in found:
                _reject(ValueError, "two keys have this text")
            found[text] = inside(entry)
        except SerializationError as error:
            raise error.inside(text if text.isidentifier() else f"[{text!r}]") from error.__cause__
    return found


def _key(key: Any, inside: Hook) -> str:
    text: Any = _str_form(key) if isinstance(key, str) else key
    if not isinstance(text, str):
        _reject(TypeError, f"the key {short(key)} is not text; JSON has no other keys")
    return _text(text, inside)


#: For these no hook is looked up.
_BUILT_IN: Final[dict[type, Callable[[Any, Hook], Any]]] = {
    str: _text,
    dict: _object,
    list: _array,
    tuple: _array,
    bool: _itself,
    int: _integer,
    float: _number,
    type(None): _itself,
}


# -- the forms of other classes ----------------------------------------------------------------------------------------


def _str_form(value: str) -> Any:
    return value.value if isinstance(value, enum.Enum) else str.__str__(value)


def _decimal_form(value: Decimal) -> str:
    if not value.is_finite():
        _reject(ValueError, f"the Decimal {value} has no form in JSON")
    return str(value)


def _numpy_form(value: Any) -> Any:
    number = value.item()
    return number if type(number) in (bool, int, float) else _no_form(value)


def _datetime_form(value: datetime) -> str:
    if value != value:  # noqa: PLR0124 - pandas.NaT
        _reject(ValueError, f"{value} has no form in JSON; send None if there is no time")
    if value.utcoffset() is None:
        return value.isoformat()
    try:
        return write_timestamp(value)
    except OverflowError:  # its offset has seconds, and in UTC its year is 0 or 10,000
        _reject(ValueError, f"{value} has no form in RFC 3339")


def _fields_form(value: Any) -> dict[str, Any]:
    kind = value.__class__
    fields: Any = attrs.fields(kind) if attrs.has(kind) else dataclasses.fields(kind)
    missing = [field.name for field in fields if not hasattr(value, field.name)]
    if missing:
        _reject(ValueError, f"the field {missing[0]} of this {kind.__name__} has no value")
    return {field.name: getattr(value, field.name) for field in fields}


def _struct_form(value: Any) -> Any:
    """Return the fields as ``msgspec.to_builtins`` does, which itself leaves out fields of attrs classes in them."""
    config = value.__struct_config__
    found: dict[str, Any] = {} if config.tag is None else {config.tag_field: config.tag}
    for field in msgspec.structs.fields(value):
        entry = getattr(value, field.name)
        is_default = entry is msgspec.UNSET or (config.omit_defaults and entry is field.default)
        if config.array_like or not is_default:  # the entries of an array have no names, so all must keep their places
            found[field.encode_name] = entry
    return list(found.values()) if config.array_like else found


_ADVICE: Final = {
    "set": "a list in an order of your choice",
    "frozenset": "a list in an order of your choice",
    "bytes": "text, such as base64",
    "timedelta": "a number of seconds",
    "ndarray": "a list with tolist()",
    "DataFrame": "a list with to_dict('records')",
}


def _no_form(value: Any) -> NoReturn:
    kind: type[Any] = value.__class__
    if isinstance(value, type):
        _reject(TypeError, f"the class {value.__name__} itself cannot be sent, only its instances")
    name = full_name(kind)
    advice = _ADVICE.get(kind.__name__)
    first = f"make it {advice}" if advice else "convert it first"
    hook = f"converter.register_unstructure_hook({name}, ...)"
    _reject(TypeError, f"{name} has no form in JSON; {first}, or register a hook: {hook}")


#: Whether a class has a form, and the form: the function that makes an instance simpler. The first that applies.
FORMS: Final[tuple[tuple[Callable[[Any], bool], Hook], ...]] = (
    (is_enum, operator.attrgetter("value")),
    (below(str), _str_form),
    (below(bool, type(None)), lambda value: value),
    (below(int), int.__pos__),
    (below(float), float.__pos__),
    (below(Mapping), dict),
    (below(list, tuple), list),
    (is_pydantic_model, lambda value: value.model_dump(mode="json", by_alias=True)),
    (is_struct, _struct_form),
    (has_fields, _fields_form),
    (below(datetime), _datetime_form),
    (below(date, time), lambda value: value.isoformat()),
    (below(uuid.UUID, PurePath), str),
    (below(Decimal), _decimal_form),
    (is_numpy_scalar, _numpy_form),
    (lambda cls: isinstance(cls, type), _no_form),
)


def form_of(cls: Any) -> Hook:
    """Return the form of a class."""
    return next(form for applies, form in FORMS if applies(cls))
