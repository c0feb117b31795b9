"""The models: executions, checkpoints, workflows, the responses of writes, and the errors about an execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import attrs

from .._data.codec import read_timestamp
from .._errors.attempts import WriteOutcome
from .._errors.base import OmiumError
from .._errors.carried import Carried, Form
from .._statuses import UNSUCCESSFUL, ExecutionStatus
from .base import Model, PydanticType, Timestamp, extra_field, id_field, rows_field, value_field


def _aware(moment: datetime | str | None) -> datetime | None:
    """Make a timestamp aware: naive means UTC.

    A zone with rules becomes its offset, because times in its folds equal no time of another zone.
    """
    if isinstance(moment, str):
        found = read_timestamp(moment)
        if found is None:
            raise ValueError(f"{moment!r} is not an RFC 3339 timestamp")
        return found
    if moment is not None and not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a timestamp is a datetime, not {type(moment).__name__}")
    if moment is None or moment.tzinfo is UTC or isinstance(moment.tzinfo, timezone):
        return moment
    offset = moment.utcoffset()
    return moment.replace(tzinfo=UTC if not offset else timezone(offset))


def _moment_field() -> Any:
    return attrs.field(default=None, converter=_aware, hash=False)  # pyright: ignore[reportUnknownVariableType]


def _status(text: str | None) -> ExecutionStatus | None:
    return None if text is None else ExecutionStatus(text)


def _status_field() -> Any:
    return value_field(converter=_status)


# -- executions --------------------------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class Checkpoint(Model):
    """A point of an execution to replay from or to roll back to.

    :ivar id: the id that ``replay`` and ``rollback`` take.
    :ivar name: the name of the step, from ``name`` or the live service's ``checkpoint_name``.
    :ivar created_at: the time of recording.
    :ivar extra: all other keys of the response, and timestamps that could not be read.
    """

    id: str = id_field()
    name: str | None = value_field(fallback="checkpoint_name")
    created_at: Timestamp | None = _moment_field()
    extra: dict[str, Any] = extra_field()


@attrs.frozen(slots=True)
class Execution(Model):
    """One run of a workflow, as lists show it. Only ``id`` is certain; the rest may be ``None``.

    Its ``repr`` shows long values shortened; the values themselves are whole.

    :ivar id: the id that all calls take.
    :ivar workflow_id: the workflow that runs.
    :ivar status: its status.
    :ivar created_at: the time of creation; aware, as all timestamps of models.
    :ivar updated_at: the time of the latest change.
    :ivar started_at: the time at which it began to run.
    :ivar completed_at: the time at which it ended.
    :ivar input_data: its input, as JSON gives it.
    :ivar output_data: its result, as JSON gives it.
    :ivar error: why it failed, from ``error`` or the live service's ``error_message``.
    :ivar metadata: the metadata that it was created with.
    :ivar agent_id: the agent on whose behalf it runs.
    :ivar extra: all other keys of the response, and timestamps that could not be read.
    """

    id: str = id_field()
    workflow_id: str | None = value_field()
    status: ExecutionStatus | None = _status_field()
    created_at: Timestamp | None = _moment_field()
    updated_at: Timestamp | None = _moment_field()
    started_at: Timestamp | None = _moment_field()
    completed_at: Timestamp | None = _moment_field()
    input_data: Any = value_field()
    output_data: Any = value_field()
    error: str | None = value_field(fallback="error_message")
    metadata: dict[str, Any] | None = value_field()
    agent_id: str | None = value_field()
    extra: dict[str, Any] = extra_field("tenant_id", "checkpoints")

    @property
    def duration(self) -> timedelta | None:
        """The time that a settled execution took; ``None`` while it is not settled, or if a time is missing.

        It is the time from ``started_at`` (or ``created_at``) to ``completed_at`` (or ``updated_at``).
        """
        if self.status is None or not self.status.is_settled:
            return None
        start = self.started_at or self.created_at
        end = self.completed_at or self.updated_at
        return None if start is None or end is None else end - start


@attrs.frozen(slots=True)
class ExecutionDetail(Execution):
    """One execution in full: an `Execution` and its checkpoints.

    :ivar checkpoints: the oldest first, from ``checkpoints`` or the live service's ``metadata.checkpoints``.
    """

    checkpoints: tuple[Checkpoint, ...] = rows_field(nested="metadata")

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the last checkpoint of that name.

        :param name: the name of the checkpoint.
        :return: the checkpoint.
        :raises KeyError: the execution has no checkpoint of that name; the message lists the existing names.
        """
        for found in reversed(self.checkpoints):
            if found.name == name:
                return found
        raise KeyError(f"no checkpoint {name!r} in execution {self.id}; {existing_checkpoints(self)}")

    @property
    def latest_checkpoint(self) -> Checkpoint | None:
        """The checkpoint listed last; ``None`` if there is no checkpoint."""
        return self.checkpoints[-1] if self.checkpoints else None

    def raise_for_status(self) -> None:
        """Raise an error if the execution ended badly.

        :raises ExecutionFailedError: its status is failed, error or cancelled.
        """
        if self.status in UNSUCCESSFUL:
            raise ExecutionFailedError(ended_as(self), execution=self)


def existing_checkpoints(execution: ExecutionDetail) -> str:
    """Return a clause for messages that names the checkpoints."""
    names = ", ".join(repr(found.name) for found in execution.checkpoints)
    return f"there are: {names}" if names else "it has no checkpoints yet"


@attrs.frozen(slots=True)
class ExecutionPage(Model):
    """One page of the list of executions. Iterating gives its executions, ``len()`` their number.

    :ivar items: the executions.
    :ivar total: the number of executions in the list; ``None`` if the service did not send it.
    :ivar page: the number of the page, from 1; ``None`` if the service did not send it.
    :ivar page_size: the largest number of executions on a page; ``None`` if the service did not send it.
    :ivar extra: all other keys of the response.
    """

    items: tuple[Execution, ...] = rows_field(fallback="executions")  # old clients of the service read that key too
    total: int | None = None
    page: int | None = None
    page_size: int | None = None
    extra: dict[str, Any] = extra_field()

    def __iter__(self) -> Iterator[Execution]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@attrs.frozen(slots=True)
class ExecutionRequest(PydanticType):
    """One execution to create with ``create_many``.

    :ivar workflow_id: the workflow to run.
    :ivar input_data: its input, as in ``create``.
    :ivar metadata: its metadata, as in ``create``.
    :ivar agent_id: the agent on whose behalf it runs; ``None``: the client's.
    :ivar key: the name of the item in a journal, and its idempotency key at the service; by default it is made from the
        item's position and content.
    """

    workflow_id: str
    input_data: Any = value_field()
    metadata: Mapping[str, Any] | None = value_field()
    agent_id: str | None = None
    key: str | None = None


@attrs.frozen(slots=True)
class InvalidRequest:
    """A request that was found invalid before the batch got it. It is not sent; its outcome has the error.

    :ivar request: the request as it was given.
    :ivar error: why it is invalid.
    """

    request: ExecutionRequest
    error: Exception


# -- responses of writes -----------------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class ReplayResult(Model):
    """The result of a replay.

    :ivar id: the execution that was replayed; ``execution_id`` is the one to follow.
    :ivar status: its status now.
    :ivar message: the service's own words.
    :ivar extra: all other keys of the response.
    """

    id: str = id_field()
    status: ExecutionStatus | None = _status_field()
    message: str | None = value_field()
    extra: dict[str, Any] = extra_field()

    @property
    def execution_id(self) -> str:
        """The id of the execution to follow: the new one if the service created one, otherwise the replayed one."""
        new = self.extra.get("replay_execution_id")
        return new if isinstance(new, str) and new else self.id


@attrs.frozen(slots=True)
class RollbackResult(Model):
    """The result of a rollback.

    :ivar id: the execution that was rolled back.
    :ivar status: its status now.
    :ivar message: the service's own words.
    :ivar extra: all other keys of the response.
    """

    id: str = id_field()
    status: ExecutionStatus | None = _status_field()
    message: str | None = value_field()
    extra: dict[str, Any] = extra_field()


def _unless_false(value: bool | None) -> bool:
    return value is not False


@attrs.frozen(slots=True)
class CancelResult(Model):
    """The result of a cancel.

    :ivar id: the execution.
    :ivar status: its status now.
    :ivar message: the service's own words.
    :ivar cancelled: ``True`` if this call cancelled the execution, ``False`` if it had already ended and nothing was
        sent.
    :ivar extra: all other keys of the response.
    """

    id: str = id_field()
    status: ExecutionStatus | None = _status_field()
    message: str | None = value_field()
    cancelled: bool = attrs.field(default=True, converter=_unless_false)
    extra: dict[str, Any] = extra_field()


# -- checkpoints and workflows -----------------------------------------------------------------------------------------


@attrs.frozen(slots=True)
class CheckpointDetail(Model):
    """A checkpoint as the Checkpoints API shows it: with its execution and, if it was requested, its state.

    :ivar id: the id that ``replay`` and ``rollback`` take.
    :ivar execution_id: the execution that recorded it.
    :ivar name: the name of the step, from ``name`` or the live service's ``checkpoint_name``.
    :ivar created_at: the time of recording.
    :ivar metadata: the metadata that the workflow recorded with it.
    :ivar state: the recorded state, as JSON gives it; ``None`` if it was not requested or not sent.
    :ivar extra: all other keys of the response, and timestamps that could not be read.
    """

    id: str = id_field()
    execution_id: str | None = value_field()
    name: str | None = value_field(fallback="checkpoint_name")
    created_at: Timestamp | None = _moment_field()
    metadata: dict[str, Any] | None = value_field()
    state: Any = value_field()
    extra: dict[str, Any] = extra_field()


def _texts(entries: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if entries is None else tuple(entries)


@attrs.frozen(slots=True)
class WorkflowInfo(Model):
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

    id: str = id_field()
    name: str | None = value_field()
    description: str | None = value_field()
    workflow_type: str | None = value_field()
    status: str | None = value_field()
    definition: Any = value_field()
    tags: tuple[str, ...] | None = value_field(converter=_texts)
    created_at: Timestamp | None = _moment_field()
    updated_at: Timestamp | None = _moment_field()
    extra: dict[str, Any] = extra_field()


@attrs.frozen(slots=True)
class CheckpointPage(Model):
    """One page of the list of checkpoints, from ``items`` or the live service's ``checkpoints``."""

    items: tuple[CheckpointDetail, ...] = rows_field(fallback="checkpoints")
    total: int | None = None
    extra: dict[str, Any] = extra_field()


@attrs.frozen(slots=True)
class WorkflowPage(Model):
    """One page of the list of workflows, from ``items`` or the live service's ``workflows``."""

    items: tuple[WorkflowInfo, ...] = rows_field(fallback="workflows")
    total: int | None = None
    extra: dict[str, Any] = extra_field()


# -- errors about an execution -----------------------------------------------------------------------------------------


def ended_as(execution: Execution) -> str:
    """Return how an execution ended and why, in words."""
    because = f": {execution.error}" if execution.error else ""
    return f"execution {execution.id} ended as {execution.status}{because}"


def _execution_to(execution: Execution) -> Any:
    kind = "detail" if isinstance(execution, ExecutionDetail) else "row"
    return {kind: execution.to_dict()}


def _execution_from(data: dict[str, Any]) -> Execution:
    return ExecutionDetail.from_dict(data["detail"]) if "detail" in data else Execution.from_dict(data["row"])


_EXECUTION: Final = Form(_execution_to, _execution_from)


class _ExecutionError(OmiumError):
    """Base of the errors about an execution. ``outcome`` is ``"applied"``, and ``execution_id`` the execution's."""

    def _take(self, details: Mapping[str, Any]) -> None:
        if "execution" in details:
            self._carried["execution"].set_from_json(self, details["execution"])
        execution = vars(self)["execution"]
        if not isinstance(execution, Execution):
            raise TypeError(f"{type(self).__name__} needs the execution that it is about: execution=...")
        self.outcome, self.execution_id = WriteOutcome.APPLIED, execution.id
        super()._take(details)


class ExecutionFailedError(_ExecutionError):
    """An execution did not complete. ``outcome`` is always ``"applied"``; ``execution_id`` is the execution's.

    :ivar execution: the execution, with its error and its checkpoints; never ``None``.
    """

    execution: Carried[ExecutionDetail | None, ExecutionDetail] = Carried(default=None, form=_EXECUTION)


class OutputError(_ExecutionError):
    """Data of an execution does not have the requested type. ``outcome`` is always ``"applied"``.

    :ivar execution: the execution as the service sent it; never ``None``.
    :ivar path: the place of the wrong value, such as ``output_data.lines``.
    """

    execution: Carried[Execution | None, Execution] = Carried(default=None, form=_EXECUTION)
    path: Carried[str, str] = Carried(default="")
