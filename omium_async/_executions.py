"""Executions: the public calls, each with its arguments, its docstring and one call of the module that does it."""

from __future__ import annotations

import builtins
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Unpack, overload

from . import _arguments as check
from . import _changes as changes
from . import _endpoints as endpoints
from ._arguments import Status, Statuses
from ._batch.cancel import cancel_many
from ._batch.create import create_many
from ._batch.delete import delete_many
from ._batch.replay import replay_many
from ._batch.run import run_many
from ._caller import Caller
from ._filters import Filters, one_status
from ._journal.settings import Journal
from ._lists import streams as lists
from ._models.outcomes import CancelOutcome, CreateOutcome, DeleteOutcome, ReplayOutcome, RunOutcome
from ._models.types import (
    CancelResult,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ReplayResult,
    RollbackResult,
)
from ._options import CreateOptions
from ._statuses import ACTIVE, ENDED, SETTLED
from ._telemetry import Telemetry, spanned, spanned_each
from ._waiting import many, one
from ._waiting import polling as polls

_OF_CREATE: Final = ("workflow_id", "input_data", "metadata", "agent_id", "idempotency_key")


class Executions:
    """The executions of the key's tenant, as ``client.executions``.

    Every call raises an `APIStatusError` (of the subclass of the status) if the service refuses it, an
    `APIConnectionError` if no usable response came, an `APITimeoutError` if it did not come in time, and an
    `InvalidResponseError` if it cannot be understood. ``outcome`` of each error says whether a write was applied; only
    after ``"not_applied"`` is it safe to send the write again. Values that cannot be sent raise a ``TypeError`` or
    ``ValueError`` before any request.

    :param caller: sends the requests; each client has its own.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        workflow_id: str,
        input_data: Any = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Start a new execution of a workflow.

        :param workflow_id: the workflow to run.
        :param input_data: JSON values, which may contain attrs classes, dataclasses, datetimes, UUIDs, enums and types
            with a hook in the client's converter.
        :param metadata: a mapping of such values, which is stored with the execution.
        :param agent_id: the agent that runs it; ``None``: the client's.
        :param extra_body: more fields of the body, which the service knows and this call has no argument for; their
            values as in ``input_data``.
        :param idempotency_key: sent as ``Idempotency-Key`` with every attempt; a new one by default.
        :return: the new execution; it has not settled yet, see `wait`.
        :raises TypeError: JSON cannot hold a value.
        :raises ValueError: JSON would change a value, or ``extra_body`` has a field with an argument of its own.
        """
        caller = self._caller
        body = endpoints.create_body(caller, workflow_id, input_data, metadata, agent_id)
        body |= endpoints.extra_fields(caller, extra_body, *_OF_CREATE)
        return await endpoints.create(caller, body, idempotency_key)

    async def get(self, execution_id: str) -> ExecutionDetail:
        """Return one execution with its checkpoints.

        :param execution_id: its id.
        :raises NotFoundError: no execution has that id.
        """
        return await endpoints.get(self._caller, execution_id)

    async def page(
        self, page: int = 1, page_size: int = 20, *, workflow_id: str | None = None, status: Status | None = None
    ) -> ExecutionPage:
        """Return one page of the list, unchanged, with one request.

        :param page: its number, from 1.
        :param page_size: executions a page, from 1; the service may send fewer.
        :param workflow_id: only those of this workflow.
        :param status: only those with this status; an unknown one is rejected unless it is an `ExecutionStatus`.
        """
        check.at_least(1, page, "page")
        check.at_least(1, page_size, "page_size")
        return await endpoints.page(self._caller, page, page_size, Filters.of(workflow_id, one_status(status)))

    async def count(self, *, workflow_id: str | None = None, status: Status | None = None) -> int:
        """Return the number of executions: the service's own total.

        :param workflow_id: only those of this workflow.
        :param status: only those with this status; an unknown one is rejected unless it is an `ExecutionStatus`.
        :raises InvalidResponseError: the response has no total.
        """
        return await endpoints.count(self._caller, Filters.of(workflow_id, one_status(status)))

    @spanned_each(writes=False)
    def list(
        self,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = None,
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_size: int = 100,
        limit: int | None = None,
        prefetch: int | None = None,
    ) -> AsyncGenerator[Execution]:
        """Iterate over all executions that pass the filters, none twice and none missed while the list changes.

        The service filters by workflow and by one status, the client by the rest. If the list is in descending order of
        creation, the reading stops after 100 executions older than ``since``; otherwise it reads to the end. After an
        outage of less than ``patience`` seconds the list continues.

        :param workflow_id: only those of this workflow.
        :param status: only those with this status, or with one of several; an unknown one is rejected unless it is an
            `ExecutionStatus`.
        :param since: only those created then or later: an aware datetime, or a timedelta back from now.
        :param before: only those created earlier: an aware datetime, or a timedelta back from now.
        :param metadata: only those with equal values under all of these keys, if lists show metadata.
        :param page_size: a hint for the size of the requests, from 1.
        :param limit: the largest number of executions; ``None``: all.
        :param prefetch: how many requests may be in flight ahead of the reader; ``0``: none; ``None``: up to 8, fewer
            of large pages.
        :raises UnstableListError: the list changes faster than it can be read.
        """
        filters = Filters.of(workflow_id, status, since, before, metadata, converter=self._caller.converter)
        check.reading(page_size, prefetch, limit)
        fetch = lists.windows(self._caller, filters)
        return lists.stream_rows(fetch, page_size=page_size, prefetch=prefetch, limit=limit, filters=filters)

    @spanned_each(writes=False)
    def pages(
        self,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = None,
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_size: int = 100,
        prefetch: int | None = None,
    ) -> AsyncGenerator[ExecutionPage]:
        """Iterate over pages of exactly ``page_size`` of the executions that `list` yields; the last may be shorter.

        :param workflow_id: only those of this workflow.
        :param status: only those with this status, or with one of several; an unknown one is rejected unless it is an
            `ExecutionStatus`.
        :param since: only those created then or later: an aware datetime, or a timedelta back from now.
        :param before: only those created earlier: an aware datetime, or a timedelta back from now.
        :param metadata: only those with equal values under all of these keys, if lists show metadata.
        :param page_size: executions a page, from 1.
        :param prefetch: how many requests may be in flight ahead of the reader, as in `list`.
        :raises UnstableListError: the list changes faster than it can be read.
        """
        filters = Filters.of(workflow_id, status, since, before, metadata, converter=self._caller.converter)
        check.reading(page_size, prefetch)
        fetch = lists.windows(self._caller, filters)
        return lists.stream_pages(fetch, page_size=page_size, prefetch=prefetch, filters=filters)

    async def replay(
        self,
        execution_id: str,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> ReplayResult:
        """Replay a failed or paused execution from a checkpoint: by id, by name, or from the latest.

        :param execution_id: the execution to replay; `ReplayResult.execution_id` is the one to follow afterwards.
        :param checkpoint_id: the checkpoint; not together with ``checkpoint_name``.
        :param checkpoint_name: the last checkpoint of this name. Without both: the latest checkpoint.
        :param extra_body: more fields of the body, such as ``inputs`` and ``from_step``, which the service knows and
            this call has no argument for; their values as ``input_data`` of `create`.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises TypeError: JSON cannot hold a value of ``extra_body``.
        :raises ValueError: both checkpoint arguments are given, JSON would change a value, or ``extra_body`` has a
            field with an argument of its own.
        :raises NoCheckpointError: it has no such checkpoint, or none at all; the message lists the existing ones, and
            nothing was written.
        :raises ConflictError: the execution is neither failed nor paused.
        """
        return await changes.replay(
            self._caller, execution_id, checkpoint_id, checkpoint_name, extra_body, idempotency_key
        )

    async def rollback(
        self,
        execution_id: str,
        checkpoint_id: str | None = None,
        *,
        checkpoint_name: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> RollbackResult:
        """Roll an execution back to a checkpoint, given by id or by name; later states are discarded.

        :param execution_id: the execution to roll back.
        :param checkpoint_id: the checkpoint; this or ``checkpoint_name``.
        :param checkpoint_name: the last checkpoint of this name.
        :param extra_body: more fields of the body, which the service knows and this call has no argument for; their
            values as ``input_data`` of `create`.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises TypeError: JSON cannot hold a value of ``extra_body``.
        :raises ValueError: neither or both of the two are given, JSON would change a value, or ``extra_body`` has a
            field with an argument of its own.
        :raises NoCheckpointError: it has no such checkpoint; the message lists the existing ones, and nothing was
            written.
        """
        return await changes.rollback(
            self._caller, execution_id, checkpoint_id, checkpoint_name, extra_body, idempotency_key
        )

    @spanned(writes=True)
    async def cancel(self, execution_id: str, *, idempotency_key: str | None = None) -> CancelResult:
        """Cancel an execution that has not ended. A paused execution has not ended.

        The service overwrites any status, so this reads the execution first. If it has ended (completed, failed,
        cancelled, rolled_back, error), nothing is sent and ``CancelResult.cancelled`` is ``False``, as with
        ``asyncio.Task.cancel``. An execution that ends between the read and the write is still overwritten with
        ``cancelled``, unless the service answers 409. The client's ``timeout`` covers all requests.

        Evidence: the service's document of the Executions API does not list ``PATCH /executions/{id}/status``; its own
        tool ``omium-mcp`` calls it. Its answer was never recorded, so an empty one, ``null`` and any object are
        accepted. Unknown: whether the service stops the work that is running.

        :param execution_id: its id.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises NotFoundError: no execution has that id.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        """
        return await changes.cancel(self._caller, execution_id, idempotency_key)

    async def delete(self, execution_id: str, *, idempotency_key: str | None = None) -> None:
        """Delete an execution permanently.

        Evidence: the service's document of the Executions API does not list ``DELETE /executions/{id}``; its own tool
        ``omium-mcp`` calls it and says that it cannot be undone. Its answer was never recorded, and is not read.
        Unknown: whether the service deletes executions that are running.

        :param execution_id: its id.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :raises NotFoundError: no execution has that id.
        :raises APIStatusError: the service does not offer this call, or refuses it.
        """
        await endpoints.delete(self._caller, execution_id, idempotency_key)

    @spanned(writes=False)
    async def wait(
        self,
        execution_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - one limit for many requests
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
    ) -> ExecutionDetail:
        """Wait until the execution's status is in ``until``.

        After a retryable failure it polls again. If only failures came for ``patience`` seconds of the client, it
        raises the last one. Other errors end the wait at once. If the execution stays ``pending`` for a minute, a
        WARNING is logged.

        :param execution_id: its id.
        :param timeout: seconds; ``None``: no limit; 0: one request, without waiting.
        :param poll_interval: seconds before the second poll; the interval grows to at most four times that. ``None``:
            the client's.
        :param until: a status, or several; an unknown one is rejected unless it is an `ExecutionStatus`.
        :raises WaitTimeoutError: its status was not in ``until`` in time; the message has the last status and failure.
        :raises NotFoundError: no execution has that id.
        """
        polling = self._polling(timeout, poll_interval, until)
        check.execution_segment(execution_id)
        return await one.wait_for(self._caller, execution_id, polling.begin())

    @spanned_each(writes=False)
    def watch(
        self, execution_id: str, *, poll_interval: float | None = None, until: Statuses = SETTLED
    ) -> AsyncGenerator[ExecutionDetail]:
        """Yield the execution as it is now, then again after each change, until its status is in ``until``.

        It continues after outages, as `wait` does.

        :param execution_id: its id.
        :param poll_interval: seconds before the second poll; the interval grows to at most four times that. ``None``:
            the client's.
        :param until: a status, or several; an unknown one is rejected unless it is an `ExecutionStatus`.
        :raises NotFoundError: no execution has that id.
        """
        polling = self._polling(None, poll_interval, until)
        check.execution_segment(execution_id)
        return one.watch_changes(self._caller, execution_id, polling)

    @spanned(writes=True)
    async def run(
        self,
        workflow_id: str,
        input_data: Any = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `wait`
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        on_created: Callable[[Execution], object] | None = None,
        cancel_on_exit: bool = False,
    ) -> ExecutionDetail:
        """Create an execution and wait for it.

        Errors after the create have ``outcome`` ``"applied"`` and its ``execution_id``. A cancellation, Ctrl-C and
        exceptions of ``on_created`` have a note with the id.

        :param workflow_id: the workflow to run.
        :param input_data: its input, as in `create`.
        :param metadata: a mapping kept with the execution, as in `create`.
        :param agent_id: the agent that runs it; ``None``: the client's.
        :param idempotency_key: the ``Idempotency-Key`` of the request; a new one by default.
        :param timeout: seconds for the create and the wait; ``None``: only the create is limited, by the client's
            ``timeout``; 0: after the create, one request without waiting.
        :param poll_interval: seconds before the second poll; the interval grows to at most four times that. ``None``:
            the client's.
        :param until: a status, or several; an unknown one is rejected unless it is an `ExecutionStatus`.
        :param on_created: a plain function that receives the new execution before the wait begins. Its exceptions end
            the call.
        :param cancel_on_exit: cancel the execution, unless it has ended, if the call ends early: by a cancellation,
            Ctrl-C, ``timeout`` or an error. A create in flight is awaited for that. It takes at most 5 seconds, even in
            a cancelled scope. A note on the exception has the result; a failure is also a WARNING.
        :raises WaitTimeoutError: the status was not in ``until`` in time. If the create was not answered, ``pending``
            is empty and ``outcome`` is that of the write.
        :raises InvalidResponseError: the response to the create has no id that can be used; ``outcome`` may be
            ``"applied"``.
        """
        check.plain_function(on_created, "on_created")
        check.flag(cancel_on_exit, "cancel_on_exit")
        polling = self._polling(timeout, poll_interval, until).begin()
        caller = self._caller
        body = endpoints.create_body(caller, workflow_id, input_data, metadata, agent_id)
        return await one.run_and_wait(caller, body, idempotency_key, polling, on_created, cancel_on_exit=cancel_on_exit)

    @spanned_each(writes=True)
    def create_many(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        *,
        concurrency: int = 32,
        journal: str | os.PathLike[str] | Journal | None = None,
        settle: float | None = None,
    ) -> AsyncGenerator[CreateOutcome]:
        """Create an execution for each request, and yield each outcome when it is known.

        Requests are read lazily, at most 4 * ``concurrency`` + 64 ahead of the consumer. A request that cannot be sent
        or is refused has an outcome (``rejected``) and does not end the batch. Items wait for the rate limit longer
        than the client's ``timeout``, if necessary.

        After a failure that may be an outage, no call begins until the service responds again; the batch probes it
        with one read at a time. Only calls in flight become ``unknown``, and items that were not sent have no outcome.
        After ``patience`` seconds of the client without a response the batch ends.

        :param requests: the requests, in any iterable or async iterable, of any length.
        :param concurrency: calls in flight, from 1.
        :param journal: path of an SQLite file, or a `Journal`. A batch that was killed and is started again with the
            same requests and journal sends nothing twice. The key of each item is sent in the ``metadata`` of its
            execution, by default as ``omium_batch_key``.
        :param settle: seconds after which a request can no longer be applied. An execution that the service does not
            show then was not created. By default the client's ``attempt_timeout``, or 30 if that is ``None``. Only
            used with a journal.
        :raises TypeError: an item is not an `ExecutionRequest`. This and the following errors are raised after the
            outcomes known by then.
        :raises AuthenticationError: the service refuses the key.
        :raises PaymentRequiredError: the account is out of credits.
        :raises PermissionDeniedError: the service refuses the key, in JSON.
        :raises APIConnectionError: no response came for ``patience`` seconds.
        :raises APIStatusError: the address does not serve the call, or only refusals for now came for ``patience``
            seconds.
        :raises JournalError: the journal cannot be used.
        """
        check.many(requests, "requests", "ExecutionRequest items")
        return create_many(self._caller, requests, concurrency, journal, settle)

    @spanned_each(writes=True)
    def run_many(
        self,
        requests: Iterable[ExecutionRequest] | AsyncIterable[ExecutionRequest],
        *,
        max_running: int = 10,
        timeout: float | None = None,
        poll_interval: float | None = None,
        journal: str | os.PathLike[str] | Journal | None = None,
        settle: float | None = None,
        cancel_on_exit: bool = False,
    ) -> AsyncGenerator[RunOutcome[Any]]:
        """Create an execution for each request and wait for it, and yield each outcome when the execution has ended.

        At most ``max_running`` executions of the batch have not ended at the same time; when one ends, the next is
        created, whether or not the consumer has taken the outcome. Requests are read lazily, at most 4 *
        ``max_running`` + 64 ahead of the consumer. Executions are created as by `create_many`, with its behaviour in
        outages and after refusals. They are waited for by pages of the list, and each is read once, when it has ended.

        With a journal, a batch that was killed at any moment and is started again with the same requests sends nothing
        twice. The outcomes that earlier runs recorded come first, with their details and without a request; executions
        that were created and have not ended are waited for before new ones are created.

        If the batch ends early, its executions continue at the service, unless ``cancel_on_exit``. A note on the
        exception says how many.

        :param requests: the requests, in any iterable or async iterable, of any length.
        :param max_running: executions that have not ended, from 1. An account may have a quota, 10 by default.
        :param timeout: seconds for each execution after its create, above 0; after an earlier run, from the start of
            this one. One that has not settled then is ``timed_out``. ``None``: no limit.
        :param poll_interval: seconds between polls, growing to at most four times that while nothing changes.
            ``None``: the client's, and at most two requests of the list a second.
        :param journal: as in `create_many`. It also holds the details of each execution that has ended, with its input
            and output. A journal belongs to the call that began it.
        :param settle: as in `create_many`.
        :param cancel_on_exit: cancel what was created and has not ended if the batch ends early: by a cancellation,
            Ctrl-C, an error, or a generator that is closed; and each execution that is ``timed_out``. It takes at most
            5 seconds. A failure is a note on the exception and a WARNING.
        :raises TypeError: an item is not an `ExecutionRequest`. This and the following errors are raised after the
            outcomes known by then.
        :raises AuthenticationError: the service refuses the key.
        :raises PaymentRequiredError: the account is out of credits.
        :raises PermissionDeniedError: the service refuses the key, in JSON.
        :raises APIConnectionError: no response came for ``patience`` seconds.
        :raises APIStatusError: the address does not serve the call, or only refusals for now came for ``patience``
            seconds.
        :raises JournalError: the journal cannot be used.
        """
        check.many(requests, "requests", "ExecutionRequest items")
        return run_many(
            self._caller,
            requests,
            max_running=max_running,
            timeout=timeout,
            poll_interval=poll_interval,
            journal=journal,
            settle=settle,
            cancel_on_exit=check.flag(cancel_on_exit, "cancel_on_exit"),
        )

    @spanned_each(writes=True)
    def replay_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = "failed",
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        checkpoint_name: str | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> AsyncGenerator[ReplayOutcome]:
        """Replay these executions, or all that pass the filters, from the latest checkpoint or the last of that name.

        Each execution is replayed at most once, also if it fails again meanwhile. One that cannot be replayed, or that
        the service does not know, is ``rejected`` and does not end the batch. The batch continues after outages as
        `create_many` does.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param workflow_id: only those of this workflow.
        :param status: as in `list`; ``failed`` or ``paused``, because the service replays no others; ``None``: all.
        :param since: only those created then or later: an aware datetime, or a timedelta back from now.
        :param before: only those created earlier: an aware datetime, or a timedelta back from now.
        :param metadata: only those with equal values under all of these keys, if lists show metadata.
        :param checkpoint_name: the last checkpoint of this name; ``None``: the latest one.
        :param limit: the largest number of executions.
        :param concurrency: the number of executions that are processed at once, from 1.
        :param dry_run: send nothing. Each execution is ``planned``. A dry run reads rows only, so it also plans
            executions without a checkpoint, which are rejected by a real run.
        :param journal: as in `create_many`. An execution that was in flight when the batch ended, and has not changed
            since, is ``unknown`` and not sent again.
        :raises ValueError: a filter is given together with ``execution_ids``.
        :raises AuthenticationError: the service refuses the key. This and the following errors are raised after the
            outcomes known by then.
        :raises PaymentRequiredError: the account is out of credits.
        :raises PermissionDeniedError: the service refuses the key, in JSON.
        :raises APIConnectionError: no response came for ``patience`` seconds.
        :raises APIStatusError: the address does not serve the call, or only refusals for now came for ``patience``
            seconds.
        :raises JournalError: the journal cannot be used.
        """
        filters = Filters.of(workflow_id, status, since, before, metadata, converter=self._caller.converter)
        return replay_many(
            self._caller,
            execution_ids,
            filters,
            checkpoint_name=checkpoint_name,
            limit=limit,
            concurrency=concurrency,
            dry_run=check.flag(dry_run, "dry_run"),
            journal=journal,
        )

    @spanned_each(writes=True)
    def cancel_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = ACTIVE,
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
    ) -> AsyncGenerator[CancelOutcome]:
        """Cancel these executions, or all that pass the filters, and yield an outcome for each.

        Each execution is read first, as by `cancel`, and nothing is sent if it has ended (``settled``). One that
        cannot be cancelled, or that the service does not know, is ``rejected`` and does not end the batch. The batch
        continues after outages as `create_many` does.

        The service's document does not list the endpoint; the evidence for it is the service's own ``omium-mcp``.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param workflow_id: only those of this workflow.
        :param status: as in `list`; ``None``: all.
        :param since: only those created then or later: an aware datetime, or a timedelta back from now.
        :param before: only those created earlier: an aware datetime, or a timedelta back from now.
        :param metadata: only those with equal values under all of these keys, if lists show metadata.
        :param limit: the largest number of executions.
        :param concurrency: calls in flight, from 1.
        :param dry_run: send nothing. Each execution is ``planned``, or ``settled`` if it has ended.
        :raises ValueError: a filter is given together with ``execution_ids``.
        :raises AuthenticationError: the service refuses the key. This and the following errors are raised after the
            outcomes known by then.
        :raises PaymentRequiredError: the account is out of credits.
        :raises PermissionDeniedError: the service refuses the key, in JSON.
        :raises APIConnectionError: no response came for ``patience`` seconds.
        :raises APIStatusError: the address does not serve the call, or only refusals for now came for ``patience``
            seconds.
        """
        filters = Filters.of(workflow_id, status, since, before, metadata, converter=self._caller.converter)
        return cancel_many(
            self._caller,
            execution_ids,
            filters,
            limit=limit,
            concurrency=concurrency,
            dry_run=check.flag(dry_run, "dry_run"),
        )

    @spanned_each(writes=True)
    def delete_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        workflow_id: str | None = None,
        status: Statuses | None = ENDED,
        since: datetime | timedelta | None = None,
        before: datetime | timedelta | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        concurrency: int = 32,
        dry_run: bool = False,
    ) -> AsyncGenerator[DeleteOutcome]:
        """Delete these executions, or all that pass the filters, and yield an outcome for each.

        One that the service does not know is ``absent``. One that is pending or running cannot be deleted: it is
        ``rejected`` and does not end the batch. The batch continues after outages as `create_many` does.

        The service's document does not list the endpoint; the evidence for it is the service's own ``omium-mcp``.

        :param execution_ids: the executions, each once. No filter may be given with them.
        :param workflow_id: only those of this workflow.
        :param status: as in `list`; ``None``: all.
        :param since: only those created then or later: an aware datetime, or a timedelta back from now.
        :param before: only those created earlier: an aware datetime, or a timedelta back from now.
        :param metadata: only those with equal values under all of these keys, if lists show metadata.
        :param limit: the largest number of executions.
        :param concurrency: calls in flight, from 1.
        :param dry_run: delete nothing. Each execution is ``planned``; of those named, one that does not exist is
            ``absent``.
        :raises ValueError: a filter is given together with ``execution_ids``.
        :raises AuthenticationError: the service refuses the key. This and the following errors are raised after the
            outcomes known by then.
        :raises PaymentRequiredError: the account is out of credits.
        :raises PermissionDeniedError: the service refuses the key, in JSON.
        :raises APIConnectionError: no response came for ``patience`` seconds.
        :raises APIStatusError: the address does not serve the call, or only refusals for now came for ``patience``
            seconds.
        """
        filters = Filters.of(workflow_id, status, since, before, metadata, converter=self._caller.converter)
        return delete_many(
            self._caller,
            execution_ids,
            filters,
            limit=limit,
            concurrency=concurrency,
            dry_run=check.flag(dry_run, "dry_run"),
        )

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[False] = False,
    ) -> AsyncGenerator[Execution]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: Literal[True],
    ) -> AsyncGenerator[ExecutionDetail]: ...

    @overload
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: bool,
    ) -> AsyncGenerator[Execution]: ...

    @spanned_each(writes=False)
    def wait_many(
        self,
        execution_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
        poll_interval: float | None = None,
        until: Statuses = SETTLED,
        details: bool = False,
    ) -> AsyncGenerator[Any]:
        """Yield each execution once, as soon as its status is in ``until``.

        The number of requests depends on the pages of the list, not on the executions: 2,000 that have ended cost
        three. Only executions that the list does not show, or shows too far back, are requested one by one. It
        continues after outages, as `wait` does.

        :param execution_ids: the executions, each once. Those of an async iterable are collected first.
        :param timeout: seconds for all; ``None``: no limit; 0: one round of requests, without waiting.
        :param poll_interval: seconds between polls, growing to at most four times that while nothing changes.
            ``None``: the client's, and at most two requests of the list a second.
        :param until: a status, or several; an unknown one is rejected unless it is an `ExecutionStatus`.
        :param details: yield each as `get` returns it, at the cost of one request more; by default as the list shows
            it.
        :raises WaitTimeoutError: some were not finished in time: ``pending`` has their ids.
        :raises MissingExecutionsError: the service does not know some ids: ``missing``. It is raised after all others.
        """
        ids = check.execution_ids(execution_ids)
        polling = self._polling(timeout, poll_interval, until)
        return many.wait_for_each(self._caller, ids, polling, details=check.flag(details, "details"))

    # -- for the other modules -----------------------------------------------------------------------------------------

    @spanned_each(writes=False)
    def _list(
        self, *, page_size: int = 100, limit: int | None = None, prefetch: int | None = None, **wanted: Any
    ) -> AsyncGenerator[builtins.list[Execution]]:
        """Iterate over the executions of `list` in groups, for `omium_sync`. The name gives it the span of `list`."""
        filters = Filters.of(**wanted, converter=self._caller.converter)
        check.reading(page_size, prefetch, limit)
        fetch = lists.windows(self._caller, filters)
        return lists.stream_groups(fetch, page_size=page_size, prefetch=prefetch, limit=limit, filters=filters)

    @property
    def _telemetry(self) -> Telemetry | None:
        """The client's telemetry, if it has one."""
        return self._caller.telemetry

    async def _create(
        self, workflow_id: str, input_data: Any, **options: Unpack[CreateOptions]
    ) -> tuple[Execution, bytes]:
        """`create`, with the response too."""
        metadata, agent_id = options.get("metadata"), options.get("agent_id")
        body = endpoints.create_body(self._caller, workflow_id, input_data, metadata, agent_id)
        return await endpoints.create_keeping_answer(self._caller, body, options.get("idempotency_key"))

    def _polling(self, timeout: float | None, poll_interval: float | None, until: Statuses) -> polls.Polling:
        return polls.Polling.of(timeout, poll_interval, until, self._caller.options.poll_interval)
