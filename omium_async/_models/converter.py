"""The process's one cattrs converter: answers are read strictly into attrs classes, and nothing is lost.

cattrs by itself turns a null where text belongs into ``'None'`` and ``"false"`` into ``True``. Here a value of another
type than its field's is a `Misfit` that knows its place, null and absent are ``None``, and every key that has no field
of its own is kept in ``extra``.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec

__all__ = [
    "Answer",
    "Misfit",
    "json_type",
    "make_reader",
    "read_differently",
    "read_timestamp",
    "remember_sent",
    "structure",
    "write_timestamp",
]

if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

_JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


class Misfit(Exception):  # noqa: N818 - never leaves the package: it becomes an InvalidResponseError
    """A value of the wrong type; ``path`` is its place, built up from the inside outwards."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def inside(self, place: str) -> Self:
        """The same misfit, seen from the container that holds it under ``place``."""
        self.path = place if not self.path else f"{place}{'' if self.path[0] == '[' else '.'}{self.path}"
        return self


def json_type(value: object) -> str:
    """What JSON calls the type of ``value``."""
    return _JSON_TYPES.get(type(value), type(value).__name__)


def read_timestamp(text: str) -> datetime | None:
    """An aware datetime for RFC 3339 text, to the microsecond; naive text is UTC, as the service means it.

    ``None`` for text that is no timestamp.
    """
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def write_timestamp(moment: datetime) -> str:
    """RFC 3339 text for an aware datetime, UTC as ``Z``."""
    offset = moment.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in its offsets
        moment = moment.astimezone(UTC)
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


class Answer:
    """What every answer of the service can do: come from a dict and go back to it without loss."""

    # Beside attrs' fields, which are the contract's: where an attribute shows another place's value, what the answer
    # held under the attribute's own name, and what is shown instead.
    __slots__ = ("__weakref__", "_sent")
    _sent: dict[str, tuple[Any, Any]]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the answer's JSON object; nested values are taken over, not copied.

        :raises InvalidResponseError: where a value has the wrong type; ``path`` names the place.
        """
        try:
            return structure(data, cls)
        except Misfit as misfit:
            from .._errors import InvalidResponseError  # noqa: PLC0415 - errors stand above the models: they carry some

            place = misfit.path or "the answer"
            raise InvalidResponseError(f"{place}: {misfit.message}", path=misfit.path, outcome="not_applied") from None

    def to_dict(self) -> dict[str, Any]:
        """Every key and value that was sent, those without a value as ``None``, timestamps as RFC 3339 text.

        Timestamps are kept to the microsecond; further digits of the answer are rounded. Nested values are the
        model's own, not copies.
        """
        extra: dict[str, Any] = getattr(self, "extra", {})
        found: dict[str, Any] = {}
        for name in _own_fields(type(self)):
            value = getattr(self, name)
            found[name] = extra.get(name) if value is None else _plain(value)
        for name, value in extra.items():
            found.setdefault(name, value)
        for name, (value, shown) in _sent_of(self).items():
            if getattr(self, name) is shown:
                found[name] = value
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in attrs.fields(cast("Any", type(self)))}
        return _restore, (type(self), values, _sent_of(self))


def _sent_of(answer: Answer) -> dict[str, tuple[Any, Any]]:
    return getattr(answer, "_sent", {})


def _restore(cls: type[Answer], values: Mapping[str, Any], sent: dict[str, tuple[Any, Any]]) -> Answer:
    found = cls.__new__(cls)
    for name, value in values.items():
        object.__setattr__(found, name, value)
    return remember_sent(found, sent)


def remember_sent(answer: T, sent: Mapping[str, tuple[Any, Any]]) -> T:
    """The same answer, knowing of each attribute named what was sent under its name, and what it shows instead."""
    if sent:
        object.__setattr__(answer, "_sent", {**getattr(answer, "_sent", {}), **sent})
    return answer


def _own_fields(cls: type[Any]) -> tuple[str, ...]:
    names = _FIELDS.get(cls)
    if names is None:
        names = _FIELDS[cls] = tuple(a.name for a in attrs.fields(cls) if a.name != "extra")
    return names


_FIELDS: dict[type[Any], tuple[str, ...]] = {}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return write_timestamp(value)
    if isinstance(value, Answer):
        return value.to_dict()
    if isinstance(value, tuple):
        entries: tuple[Any, ...] = cast("Any", value)
        return [_plain(entry) for entry in entries]
    return value.value if isinstance(value, enum.Enum) else value


# -- readers of single values -------------------------------------------------------------------------------------

_Reader = Callable[[Any], Any]


def _read_exactly(kind: type) -> _Reader:
    wanted = _JSON_TYPES[kind]

    def read(value: Any) -> Any:
        if not isinstance(value, kind) or isinstance(value, bool):  # no field is a boolean, and Python's are integers
            raise Misfit(f"expected {wanted}, got {json_type(value)}")
        return value

    return read


def _read_array(entry_type: type) -> _Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Misfit(f"expected an array, got {json_type(value)}")
        entries: list[Any] = cast("Any", value)
        found: list[Any] = []
        for position, entry in enumerate(entries):
            try:
                found.append(structure(entry, entry_type))
            except Misfit as misfit:
                raise misfit.inside(f"[{position}]") from None
        return tuple(found)

    return read


def _read_status(kind: type) -> _Reader:
    text = _read_exactly(str)
    return lambda value: kind(text(value))


def _reader_for(annotation: Any) -> tuple[_Reader | None, bool]:
    """The reader for a field's type (``None``: any JSON) and whether null is allowed."""
    if annotation is Any:
        return None, True
    optional = get_origin(annotation) in (Union, types.UnionType)
    kind = next(kind for kind in get_args(annotation) if kind is not type(None)) if optional else annotation
    if kind is datetime:
        return _read_exactly(str), optional
    if get_origin(kind) is tuple:
        return _read_array(get_args(kind)[0]), optional
    kind = get_origin(kind) or kind
    if kind in _JSON_TYPES:
        return _read_exactly(kind), optional
    return _read_status(kind), optional


# -- readers of whole answers --------------------------------------------------------------------------------------


@attrs.frozen
class _Field:
    name: str
    read: _Reader | None
    optional: bool
    timestamp: bool
    fallback: str | None  # the name under which the live service sends it as well


def _fields_of(cls: type[Any]) -> list[_Field]:
    hints = get_type_hints(cls)
    found: list[_Field] = []
    for name in _own_fields(cls):
        annotation = hints[name]
        read, optional = _reader_for(annotation)
        fallback = getattr(attrs.fields(cls), name).metadata.get("fallback")
        found.append(_Field(name, read, optional, datetime in get_args(annotation), fallback))
    return found


def make_reader(cls: type[T]) -> Callable[[Any, Any], T]:
    """The reader of a class of answers, for its fields as they are declared."""
    fields = _fields_of(cls)
    names = frozenset(field.name for field in fields)

    def read(data: Any, _: Any) -> T:
        if not isinstance(data, Mapping):
            raise Misfit(f"expected an object, got {json_type(data)}")
        answer: Mapping[Any, Any] = cast("Any", data)
        extra: dict[str, Any] = {}
        for key, value in answer.items():
            if not isinstance(key, str):
                raise Misfit(f"expected text as keys, got {json_type(key)}")
            if key not in names:
                extra[key] = value
        sent: dict[str, tuple[Any, Any]] = {}
        values = {field.name: _read_field(field, answer, extra, sent) for field in fields}
        return remember_sent(cls(**values, extra=extra), sent)  # type: ignore[call-arg]

    return read


def _read_field(field: _Field, data: Mapping[str, Any], extra: dict[str, Any], sent: dict[str, tuple[Any, Any]]) -> Any:
    value, name = data.get(field.name), field.name
    if value is None and field.fallback is not None and data.get(field.fallback) is not None:
        value, name = data[field.fallback], field.fallback
        sent[field.name] = (None, value)
    if value is None and field.optional:
        return None
    if field.read is None:
        return value
    if name not in data:
        raise Misfit("is missing", name)
    try:
        value = field.read(value)
    except Misfit as misfit:
        raise misfit.inside(name) from None
    if field.timestamp:
        moment = read_timestamp(value)
        if moment is None:
            extra[field.name] = value
        return moment
    return value


def _is_answer(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Answer)


# -- the converter -------------------------------------------------------------------------------------------------

_HOOKS: dict[type[Answer], Callable[[Any, Any], Answer]] = {}


def read_differently(cls: type[Answer], hook: Callable[[Any, Any], Answer]) -> None:
    """Have answers of ``cls`` read by ``hook``; to be called before any is read."""
    _HOOKS[cls] = hook


@cache
def _converter() -> cattrs.Converter:
    """One for the process, made when first needed: cattrs takes a quarter of the package's import."""
    import cattrs  # noqa: PLC0415

    made = cattrs.Converter()
    made.register_structure_hook_factory(_is_answer, make_reader)
    for cls, hook in _HOOKS.items():
        made.register_structure_hook(cls, hook)
    return made


def structure(data: Any, cls: type[T]) -> T:
    """An answer of a class, from its JSON.

    :raises Misfit: a value has the wrong type.
    """
    return _converter().structure(data, cls)
