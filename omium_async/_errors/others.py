"""What can go wrong besides a single call: settings, lists, waits and journals.

Errors about an execution stand with the models, which they carry (`_models/types.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from .base import CommonFields, Details, OmiumError

__all__ = [
    "ConfigurationError",
    "JournalError",
    "MissingExecutionsError",
    "NoCheckpointError",
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
    """The journal of a batch cannot be used, or not any longer; nothing more is sent then."""
