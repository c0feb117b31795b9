"""Reports of attempts as they end: to the log, to ``on_attempt``, and to who watches the call."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Final

from .._errors import Attempt
from .._request import Request
from .._settings.secret import Redactor

if TYPE_CHECKING:
    from .._settings.configure import OnAttempt, Options
    from .._telemetry import CallSpan

__all__ = ["Reports", "log"]

log: Final = logging.getLogger("omium_async.transport")
_hooks: Final = log.getChild("hooks")


class Reports:
    """Reports the attempts of one client's calls."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def ended(
        self,
        request: Request,
        attempt: Attempt,
        options: Options,
        span: CallSpan | None,
        error: BaseException | None = None,
    ) -> None:
        """An attempt ended, well or not.

        :param error: what ended it, as the call would raise it.
        """
        log.debug(
            "%s %s: attempt %d, %s, %.3f s, request id %s",
            request.method,
            self._shown(request),
            attempt.number,
            attempt.error or attempt.status,
            attempt.elapsed,
            attempt.request_id,
            extra=_fields(attempt, omium_elapsed=attempt.elapsed, omium_sent=attempt.sent, omium_error=attempt.error),
        )
        if span is not None:
            span.attempt_ended(attempt, error)
        if options.on_attempt is not None:
            _tell(options.on_attempt, attempt)

    def retried(self, request: Request, attempt: Attempt, delay: float | None, *, again: bool) -> None:
        """A failed attempt is followed by another.

        :param delay: seconds from now; ``None``: as soon as the rate limit allows.
        :param again: whether it is a write that may have been applied already.
        """
        log.warning(
            "%s %s: attempt %d failed (%s), trying again %s%s",
            request.method,
            self._shown(request),
            attempt.number,
            attempt.error,
            "as soon as the rate limit allows" if delay is None else f"in {delay:.2f} s",
            "; the write may have been applied already" if again else "",
            extra=_fields(attempt, omium_error=attempt.error, omium_delay=delay, omium_outcome_unknown=again),
        )

    def given_up(self, request: Request, attempt: Attempt) -> None:
        """No other attempt follows although one might help, for too many calls fail."""
        log.warning(
            "%s %s: attempt %d failed (%s), not tried again: too many calls fail",
            request.method,
            self._shown(request),
            attempt.number,
            attempt.error,
            extra=_fields(attempt, omium_error=attempt.error),
        )

    def _shown(self, request: Request) -> str:
        return self._redactor.text(request.url.partition("?")[0])


def _fields(attempt: Attempt, **more: Any) -> dict[str, Any]:
    """What a record says of an attempt, as fields of the record."""
    return {
        "omium_method": attempt.method,
        "omium_path": attempt.path,
        "omium_status": attempt.status,
        "omium_attempt": attempt.number,
        "omium_request_id": attempt.request_id,
        **more,
    }


def _tell(hook: OnAttempt, attempt: Attempt) -> None:
    """Call a user's hook. What it raises is not the call's, whose result or error is the user's business more.

    Only a `KeyboardInterrupt` passes: Ctrl-C may come at any moment, and must not be lost in a hook.
    """
    try:
        outcome = hook(attempt)
        if inspect.iscoroutine(outcome):
            outcome.close()
            raise TypeError("on_attempt must be a plain function")  # noqa: TRY301
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a CancelledError or SystemExit too is the hook's: nothing is awaited here
        _hooks.exception("on_attempt raised; ignored")
