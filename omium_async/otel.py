"""OpenTelemetry for a client: spans and metrics of its calls, and the trace carried on to the service.

.. code-block:: python

    from omium_async import AsyncOmium
    from omium_async.otel import Telemetry

    omium = AsyncOmium(telemetry=Telemetry())

It needs the extra ``otel`` (``pip install 'omium-async[otel]'``), which is OpenTelemetry's API alone; where the spans
and metrics go is the application's business, as ever.

Each call has one span of kind CLIENT, named after the method (``omium.executions.create``), with an event for each of
its attempts; ``wait``, ``run``, lists and batches have a span of their own around those of their calls. No id is in a
name, and none in a metric. Neither a key, an input, an output nor the message of an error is ever recorded: a server
may echo an input in it.

Attributes of a call's span: ``http.request.method``, ``server.address``, ``server.port``, ``url.template``,
``http.response.status_code``, ``http.request.resend_count`` and ``error.type`` after OpenTelemetry's semantic
conventions for HTTP; ``omium.outcome`` of a write (``applied``, ``not_applied``, ``unknown``); ``omium.execution_id``.

Metrics: ``http.client.request.duration`` (each attempt, seconds), ``omium.client.call.duration`` (each call with its
waits and retries, seconds), ``omium.client.calls.waiting`` (calls that wait for a connection or for the pace),
``omium.client.retries``, ``omium.client.outages``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import Token
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from ._errors import APIStatusError, Attempt, OmiumError, WriteOutcome
from ._transport.request import Request

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    from opentelemetry.util.types import AttributeValue
except ImportError as error:
    raise ImportError("omium_async.otel needs the extra `otel`: pip install 'omium-async[otel]'") from error

__all__ = ["Telemetry"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("omium_async.otel")

_SCOPE: Final = "omium_async"
#: Of OpenTelemetry's conventions for HTTP durations, in seconds.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_FAILED: Final = "telemetry failed; the call goes on without it"
_AFTER_SCHEME: Final = len("https://")
_PORTS: Final = {"http": 80, "https": 443}
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_REQUEST: Final = "omium.request"  # what users ask for by hand has no other name: its path may hold ids
_ERROR: Final = trace.Status(trace.StatusCode.ERROR)  # without words: those may be the service's


def _harmless(method: Callable[P, T]) -> Callable[P, T | None]:
    """What is watched must not suffer from a provider that raises: that is logged, and ignored."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return method(*args, **kwargs)
        except Exception:  # noqa: BLE001 - whatever it is
            _log.warning(_FAILED, exc_info=True)
            return None

    return guarded


class _Instruments:
    """What spans and metrics are made with, and what is the same for many of them."""

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
            "omium.client.calls.waiting",
            unit="{call}",
            description="Calls that wait for a connection or for the pace.",
        )
        self.retries = meter.create_counter(
            "omium.client.retries", unit="{retry}", description="Attempts after the first."
        )
        self.outages = meter.create_counter(
            "omium.client.outages", unit="{outage}", description="Outages that waits, lists and batches sat out."
        )
        self._never = isinstance(self.request_duration, metrics.NoOpHistogram)

    # An application may set the global providers at any time. Until it does, tracer and instruments are stand-ins for
    # none; should the names by which that is seen change, spans are asked for and measurements made in vain.

    def make_spans(self) -> bool:
        """Whether spans are made, and not only a user's own handed on."""
        return type(getattr(self.tracer, "_tracer", self.tracer)) is not trace.NoOpTracer

    def start_span(
        self, name: str, kind: trace.SpanKind, attributes: dict[str, AttributeValue] | None = None
    ) -> trace.Span:
        """A span, or what hands on the trace that is carried on: OpenTelemetry 1.30's own tracer for nobody cuts it."""
        if self.make_spans():
            return self.tracer.start_span(name, kind=kind, attributes=attributes)
        return trace.NonRecordingSpan(trace.get_current_span().get_span_context())

    def measure(self) -> bool:
        """Whether somebody takes measurements."""
        return not self._never and getattr(self.request_duration, "_real_instrument", self) is not None


@functools.lru_cache(1024)
def _attributes(method: str, origin: str, template: str | None) -> dict[str, AttributeValue]:
    """What is the same for all calls of one operation at one service; not to be changed."""
    parts = urlsplit(origin)
    found: dict[str, AttributeValue] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or _PORTS.get(parts.scheme, 0),
    }
    if template is not None:
        found["url.template"] = template
    return found


class _Watch:
    """What the client tells of its calls, as `_telemetry.Telemetry` says; users call none of this."""

    _instruments: _Instruments

    def call_started(self, request: Request) -> _CallSpan | None:
        """A call begins.

        :param request: what is to be sent.
        :return: what watches it; ``None`` while nobody records anything and no trace is to be carried on.
        """
        instruments, operation = self._instruments, request.operation
        try:  # not by `_harmless`: this is most of what telemetry costs where nobody records it
            is_recorded = instruments.make_spans() or instruments.measure()
            if not is_recorded and trace.get_current_span() is trace.INVALID_SPAN:
                return None
            name, template = (_REQUEST, None) if operation is None else operation
            origin = request.url[: request.url.find("/", _AFTER_SCHEME)]
            attributes = _attributes(request.method, origin, template)
            span = instruments.start_span(name, trace.SpanKind.CLIENT, attributes)
            if not span.get_span_context().is_valid and not instruments.measure():
                return None
            return _CallSpan(instruments, request, span, attributes)
        except Exception:  # noqa: BLE001 - whatever it is
            _log.warning(_FAILED, exc_info=True)
            return None

    @_harmless
    def outage_began(self) -> None:
        """A wait, a list or a batch found that nothing answers."""
        self._instruments.outages.add(1)

    async def around(self, name: str, work: Awaitable[T], *, writes: bool) -> T:
        """Await something that makes several calls, within a span of its own.

        :param name: of the span.
        :param work: what is awaited.
        :param writes: whether one of the calls is a write.
        :return: what it gives.
        """
        span = _Around(self._instruments, name, writes=writes)
        token = span.enter()
        try:
            result = await work
        except BaseException as error:
            span.leave(token)
            span.end(error)
            raise
        span.leave(token)
        span.succeeded(result)
        span.end(None)
        return result

    async def around_each(self, name: str, items: AsyncGenerator[T], *, writes: bool) -> AsyncGenerator[T]:
        """The items of something that makes several calls, within a span of its own.

        That span is current only while the next item is fetched: between two items, the user's own is.

        :param name: of the span.
        :param items: what gives the items.
        :param writes: whether any of the calls is a write.
        """
        span = _Around(self._instruments, name, writes=writes)
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
            raise  # the reader has had enough: that is no error
        except BaseException as error:
            failure = error
            raise
        finally:
            token = span.enter()
            try:
                await items.aclose()
            finally:
                span.leave(token)
                span.end(failure)


class Telemetry(_Watch):
    """Watches the calls of a client, for ``AsyncOmium(telemetry=...)`` and ``Omium(telemetry=...)``.

    One instance may serve any number of clients, on any number of event loops.

    :param tracer_provider: makes the spans; ``None``: the global provider.
    :param meter_provider: takes the metrics; ``None``: the global provider.
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


class _CallSpan:
    """Watches one call, in the task that makes it."""

    def __init__(
        self, instruments: _Instruments, request: Request, span: trace.Span, attributes: dict[str, AttributeValue]
    ) -> None:
        self._instruments = instruments
        self._request = request
        self._span = span
        self._attributes = attributes
        self._started = monotonic()
        self._attempts = 0
        self._status: int | None = None
        self._unknown = False
        self._token: Token[Context] | None = None
        if self._span.get_span_context().is_valid:  # else nothing is traced: there is nothing to be current
            self._context = trace.set_span_in_context(self._span)
            self._token = otel_context.attach(self._context)

    @_harmless
    def waits(self) -> None:
        """It waits for a free connection or for the pace."""
        self._instruments.waiting.add(1, self._attributes)

    @_harmless
    def waited(self) -> None:
        """That wait is over."""
        self._instruments.waiting.add(-1, self._attributes)

    @_harmless
    def attempt_starts(self, number: int) -> Mapping[str, str] | None:
        """An attempt begins: the headers by which the trace goes on at the service."""
        if number > 1:
            self._instruments.retries.add(1, self._attributes)
        if self._token is None:
            return None
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, context=self._context)
        return headers

    def attempt_ended(self, attempt: Attempt, error: BaseException | None) -> None:
        """An attempt ended: one event, one measurement."""
        self._attempts += 1
        self._status = attempt.status
        self._unknown = self._unknown or attempt.outcome_unknown
        more = _ended(attempt.status, error)
        self._measure(self._instruments.request_duration, attempt.elapsed, more)
        self._add_event(attempt, more)

    def ended(self, result: object, error: BaseException | None) -> None:
        """The call is over."""
        if self._token is not None:
            otel_context.detach(self._token)
        more = _ended(self._status, error)
        self._measure(self._instruments.call_duration, monotonic() - self._started, more)
        self._describe(result, error, more)
        self._end()

    # Each of these by itself, so that one that fails does not take the others with it.

    @_harmless
    def _measure(self, histogram: metrics.Histogram, seconds: float, more: dict[str, AttributeValue]) -> None:
        histogram.record(seconds, {**self._attributes, **more})

    @_harmless
    def _add_event(self, attempt: Attempt, more: dict[str, AttributeValue]) -> None:
        if self._span.is_recording():
            event: dict[str, AttributeValue] = {"omium.attempt": attempt.number, "omium.sent": attempt.sent, **more}
            self._span.add_event("attempt", event)

    @_harmless
    def _describe(self, result: object, error: BaseException | None, more: dict[str, AttributeValue]) -> None:
        if not self._span.is_recording():
            return
        if error is not None:
            self._span.set_status(_ERROR)
        if self._attempts > 1:
            more["http.request.resend_count"] = self._attempts - 1
        if self._request.is_write:
            more["omium.outcome"] = str(self._outcome(error))
        execution_id = self._request.execution_id or getattr(result, "id", None)
        if isinstance(execution_id, str):
            more["omium.execution_id"] = execution_id
        self._span.set_attributes(more)

    @_harmless
    def _end(self) -> None:
        self._span.end()

    def _outcome(self, error: BaseException | None) -> WriteOutcome:
        if error is None:
            return WriteOutcome.APPLIED
        if isinstance(error, OmiumError):
            return error.outcome
        return WriteOutcome.UNKNOWN if self._unknown else WriteOutcome.NOT_APPLIED


class _Around:
    """The span around several calls."""

    def __init__(self, instruments: _Instruments, name: str, *, writes: bool) -> None:
        self._span: trace.Span = trace.INVALID_SPAN
        self._writes = writes
        self._start(instruments, name)

    @_harmless
    def _start(self, instruments: _Instruments, name: str) -> None:
        self._span = instruments.start_span(name, trace.SpanKind.INTERNAL)

    @_harmless
    def enter(self) -> Token[Context] | None:
        """Make it the current one of this task."""
        if not self._span.get_span_context().is_valid:
            return None
        return otel_context.attach(trace.set_span_in_context(self._span))

    @_harmless
    def leave(self, token: Token[Context] | None) -> None:
        """Let the user's own be current again."""
        if token is not None:
            otel_context.detach(token)

    @_harmless
    def succeeded(self, result: object) -> None:
        """What it led to, where that is one execution."""
        self._tell(WriteOutcome.APPLIED, getattr(result, "id", None))

    def end(self, error: BaseException | None) -> None:
        """It is over."""
        if error is not None:
            self._fail(error)
        self._end()

    @_harmless
    def _fail(self, error: BaseException) -> None:
        if not self._span.is_recording():
            return
        self._span.set_status(_ERROR)
        self._span.set_attribute("error.type", _kind(error))
        if isinstance(error, OmiumError):
            self._tell(error.outcome, error.execution_id)

    def _tell(self, outcome: WriteOutcome, execution_id: object) -> None:
        if self._writes:
            self._span.set_attribute("omium.outcome", str(outcome))
        if isinstance(execution_id, str):
            self._span.set_attribute("omium.execution_id", execution_id)

    @_harmless
    def _end(self) -> None:
        self._span.end()


def _ended(status: int | None, error: BaseException | None) -> dict[str, AttributeValue]:
    """How an attempt or a call ended: the status of its answer, the kind of its error, never the words of either."""
    more: dict[str, AttributeValue] = {} if status is None else {"http.response.status_code": status}
    if error is not None:
        more["error.type"] = _kind(error)
    return more


def _kind(error: BaseException) -> str:
    """The status, where that was the error; else its class."""
    return str(error.status) if isinstance(error, APIStatusError) else type(error).__name__


def _check(value: object, kind: type[Any], name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be an OpenTelemetry {kind.__name__} or None, not {type(value).__name__}")
