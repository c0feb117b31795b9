"""The types of typed workflows: read data as them, and check types and inputs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeVar, cast, is_typeddict

from cattrs.errors import StructureHandlerNotFoundError

from .converter import OmiumConverter
from .kinds import full_name, is_union, shown_type
from .plain import plain
from .validation import ValidationError, read_inside

T = TypeVar("T")


def read_typed(converter: OmiumConverter, value: Any, cls: type[T], place: str) -> T:
    """Return plain JSON data as a user's type.

    :param converter: the converter whose hooks read it.
    :param value: the data.
    :param cls: the requested type; any annotation that `check_type` accepts.
    :param place: the beginning of the path, such as ``output_data``.
    :raises ValidationError: the data does not fit; ``path`` is the place, such as ``output_data.lines``.
    """
    return cast("T", read_inside(place, converter.get_structure_hook(cls), cls, value))


def check_type(converter: OmiumConverter, cls: Any, name: str = "the type") -> None:
    """Check that values of a type can be read, also inside optionals and containers.

    :param converter: the converter whose hooks read them.
    :param cls: the annotation.
    :param name: the name of the type in messages, such as ``output_type``.
    :raises TypeError: the type cannot be structured, or an annotation in it does not resolve; the message says what
        would help.
    """
    shown = shown_type(cls)
    try:
        converter.get_structure_hook(cls)
    except StructureHandlerNotFoundError as error:
        inner = shown_type(error.type_)
        within = "" if inner == shown else f" in {shown}"
        why = f"{error} " if is_union(error.type_) else f"there is no hook for {inner}{within}; "
        raise TypeError(f"{name}: {why}register a hook: converter.register_structure_hook({inner}, ...)") from error
    except NameError as error:
        raise TypeError(f"{name}: an annotation of {shown} does not resolve: {error}") from error
    except Exception as error:
        raise TypeError(f"{name}: {shown} cannot be structured: {error}") from error


def check_input(converter: OmiumConverter, value: Any, cls: Any, name: str) -> None:
    """Check that an input has its type: by instance if the type is a class, otherwise by reading it back.

    :param converter: the converter whose hooks read it back.
    :param value: the input, as a user gave it.
    :param cls: its type.
    :param name: the name of the input in messages, such as ``input_data``.
    :raises TypeError: it has another type.
    :raises ValueError: JSON would change it.
    """
    if cls is Any or cls is object:
        return
    if isinstance(cls, type) and not is_typeddict(cls):
        if not _is_instance(value, cls):
            got = "None" if value is None else full_name(value.__class__)
            raise TypeError(f"{name}: expected {full_name(cls)}, got {got}")
        return
    try:
        read_typed(converter, plain(value, name, converter), cls, name)
    except ValidationError as error:
        raise TypeError(f"{error.path}: {error.message}") from None


def _is_instance(value: Any, cls: Any) -> bool:
    if cls is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    # These are instances of the class, but would not be read back as it.
    if (cls is int and isinstance(value, bool)) or (cls is date and isinstance(value, datetime)):
        return False
    return isinstance(value, cls)
