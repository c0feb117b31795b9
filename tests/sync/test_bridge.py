"""What crosses between the threads and the loop, at the moments that programs seldom meet."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

import pytest

from omium_async import OmiumError
from omium_async.local import Fault
from omium_sync import Omium
from omium_sync._bridge import calls as calls_module
from omium_sync._bridge.call import Call
from omium_sync._bridge.reading import OneByOne
from omium_sync._iterators import Stream


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
        waiting = threading.Thread(target=call.wait, daemon=True)
        waiting.start()
        assert held.calls.end_soon(call)
    waiting.join(30)
    assert not waiting.is_alive()
    assert type(call.error).__name__ == "CancelledError"
    client.executions.count()
    assert (ran, held.calls._running) == ([], set())


class Cleaning:
    """What is read, and cleans up for as long as it is held up."""

    def __init__(self, client: Omium) -> None:
        self.began = threading.Event()
        self.may_end = asyncio.Event()
        self.did = []
        self.stream = Stream(client._line, OneByOne(self._items()))
        assert next(self.stream) == 1
        self.calls, self.call = self.stream._begun

    async def _items(self):
        try:
            yield 1
        finally:
            self.began.set()
            await self.may_end.wait()
            self.did.append("all of it")

    def let_end(self) -> None:
        self.calls.thread.notify(self.may_end.set)


def test_a_second_cancel_does_not_cut_the_cleanup_of_what_is_read(client):
    cleaning = Cleaning(client)
    assert cleaning.calls.end_soon(cleaning.call)
    assert cleaning.began.wait(30)
    assert cleaning.calls.end_soon(cleaning.call)
    cleaning.let_end()
    cleaning.stream.close()
    assert cleaning.did == ["all of it"]


def test_a_client_that_is_closed_does_not_cut_the_cleanup_of_what_is_read(client, monkeypatch):
    monkeypatch.setattr(calls_module, "_OWN_END", 0.0)
    cleaning = Cleaning(client)
    cancels, again = [], threading.Event()
    cancel = Call.cancel

    def told(call):
        cancel(call)
        cancels.append(call)
        if len(cancels) == 2:
            again.set()

    monkeypatch.setattr(Call, "cancel", told)
    closing = threading.Thread(target=client.close)
    closing.start()
    assert cleaning.began.wait(30)
    assert again.wait(30)
    cleaning.let_end()
    closing.join(30)
    assert (cleaning.did, closing.is_alive()) == (["all of it"], False)


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


@pytest.mark.parametrize("kind", ["create", "run", "start", "execute", "replay", "a failed run"])
def test_an_interrupt_in_place_of_the_end_of_a_call_says_what_it_was_about(client, local, monkeypatch, kind):
    failed = client.executions.run("fails once")
    flow = client.workflow("double")
    calls = {
        "create": lambda: client.executions.create("double", 2),
        "run": lambda: client.executions.run("double", 2),
        "start": lambda: flow.start(2),
        "execute": lambda: flow.execute(2),
        "replay": lambda: client.executions.replay(failed.id),
        "a failed run": lambda: client.executions.run("double", 2),
    }
    if kind == "a failed run":
        local.inject(Fault(method="GET", path="/executions/*", status=403))  # which ends its wait
    wait = Call.wait

    def interrupted(call, *, to_the_end=False):
        wait(call)
        if not to_the_end:
            raise KeyboardInterrupt

    monkeypatch.setattr(Call, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        calls[kind]()
    monkeypatch.undo()
    (note,) = raised.value.__notes__
    newest = client.executions.page(1, 1).items[0].id
    assert (failed.id if kind == "replay" else newest) in note


def test_a_client_closed_between_the_looks_of_a_run_says_what_was_created(local):
    attempts = []

    def close_after_a_look(attempt):
        attempts.append(attempt)
        if len(attempts) == 2:
            threading.Timer(0.1, client.close).start()

    client = Omium(local.api_key, base_url=local.url, on_attempt=close_after_a_look)
    created = []
    with pytest.raises(RuntimeError, match="closed") as raised:
        client.executions.run("nobody", poll_interval=60, on_created=created.append)
    assert created[0].id in raised.value.__notes__[0]
