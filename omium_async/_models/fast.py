"""The fast way from JSON to the models, for answers of the forms that the service is known to send.

msgspec decodes into structs that check every type, and a function that is written here, once for each model, fills the
frozen models from these. Both follow from the fields as they are declared. An answer that does not fit is left to the
models' hooks, which decide what it means; where both can read an answer they read it alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec

from .._data.codec import decode_json
from .answer import Answer, Timestamp, remember_sent
from .fields import Field, entry_type, fields_of, known_extras

__all__ = ["FastReader", "can_be_fast", "known_names", "struct_of"]

A = TypeVar("A", bound=Answer)
#: Fills models from structs; the second argument says whether timestamps may be without an offset.
Filler = Callable[[Iterable[Any], bool], "list[Any]"]
Names = tuple[str, ...]

_UNSET: Final = msgspec.UNSET
_AWARE: Final = Annotated[datetime, msgspec.Meta(tz=True)]
# msgspec's own, text that is no UTF-8, and depth: why a body may not fit a struct
_UNFIT: Final = (msgspec.MsgspecError, ValueError, RecursionError)
# `replace` takes ten times as long on Python 3.11.
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def can_be_fast(cls: Any) -> bool:
    """Whether all of a model's declaration is understood here: a second name only for text, and for a page's rows."""
    return all(
        (f.fallback is None or f.type is str or _is_required_array(f))
        and f.type not in (bool, tuple[str, ...])
        and (entry_type(f.type) is None or can_be_fast(entry_type(f.type)))
        for f in fields_of(cls)
    )


# -- structs ---------------------------------------------------------------------------------------------------------


def known_names(cls: Any) -> frozenset[str]:
    """The keys of a model's answers that its struct knows."""
    return frozenset(field[0] for field in _struct_fields(cls, aware=False, loose=False, learned=()))


def _learned(names: Names) -> dict[str, str]:
    """Attributes for keys that were learned, for no name of a key can clash with these."""
    return {f"learned_{number}": name for number, name in enumerate(names)}


@cache
def struct_of(cls: Any, *, aware: bool = False, loose: bool = False, learned: Names = ()) -> Any:
    """The struct of a model's answers.

    :param aware: all timestamps have an offset, which saves looking.
    :param loose: keys that it does not know are passed over: those of the rows, where the model is a page of them.
    :param learned: further keys that it knows, of the rows likewise.
    """
    of_rows = any(_is_required_array(field) for field in fields_of(cls))
    fields = _struct_fields(cls, aware=aware, loose=loose, learned=learned)
    rename = {} if of_rows else _learned(learned)
    more = [(attribute, Any, _UNSET) for attribute in rename]
    forbid = of_rows or not loose
    return msgspec.defstruct(
        f"Wire{cls.__name__}", [*fields, *more], rename=rename or None, forbid_unknown_fields=forbid, gc=False
    )


def _struct_fields(cls: Any, *, aware: bool, loose: bool, learned: Names) -> list[Any]:
    found: list[Any] = []
    required: list[Any] = []
    for field in fields_of(cls):
        kind: Any = field.type
        if kind is Timestamp:
            kind = _AWARE if aware else datetime
        elif entry := entry_type(kind):
            rows = field.nested is None
            struct = struct_of(entry, aware=aware, loose=loose and rows, learned=learned if rows else ())
            kind = list.__class_getitem__(struct)
        if not field.optional:
            required.append((field.name, kind))
        else:
            found.append((field.name, kind | None if kind is not Any else Any, None))
        if field.fallback is not None and not entry_type(field.type):
            found.append((field.fallback, kind | msgspec.UnsetType | None, _UNSET))
    return [*required, *found, *((name, Any, _UNSET) for name in known_extras(cls))]


def _is_required_array(field: Field) -> bool:
    return entry_type(field.type) is not None and not field.optional


# -- functions that fill models --------------------------------------------------------------------------------------


@cache
def filler_of(cls: Any, learned: Names = ()) -> Filler:
    """The function that fills models of a class from its structs; ``learned`` as in `struct_of`."""
    source = "\n".join(_source(cls, learned))
    scope: dict[str, Any] = {
        "new": _open(cls),
        "end": cls,
        "UNSET": _UNSET,
        "EPOCH": _EPOCH,
        "NAIVE_EPOCH": _NAIVE_EPOCH,
        "take_nested": _take_nested,
    }
    for field in fields_of(cls):
        entry = entry_type(field.type)
        if entry is not None:
            scope[f"fill_{field.name}"] = filler_of(entry, learned if field.nested is None else ())
            scope[f"struct_{field.name}"] = struct_of(entry)
    exec(compile(source, f"<what fills {cls.__name__}>", "exec"), scope)  # noqa: S102 - as attrs and cattrs do it
    return cast("Filler", scope["fill"])


def _open(cls: Any) -> Any:
    """A subclass without fields of its own and open to change; its instances get the frozen class when they are whole.

    Setting attributes of a frozen class costs more than all the rest of decoding.
    """
    names = ("__init__", "__setattr__", "__delattr__")
    return type(f"Open{cls.__name__}", (cls,), {"__slots__": (), **{name: getattr(object, name) for name in names}})


def _source(cls: Any, learned: Names) -> Iterable[str]:
    """In one piece, for a call a row would cost a tenth of all."""
    fields = fields_of(cls)
    of_rows = any(_is_required_array(field) for field in fields)
    yield "def fill(rows, naive):"
    yield "    found = []"
    yield "    for row in rows:"
    yield "        model = new()"
    yield from (f"        model.{field.name} = row.{field.name}" for field in fields if not entry_type(field.type))
    yield "        model.extra = extra = {}"
    for name in known_extras(cls):
        yield f"        if row.{name} is not UNSET: extra[{name!r}] = row.{name}"
    for attribute, name in ({} if of_rows else _learned(learned)).items():
        yield f"        if row.{attribute} is not UNSET: extra[{name!r}] = row.{attribute}"
    for field in fields:
        yield from _fallback_source(field)
    moments = [field.name for field in fields if field.type is Timestamp]
    if moments:
        yield "        if naive:"
    for name in moments:
        yield f"            moment = row.{name}"
        yield "            if moment is not None and moment.tzinfo is None:"
        yield f"                model.{name} = EPOCH + (moment - NAIVE_EPOCH)"
    for field in fields:
        yield from _array_source(field)
    yield "        model.__class__ = end"
    yield "        found.append(model)"
    yield "    return found"


def _fallback_source(field: Field) -> Iterable[str]:
    if field.fallback is None or entry_type(field.type):
        return
    yield f"        value = row.{field.fallback}"
    yield "        if value is not UNSET:"
    yield f"            extra[{field.fallback!r}] = value"
    yield f"            if value is not None and row.{field.name} is None:"
    yield f"                model.{field.name} = value"
    yield f"                model._sent = {{{field.name!r}: (None, value)}}"


def _array_source(field: Field) -> Iterable[str]:
    if not entry_type(field.type):
        return
    name = field.name
    fill = f"        model.{name} = tuple(fill_{name}(row.{name}, naive))"
    if field.nested is None:
        yield fill
        return
    yield f"        if row.{name}:"
    yield f"    {fill}"
    yield "        else:"
    yield f"            take_nested(model, {name!r}, row.{name}, row.{field.nested}, struct_{name}, fill_{name})"


def _take_nested(model: Any, name: str, sent: Any, container: Any, struct: Any, fill: Filler) -> None:
    """Entries that are in another field under this one's name; what is there may be something else altogether."""
    entries = container.get(name) if container else None
    found = tuple(fill(msgspec.convert(entries, list[struct]), True)) if entries else ()
    setattr(model, name, found)
    remember_sent(model, {name: (None if sent is None else [], found)})


# -- reading ---------------------------------------------------------------------------------------------------------


class FastReader:
    """Reads answers of one model, and learns the keys that rows keep carrying although no release knows them.

    A page with such keys takes twice as long, so what many pages had becomes part of the structs. Bounded: a service
    that sends ever new names is read the slower way, at no growing cost.
    """

    after = 4  # pages with a key before it is learned
    most = 32  # keys learned
    watched = 256  # names counted

    def __init__(self, cls: Any, *, expected: Names = ()) -> None:
        """:param expected: keys known from the start, of answers that may have the fields of another model too."""
        self._cls = cls
        rows = next((field for field in fields_of(cls) if _is_required_array(field)), None)
        self._rows = None if rows is None else rows.name
        self._known = known_names(cls if rows is None else entry_type(rows.type))
        self._seen: Counter[str] = Counter()
        self._use(expected)

    def _use(self, learned: Names) -> None:
        decode_aware = msgspec.json.Decoder(struct_of(self._cls, aware=True, learned=learned)).decode
        decode_either = msgspec.json.Decoder(struct_of(self._cls, learned=learned)).decode
        self._ways = (decode_aware, decode_either, filler_of(self._cls, learned), learned)  # at once, for threads

    def decode(self, read: Callable[[Any], Any], body: bytes) -> Any:
        """The answer.

        :param read: what reads the decoded JSON of answers that do not fit.
        :param body: its bytes.
        :raises InvalidJSONError: it is no JSON.
        :raises ValidationError: as ``read`` does.
        """
        decode_aware, decode_either, fill, _ = self._ways
        try:
            return fill((decode_aware(body),), False)[0]
        except _UNFIT:
            pass
        try:
            return fill((decode_either(body),), True)[0]
        except _UNFIT:
            return self._decode_odd(body, read)

    def _decode_odd(self, body: bytes, read: Callable[[Any], Any]) -> Any:
        """An answer that has keys which nobody has seen yet, or that needs the models' hooks."""
        data = decode_json(body)
        fill = filler_of(self._cls)
        for aware in (True, False):
            try:
                found = fill((msgspec.convert(data, struct_of(self._cls, aware=aware, loose=True)),), not aware)[0]
            except _UNFIT:
                continue
            if self._rows is None:
                _add_unknown((found,), (data,), self._known)
            else:
                self._notice(_add_unknown(getattr(found, self._rows), data[self._rows], self._known))
            return found
        return read(data)

    def _notice(self, names: frozenset[str]) -> None:
        known = self._ways[3]
        if len(known) >= self.most:
            return
        if len(self._seen) > self.watched:
            self._seen.clear()
        self._seen.update(name for name in names if name.isidentifier())  # msgspec refuses some others
        often = sorted(name for name in names.difference(known) if self._seen[name] >= self.after)
        if often:
            self._use((*known, *often)[: self.most])


def _add_unknown(models: Iterable[Any], rows: Iterable[Mapping[str, Any]], known: frozenset[str]) -> frozenset[str]:
    """Put into ``extra`` what a loose struct that has the ``known`` keys passes over; the names of it."""
    seen: set[str] = set()
    last: tuple[str, ...] = ()
    unknown: list[str] = []
    for model, row in zip(models, rows, strict=True):
        keys = tuple(row)
        if keys != last:  # the rows of a page mostly have the same keys in the same order
            last = keys
            unknown = [name for name in keys if name not in known]
            seen.update(unknown)
        for name in unknown:
            model.extra[name] = row[name]
    return frozenset(seen)
