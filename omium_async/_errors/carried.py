"""What errors carry: each attribute is declared once, with its keyword, its default, and its form in JSON.

The JSON values are for task queues, journals and the command line.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NamedTuple, TypeVar, cast, dataclass_transform

import attrs

from .._data.text import encodes
from .attempts import Attempt, Headers, WriteOutcome

G = TypeVar("G")  # what is given
S = TypeVar("S")  # what is stored


class Form(NamedTuple):
    """How a value that is not ``None`` becomes a JSON value and back."""

    to: Callable[[Any], Any]
    back: Callable[[Any], Any]


# -- values without a form in JSON: an object with one key names the form ----------------------------------------------


def _plain_to(value: Any) -> Any:
    if isinstance(value, str):
        text = str.__str__(value)
        return text if encodes(text) else {"surrogates": _base64(text.encode("utf-8", "surrogatepass"))}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _plain_from(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    tagged: dict[str, str] = cast("Any", data)
    if "float" in tagged:
        return float(tagged["float"])
    return base64.b64decode(tagged["surrogates"]).decode("utf-8", "surrogatepass")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _headers_to(headers: Mapping[str, str]) -> Any:
    # Pairs instead of an object, because a name may have a lone surrogate too.
    return [[_plain_to(name), _plain_to(value)] for name, value in headers.items()]


def _headers_from(data: list[list[Any]]) -> Headers:
    return Headers({_plain_from(name): _plain_from(value) for name, value in data})


def _texts_to(texts: tuple[str, ...]) -> Any:
    return [_plain_to(text) for text in texts]


def _texts_from(data: list[Any]) -> tuple[str, ...]:
    return tuple([_plain_from(entry) for entry in data])


def _attempts_to(attempts: tuple[Attempt, ...]) -> Any:
    return [
        {field.name: _form_in_attempt(field.name).to(getattr(attempt, field.name)) for field in attrs.fields(Attempt)}
        for attempt in attempts
    ]


def _attempts_from(data: list[dict[str, Any]]) -> tuple[Attempt, ...]:
    known = {field.name for field in attrs.fields(Attempt)}  # another version may have more
    return tuple(
        [
            Attempt(**{name: _form_in_attempt(name).back(value) for name, value in each.items() if name in known})
            for each in data
        ]
    )


def _form_in_attempt(name: str) -> Form:
    return HEADERS if name == "headers" else PLAIN


PLAIN: Final = Form(_plain_to, _plain_from)
OUTCOME: Final = Form(str, WriteOutcome)
BYTES: Final = Form(_base64, base64.b64decode)
HEADERS: Final = Form(_headers_to, _headers_from)
TEXTS: Final = Form(_texts_to, _texts_from)
ATTEMPTS: Final = Form(_attempts_to, _attempts_from)


# -- attributes --------------------------------------------------------------------------------------------------------


def _itself(value: Any) -> Any:
    return value


class Carried(Generic[G, S]):
    """An attribute of errors, and the keyword of their constructors that sets it.

    :param default: the value if the keyword is not given.
    :param store: returns what is stored of a given value, also of one that is assigned later.
    :param form: of the stored value in JSON.
    :param init: whether the constructors have the keyword.
    :param kw_only: whether it can be given by its name only.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: tuple[Any, Any]) -> Any:
            """Return the type of the stored value, which type hints and documentation show at run time."""
            return types[1]

    def __init__(
        self,
        *,
        default: G,
        store: Callable[[G], S] = _itself,
        form: Form = PLAIN,
        init: bool = True,
        kw_only: bool = True,
    ) -> None:
        self.default = default
        self.is_keyword = init and kw_only
        self._store = store
        self._form = form

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, error: object, cls: Any = None) -> S:
        if error is None:
            return cast("S", self)
        try:
            return cast("S", vars(error)[self.name])
        except KeyError:  # its constructor has not come so far
            raise AttributeError(self.name) from None

    def __set__(self, error: object, value: G) -> None:
        vars(error)[self.name] = self._store(value)

    def is_default(self, error: object) -> bool:
        """Whether an error has the default."""
        return bool(vars(error)[self.name] == self._store(self.default))

    def to_json(self, error: object) -> Any:
        """Return the value of an error as a JSON value."""
        value = vars(error)[self.name]
        return None if value is None else self._form.to(value)

    def set_from_json(self, error: object, data: Any) -> None:
        """Set the value of an error from a JSON value."""
        vars(error)[self.name] = None if data is None else self._form.back(data)


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(Carried,))
class Carrier(Exception):  # noqa: N818 - no error by itself
    """Base of `OmiumError`: type checkers derive the constructors of its subclasses from their `Carried` attributes."""

    #: The attributes of the class and its bases, by name.
    _carried: ClassVar[Mapping[str, Carried[Any, Any]]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own: dict[str, Carried[Any, Any]] = {
            name: field for name, field in vars(cls).items() if isinstance(field, Carried)
        }
        cls._carried = {**cls._carried, **own}
