"""Types without attrs classes, for libraries that derive a JSON schema by pydantic, which does not know attrs."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, Union, get_args

import attrs

from .kinds import base_of, has_fields, is_literal, is_union, types_of_fields

_SIMPLE: Final = (str, int, float, bool, type(None))


def dataclass_form(kind: Any, within: tuple[Any, ...] = ()) -> Any:
    """Return the type with dataclasses of the same fields in place of attrs classes; without these, the type itself.

    :param kind: any annotation.
    :param within: the classes that hold it. An attrs class that holds itself becomes ``Any`` there.
    """
    if has_fields(kind):
        return _of_class(kind, within)
    arguments = get_args(kind)
    if not arguments or is_literal(kind):
        return kind
    forms = tuple([dataclass_form(each, within) for each in arguments])
    if all(form is each for form, each in zip(forms, arguments, strict=True)):
        return kind
    return Union[forms] if is_union(kind) else base_of(kind)[forms]  # noqa: UP007 - of a tuple of types


def _of_class(kind: Any, within: tuple[Any, ...]) -> Any:
    base = base_of(kind)
    is_attrs = attrs.has(base)
    if base in within:
        return Any if is_attrs else kind
    types = types_of_fields(kind)
    fields: Any = attrs.fields(base) if is_attrs else dataclasses.fields(base)
    forms = {field.name: dataclass_form(types[field.name], (*within, base)) for field in fields if field.init}
    if not is_attrs and all(form is types[name] for name, form in forms.items()):
        return kind
    declared = [(field.name, forms[field.name], _default(field)) for field in fields if field.init]
    return dataclasses.make_dataclass(base.__name__, declared, kw_only=True, namespace={"__doc__": base.__doc__ or ""})


def _default(field: Any) -> Any:
    if isinstance(field.default, _SIMPLE):
        return dataclasses.field(default=field.default)
    if field.default is attrs.NOTHING or (
        field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ):
        return dataclasses.field()
    return dataclasses.field(default_factory=lambda: None)  # not required; the schema shows no such default
