"""What crosses between the threads and the loop, at the moments that programs seldom meet."""

from __future__ import annotations

import threading
from typing import Self

import pytest

from omium_async import OmiumError
from omium_sync import Omium
from omium_sync._bridge.call import Call


class HeldLoop:
    """Keeps the loop of a client busy, so that what is handed over meanwhile meets it all at once."""

    def __init__(self, client: Omium) -> None:
        self.calls = client._line.connect()
        self._held, self._go = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self.calls.thread.portal()
        self.calls.thread.notify(lambda: (self._held.set(), self._go.wait(30)))
        assert self._held.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()


def test_a_call_cancelled_before_its_first_step_ends_and_does_nothing(client):
    client.executions.count()
    ran = []

    async def step():
        ran.append("step")

    call = Call(step)
    with HeldLoop(client) as held:
        held.calls._hand_over(call)
        assert held.calls.end_soon(call)
    call.wait()
    assert type(call.error).__name__ == "CancelledError"
    client.executions.count()
    assert (ran, held.calls._running) == ([], set())


def test_what_arrives_while_the_loop_is_busy_is_begun_in_its_next_turn(client):
    client.executions.count()
    turns = []

    async def step(number):
        turns.append(number)

    calls = [Call(step, (number,)) for number in range(100)]
    with HeldLoop(client) as held:
        for call in calls:
            held.calls._hand_over(call)
    for call in calls:
        call.wait()
    assert turns == list(range(100))


def test_on_created_is_called_in_the_callers_thread_before_the_wait(client, local):
    seen = []

    def on_created(execution):
        asked = local.counts.get("GET /executions/*", 0)
        client.executions.get(execution.id)  # it may call the client itself
        seen.append((threading.current_thread(), execution.id, local.counts["GET /executions/*"] - asked))

    done = client.executions.run("double", 21, poll_interval=0.01, on_created=on_created)
    assert (done.output_data, seen) == (42, [(threading.current_thread(), done.id, 1)])


def test_what_on_created_raises_ends_the_run_and_says_what_was_created(client):
    created = []

    def fails(error):
        def on_created(execution):
            created.append(execution.id)
            raise error

        return on_created

    for error in (LookupError("mine"), StopIteration("mine"), KeyboardInterrupt("mine"), SystemExit("mine")):
        with pytest.raises(type(error), match="mine") as raised:
            client.executions.run("nobody", on_created=fails(error))
        assert raised.value is error
        assert created[-1] in "".join(raised.value.__notes__)
    refused = OmiumError("mine")
    with pytest.raises(OmiumError, match="mine") as raised:
        client.executions.run("nobody", on_created=fails(refused))
    assert (raised.value.execution_id, raised.value.outcome) == (created[-1], "applied")


def test_an_on_created_that_cannot_be_called_is_refused_before_anything_is_sent(client, local):
    async def on_created(execution): ...

    before = local.counts.get("POST /executions", 0)
    for bad in (on_created, 1):
        with pytest.raises(TypeError, match="on_created"):
            client.executions.run("nobody", on_created=bad)
    assert local.counts.get("POST /executions", 0) == before
