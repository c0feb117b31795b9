"""What the service speaks of, and how it is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._data.shared import add_rules

if TYPE_CHECKING:
    from .._data.converter import OmiumConverter


def _register(converter: OmiumConverter) -> None:
    from .rules import register_models  # noqa: PLC0415 - imports cattrs

    register_models(converter)


add_rules(_register)
