"""Users' types, from JSON and held against it: what workflows ask of a converter."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast, is_typeddict

from .foreign import full_name
from .plain import plain
from .validation import ValidationError, validation_error_of

if TYPE_CHECKING:
    from .converter import OmiumConverter

__all__ = ["check_type", "matches", "read_typed"]

T = TypeVar("T")


def read_typed(converter: OmiumConverter, value: Any, type: type[T], place: str) -> T:
    """``value``, which is plain JSON data, as a user's type.

    :param converter: whose hooks read it.
    :param value: the data.
    :param type: the type asked for; any annotation that `check_type` lets through.
    :param place: what the path begins with, such as ``output_data``.
    :raises ValidationError: it does not fit; ``path`` names the place, such as ``output_data.lines``.
    """
    try:
        return cast("T", converter.get_structure_hook(type)(value, type))
    except Exception as error:
        error = validation_error_of(error).inside(place)
        raise error from (None if isinstance(error, ValidationError) else error)


def check_type(converter: OmiumConverter, type: Any, name: str = "the type") -> None:
    """See that values of a type can be read, also inside optionals and containers.

    :param converter: whose hooks are to read it.
    :param type: the annotation.
    :param name: what messages call it, such as ``output_type``.
    :raises TypeError: it cannot be structured, or an annotation in it does not resolve; it says what would help.
    """
    from cattrs.errors import StructureHandlerNotFoundError  # noqa: PLC0415 - imported with the converter already

    from .unions import is_union  # noqa: PLC0415 - imports cattrs

    shown = _shown(type)
    try:
        converter.get_structure_hook(type)
    except StructureHandlerNotFoundError as error:
        inner = _shown(error.type_)
        within = "" if inner == shown else f", which {shown} holds"
        why = f"{error} " if is_union(error.type_) else f"nothing is known of how to read {inner}{within}; "
        raise TypeError(f"{name}: {why}register a hook: converter.register_structure_hook({inner}, ...)") from error
    except NameError as error:
        raise TypeError(f"{name}: an annotation of {shown} does not resolve: {error}") from error
    except Exception as error:
        raise TypeError(f"{name}: {shown} cannot be structured: {error}") from error


def matches(converter: OmiumConverter, value: Any, type: Any, name: str) -> None:
    """See that an input is of its type: by instance where that is a class, else by reading it back.

    :param converter: the hooks to read it with.
    :param value: the input, as a user gave it.
    :param type: the type it is to be of.
    :param name: what messages call it, such as ``input_data``.
    :raises TypeError: it is of another.
    :raises ValueError: it has no form in JSON that could be read back.
    """
    if type is Any or type is object:
        return
    if isinstance(type, _TYPE) and not is_typeddict(type):
        if not _is_instance(value, type):
            got = "None" if value is None else _a(full_name(value.__class__))
            raise TypeError(f"{name}: expected {_a(full_name(type))}, got {got}")
        return
    try:
        read_typed(converter, plain(value, name, converter), type, name)
    except ValidationError as error:
        raise TypeError(f"{error.path}: {error.message}") from None


_TYPE = type


def _is_instance(value: Any, cls: Any) -> bool:
    if cls is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    # Two that are instances of a class as which they would not be read back.
    if (cls is int and isinstance(value, bool)) or (cls is date and isinstance(value, datetime)):
        return False
    return isinstance(value, cls)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"


def _shown(type: Any) -> str:
    return full_name(type) if isinstance(type, _TYPE) and not hasattr(type, "__origin__") else str(type)
