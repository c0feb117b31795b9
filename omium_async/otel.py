"""OpenTelemetry for a client: spans and metrics of its calls, and trace context sent to the service.

.. code-block:: python

    from omium_async import AsyncOmium
    from omium_async.otel import Telemetry

    omium = AsyncOmium(telemetry=Telemetry())

It needs the extra ``otel`` (``pip install 'omium-async[otel]'``), which is OpenTelemetry's API alone. The application
chooses where spans and metrics are exported.

Each call has one span of kind CLIENT, named after the method (``omium.executions.create``), with one event for each
attempt. ``wait``, ``run``, lists and batches have a span around the spans of their calls. Span names contain no ids,
and metrics carry none. Telemetry never contains a key, an input, an output or the message of an error, because a
server may echo an input in a message.

Attributes of a call's span: ``http.request.method``, ``server.address``, ``server.port``, ``url.template``,
``http.response.status_code``, ``http.request.resend_count`` and ``error.type`` as in OpenTelemetry's semantic
conventions for HTTP; ``omium.outcome`` of a write (``applied``, ``not_applied``, ``unknown``); ``omium.execution_id``.

Metrics: ``http.client.request.duration`` (each attempt, seconds), ``omium.client.call.duration`` (each call with its
waits and retries, seconds), ``omium.client.calls.waiting`` (calls that wait for a connection or for pacing),
``omium.client.retries``, ``omium.client.outages``.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextvars import Token
from time import monotonic
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from ._errors.attempts import Attempt, WriteOutcome
from ._errors.base import OmiumError
from ._errors.calls import APIStatusError
from ._models.types import CheckpointDetail, Execution
from ._request import Request

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    from opentelemetry.util.types import AttributeValue
except ImportError as error:
    raise ImportError("omium_async.otel needs the extra `otel`: pip install 'omium-async[otel]'") from error

__all__ = ["Telemetry"]

T = TypeVar("T")

_SCOPE: Final = "omium_async"
#: The buckets of OpenTelemetry's conventions for HTTP durations, in seconds.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_AFTER_SCHEME: Final = len("https://")
_PORTS: Final = {"http": 80, "https": 443}
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_REQUEST: Final = "omium.request"  # the name of requests of other endpoints: their paths may contain ids
_ERROR: Final = trace.Status(trace.StatusCode.ERROR)  # without a description: it may be the service's


class _Instruments:
    """The tracer, and the instruments of the metrics."""

    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self.tracer = tracer
        self.request_duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self.call_duration = meter.create_histogram(
            "omium.client.call.duration",
            unit="s",
            description="Duration of calls, with their waits and retries.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self.waiting = meter.create_up_down_counter(
            "omium.client.calls.waiting", unit="{call}", description="Calls that wait for a connection or for pacing."
        )
        self.retries = meter.create_counter(
            "omium.client.retries", unit="{retry}", description="Attempts after the first."
        )
        self.outages = meter.create_counter(
            "omium.client.outages", unit="{outage}", description="Outages that waits, lists and batches met."
        )


class _Observer:
    """The methods that the client calls (see `_telemetry.Telemetry`); users call none of them."""

    _instruments: _Instruments

    def call_started(self, request: Request) -> _CallSpan:
        """Start the span of a call."""
        operation = request.operation
        name, template = (_REQUEST, None) if operation is None else (operation.name, operation.template)
        origin = request.url[: request.url.find("/", _AFTER_SCHEME)]
        return _CallSpan(self._instruments, request, name, _attributes(request.method, origin, template))

    def outage_began(self) -> None:
        """Count an outage."""
        self._instruments.outages.add(1)

    async def around(self, name: str, work: Awaitable[T], *, writes: bool) -> T:
        """Await something that makes several calls, in a span around theirs."""
        span = _Span(self._instruments.tracer, name, trace.SpanKind.INTERNAL)
        token = span.enter()
        try:
            result = await work
        except BaseException as error:
            span.leave(token)
            span.describe(_ended_with(error, writes=writes), error)
            span.end()
            raise
        span.leave(token)
        span.describe(_succeeded_with(result, writes=writes), None)
        span.end()
        return result

    async def around_each(self, name: str, items: AsyncGenerator[T], *, writes: bool) -> AsyncGenerator[T]:
        """Yield the items of something that makes several calls, in a span around theirs.

        The span is current only while the next item is fetched. Between two items the user's own span is current.
        """
        span = _Span(self._instruments.tracer, name, trace.SpanKind.INTERNAL)
        failure: BaseException | None = None
        try:
            while True:
                token = span.enter()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    span.leave(token)
                yield item
        except GeneratorExit:
            raise  # the consumer has left the loop, which is not an error
        except BaseException as error:
            failure = error
            raise
        finally:
            token = span.enter()
            try:
                await items.aclose()
            finally:
                span.leave(token)
                if failure is not None:
                    span.describe(_ended_with(failure, writes=writes), failure)
                span.end()


class Telemetry(_Observer):
    """Spans and metrics of a client's calls, for ``AsyncOmium(telemetry=...)`` and ``Omium(telemetry=...)``.

    One instance may serve any number of clients, on any number of event loops.

    :param tracer_provider: creates the spans; ``None``: the global provider, also one that is set later.
    :param meter_provider: receives the metrics; ``None``: the global provider, also one that is set later.
    :raises TypeError: a provider is not one of OpenTelemetry's.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        _check(tracer_provider, trace.TracerProvider, "tracer_provider")
        _check(meter_provider, metrics.MeterProvider, "meter_provider")
        self._instruments = _Instruments(
            trace.get_tracer(_SCOPE, tracer_provider=tracer_provider),
            metrics.get_meter(_SCOPE, meter_provider=meter_provider),
        )


class _Span:
    """A span, and the context in which it is the current one."""

    __slots__ = ("_span", "context", "is_recording")

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        kind: trace.SpanKind,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> None:
        self._span = tracer.start_span(name, kind=kind, attributes=attributes)
        is_valid = self._span.get_span_context().is_valid
        self.context: Context | None = trace.set_span_in_context(self._span) if is_valid else None
        self.is_recording = is_valid and self._span.is_recording()

    def enter(self) -> Token[Context] | None:
        """Make it the current span of this task."""
        return None if self.context is None else otel_context.attach(self.context)

    def leave(self, token: Token[Context] | None) -> None:
        """Make the span before it the current one again."""
        if token is not None:
            otel_context.detach(token)

    def add_attempt(self, attempt: Attempt, attributes: Mapping[str, AttributeValue]) -> None:
        """Add an event."""
        event = {"omium.attempt": attempt.number, "omium.sent": attempt.sent, **attributes}
        self._span.add_event("attempt", event)

    def describe(self, attributes: Mapping[str, AttributeValue], error: BaseException | None) -> None:
        """Set the attributes that are known at its end."""
        if error is not None:
            self._span.set_status(_ERROR)
        self._span.set_attributes(attributes)

    def end(self) -> None:
        """End it."""
        self._span.end()


class _CallSpan:
    """The span and the metrics of one call, in the task that makes it (see `_telemetry.CallSpan`)."""

    __slots__ = (
        "_attempts",
        "_attributes",
        "_instruments",
        "_is_unknown",
        "_request",
        "_span",
        "_started",
        "_status",
        "_token",
    )

    def __init__(
        self, instruments: _Instruments, request: Request, name: str, attributes: dict[str, AttributeValue]
    ) -> None:
        self._instruments = instruments
        self._request = request
        self._attributes = attributes
        self._started = monotonic()
        self._attempts = 0
        self._status: int | None = None
        self._is_unknown = False
        self._span = _Span(instruments.tracer, name, trace.SpanKind.CLIENT, attributes)
        self._token = None if self._span.context is None else self._span.enter()

    def waits(self) -> None:
        """Count a call that waits."""
        self._instruments.waiting.add(1, self._attributes)

    def waited(self) -> None:
        """Count a call that waits no longer."""
        self._instruments.waiting.add(-1, self._attributes)

    def attempt_starts(self, number: int) -> Mapping[str, str] | None:
        """Return the headers that carry the trace context."""
        if number > 1:
            self._instruments.retries.add(1, self._attributes)
        if self._span.context is None and trace.get_current_span() is trace.INVALID_SPAN:
            return None
        headers: dict[str, str] = {}
        # Without a valid span of this call the user's own context is sent on.
        _PROPAGATOR.inject(headers, context=self._span.context)
        return headers

    def attempt_ended(self, attempt: Attempt, error: BaseException | None) -> None:
        """Record an attempt: one event, one measurement."""
        self._attempts += 1
        self._status = attempt.status
        self._is_unknown = self._is_unknown or attempt.outcome_unknown
        more = _status_and_error(attempt.status, error)
        self._record(self._instruments.request_duration, attempt.elapsed, more)
        if self._span.is_recording:
            self._span.add_attempt(attempt, more)

    def ended(self, result: object, error: BaseException | None) -> None:
        """Record the end of the call."""
        if self._token is not None:
            self._span.leave(self._token)
        more = _status_and_error(self._status, error)
        self._record(self._instruments.call_duration, monotonic() - self._started, more)
        if self._span.is_recording:
            self._describe(more, result, error)
        self._span.end()

    def _describe(self, more: dict[str, AttributeValue], result: object, error: BaseException | None) -> None:
        if self._attempts > 1:
            more["http.request.resend_count"] = self._attempts - 1
        if self._request.is_write:
            more["omium.outcome"] = str(self._outcome(error))
        execution_id = self._request.execution_id or _execution_of(result)
        if execution_id is not None:
            more["omium.execution_id"] = execution_id
        self._span.describe(more, error)

    def _record(self, histogram: metrics.Histogram, seconds: float, more: Mapping[str, AttributeValue]) -> None:
        histogram.record(seconds, {**self._attributes, **more})

    def _outcome(self, error: BaseException | None) -> WriteOutcome:
        if error is None:
            return WriteOutcome.APPLIED
        if isinstance(error, OmiumError):
            return error.outcome
        return WriteOutcome.UNKNOWN if self._is_unknown else WriteOutcome.NOT_APPLIED


@functools.lru_cache(1024)
def _attributes(method: str, origin: str, template: str | None) -> dict[str, AttributeValue]:
    """Return the attributes that all calls of one endpoint share; not to be changed."""
    parts = urlsplit(origin)
    found: dict[str, AttributeValue] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or _PORTS.get(parts.scheme, 0),
    }
    if template is not None:
        found["url.template"] = template
    return found


def _status_and_error(status: int | None, error: BaseException | None) -> dict[str, AttributeValue]:
    more: dict[str, AttributeValue] = {} if status is None else {"http.response.status_code": status}
    if error is not None:
        more["error.type"] = _error_type(error)
    return more


def _execution_of(result: object) -> str | None:
    """Return the id of the execution that a call of a path without one returned."""
    if isinstance(result, tuple):  # a new execution, with the body of its response
        result = cast("tuple[object, ...]", result)[0]
    if isinstance(result, Execution):
        return result.id
    return result.execution_id if isinstance(result, CheckpointDetail) else None


def _succeeded_with(result: object, *, writes: bool) -> dict[str, AttributeValue]:
    execution_id = getattr(result, "id", None)
    wrote = getattr(result, "cancelled", True)  # a `CancelResult` says whether anything was sent
    outcome = WriteOutcome.APPLIED if wrote else WriteOutcome.NOT_APPLIED
    found: dict[str, AttributeValue] = {"omium.outcome": str(outcome)} if writes else {}
    return found | ({"omium.execution_id": execution_id} if isinstance(execution_id, str) else {})


def _ended_with(error: BaseException, *, writes: bool) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {"error.type": _error_type(error)}
    if isinstance(error, OmiumError):
        if writes:
            found["omium.outcome"] = str(error.outcome)
        if error.execution_id is not None:
            found["omium.execution_id"] = error.execution_id
    return found


def _error_type(error: BaseException) -> str:
    """Return the status of a response, otherwise the class of the error."""
    return str(error.status) if isinstance(error, APIStatusError) else type(error).__name__


def _check(value: object, kind: type[Any], name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is a {type(value).__name__}; give an OpenTelemetry {kind.__name__} or None")
