"""The base of all errors of this package: the outcome of a write, and copies by pickle, JSON and ``copy``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict

from .._data.text import LONGEST_ID, LONGEST_MESSAGE, clean_id, one_line
from .attempts import Attempt, WriteOutcome
from .carried import from_json, to_json

Details = Mapping[str, Any] | None

_ADVICE: Final = {
    WriteOutcome.UNKNOWN: "outcome unknown: the write may have been applied, check before sending it again",
    WriteOutcome.APPLIED: "the write was applied: do not send it again",
    WriteOutcome.NOT_APPLIED: "the write was not applied and may be sent again",
}
_FINAL: Final = "the write was not applied; sending it again will be refused too"
#: The advice of an error that ended a batch: the request in its message may be a read.
_BATCH: Final = {
    WriteOutcome.UNKNOWN: "of the batch, some writes may have been applied: check before sending them again",
    WriteOutcome.APPLIED: "of the batch, some writes were applied: do not send these again",
    WriteOutcome.NOT_APPLIED: "of the batch, no write was applied",
}


#: The error classes of this package by their names, for `error_from_json`.
_CLASSES: Final[dict[str, type[OmiumError]]] = {}
_PACKAGE: Final = __name__.partition(".")[0] + "."


class CommonFields(TypedDict, total=False):
    """The arguments of every error."""

    outcome: WriteOutcome | str
    request_id: str | None
    idempotency_key: str | None
    execution_id: str | None
    attempts: tuple[Attempt, ...]


class OmiumError(Exception):
    """Base of all errors of this package.

    Only the outcome ``"not_applied"`` means that calling again cannot apply a write twice. ``args`` holds all that an
    error carries, as JSON values: ``type(error)(*error.args)``, pickle, ``copy`` and task queues give an equal error.

    :param message: what happened; it becomes one line of clean text.
    :param details: the second of ``args``, to build an error again; otherwise nothing.
    :ivar message: what happened, without the ids and attempts that ``str()`` adds.
    :ivar outcome: the outcome of the call's write, a `WriteOutcome`: ``"not_applied"`` (also of every read),
        ``"applied"``, or ``"unknown"`` (also of an error created from a message alone).
    :ivar request_id: the id to quote to the service's support; ``None`` if nothing was sent.
    :ivar idempotency_key: the key that the write carried; ``None`` for a read.
    :ivar execution_id: the execution that exists although the call failed; ``None`` if none is known.
    :ivar attempts: all attempts of the call, including the last; empty if none began.
    """

    #: The attributes that ``args`` carry, with their defaults. A subclass declares those that it adds.
    _carries: ClassVar[Mapping[str, Any]] = {
        "outcome": WriteOutcome.UNKNOWN,
        "request_id": None,
        "idempotency_key": None,
        "execution_id": None,
        "attempts": (),
        "_of_batch": False,
    }

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        carried = [vars(base).get("_carries", {}) for base in reversed(cls.__mro__)]
        cls._carries = {name: default for each in carried for name, default in each.items()}
        if cls.__module__.startswith(_PACKAGE):
            _CLASSES[cls.__name__] = cls

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        outcome: WriteOutcome | str = WriteOutcome.UNKNOWN,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        execution_id: str | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.idempotency_key = idempotency_key
        self.execution_id = execution_id
        self.attempts = attempts
        self._of_batch = False  # whether `outcome` is about all items of a batch
        self.outcome = WriteOutcome(outcome)
        if details is not None:
            self._take(details)

    def _take(self, details: Mapping[str, Any]) -> None:
        if not isinstance(details, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{type(self).__name__} takes a message; give all other arguments by name")
        for name in self._carries:
            if name in details:
                setattr(self, name, from_json(name, details[name]))
        if "notes" in details:
            self.__notes__ = [*from_json("notes", details["notes"])]

    # Cleaned at each assignment, because both are also set after an error is created.

    @property
    def message(self) -> str:
        """What happened, without the ids and attempts that ``str()`` adds."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        self._message = one_line(text, LONGEST_MESSAGE)

    @property
    def request_id(self) -> str | None:
        """The id to quote to the service's support."""
        return self._request_id

    @request_id.setter
    def request_id(self, text: str | None) -> None:
        self._request_id = None if text is None else one_line(text, LONGEST_ID)

    @property
    def outcome_unknown(self) -> bool:
        """Whether the write may have been applied."""
        return self.outcome == WriteOutcome.UNKNOWN

    # -- args, pickle, copy --------------------------------------------------------------------------------------------

    def _get_args(self) -> tuple[Any, ...]:
        """Return the message and, if there is more, a mapping of all else as JSON values."""
        details = self._details()
        return (self.message, details) if details else (self.message,)

    def _set_args(self, values: Iterable[Any]) -> None:
        type(self).__init__(self, *values)

    if not TYPE_CHECKING:  # type checkers see the attribute of every exception
        args = property(_get_args, _set_args)

    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, default in self._carries.items():
            value = getattr(self, name)
            if value != default:
                found[name] = to_json(name, value)
        notes: list[str] = getattr(self, "__notes__", [])
        if notes:
            found["notes"] = to_json("notes", tuple(notes))
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        # By its attributes instead of `args`, so that attributes that users set, or add in subclasses, are kept.
        state = self.__dict__.copy()
        if "__notes__" in state:
            state["__notes__"] = [*state["__notes__"]]
        return _empty, (type(self),), state

    # -- text ----------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __str__(self) -> str:
        particulars = "; ".join(self._particulars())
        headline = self._headline()
        return f"{headline} [{particulars}]" if particulars else headline

    def _headline(self) -> str:
        return self.message

    def _particulars(self) -> list[str]:
        found: list[str] = []
        if self.execution_id is not None and (shown := clean_id(self.execution_id)) not in self.message:
            found.append(f"execution {shown}")
        if self.request_id is not None:
            found.append(f"request id {self.request_id}")
        if len(self.attempts) > 1:
            found.append(f"{len(self.attempts)} attempts")
        if advice := self._advice():
            found.append(advice)
        return found

    def _advice(self) -> str | None:
        """Return what the outcome means for the caller."""
        if self._of_batch:
            return _BATCH[WriteOutcome(self.outcome)]
        if self.outcome == WriteOutcome.NOT_APPLIED and self.idempotency_key is None:  # the error of a read
            return None
        if self.outcome == WriteOutcome.NOT_APPLIED and self._is_final():
            return _FINAL
        return _ADVICE[WriteOutcome(self.outcome)]

    def _is_final(self) -> bool:
        """Whether the same request would be refused again."""
        return False


def set_batch_outcome(error: OmiumError, outcome: WriteOutcome) -> None:
    """Make the outcome of an error that ends a batch that of all its items; the text of the error says so."""
    error.outcome = outcome
    error._of_batch = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - not public


def _empty(cls: type[OmiumError]) -> OmiumError:
    return cls.__new__(cls)


# -- JSON objects, for journals ----------------------------------------------------------------------------------------


def error_to_json(error: OmiumError) -> dict[str, Any]:
    """Return an error as one JSON object: ``type``, ``message``, and the details of its ``args``.

    The type of a user's subclass is the class of this package that it is made from.
    """
    message, *details = error.args
    kind = next(cls for cls in type(error).__mro__ if cls is OmiumError or _CLASSES.get(cls.__name__) is cls)
    return {"type": kind.__name__, "message": message, **(details[0] if details else {})}


def error_from_json(data: Mapping[str, Any]) -> OmiumError:
    """Return the error of `error_to_json`; an `OmiumError` that names the type if this version does not know it.

    :raises TypeError: the object was not made by `error_to_json`.
    """
    details = {name: value for name, value in data.items() if name not in ("type", "message")}
    kind, message = str(data.get("type")), str(data.get("message", ""))
    if kind in _CLASSES:
        return _CLASSES[kind](message, details)
    return OmiumError(message if kind == OmiumError.__name__ else f"{kind}: {message}", details)
