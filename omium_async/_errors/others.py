"""Errors of settings, lists, waits and journals.

Errors about an execution are beside the models, which they hold (`_models/types.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from .attempts import WriteOutcome
from .base import CommonFields, Details, OmiumError


class ConfigurationError(OmiumError, ValueError):
    """A setting is missing or invalid. The message names the setting and the source of its value, never the key.

    :param common: the arguments of every `OmiumError`.
    :ivar setting: the name of the setting, as in the constructor of the client; ``None`` if it is about no setting.
    :ivar source: the source of its value: ``"argument"``, the name of the environment variable, or the path of the
        config file; ``None`` if there is no value.
    :ivar problem: what is wrong with the value, without the name of the setting; ``None`` if there is no value.
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
    """Executions did not reach a wanted status in time. The message has the last status and the last failure seen.

    :param common: the arguments of every `OmiumError`.
    :ivar pending: the ids of these executions; empty if the time of ``run`` ended in its create.
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

    def _advice(self) -> str | None:
        if self.outcome == WriteOutcome.APPLIED:
            return "the execution exists: wait for it again instead of creating another"
        return super()._advice()


class MissingExecutionsError(OmiumError):
    """The service does not know some ids that ``wait_many`` got.

    :param common: the arguments of every `OmiumError`.
    :ivar missing: these ids.
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


class NoCheckpointError(OmiumError, ValueError):
    """An execution has no such checkpoint, or none at all, so nothing was sent. ``outcome`` is ``"not_applied"``.

    :param common: the arguments of every `OmiumError`.
    :ivar names: the names of the checkpoints that the execution has, the oldest first.
    """

    _carries: ClassVar[Mapping[str, Any]] = {"names": ()}

    def __init__(
        self,
        message: str = "",
        details: Details = None,
        *,
        names: tuple[str, ...] = (),
        **common: Unpack[CommonFields],
    ) -> None:
        self.names = tuple(names)
        super().__init__(message, details, **common)


class JournalError(OmiumError):
    """The journal of a batch cannot be used, or no longer. The batch sends nothing more."""
