"""What the server of one's own raises at its own user, and what its layers say to each other."""

from __future__ import annotations

__all__ = [
    "BadCheckpointError",
    "DatabaseInUseError",
    "KeyReusedError",
    "LocalOmiumError",
    "MissingError",
    "PortInUseError",
    "Refusal",
    "StaleRunError",
    "WrongStateError",
]


class LocalOmiumError(RuntimeError):
    """A LocalOmium cannot start, or is used before it has started; the message says what to do about it."""


class PortInUseError(LocalOmiumError):
    """The port that a LocalOmium was to serve is taken by another program.

    :param message: what happened, and what to do about it.
    :ivar port: its number.
    """

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message, port)
        self.port = port

    def __str__(self) -> str:
        return str(self.args[0])


class DatabaseInUseError(LocalOmiumError):
    """The database file is in use by another LocalOmium."""


class Refusal(Exception):  # noqa: N818 - an answer to a request, not an error of the program
    """A request that was understood and is not done: nothing was written. `status` is the HTTP status of the answer."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class MissingError(Refusal):
    """There is no such execution for this tenant."""

    status = 404


class BadCheckpointError(Refusal):
    """The execution has no such checkpoint (any more)."""

    status = 404


class WrongStateError(Refusal):
    """The execution is not in a state in which this can be done."""

    status = 409


class KeyReusedError(Refusal):
    """An `Idempotency-Key` came again with another body."""

    status = 422


class StaleRunError(Exception):
    """A run that was rolled back, replayed or stopped tried to record something: it may not."""
