"""The models' hooks: answers are read strictly into attrs classes, and nothing is lost.

A value of another type than its field's is a `ValidationError` with its place, null and absent are ``None``, and every
key that has no field of its own is kept in ``extra``. The fields' own types are read by the converter's hooks for
them, whoever registered these; the fast way is taken only while all of them are this package's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .._data.arrays import Array, take_object
from .._data.codec import decode_json
from .._data.hooks import read_text, read_whole_number
from .._data.moments import read_timestamp, write_timestamp
from .._data.validation import ValidationError, validation_error_of, wrong
from .._errors import InvalidResponseError
from .answer import Answer, Timestamp, remember_sent, sent_of
from .fast import FastReader, can_be_fast
from .fields import Field, entry_type, fields_of
from .types import STATUS_BY_TEXT, Execution, ExecutionStatus

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

__all__ = ["ModelReader", "ModelWriter", "register_models"]


def register_models(converter: OmiumConverter) -> None:
    """Register the hooks of the models and of the types that only they have."""
    converter.register_structure_hook_factory(_is_answer, ModelReader)
    converter.register_unstructure_hook_factory(_is_answer, _writer)
    converter.register_structure_hook_func(_is_timestamp, _read_timestamp)
    converter.register_unstructure_hook_func(_is_timestamp, write_timestamp)
    converter.register_structure_hook(ExecutionStatus, _read_status)
    converter.register_unstructure_hook(ExecutionStatus, _write_status)


def _writer(cls: Any, converter: Any) -> Callable[[Any], Any]:
    return ModelWriter(cls, converter)


def _is_answer(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Answer)


def _is_timestamp(cls: Any) -> bool:
    return bool(cls == Timestamp)


def _read_timestamp(value: Any, _: Any) -> Any:
    """``None`` for text that is no timestamp; whoever reads the field keeps the text in ``extra``."""
    return read_timestamp(read_text(value))


def _read_status(value: Any, _: Any) -> ExecutionStatus:
    text = read_text(value)
    return STATUS_BY_TEXT.get(text) or ExecutionStatus(text)


def _write_status(status: ExecutionStatus) -> str:
    return status.value


# -- in --------------------------------------------------------------------------------------------------------------


class _LookedUp(NamedTuple):
    """What reads the fields of a model, after so many changes of its converter."""

    changes: int
    hooks: list[tuple[Field, Callable[[Any, Any], Any]]]
    fast: FastReader | None


class ModelReader:
    """The structure hook of a model."""

    def __init__(self, cls: Any, converter: OmiumConverter) -> None:
        self._cls = cls
        self._converter = converter
        self._names = frozenset(field.name for field in fields_of(cls))
        self._looked_up = _LookedUp(-1, [], None)

    def __call__(self, value: Any, _: Any) -> Any:
        """The model of decoded JSON.

        :raises InvalidResponseError: where a value has the wrong type.
        """
        try:
            return self.read(value)
        except ValidationError as error:
            raise _invalid(error) from error

    def loads(self, body: bytes) -> Any:
        """The model of JSON text.

        :raises InvalidResponseError: it is no JSON, or a value has the wrong type.
        """
        try:
            return self.decoder()(body)
        except ValidationError as error:
            raise _invalid(error) from error

    def decoder(self) -> Callable[[bytes], Any]:
        """What makes the model of JSON text, until another hook is registered.

        It raises `InvalidJSONError` where the text is none, and `ValidationError` where a value has the wrong type.
        """
        fast = self._current().fast
        return self._decode_slowly if fast is None else partial(fast.decode, self.read)

    def _decode_slowly(self, body: bytes) -> Any:
        return self.read(decode_json(body))

    def read(self, data: Any) -> Any:
        """The model of decoded JSON.

        :raises ValidationError: a value has the wrong type.
        """
        hooks = self._current().hooks
        if not isinstance(data, Mapping):
            raise wrong("an object", data)
        answer: Mapping[Any, Any] = cast("Any", data)
        extra: dict[str, Any] = {}
        for key, value in answer.items():
            if not isinstance(key, str):
                raise wrong("text as keys", key)
            if key not in self._names:
                extra[key] = value
        sent: dict[str, tuple[Any, Any]] = {}
        values = {field.name: _read_field(field, hook, answer, extra, sent) for field, hook in hooks}
        model = self._made(values, extra)
        for field in fields_of(self._cls):
            if field.nested is not None and not answer.get(field.name):
                sent[field.name] = (answer.get(field.name), getattr(model, field.name))
        return remember_sent(model, sent)

    def _made(self, values: dict[str, Any], extra: dict[str, Any]) -> Any:
        try:
            return self._cls(**values, extra=extra)
        except Exception as error:
            raise validation_error_of(error) from error

    def _current(self) -> _LookedUp:
        """What reads the fields, looked up again if hooks were registered since it was done last."""
        found, changes = self._looked_up, self._converter.changes
        if found.changes != changes:
            hook_of = self._converter.get_structure_hook
            hooks = [(field, hook_of(field.type)) for field in fields_of(self._cls)]
            found = _LookedUp(changes, hooks, _fast_reader(self._cls) if self.is_own() else None)
            self._looked_up = found  # at once, for threads
        return found

    def is_own(self) -> bool:
        """Whether all that the model holds is read by this package's own hooks."""
        return all(_is_own(field.type, self._converter) for field in fields_of(self._cls))


_OF_THIS_PACKAGE: dict[Any, Any] = {
    str: read_text,
    int: read_whole_number,
    dict[str, Any]: take_object,
    Timestamp: _read_timestamp,
    ExecutionStatus: _read_status,
}


def _is_own(kind: Any, converter: OmiumConverter) -> bool:
    if kind is Any:
        return True
    hook = converter.get_structure_hook(kind)
    entry = entry_type(kind)
    if entry is not None:
        return type(hook) is Array and _is_own(entry, converter)
    return hook.is_own() if type(hook) is ModelReader else hook is _OF_THIS_PACKAGE.get(kind)


@cache
def _fast_reader(cls: Any) -> FastReader | None:
    """One for the process, for what it learns; ``None`` for a model that is read by its hooks alone."""
    if not can_be_fast(cls):
        return None
    # A service may well answer a create with the execution in full, of which a row has no checkpoints.
    return FastReader(cls, expected=("checkpoints",) if cls is Execution else ())


def _read_field(
    field: Field,
    hook: Callable[[Any, Any], Any],
    data: Mapping[str, Any],
    extra: dict[str, Any],
    sent: dict[str, tuple[Any, Any]],
) -> Any:
    value, name = data.get(field.name), field.name
    if field.nested is not None and not value and isinstance(value, list | None):
        return _read_nested(field, hook, data)
    if value is None and field.fallback is not None and data.get(field.fallback) is not None:
        value, name = data[field.fallback], field.fallback
    if value is None and field.optional:
        return None
    if name not in data:
        raise ValidationError("is missing", name)
    try:
        found = hook(value, field.type)
    except Exception as error:  # noqa: BLE001 - whatever a hook raises, its data did not fit
        raise validation_error_of(error).inside(name) from (None if isinstance(error, ValidationError) else error)
    if name != field.name:
        sent[field.name] = (data.get(field.name), found)
    if found is None and field.type is Timestamp:
        extra[field.name] = value
    return found


def _read_nested(field: Field, hook: Callable[[Any, Any], Any], data: Mapping[str, Any]) -> Any:
    """Entries from where the live service has them.

    None when that is something else: the place is the caller's, and the key may be one of theirs.
    """
    container: Any = data.get(field.nested or "")
    entries: Any = cast("Any", container).get(field.name) if isinstance(container, Mapping) else None
    if not isinstance(entries, list):
        return ()
    try:
        return hook(entries, field.type)
    except Exception:  # noqa: BLE001 - whatever a hook says of it, it is the caller's own
        return ()


def _invalid(error: ValidationError) -> InvalidResponseError:
    place = error.path or "the answer"
    return InvalidResponseError(f"{place}: {error.message}", path=error.path, outcome="not_applied")


# -- out -------------------------------------------------------------------------------------------------------------


class ModelWriter:
    """The unstructure hook of a model."""

    def __init__(self, cls: Any, converter: OmiumConverter) -> None:
        self._fields = fields_of(cls)
        self._converter = converter

    def __call__(self, answer: Any) -> dict[str, Any]:
        """Every key and value that was sent, those without a value as ``None``."""
        extra: dict[str, Any] = answer.extra
        found: dict[str, Any] = {}
        for field in self._fields:
            value = getattr(answer, field.name)
            found[field.name] = extra.get(field.name) if value is None else self._written(field.type, value)
        for name, value in extra.items():
            found.setdefault(name, value)
        for name, (value, shown) in sent_of(answer).items():
            if getattr(answer, name) is shown:
                found[name] = value
        return found

    def _written(self, kind: Any, value: Any) -> Any:
        if kind is Timestamp or kind is ExecutionStatus:
            return self._converter.get_unstructure_hook(kind)(value)
        if entry_type(kind) is not None:
            return [self._converter.unstructure(entry) for entry in value]
        return list(value) if isinstance(value, tuple) else value
