"""Users' data as JSON values. What JSON would change or lose is rejected with its place before anything is sent.

The form of a class comes from the converter: a user's hook, or one of the forms below.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
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

__all__ = ["FORMS", "Form", "Write", "plain"]

Inside = Callable[[Any], Any]
#: Returns the JSON value of a value. The second argument is the function for the values inside it.
Write = Callable[[Any, Inside], Any]

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


def plain(value: Any, name: str, converter: cattrs.Converter | None = None) -> Any:
    """Return ``value`` as a JSON value.

    Tuples become arrays, other mappings objects, attrs and dataclass instances objects of all their fields (also the
    private ones, as in ``attrs.asdict``), enums their value, datetimes RFC 3339 text (naive ones stay naive; the
    service reads them as UTC), dates, times, UUIDs, ``Decimal`` and paths their exact text, pydantic models and msgspec
    structs what their libraries write, numpy's scalars the number they are. Subclasses of ``str``, ``int`` and
    ``float`` become these.

    :param value: the data.
    :param name: the name of the data in messages, such as ``input_data``.
    :param converter: the converter whose hooks are used; ``None``: the forms of this package alone.
    :raises TypeError: JSON has no form for a value: sets, bytes, keys that are not text, and so on. The message names
        the place, such as ``input_data.a[3]``, and the hook that would help.
    :raises ValueError: JSON would change a value (NaN, infinities, lone surrogates, integers of more than 4,300 digits,
        two keys of the same text), the data is nested too deeply or contains itself, or a user's hook failed.
    """
    return _with_place(name, _Writer(converter), value)


def _with_place(name: str, write: Callable[[Any], Any], value: Any) -> Any:
    try:
        return write(value)
    except SerializationError as error:
        raise error.kind(f"{join(name, error.place)}: {error.problem}") from error.__cause__
    except RecursionError:
        raise ValueError(f"{name}: it is nested too deeply, or contains itself") from None


class Form:
    """An unstructure hook of this package."""

    __slots__ = ("_converter", "write")

    def __init__(self, write: Write, converter: cattrs.Converter | None = None) -> None:
        self.write = write
        self._converter = converter

    def __call__(self, value: Any) -> Any:
        """Return the JSON value. Raises as `plain` does."""
        writer = _Writer(self._converter)
        return _with_place("the value", lambda value: writer.by_form(self, value), value)


class _Writer:
    """Writes values with the hooks of one converter."""

    __slots__ = ("_hook_of",)

    def __init__(self, converter: cattrs.Converter | None) -> None:
        self._hook_of = _own_form if converter is None else converter.get_unstructure_hook

    def __call__(self, value: Any) -> Any:
        kind = cast("Any", type(value))
        write = _BUILT_IN.get(kind)
        if write is not None:
            return write(value, self)
        hook: Any = self._hook_of(kind)
        return self.by_form(hook, value) if type(hook) is Form else self._by_hook(hook, value)

    def by_form(self, form: Form, value: Any) -> Any:
        """Write a value by a form of this package."""
        if isinstance(value, enum.Enum):  # before str and int, which it may be too
            return self(value.value)
        return form.write(value, self)

    def _by_hook(self, hook: Callable[[Any], Any], value: Any) -> Any:
        kind = cast("Any", type(value))
        try:
            found = hook(value)
        except RecursionError:
            raise
        except Exception as error:
            raised = TypeError if isinstance(error, TypeError) else ValueError
            problem = f"the hook of {full_name(kind)} failed: {type(error).__name__}: {error}"
            raise SerializationError(raised, problem) from error
        # A hook that returns an instance of the class itself leaves the rest to the form of this package.
        return self(found) if type(found) is not kind else self.by_form(_own_form(kind), found)


def _own_form(kind: Any) -> Form:
    return Form(next(write for applies, write in FORMS if applies(kind)))


def _reject(kind: type[Exception], problem: str) -> NoReturn:
    raise SerializationError(kind, problem)


# -- text and numbers --------------------------------------------------------------------------------------------------


def _itself(value: Any, _: Inside) -> Any:
    return value


def _text(value: str, _: Inside | None = None) -> str:
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            _reject(ValueError, f"text with a lone surrogate has no form in JSON: {short(text)}")
    return text


def _integer(value: int, _: Inside) -> int:
    if not -_TOO_LARGE < value < _TOO_LARGE:
        _reject(ValueError, "an integer of more than 4,300 digits, which Python cannot read again")
    return int.__pos__(value)


def _number(value: float, _: Inside) -> float:
    if not math.isfinite(value):
        _reject(ValueError, f"{float.__repr__(value)} has no form in JSON")
    return float.__pos__(value)


def _decimal(value: Decimal, _: Inside) -> str:
    if not value.is_finite():
        _reject(ValueError, f"the Decimal {value} has no form in JSON")
    return str(value)


def _numpy_scalar(value: Any, inside: Inside) -> Any:
    number = value.item()
    return inside(number) if type(number) in (bool, int, float) else _no_form(value, inside)


def _datetime(value: datetime, _: Inside) -> str:
    if value != value:  # noqa: PLR0124 - pandas.NaT
        _reject(ValueError, f"{value} has no form in JSON; send None if there is no time")
    if value.utcoffset() is None:
        return value.isoformat()
    try:
        return write_timestamp(value)
    except OverflowError:  # its offset has seconds, and in UTC its year is 0 or 10,000
        _reject(ValueError, f"{value} has no form in RFC 3339")


def _iso(value: date | time, _: Inside) -> str:
    return value.isoformat()


def _str(value: Any, _: Inside) -> str:
    return _text(str(value))


# -- containers --------------------------------------------------------------------------------------------------------


def _array(value: Iterable[Any], inside: Inside) -> list[Any]:
    found: list[Any] = []
    for entry in value:
        try:
            found.append(inside(entry))
        except SerializationError as error:
            raise error.inside(f"[{len(found)}]") from error.__cause__
    return found


def _object(value: Mapping[Any, Any], inside: Inside) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        text = _text(key) if type(key) is str and key.isascii() else _key(key)
        try:
            if text in found:
                _reject(ValueError, "two keys have this text")
            found[text] = inside(entry)
        except SerializationError as error:
            raise error.inside(text if text.isidentifier() else f"[{text!r}]") from error.__cause__
    return found


def _key(key: Any) -> str:
    text: Any = key.value if isinstance(key, enum.Enum) and isinstance(key, str) else key
    if not isinstance(text, str):
        _reject(TypeError, f"the key {short(key)} is not text; JSON has no other keys")
    return _text(text)


def _instance(value: Any, inside: Inside) -> dict[str, Any]:
    kind = value.__class__
    fields: Any = attrs.fields(kind) if attrs.has(kind) else dataclasses.fields(kind)
    return _fields(value, [field.name for field in fields], inside)


def _struct(value: Any, inside: Inside) -> Any:
    # Its fields are written first, because msgspec leaves out fields of attrs classes in them.
    whole = copy.copy(value)
    for name, found in _fields(value, value.__struct_fields__, inside).items():
        msgspec.structs.force_setattr(whole, name, found)
    return msgspec.to_builtins(whole)


def _fields(value: Any, names: Iterable[str], inside: Inside) -> dict[str, Any]:
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        _reject(ValueError, f"the field {missing[0]} of this {type(value).__name__} has no value")
    return _object({name: getattr(value, name) for name in names}, inside)


def _pydantic(value: Any, inside: Inside) -> Any:
    try:
        found = value.model_dump(mode="json", by_alias=True)
    except Exception as error:
        problem = f"pydantic cannot write this {full_name(value.__class__)}: {error}"
        raise SerializationError(ValueError, problem) from error
    return inside(found)


# -- values without a form ---------------------------------------------------------------------------------------------

_ADVICE: Final = {
    "set": "a list in an order of your choice",
    "frozenset": "a list in an order of your choice",
    "bytes": "text, such as base64",
    "timedelta": "a number of seconds",
    "ndarray": "a list with tolist()",
    "DataFrame": "a list with to_dict('records')",
}


def _no_form(value: Any, _: Inside) -> NoReturn:
    kind: type[Any] = value.__class__
    if isinstance(value, type):
        _reject(TypeError, f"the class {value.__name__} itself cannot be sent, only its instances")
    name = full_name(kind)
    advice = _ADVICE.get(kind.__name__)
    first = f"make it {advice}" if advice else "convert it first"
    hook = f"converter.register_unstructure_hook({name}, ...)"
    _reject(TypeError, f"{name} has no form of its own in JSON; {first}, or register a hook: {hook}")


#: The classes of JSON itself, for which no hook is looked up.
_BUILT_IN: Final[dict[type, Write]] = {
    str: _text,
    dict: _object,
    list: _array,
    tuple: _array,
    bool: _itself,
    int: _integer,
    float: _number,
    type(None): _itself,
}


#: Whether a class has a form, and the form; the first that applies.
FORMS: Final[tuple[tuple[Callable[[Any], bool], Write], ...]] = (
    (is_enum, _itself),  # `by_form` takes its value
    (below(str), _text),
    (below(bool, type(None)), _itself),
    (below(int), _integer),
    (below(float), _number),
    (below(Mapping), _object),
    (below(list, tuple), _array),
    (is_pydantic_model, _pydantic),
    (is_struct, _struct),
    (has_fields, _instance),
    (below(datetime), _datetime),
    (below(date, time), _iso),
    (below(uuid.UUID, PurePath), _str),
    (below(Decimal), _decimal),
    (is_numpy_scalar, _numpy_scalar),
    (lambda cls: isinstance(cls, type), _no_form),
)
