"""Errors of settings, lists, waits and journals.

Errors about an execution are beside the models, which they hold (`_models/types.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from .attempts import WriteOutcome
from .base import OmiumError
from .carried import TEXTS, Carried


class ConfigurationError(OmiumError, ValueError):
    """A setting is missing or invalid. The message names the setting and the source of its value, never the key.

    :ivar setting: the name of the setting, as in the constructor of the client; ``None`` if it is about no setting.
    :ivar source: the source of its value: ``"argument"``, the name of the environment variable, or the path of the
        config file; ``None`` if there is no value.
    :ivar problem: what is wrong with the value, without the name of the setting; ``None`` if there is no value.
    """

    setting: Carried[str | None, str | None] = Carried(default=None)
    source: Carried[str | None, str | None] = Carried(default=None)
    problem: Carried[str | None, str | None] = Carried(default=None)


class UnstableListError(OmiumError):
    """The list changes faster than it can be read."""


class WaitTimeoutError(OmiumError, TimeoutError):
    """Executions did not reach a wanted status in time. The message has the last status and the last failure seen.

    :ivar pending: the ids of these executions; empty if the time of ``run`` ended in its create.
    """

    pending: Carried[Iterable[str], tuple[str, ...]] = Carried(default=(), store=tuple, form=TEXTS)
    _cancelled: Carried[bool, bool] = Carried(default=False, init=False)  # whether the call cancelled its execution

    def _advice(self) -> str | None:
        if self._cancelled:
            return "the execution was cancelled"
        if self.outcome == WriteOutcome.APPLIED:
            return "the execution exists: wait for it again instead of creating another"
        return super()._advice()


def set_cancelled(error: WaitTimeoutError) -> None:
    """Make the text of the error say that its execution was cancelled, instead of advising to wait for it again."""
    error._cancelled = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - not public


class MissingExecutionsError(OmiumError):
    """The service does not know some ids that ``wait_many`` got.

    :ivar missing: these ids.
    """

    missing: Carried[Iterable[str], tuple[str, ...]] = Carried(default=(), store=tuple, form=TEXTS)


class NoCheckpointError(OmiumError, ValueError):
    """An execution has no such checkpoint, or none at all, so nothing was sent. ``outcome`` is ``"not_applied"``.

    :ivar names: the names of the checkpoints that the execution has, the oldest first.
    """

    names: Carried[Iterable[str], tuple[str, ...]] = Carried(default=(), store=tuple, form=TEXTS)


class JournalError(OmiumError):
    """The journal of a batch cannot be used, or no longer. The batch sends nothing more."""
