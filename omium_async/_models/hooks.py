"""The converter's hooks of the models: responses are read strictly, and nothing is lost.

A value of another type than its field's is a `ValidationError` with its place; null and absent are ``None``; keys
without a field are kept in ``extra``. The fields' types are read by the converter's hooks, a user's or this package's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from .._data.codec import decode_json, read_timestamp, write_timestamp
from .._data.containers import take_array, take_object
from .._data.hooks import read_text, read_whole_number
from .._data.validation import ValidationError, read_inside, validation_error_of, wrong
from .._errors.calls import InvalidResponseError
from .._statuses import STATUS_BY_TEXT, ExecutionStatus
from .base import Field, Model, Timestamp, entry_type, fields_of, remember, sent_of
from .fast import FastDecoder, UnfitError, fast_decoder

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter

Hook = Callable[[Any, Any], Any]


def register_models(converter: OmiumConverter) -> None:
    """Register the hooks of the models and of the types that only they have."""
    converter.register_structure_hook_factory(_is_model, _reader)
    converter.register_unstructure_hook_factory(_is_model, _writer)
    converter.register_structure_hook_func(_is_timestamp, _read_timestamp)
    converter.register_unstructure_hook_func(_is_timestamp, write_timestamp)
    converter.register_structure_hook(ExecutionStatus, _read_status)
    converter.register_unstructure_hook(ExecutionStatus, _write_status)


def _reader(cls: Any, converter: Any) -> Hook:
    return ModelReader(cls, converter)


def _writer(cls: Any, converter: Any) -> Callable[[Any], Any]:
    return ModelWriter(cls, converter)


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Model)


def _is_timestamp(cls: Any) -> bool:
    return bool(cls == Timestamp)


def _read_timestamp(value: Any, _: Any) -> Any:
    """Return ``None`` for text that is not a timestamp; the model keeps the text in ``extra``."""
    return read_timestamp(read_text(value))


def _read_status(value: Any, _: Any) -> ExecutionStatus:
    text = read_text(value)
    return STATUS_BY_TEXT.get(text) or ExecutionStatus(text)


def _write_status(status: ExecutionStatus) -> str:
    return status.value


# -- reading -----------------------------------------------------------------------------------------------------------

_OF_THIS_PACKAGE: dict[Any, Any] = {
    str: read_text,
    int: read_whole_number,
    dict[str, Any]: take_object,
    Timestamp: _read_timestamp,
    ExecutionStatus: _read_status,
}


class ModelReader:
    """The structure hook of a model. It looks up the hooks of the fields at each use."""

    def __init__(self, cls: Any, converter: OmiumConverter) -> None:
        self._cls = cls
        self._converter = converter
        self._names = frozenset(field.name for field in fields_of(cls))

    def __call__(self, value: Any, _: Any) -> Any:
        """Return the model of decoded JSON.

        :raises InvalidResponseError: a value has the wrong type.
        """
        try:
            return self.read(value)
        except ValidationError as error:
            raise _invalid(error) from error

    def loads(self, body: bytes) -> Any:
        """Return the model of JSON text.

        :raises InvalidResponseError: the text is not JSON, or a value has the wrong type.
        """
        try:
            return self.decode(body)
        except ValidationError as error:
            raise _invalid(error) from error

    def decode(self, body: bytes) -> Any:
        """Return the model of JSON text.

        :raises InvalidJSONError: the text is not JSON.
        :raises ValidationError: a value has the wrong type.
        """
        fast = self._fast
        if fast is not None:
            try:
                return fast.decode(body)
            except UnfitError:
                pass
        return self.read(decode_json(body))

    @cached_property
    def _fast(self) -> FastDecoder | None:
        # Kept, because the converter makes a new reader when a hook is registered.
        return fast_decoder(self._cls) if self.is_own() else None

    def is_own(self) -> bool:
        """Whether all hooks of the model's fields are this package's own."""
        return all(_is_own(field.type, self._converter) for field in fields_of(self._cls))

    def read(self, data: Any) -> Any:
        """Return the model of decoded JSON.

        :raises ValidationError: a value has the wrong type.
        """
        if not isinstance(data, Mapping):
            raise wrong("an object", data)
        response: Mapping[Any, Any] = cast("Any", data)
        extra: dict[str, Any] = {}
        for key, value in response.items():
            if not isinstance(key, str):
                raise wrong("text as keys", key)
            if key not in self._names:
                extra[key] = value
        sent: dict[str, Any] = {}
        values = {field.name: self._read_field(field, response, extra, sent) for field in fields_of(self._cls)}
        try:
            model = self._cls(**values, extra=extra)
        except Exception as error:
            raise validation_error_of(error) from error
        return remember(model, sent)

    def _read_field(self, field: Field, data: Mapping[str, Any], extra: dict[str, Any], sent: dict[str, Any]) -> Any:
        value, name = data.get(field.name), field.name
        if field.nested is not None and not value and isinstance(value, list | None):
            sent[field.name] = value
            return self._read_nested(field, data)
        if value is None and field.fallback is not None and data.get(field.fallback) is not None:
            value, name = data[field.fallback], field.fallback
            sent[field.name] = None
        if value is None and field.optional:
            return None
        if name not in data:
            raise ValidationError("is missing", name)
        found = read_inside(name, self._read_value, field.type, value)
        if found is None and field.type is Timestamp:
            extra[field.name] = value
        return found

    def _read_value(self, value: Any, kind: Any) -> Any:
        entry = entry_type(kind)
        if entry is None:
            return self._converter.get_structure_hook(kind)(value, kind)
        hook: Hook = self._converter.get_structure_hook(entry)
        return tuple([read_inside(f"[{at}]", hook, entry, each) for at, each in enumerate(take_array(value))])

    def _read_nested(self, field: Field, data: Mapping[str, Any]) -> Any:
        """Read entries from the place where the live service has them.

        That place belongs to the user: other values there are the user's data.
        """
        container: Any = data.get(field.nested or "")
        entries: Any = cast("Any", container).get(field.name) if isinstance(container, Mapping) else None
        if not isinstance(entries, list):
            return ()
        try:
            return self._read_value(entries, field.type)
        except Exception:  # noqa: BLE001 - see above
            return ()


def _is_own(kind: Any, converter: OmiumConverter) -> bool:
    if kind is Any:
        return True
    kind = entry_type(kind) or kind
    hook = converter.get_structure_hook(kind)
    return hook.is_own() if type(hook) is ModelReader else hook is _OF_THIS_PACKAGE.get(kind)


def _invalid(error: ValidationError) -> InvalidResponseError:
    place = error.path or "the response"
    return InvalidResponseError(f"{place}: {error.message}", path=error.path, outcome="not_applied")


# -- writing -----------------------------------------------------------------------------------------------------------


class ModelWriter:
    """The unstructure hook of a model."""

    returns_json = True

    def __init__(self, cls: Any, converter: OmiumConverter) -> None:
        self._fields = fields_of(cls)
        self._converter = converter

    def __call__(self, model: Any) -> dict[str, Any]:
        """Return every key and value that was sent, keys without a value as ``None``."""
        extra: dict[str, Any] = model.extra
        found: dict[str, Any] = {}
        for field in self._fields:
            value = getattr(model, field.name)
            found[field.name] = extra.get(field.name) if value is None else self._written(field.type, value)
        found.update((name, value) for name, value in extra.items() if name not in found)
        return {**found, **sent_of(model)}

    def _written(self, kind: Any, value: Any) -> Any:
        if kind is Timestamp or kind is ExecutionStatus:
            return self._converter.get_unstructure_hook(kind)(value)
        if entry_type(kind) is not None:
            return [self._converter.unstructure(entry) for entry in value]
        return [*value] if kind == tuple[str, ...] else value
