"""The base of all errors of this package: the outcome of a write, and copies by pickle, JSON and ``copy``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar
from typing import TYPE_CHECKING, Any, Final

from .._data.text import LONGEST_ID, LONGEST_MESSAGE, clean_id, one_line
from .attempts import Attempt, WriteOutcome
from .carried import ATTEMPTS, OUTCOME, TEXTS, Carried, Carrier

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


def _line(text: str) -> str:
    return one_line(text, LONGEST_MESSAGE)


def _short_line(text: str | None) -> str | None:
    return None if text is None else one_line(text, LONGEST_ID)


class _Signature:
    """The signature of an error class, for people and tools that inspect it."""

    def __get__(self, error: object, cls: type[OmiumError]) -> inspect.Signature | None:
        return cls._signature()  # pyright: ignore[reportPrivateUsage] - of the class that has this


class OmiumError(Carrier):
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

    __signature__ = _Signature()

    message: Carried[str, str] = Carried(default="", store=_line, kw_only=False)
    outcome: Carried[WriteOutcome | str, WriteOutcome] = Carried(
        default=WriteOutcome.UNKNOWN, store=WriteOutcome, form=OUTCOME
    )
    request_id: Carried[str | None, str | None] = Carried(default=None, store=_short_line)
    idempotency_key: Carried[str | None, str | None] = Carried(default=None)
    execution_id: Carried[str | None, str | None] = Carried(default=None)
    attempts: Carried[tuple[Attempt, ...], tuple[Attempt, ...]] = Carried(default=(), form=ATTEMPTS)
    _of_batch: Carried[bool, bool] = Carried(default=False, init=False)  # whether `outcome` is about all of its items

    if TYPE_CHECKING:
        details: InitVar[Details] = Carried(default=None, kw_only=False)  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
    else:

        def __init__(self, message: str = "", details: Details = None, **given: Any) -> None:
            super().__init__(message)
            self.message = message
            for name, field in self._fields():
                setattr(self, name, given.pop(name, field.default) if field.is_keyword else field.default)
            if given:
                raise TypeError(f"{type(self).__name__} has no argument {next(iter(given))!r}")
            if details is not None and not isinstance(details, Mapping):
                raise TypeError(f"{type(self).__name__} takes a message; give all other arguments by name")
            self._take(details or {})

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if cls.__module__.startswith(_PACKAGE):
            _CLASSES[cls.__name__] = cls

    @classmethod
    def _signature(cls) -> inspect.Signature | None:
        """Return the signature of the constructor; ``None`` for a class with a constructor of its own."""
        if cls.__init__ is not OmiumError.__init__:
            return None
        kinds = inspect.Parameter
        keywords = {name: field.default for name, field in cls._fields() if field.is_keyword}
        return inspect.Signature(
            [
                kinds("message", kinds.POSITIONAL_OR_KEYWORD, default=""),
                kinds("details", kinds.POSITIONAL_OR_KEYWORD, default=None),
                *(kinds(name, kinds.KEYWORD_ONLY, default=default) for name, default in keywords.items()),
            ]
        )

    @classmethod
    def _fields(cls) -> Iterator[tuple[str, Carried[Any, Any]]]:
        """Yield the attributes besides the message."""
        return ((name, field) for name, field in cls._carried.items() if name != "message")

    def _take(self, details: Mapping[str, Any]) -> None:
        """Set what ``args`` of another error hold."""
        for name, field in self._fields():
            if name in details:
                field.set_from_json(self, details[name])
        if "notes" in details:
            self.__notes__ = [*TEXTS.back(details["notes"])]

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
        found = {name: field.to_json(self) for name, field in self._fields() if not field.is_default(self)}
        notes: list[str] = getattr(self, "__notes__", [])
        if notes:
            found["notes"] = TEXTS.to(tuple(notes))
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
