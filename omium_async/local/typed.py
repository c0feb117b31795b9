"""Users' types at the edges of workflows: inputs and results of steps read into them, results written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._data.reading import check_type, read_typed
from .._data.shared import is_ours, shared
from .._data.validation import ValidationError
from .._errors import ConfigurationError
from .annotations import ABSENT, result_type_of
from .jsontext import decode, encode_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._data.converter import OmiumConverter

__all__ = ["Types"]


class Types:
    """The converter of one server, as its workflows use it.

    :param converter: what `make_converter` gives; None: the process's shared one.
    :raises ConfigurationError: it is something else.
    """

    def __init__(self, converter: OmiumConverter | None) -> None:
        if converter is not None and not is_ours(converter):
            raise ConfigurationError(
                f"converter must be what make_converter() gives, or a copy of it, not {converter!r:.80}",
                setting="converter",
                source="argument",
            )
        self._given = converter

    @property
    def converter(self) -> OmiumConverter:
        """Made when it is first needed: it brings cattrs."""
        return shared() if self._given is None else self._given

    def check(self, type: Any, name: str) -> None:
        """See that values of this type can be read.

        :raises TypeError: they cannot; it says what would help.
        """
        check_type(self.converter, type, name)

    def read(self, value: Any, type: Any, place: str) -> Any:
        """JSON data as this type.

        :raises TypeError: it does not fit; it names the place, such as `input_data.lines`.
        """
        if type is ABSENT:
            return value
        try:
            return read_typed(self.converter, value, type, place)
        except ValidationError as error:
            raise TypeError(f"{error.path}: {error.message}") from error

    def written(self, value: Any, what: str) -> bytes:
        """The JSON text of what user code gave; `what` begins the error.

        :raises TypeError: JSON cannot hold it; it names the place.
        """
        return encode_result(value, what, self.converter)

    def step_type(self, name: str, function: Callable[..., Any], result_type: Any) -> Any:
        """What a step's result is read into: the type asked for, or that of the function's annotation, if there is one
        that can be read.

        :raises TypeError: the type asked for cannot.
        """
        if result_type is not ABSENT:
            self.check(result_type, f"result_type of step {name!r}")
            return result_type
        annotated = result_type_of(function)
        if annotated is not ABSENT:
            try:
                self.check(annotated, "the annotation")
            except TypeError:
                return ABSENT
        return annotated

    def recorded(self, name: str, value: Any, type: Any) -> bytes:
        """What is recorded of a step's result: once it was read into its type, so that each later reading gives the
        same.

        :raises TypeError: it does not fit, or JSON cannot hold it.
        """
        what = f"step {name!r} returned"
        text = self.written(value, what)
        if type is ABSENT:
            return text
        try:
            typed = self.read(decode(text), type, "result")
        except TypeError as error:
            raise TypeError(f"{what} what is not of its type: {error}") from error
        return self.written(typed, what)
