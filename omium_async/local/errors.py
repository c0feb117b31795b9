"""Errors of LocalOmium for its users, and errors between its layers."""

from __future__ import annotations


class LocalOmiumError(RuntimeError):
    """A LocalOmium cannot start, or is used before its start. The message says what to do."""


class PortInUseError(LocalOmiumError):
    """Another program uses the port of a LocalOmium.

    :param message: what happened and what to do.
    :ivar port: the port.
    """

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message, port)
        self.port = port

    def __str__(self) -> str:
        return str(self.args[0])


class DatabaseInUseError(LocalOmiumError):
    """Another LocalOmium uses the database file."""


class Refusal(Exception):  # noqa: N818 - a response, not an error of the program
    """A request that the server rejects; nothing was written. `status` is the HTTP status of the response."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class MissingError(Refusal):
    """The tenant has no such execution, checkpoint or workflow."""

    status = 404


class BadCheckpointError(Refusal):
    """The execution does not have this checkpoint."""

    status = 404


class WrongStateError(Refusal):
    """The status of the execution does not allow the request."""

    status = 409


class KeyReusedError(Refusal):
    """An `Idempotency-Key` was used again with another body."""

    status = 422


class StaleRunError(Exception):
    """A run that was rolled back, replayed, cancelled or stopped tried to record something."""
