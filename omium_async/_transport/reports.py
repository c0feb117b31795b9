"""Report each attempt that ended: to the log, to ``on_attempt``, and to telemetry."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Final

from .._errors.attempts import Attempt
from .._request import Request
from .._settings.secret import Redactor

if TYPE_CHECKING:
    from .._settings.declared import OnAttempt, Options
    from .._telemetry import CallSpan

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
        """Report that an attempt ended.

        :param error: the error of a failed attempt, as the call would raise it.
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
            _call_hook(options.on_attempt, attempt)

    def retried(self, request: Request, attempt: Attempt, delay: float | None, *, again: bool) -> None:
        """Report that a retry follows a failed attempt.

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
        """Report that no retry follows, because the retry budget is empty."""
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
    """Return the fields that a record of an attempt has."""
    return {
        "omium_method": attempt.method,
        "omium_path": attempt.path,
        "omium_status": attempt.status,
        "omium_attempt": attempt.number,
        "omium_request_id": attempt.request_id,
        **more,
    }


def _call_hook(hook: OnAttempt, attempt: Attempt) -> None:
    """Call a user's hook. Its exceptions are logged, because the result of the call matters more.

    Only a `KeyboardInterrupt` is raised: Ctrl-C may arrive at any moment, and must not be lost in a hook.
    """
    try:
        outcome = hook(attempt)
        if inspect.iscoroutine(outcome):
            outcome.close()
            raise TypeError("on_attempt must be a plain function")  # noqa: TRY301
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - CancelledError and SystemExit also come from the hook: nothing is awaited here
        _hooks.exception("on_attempt raised; ignored")
