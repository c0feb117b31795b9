"""What can go wrong besides a single call: settings, lists, waits, journals, and executions that end badly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Unpack

from .._models.types import Execution, ExecutionDetail
from .attempts import WriteOutcome
from .base import CommonFields, Details, OmiumError
from .carried import from_json

__all__ = [
    "ConfigurationError",
    "ExecutionFailedError",
    "JournalError",
    "MissingExecutionsError",
    "OutputError",
    "UnstableListError",
    "WaitTimeoutError",
]


class ConfigurationError(OmiumError, ValueError):
    """A setting is missing or cannot be used; the message names it and where it came from, never the key.

    :param common: what every `OmiumError` takes.
    :ivar setting: the name of the setting, as the constructor of the client has it; ``None`` where it is about none.
    :ivar source: where its value came from: ``"argument"``, the name of the environment variable, or the path of the
        config file; ``None`` where there is no value.
    :ivar problem: what is wrong with the value, alone, for those who name the setting in words of their own; ``None``
        where there is no value.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"setting": None, "source": None, "problem": None}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        setting: str | None = None,
        source: str | None = None,
        problem: str | None = None,
        **common: Unpack[CommonFields],
    ) -> None:
        self.setting = setting
        self.source = source
        self.problem = problem
        super().__init__(message, details, **common)


class UnstableListError(OmiumError):
    """The list changes faster than it can be read."""


class WaitTimeoutError(OmiumError, TimeoutError):
    """Executions were not at a wanted status in time; the message says the last status and the last failure seen.

    :param common: what every `OmiumError` takes.
    :ivar pending: the ids of those executions; empty when ``run`` ran out of time in its create.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"pending": ()}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        pending: tuple[str, ...] = (),
        **common: Unpack[CommonFields],
    ) -> None:
        self.pending = tuple(pending)
        super().__init__(message, details, **common)


class MissingExecutionsError(OmiumError):
    """``wait_many`` was given ids that the service does not know.

    :param common: what every `OmiumError` takes.
    :ivar missing: those ids.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"missing": ()}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        missing: tuple[str, ...] = (),
        **common: Unpack[CommonFields],
    ) -> None:
        self.missing = tuple(missing)
        super().__init__(message, details, **common)


class JournalError(OmiumError):
    """The journal of a batch cannot be used, or not any longer; nothing more is sent then."""


#: Nothing stands for an absent id: the execution's own would be taken for it.
_OF_AN_EXECUTION: Final[Mapping[str, Any]] = {
    "outcome": WriteOutcome.APPLIED,
    "execution_id": ...,
    "execution": None,
}


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
