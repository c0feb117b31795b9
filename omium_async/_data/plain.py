"""What users give, as JSON: everything that JSON would change or lose is refused, with its place, before it is sent.

Most data is plain already, and whether it is, C finds out: data of built-in types that comes back equal from being
encoded and decoded loses nothing. Only other data is walked through here, which takes three times as long and either
gives it its plain form or says what is wrong. What form a class has is asked of the converter: its hooks are the forms
below, or a user's own.
"""

from __future__ import annotations

import enum
import marshal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec

from .foreign import full_name
from .forms import BUILT_IN, SHAPES, SerializationError, Shape, refuse

if TYPE_CHECKING:
    import cattrs

__all__ = ["Form", "plain"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def plain(value: Any, name: str, converter: cattrs.Converter | None = None) -> Any:
    """``value`` as plain JSON data, changed in form only.

    Tuples become arrays, other mappings objects, attrs classes and dataclasses objects of all their fields (also
    private ones, as ``attrs.asdict`` does), enums their value, datetimes RFC 3339 text (naive ones stay naive, which
    the service takes as UTC), dates, times of day, UUIDs, ``Decimal`` and paths their exact text, pydantic models and
    msgspec structs what these libraries write, numpy's scalars the number they are; subclasses of ``str``, ``int`` and
    ``float`` are sent as those. Data that is plain already is given back itself, not a copy.

    :param value: the data.
    :param name: what messages call it, such as ``input_data``.
    :param converter: whose hooks turn other classes into such data; ``None``: the forms of this package alone.
    :raises TypeError: for what JSON has no form for: sets, bytes, keys that are not text, and so on. The message names
        the place, such as ``input_data.a[3]``, and the hook that would help.
    :raises ValueError: for NaN, infinities, lone surrogates, integers of more than 4,300 digits, two keys of the same
        text, data nested too deeply or holding itself; and where a user's hook fails.
    """
    if _is_plain(value):
        return value
    return _told(name, _Walk(converter), value)


def _is_plain(value: Any) -> bool:
    try:
        marshal.dumps(value)  # refuses all but built-in types, so no equality below is of another class's making
        return bool(_decode(_encode(value)) == value)
    except Exception:  # noqa: BLE001 - whatever it is, the walk finds its place and says it better
        return False


def _told(name: str, form: Callable[[Any], Any], value: Any) -> Any:
    try:
        return form(value)
    except SerializationError as error:
        raise error.kind(f"{name}{error.place}: {error.problem}") from error.__cause__
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply to be sent as JSON, or holding itself") from None


class Form:
    """An unstructure hook of this package; what contains other data has its entries looked up in turn."""

    __slots__ = ("_converter", "shape")

    def __init__(self, shape: Shape, converter: cattrs.Converter | None = None) -> None:
        self.shape = shape
        self._converter = converter

    def __call__(self, value: Any) -> Any:
        """The value's plain form. Raises as `plain` does."""
        walk = _Walk(self._converter)
        return _told("the value", lambda value: walk.by_shape(self, value), value)


def _form_of(kind: Any) -> Form:
    return Form(next(shape for applies, shape in SHAPES if applies(kind)))


class _Walk:
    """Goes through data, with the hooks of one converter."""

    __slots__ = ("_hook_of",)

    def __init__(self, converter: cattrs.Converter | None) -> None:
        self._hook_of = _form_of if converter is None else converter.get_unstructure_hook

    def __call__(self, value: Any) -> Any:
        kind = cast("Any", type(value))
        shape = BUILT_IN.get(kind)
        if shape is not None:
            return shape(value, self)
        hook: Any = self._hook_of(kind)
        return self.by_shape(hook, value) if type(hook) is Form else self._by_hook(hook, value)

    def by_shape(self, form: Form, value: Any) -> Any:
        if isinstance(value, enum.Enum):  # before str and int, which an enum may be as well
            return self(value.value)
        return form.shape(value, self)

    def _by_hook(self, hook: Callable[[Any], Any], value: Any) -> Any:
        kind = cast("Any", type(value))
        try:
            found = hook(value)
        except RecursionError:
            raise
        except Exception as error:
            raised = TypeError if isinstance(error, TypeError) else ValueError
            raise SerializationError(
                raised, f"the hook of {full_name(kind)} failed: {type(error).__name__}: {error}"
            ) from error
        if type(found) is not kind:
            return self(found)
        for base, shape in BUILT_IN.items():  # left as it is, which does for subclasses of these
            if isinstance(found, base):
                return shape(found, self)
        return refuse(TypeError, f"the hook of {full_name(kind)} gave a {full_name(kind)} again, not JSON data")
