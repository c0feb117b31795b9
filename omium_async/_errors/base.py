"""The root of all errors of this package: what each says of a write, and how it survives every road."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict

from .._data.text import LONGEST_ID, LONGEST_MESSAGE, clean_id, one_line
from .attempts import Attempt, WriteOutcome
from .carried import from_json, to_json

__all__ = ["CommonFields", "Details", "OmiumError"]

Details = Mapping[str, Any] | None

_WHAT_NOW: Final = {
    WriteOutcome.UNKNOWN: "outcome unknown: the write may have been applied, look before sending it again",
    WriteOutcome.APPLIED: "the write was applied: do not send it again",
}


#: Of an error that ended a batch: the request in its message may be a read.
_BATCH: Final = {
    WriteOutcome.UNKNOWN: "of the batch, some writes may have been applied: look before sending them again",
    WriteOutcome.APPLIED: "of the batch, some writes were applied: do not send these again",
    WriteOutcome.NOT_APPLIED: "of the batch, no write was applied",
}


class CommonFields(TypedDict, total=False):
    """What every error takes besides its message."""

    outcome: WriteOutcome | str
    request_id: str | None
    idempotency_key: str | None
    execution_id: str | None
    attempts: tuple[Attempt, ...]


class OmiumError(Exception):
    """Base of all errors of this package.

    Ask `outcome` whether what failed may be sent again: only ``"not_applied"`` invites it. All that an error carries
    is in its ``args``, as JSON can hold it: ``type(error)(*error.args)`` is an equal error, as are those that pickle,
    ``copy`` and task queues make of it.

    :param message: what happened, in one line; what is not clean text is made so.
    :param details: what ``args`` held after the message, where an error is built again; else nothing.
    :ivar message: what happened, without the request's particulars, which ``str()`` adds.
    :ivar outcome: what became of what the call was to write, as a `WriteOutcome`: ``"not_applied"`` (also of every
        read), ``"applied"``, or ``"unknown"``, which is what an error made from a message alone says.
    :ivar request_id: the id to quote to the service's support; ``None`` where nothing was sent.
    :ivar idempotency_key: the key that the write carried, ``None`` on reads.
    :ivar execution_id: the execution that is known to exist although the call failed, ``None`` where none is.
    :ivar attempts: all attempts of the call, the last too; empty where none began.
    :ivar is_of_batch: whether the error ended a batch, so that ``outcome`` is about all its items.
    """

    #: What errors of a class carry besides their message, and what each is where it is not given. A class writes down
    #: what it adds.
    _carries: ClassVar[Mapping[str, Any]] = {
        "outcome": WriteOutcome.UNKNOWN,
        "request_id": None,
        "idempotency_key": None,
        "execution_id": None,
        "attempts": (),
        "is_of_batch": False,
    }

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        carried = [vars(base).get("_carries", {}) for base in reversed(cls.__mro__)]
        cls._carries = {name: default for each in carried for name, default in each.items()}

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
        self.is_of_batch = False
        self.outcome = WriteOutcome(outcome)
        if details is not None:
            self._take(details)

    def _take(self, details: Mapping[str, Any]) -> None:
        if not isinstance(details, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{type(self).__name__} takes a message; what else it carries is given by name")
        for name in self._carries:
            if name in details:
                setattr(self, name, from_json(name, details[name]))
        if "notes" in details:
            self.__notes__ = [*from_json("notes", details["notes"])]

    # Cleaned wherever they come from: both are set after an error is made, too.

    @property
    def message(self) -> str:
        """What happened, without the request's particulars."""
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
        """Whether what was to be written may have been applied."""
        return self.outcome == WriteOutcome.UNKNOWN

    # -- every road ----------------------------------------------------------------------------------------------------

    def _get_args(self) -> tuple[Any, ...]:
        """The message, and a mapping of what else the error carries as JSON can hold it, if there is anything."""
        details = self._details()
        return (self.message, details) if details else (self.message,)

    def _set_args(self, values: Iterable[Any]) -> None:
        type(self).__init__(self, *values)

    if not TYPE_CHECKING:  # for which it is the attribute that every exception has
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
        # By its attributes and not by `args`: whatever else somebody has set travels too, also of a class of theirs.
        state = self.__dict__.copy()
        if "__notes__" in state:
            state["__notes__"] = [*state["__notes__"]]
        return _empty, (type(self),), state

    # -- in words ------------------------------------------------------------------------------------------------------

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
        if what_now := self._what_now():
            found.append(what_now)
        return found

    def _what_now(self) -> str | None:
        if self.is_of_batch:
            return _BATCH[WriteOutcome(self.outcome)]
        if self.outcome == WriteOutcome.NOT_APPLIED:
            wrote = self.idempotency_key is not None
            return "the write was not applied and may be sent again" if wrote else None
        return _WHAT_NOW[WriteOutcome(self.outcome)]


def _empty(cls: type[OmiumError]) -> OmiumError:
    return cls.__new__(cls)
