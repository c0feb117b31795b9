"""Fast decoding of the responses that the service is known to send.

msgspec decodes them into structs that check every type, and a function generated for each model fills the model from
them. This takes a tenth of the time of the models' hooks: 3 instead of 25 microseconds of a ``get`` of about 60. Loops
over the fields in the place of the generated function, or `msgspec.convert` and a loop over what it does not do, exceed
pydantic's time for a page.

A response that does not fit is left to the hooks; where both can read a response, they return equal models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, cast

import msgspec

from .._data.codec import decode_json
from .base import Field, Timestamp, entry_type, fields_of, known_extras, remember

_UNSET: Final = msgspec.UNSET
# `replace` takes ten times as long on Python 3.11.
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnfitError(Exception):
    """The response needs the models' hooks."""


#: Why a body does not become a struct: msgspec's own errors, text that is not UTF-8, and depth.
_UNFIT: Final = (UnfitError, msgspec.MsgspecError, ValueError, RecursionError)


@cache
def fast_decoder(cls: Any) -> FastDecoder | None:
    """Return the decoder of a model; ``None`` for a model with fields that it does not support."""
    for field in fields_of(cls):
        entry = entry_type(field.type)
        if field.type in (bool, tuple[str, ...]) or (field.fallback and field.type is not str and entry is None):
            return None
        if entry is not None and fast_decoder(entry) is None:
            return None
    return FastDecoder(cls)


class FastDecoder:
    """Decodes the responses of one model."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls
        self._fields = fields_of(cls)
        names = [field.name for field in self._fields]
        self._rows = {field: FastDecoder(entry) for field in self._fields if (entry := entry_type(field.type))}
        self._texts = [field.fallback for field in self._fields if field.fallback and field not in self._rows]
        self._more = [*self._texts, *(name for name in known_extras(cls) if name not in names)]
        self._known = frozenset((*names, *self._more))
        self.strict = self._struct(strict=True)
        self.loose = self._struct(strict=False)
        self._decode = msgspec.json.Decoder(self.strict).decode
        self.fill = self._filler()

    def decode(self, body: bytes) -> Any:
        """Decode a response.

        :param body: the JSON text.
        :raises InvalidJSONError: it is not JSON.
        :raises UnfitError: it needs the models' hooks.
        """
        try:
            return self.fill((self._decode(body),))[0]
        except _UNFIT:
            data = decode_json(body)
        try:
            models = self.fill((msgspec.convert(data, self.loose),))
            self.add_unknown(models, (data,))
        except _UNFIT:
            raise UnfitError from None
        return models[0]

    def _struct(self, *, strict: bool) -> Any:
        """Make the struct of the model's fields.

        :param strict: reject unknown keys.
        """
        required: list[Any] = []
        optional: list[Any] = []
        for field in self._fields:
            kind: Any = datetime if field.type is Timestamp else field.type
            if field in self._rows:
                kind = list.__class_getitem__(self._rows[field].strict if strict else self._rows[field].loose)
            if field.optional:
                optional.append((field.name, kind if kind is Any else kind | None, None))
            else:
                required.append((field.name, kind))
        text = str | None | msgspec.UnsetType
        more = [(name, text if name in self._texts else Any, _UNSET) for name in self._more]
        fields = [*required, *optional, *more]
        return msgspec.defstruct(self._cls.__name__, fields, forbid_unknown_fields=strict, gc=False)

    def _filler(self) -> Callable[[Iterable[Any]], list[Any]]:
        """Generate the function that makes models of structs."""
        scope: dict[str, Any] = {
            "new": _open(self._cls),
            "end": self._cls,
            "UNSET": _UNSET,
            "EPOCH": _EPOCH,
            "NAIVE_EPOCH": _NAIVE_EPOCH,
            "read_rows": _read_rows,
            **{f"fill_{field.name}": decoder.fill for field, decoder in self._rows.items()},
            **{f"field_{field.name}": field for field in self._rows},
        }
        source = "\n".join(self._source())
        exec(compile(source, f"<filler of {self._cls.__name__}>", "exec"), scope)  # noqa: S102 - as attrs and cattrs do
        return cast("Callable[[Iterable[Any]], list[Any]]", scope["fill"])

    def _source(self) -> Iterator[str]:
        yield "def fill(structs):"
        yield "    models = []"
        yield "    for struct in structs:"
        yield "        model = new()"
        yield "        model.extra = extra = {}"
        for name in self._more:
            yield f"        if struct.{name} is not UNSET: extra[{name!r}] = struct.{name}"
        for field in self._fields:
            yield f"        value = struct.{field.name}"
            if field.type is Timestamp:
                yield "        if value is not None and value.tzinfo is None: value = EPOCH + (value - NAIVE_EPOCH)"
            elif field in self._rows:
                yield f"        value = read_rows(model, field_{field.name}, value, struct, fill_{field.name})"
            elif field.fallback:
                yield f"        if value is None and extra.get({field.fallback!r}) is not None:"
                yield f"            value = extra[{field.fallback!r}]"
                yield f"            model._sent = {{{field.name!r}: None}}"
            yield f"        model.{field.name} = value"
        yield "        model.__class__ = end"
        yield "        models.append(model)"
        yield "    return models"

    def add_unknown(self, models: Iterable[Any], rows: Iterable[Mapping[str, Any]]) -> None:
        """Put the keys that the loose struct does not know into ``extra``."""
        keys: tuple[str, ...] = ()
        unknown: list[str] = []
        for model, row in zip(models, rows, strict=True):
            if (found := tuple(row)) != keys:  # the rows of a page mostly have the same keys in the same order
                keys, unknown = found, [name for name in found if name not in self._known]
            for name in unknown:
                model.extra[name] = row[name]
            for field, decoder in self._rows.items():
                decoder.add_unknown(getattr(model, field.name), row.get(field.name) or ())


def _read_rows(model: Any, field: Field, structs: Any, struct: Any, fill: Callable[[Any], Any]) -> tuple[Any, ...]:
    if structs:
        return tuple(fill(structs))
    if field.nested is not None:
        container: Any = getattr(struct, field.nested)
        if container and container.get(field.name):
            raise UnfitError
        remember(model, {field.name: structs})
    return ()


def _open(cls: Any) -> Any:
    """Make a subclass whose instances are filled while they can be changed, and then become the frozen class's.

    Setting the attributes of the frozen class itself takes longer than all the rest of decoding.
    """
    names = ("__init__", "__setattr__", "__delattr__")
    return type(f"Open{cls.__name__}", (cls,), {"__slots__": (), **{name: getattr(object, name) for name in names}})
