"""What the service speaks of: executions, their checkpoints, and what its writes answer."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar, Final, Unpack

import attrs

from .._data.moments import read_timestamp
from .._errors import OmiumError, WriteOutcome
from .._errors.base import CommonFields, Details
from .._errors.carried import add_form, from_json
from .answer import Answer, Timestamp
from .shown import few, short

__all__ = [
    "SETTLED",
    "CancelResult",
    "Checkpoint",
    "CheckpointDetail",
    "CheckpointPage",
    "Execution",
    "ExecutionDetail",
    "ExecutionFailedError",
    "ExecutionPage",
    "ExecutionRequest",
    "ExecutionStatus",
    "InvalidRequest",
    "OutputError",
    "ReplayResult",
    "RollbackResult",
    "WorkflowInfo",
    "WorkflowPage",
    "ended_as",
]


class ExecutionStatus(enum.StrEnum):
    """The status of an execution; compares equal to its text.

    Open: a text that is no member is kept as it is (``ExecutionStatus("weird") == "weird"``), never an error.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> ExecutionStatus | None:
        if not isinstance(value, str):
            return None
        unseen = str.__new__(cls, value)
        unseen._name_ = unseen._value_ = str(value)
        return unseen

    def __repr__(self) -> str:
        return f"<ExecutionStatus.{self.name}: {self.value!r}>" if self.is_known else f"ExecutionStatus({self.value!r})"

    @property
    def is_known(self) -> bool:
        """Whether the status is one that the service was seen to use."""
        return self.value in STATUS_BY_TEXT

    @property
    def is_settled(self) -> bool:
        """Whether ``wait`` stops here by default; the service may still recover a failed execution by itself."""
        return self in SETTLED


# An enum call costs ten times a look-up; reading a list makes one a row.
STATUS_BY_TEXT: Mapping[str, ExecutionStatus] = {status.value: status for status in ExecutionStatus}

#: The statuses at which ``wait`` stops by default.
SETTLED: frozenset[ExecutionStatus] = frozenset(ExecutionStatus) - {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}

_FAILURES = frozenset({ExecutionStatus.FAILED, ExecutionStatus.ERROR, ExecutionStatus.CANCELLED})


def _aware(moment: datetime | str | None) -> datetime | None:
    """Naive means UTC. Zones with rules become their offset: times in their folds equal no time of another zone."""
    if isinstance(moment, str):
        found = read_timestamp(moment)
        if found is None:
            raise ValueError(f"{moment!r} is no RFC 3339 timestamp")
        return found
    if moment is not None and not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a timestamp is a datetime, not {type(moment).__name__}")
    if moment is None or moment.tzinfo is UTC or isinstance(moment.tzinfo, timezone):
        return moment
    offset = moment.utcoffset()
    return moment.replace(tzinfo=UTC if not offset else timezone(offset))


def _status(text: str | None) -> ExecutionStatus | None:
    return None if text is None else ExecutionStatus(text)


def _no_extra() -> dict[str, Any]:
    return {}


def _extra(*known: str) -> Any:
    """What has no attribute of its own; the live service is known to send keys of these names."""
    return attrs.field(factory=_no_extra, hash=False, kw_only=True, repr=short, metadata={"known": known})


def _moment() -> Any:
    return attrs.field(default=None, converter=_aware, hash=False)  # pyright: ignore[reportUnknownVariableType]


def _value(*, fallback: str | None = None) -> Any:
    """A value that may be absent; the live service may send it under the name of the fallback instead."""
    return attrs.field(default=None, hash=False, repr=short, metadata={"fallback": fallback})


def _one_status() -> Any:
    return attrs.field(default=None, converter=_status, hash=False, repr=short)  # pyright: ignore[reportUnknownVariableType]


@attrs.frozen(slots=True)
class Checkpoint(Answer):
    """A point of an execution from which it can be replayed or to which it can be rolled back.

    :ivar id: names it in ``replay`` and ``rollback``.
    :ivar name: of the step that it follows, from ``name`` or the live service's ``checkpoint_name``.
    :ivar created_at: when it was recorded.
    :ivar extra: every key of the answer that has no attribute of its own, and timestamps that could not be read.
    """

    id: str = attrs.field(repr=short)
    name: str | None = _value(fallback="checkpoint_name")
    created_at: Timestamp | None = _moment()
    extra: dict[str, Any] = _extra()


@attrs.frozen(slots=True)
class Execution(Answer):
    """One run of a workflow, as lists show it. Only ``id`` is sure to be there; the rest may be ``None``.

    Its ``repr`` shows long values cut off; the values themselves are whole.

    :ivar id: names it in every call.
    :ivar workflow_id: the workflow that runs.
    :ivar status: where it stands.
    :ivar created_at: when it was created; aware, as all these moments are.
    :ivar updated_at: when it changed last.
    :ivar started_at: when it began to run.
    :ivar completed_at: when it ended.
    :ivar input_data: what it was created with, as JSON gives it.
    :ivar output_data: its result, as JSON gives it.
    :ivar error: why it failed, from ``error`` or the live service's ``error_message``.
    :ivar metadata: what was kept beside it.
    :ivar agent_id: the agent on whose behalf it runs.
    :ivar extra: every key of the answer that has no attribute of its own, and timestamps that could not be read.
    """

    id: str = attrs.field(repr=short)
    workflow_id: str | None = _value()
    status: ExecutionStatus | None = _one_status()
    created_at: Timestamp | None = _moment()
    updated_at: Timestamp | None = _moment()
    started_at: Timestamp | None = _moment()
    completed_at: Timestamp | None = _moment()
    input_data: Any = _value()
    output_data: Any = _value()
    error: str | None = _value(fallback="error_message")
    metadata: dict[str, Any] | None = _value()
    agent_id: str | None = _value()
    extra: dict[str, Any] = _extra("tenant_id")

    @property
    def duration(self) -> timedelta | None:
        """How long a settled execution took; ``None`` while it is not settled, or if a time is missing.

        It counts from ``started_at``, else ``created_at``, to ``completed_at``, else ``updated_at``.
        """
        if self.status is None or not self.status.is_settled:
            return None
        start = self.started_at or self.created_at
        end = self.completed_at or self.updated_at
        return None if start is None or end is None else end - start


def _checkpoints(entries: Iterable[Checkpoint] | None) -> tuple[Checkpoint, ...]:
    return tuple(entries or ())


def _items(rows: Iterable[Execution]) -> tuple[Execution, ...]:
    return tuple(rows)


@attrs.frozen(slots=True)
class ExecutionDetail(Execution):
    """One execution in full: what `Execution` has, and its checkpoints.

    :ivar checkpoints: the oldest first, from ``checkpoints`` or the live service's ``metadata.checkpoints``.
    """

    checkpoints: tuple[Checkpoint, ...] = attrs.field(
        default=(), converter=_checkpoints, hash=False, repr=few, metadata={"nested": "metadata"}
    )

    def checkpoint(self, name: str) -> Checkpoint:
        """The last checkpoint of that name.

        :param name: of the checkpoint.
        :return: the checkpoint.
        :raises KeyError: there is none; the message lists the names there are.
        """
        for found in reversed(self.checkpoints):
            if found.name == name:
                return found
        raise KeyError(f"no checkpoint {name!r} in execution {self.id}; there are: {self.checkpoint_names()}")

    def checkpoint_names(self) -> str:
        """The names of the checkpoints in words, for messages."""
        return ", ".join(repr(found.name) for found in self.checkpoints) or "none"

    @property
    def latest_checkpoint(self) -> Checkpoint | None:
        """The checkpoint listed last, ``None`` without any."""
        return self.checkpoints[-1] if self.checkpoints else None

    def raise_for_status(self) -> None:
        """Do nothing for an execution that ended well, or has not ended.

        :raises ExecutionFailedError: it ended as failed, error or cancelled.
        """
        if self.status in _FAILURES:
            raise ExecutionFailedError(ended_as(self), execution=self)


# -- errors about an execution ---------------------------------------------------------------------------------------

#: Nothing stands for an absent id: the execution's own would be taken for it.
_OF_AN_EXECUTION: Final[Mapping[str, Any]] = {
    "outcome": WriteOutcome.APPLIED,
    "execution_id": ...,
    "execution": None,
}


def ended_as(execution: Execution) -> str:
    """How an execution ended and why, in words."""
    because = f": {execution.error}" if execution.error else ""
    return f"execution {execution.id} ended as {execution.status}{because}"


class ExecutionFailedError(OmiumError):
    """An execution did not end well. ``outcome`` is always ``"applied"``, and ``execution_id`` says which it is.

    :param common: what every `OmiumError` takes.
    :ivar execution: the execution, with its error and its checkpoints; never ``None``.
    """

    _carries: ClassVar[Mapping[str, Any]] = {**_OF_AN_EXECUTION}

    execution: ExecutionDetail

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        execution: ExecutionDetail | None = None,
        **common: Unpack[CommonFields],
    ) -> None:
        self.execution = _execution_of(self, execution, details)
        super().__init__(message, details, **_applied(self.execution, common))


class OutputError(OmiumError):
    """What an execution holds is not of the type asked for. ``outcome`` is always ``"applied"``.

    :param common: what every `OmiumError` takes.
    :ivar execution: the execution as it was answered; never ``None``.
    :ivar path: the place of the offending value, such as ``output_data.lines``.
    """

    _carries: ClassVar[Mapping[str, Any]] = {**_OF_AN_EXECUTION, "path": ""}

    execution: Execution

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        execution: Execution | None = None,
        path: str = "",
        **common: Unpack[CommonFields],
    ) -> None:
        self.path = path
        self.execution = _execution_of(self, execution, details)
        super().__init__(message, details, **_applied(self.execution, common))


def _execution_of(error: OmiumError, execution: Execution | None, details: Details) -> Any:
    if execution is None and isinstance(details, Mapping):
        execution = from_json("execution", details.get("execution"))
    if not isinstance(execution, Execution):
        raise TypeError(f"{type(error).__name__} is made with the execution that it is about: execution=...")
    return execution


def _applied(execution: Execution, common: CommonFields) -> CommonFields:
    """What is known of a write whose execution is at hand, whatever else was said."""
    return {**common, "outcome": WriteOutcome.APPLIED, "execution_id": execution.id}


def _execution_to(execution: Execution) -> Any:
    kind = "detail" if isinstance(execution, ExecutionDetail) else "row"
    return {kind: execution.to_dict()}


def _execution_from(data: dict[str, Any]) -> Execution:
    return ExecutionDetail.from_dict(data["detail"]) if "detail" in data else Execution.from_dict(data["row"])


add_form("execution", _execution_to, _execution_from)


# -- what the other calls answer, and what is asked ------------------------------------------------------------------


@attrs.frozen(slots=True)
class ReplayResult(Answer):
    """What a replay answered.

    :ivar id: the execution that was replayed; ``execution_id`` is the one to follow.
    :ivar status: where it stands now.
    :ivar message: the service's own words.
    :ivar extra: every key of the answer that has no attribute of its own.
    """

    id: str = attrs.field(repr=short)
    status: ExecutionStatus | None = _one_status()
    message: str | None = _value()
    extra: dict[str, Any] = _extra()

    @property
    def execution_id(self) -> str:
        """The execution to follow: the new one where the live service started one, else the one replayed."""
        new = self.extra.get("replay_execution_id")
        return new if isinstance(new, str) and new else self.id


@attrs.frozen(slots=True)
class RollbackResult(Answer):
    """What a rollback answered.

    :ivar id: the execution that was rolled back.
    :ivar status: where it stands now.
    :ivar message: the service's own words.
    :ivar extra: every key of the answer that has no attribute of its own.
    """

    id: str = attrs.field(repr=short)
    status: ExecutionStatus | None = _one_status()
    message: str | None = _value()
    extra: dict[str, Any] = _extra()


def _unless_false(value: bool | None) -> bool:
    return value is not False


@attrs.frozen(slots=True)
class CancelResult(Answer):
    """The result of a cancel.

    :ivar id: the execution.
    :ivar status: its status now.
    :ivar message: the service's own words.
    :ivar cancelled: ``True`` if this call cancelled the execution, ``False`` if it had already ended and nothing was
        sent.
    :ivar extra: all other keys of the response.
    """

    id: str = attrs.field(repr=short)
    status: ExecutionStatus | None = _one_status()
    message: str | None = _value()
    cancelled: bool = attrs.field(default=True, converter=_unless_false)
    extra: dict[str, Any] = _extra()


@attrs.frozen(slots=True)
class CheckpointDetail(Answer):
    """A checkpoint as the Checkpoints API shows it: with its execution and, if it was requested, its state.

    :ivar id: the id that ``replay`` and ``rollback`` take.
    :ivar execution_id: the execution that recorded it.
    :ivar name: the name of the step, from ``name`` or the live service's ``checkpoint_name``.
    :ivar created_at: the time of recording.
    :ivar metadata: what the workflow recorded beside it.
    :ivar state: the recorded state, as JSON gives it; ``None`` if it was not requested or not sent.
    :ivar extra: all other keys of the response, and timestamps that could not be read.
    """

    id: str = attrs.field(repr=short)
    execution_id: str | None = _value()
    name: str | None = _value(fallback="checkpoint_name")
    created_at: Timestamp | None = _moment()
    metadata: dict[str, Any] | None = _value()
    state: Any = _value()
    extra: dict[str, Any] = _extra()


def _texts(entries: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if entries is None else tuple(entries)


@attrs.frozen(slots=True)
class WorkflowInfo(Answer):
    """A workflow as the Workflows API shows it. Only ``id`` is certain; the rest may be ``None``.

    :ivar id: the id that ``create`` takes.
    :ivar name: its name.
    :ivar description: what it does, in the words of its author.
    :ivar workflow_type: such as ``"crewai"``, ``"langgraph"`` or ``"custom"``.
    :ivar status: ``"draft"``, ``"published"`` or ``"archived"``.
    :ivar definition: its definition, as JSON gives it.
    :ivar tags: its tags.
    :ivar created_at: the time of creation.
    :ivar updated_at: the time of the latest change.
    :ivar extra: all other keys of the response, and timestamps that could not be read.
    """

    id: str = attrs.field(repr=short)
    name: str | None = _value()
    description: str | None = _value()
    workflow_type: str | None = _value()
    status: str | None = _value()
    definition: Any = _value()
    tags: tuple[str, ...] | None = attrs.field(default=None, converter=_texts, hash=False, repr=short)
    created_at: Timestamp | None = _moment()
    updated_at: Timestamp | None = _moment()
    extra: dict[str, Any] = _extra()


def _rows_of(fallback: str) -> Any:
    return attrs.field(converter=tuple, hash=False, repr=few, metadata={"fallback": fallback})


@attrs.frozen(slots=True)
class CheckpointPage(Answer):
    """One page of the list of checkpoints: in ``items``, or in the live service's ``checkpoints``."""

    items: tuple[CheckpointDetail, ...] = _rows_of("checkpoints")
    total: int | None = None
    extra: dict[str, Any] = _extra()


@attrs.frozen(slots=True)
class WorkflowPage(Answer):
    """One page of the list of workflows: in ``items``, or in the live service's ``workflows``."""

    items: tuple[WorkflowInfo, ...] = _rows_of("workflows")
    total: int | None = None
    extra: dict[str, Any] = _extra()


@attrs.frozen(slots=True)
class ExecutionPage(Answer):
    """One page of a list; iterating gives its executions, ``len()`` their number.

    :ivar items: the executions.
    :ivar total: how many the list has, ``None`` when the service did not say.
    :ivar page: the number of the page, from 1, ``None`` when the service did not say.
    :ivar page_size: the most that a page holds, ``None`` when the service did not say.
    :ivar extra: every key of the answer that has no attribute of its own.
    """

    # Old clients of the service looked for `executions` too.
    items: tuple[Execution, ...] = attrs.field(
        default=(), converter=_items, hash=False, repr=few, metadata={"fallback": "executions"}
    )
    total: int | None = None
    page: int | None = None
    page_size: int | None = None
    extra: dict[str, Any] = _extra()

    def __iter__(self) -> Iterator[Execution]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@attrs.frozen(slots=True)
class ExecutionRequest:
    """One execution to create, for ``create_many``.

    :ivar workflow_id: the workflow to run.
    :ivar input_data: its input, as in ``create``.
    :ivar metadata: kept beside it, as in ``create``.
    :ivar agent_id: the agent on whose behalf it runs; ``None``: the client's.
    :ivar key: names the item in a journal and, as its idempotency key, at the service; by default made from the
        item's position and content.
    """

    workflow_id: str
    input_data: Any = _value()
    metadata: Mapping[str, Any] | None = _value()
    agent_id: str | None = None
    key: str | None = None


@attrs.frozen(slots=True)
class InvalidRequest:
    """One that was found wrong before the batch saw it: it is not sent, and its outcome says why.

    :ivar request: as it was given.
    :ivar error: what is wrong with it.
    """

    request: ExecutionRequest
    error: Exception
