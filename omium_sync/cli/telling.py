"""What was done is told, also where the command ends before it could say so."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from types import TracebackType
from typing import Self

from omium_sync import Execution, OmiumError

from .failures import INTERRUPTED, Failure
from .render import complain

__all__ = ["RunsOn", "told_if_not_written"]


class RunsOn:
    """While it is entered: whatever ends a command names the execution that it began, and that runs on.

    :param begun: how, in a word: ``created``.
    :param execution_id: which; ``None`` until it is known.
    """

    def __init__(self, begun: str, execution_id: str | None = None) -> None:
        self._begun = begun
        self._id = execution_id

    def created(self, execution: Execution) -> None:
        """For ``on_created``."""
        self._id = execution.id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        match error:
            case KeyboardInterrupt():
                raise Failure(f"interrupted: {self._when_interrupted(error)}", INTERRUPTED) from None
            case OmiumError() if self._id is not None:
                raise Failure(f"{error} (execution {self._id} was {self._begun}, and runs on)") from None
            case _:
                pass

    def _when_interrupted(self, interrupt: KeyboardInterrupt) -> str:
        if self._id is not None:
            return f"execution {self._id} was {self._begun}, and runs on"
        # The answer may have come while the call was being ended: then the SDK says so in a note.
        notes = getattr(interrupt, "__notes__", ())
        return "; ".join(notes) or f"whether an execution was {self._begun} is not known"


@contextlib.contextmanager
def told_if_not_written(what: str) -> Generator[None]:
    """What was done is said on stderr where stdout does not take it."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        complain(what)
        raise
