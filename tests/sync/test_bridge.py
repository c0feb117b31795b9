"""What crosses between the threads and the loop, at the moments that programs seldom meet."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import weakref
from concurrent.futures import Future
from typing import Self

import pytest

from omium_async import ExecutionRequest, OmiumError
from omium_async.local import Fault
from omium_sync import LocalOmium, Omium
from omium_sync._bridge import calls as calls_module
from omium_sync._bridge.call import Call
from omium_sync._bridge.feed import Feed
from omium_sync._bridge.loop import LoopThread, _LookUps
from omium_sync._bridge.process import process
from omium_sync._bridge.reading import OneByOne
from omium_sync._iterators import Stream
from omium_sync._mirrors import fed


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


def test_a_call_that_comes_when_all_is_over_is_refused(client):
    client.executions.count()
    calls = client._line.connect()
    client.close()
    call = Call(asyncio.sleep, (0,))
    calls._hand_over(call)
    assert call.ended
    with pytest.raises(RuntimeError, match="this client was closed"):
        raise call.error


def test_a_call_handed_over_while_the_client_is_closed_is_refused(client):
    client.executions.count()
    calls, began, may_end = client._line.connect(), threading.Event(), asyncio.Event()

    async def shut():
        began.set()
        await may_end.wait()

    calls._shut = shut
    closing = threading.Thread(target=client.close)
    closing.start()
    assert began.wait(30)
    late = Call(asyncio.sleep, (0,))
    calls._hand_over(late)
    calls.thread.notify(may_end.set)
    late.wait()
    closing.join(30)
    assert (str(late.error), closing.is_alive()) == ("this client was closed", False)


def test_calls_that_are_served_twice_end_once(client):
    """An interrupt, or its handler, comes just when the first call begins."""
    client.executions.count()
    calls = client._line.connect()
    again = calls.thread.portal().start_task_soon(calls._serve)
    client.executions.count()
    assert not again.done()
    client.close()
    assert again.result(30) is None


def test_a_client_that_was_interrupted_before_its_first_call_leaves_no_loop(local):
    client = Omium(local.api_key, base_url=local.url)
    thread = client._line.connect().thread
    client.close()
    assert not thread.alive
    collected = Omium(local.api_key, base_url=local.url)
    calls = collected._line.connect()
    del collected
    gc.collect()
    assert calls not in calls.thread.users


def test_loops_that_have_ended_are_forgotten_but_for_the_last(local):
    threads = []
    for _ in range(3):
        with Omium(local.api_key, base_url=local.url) as client:
            client.executions.count()
            threads.append(weakref.ref(client._line.connect().thread))
    del client
    gc.collect()
    assert [thread() for thread in threads[:2]] == [None, None]


def test_one_client_that_is_closed_leaves_the_loop_to_the_others(client, local):
    client.executions.count()
    with Omium(local.api_key, base_url=local.url) as other:
        other.executions.count()
        thread = other._line.connect().thread
        assert client._line.connect().thread is thread
    assert thread.alive
    client.close()
    assert not thread.alive


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_an_iterator_is_begun_ends_what_was_begun(client, monkeypatch, when):
    client.executions.count()
    calls = client._line.connect()
    hand_over, handed = calls._hand_over, []

    def interrupted(call):
        handed.append(call)
        if when == "after":
            hand_over(call)
        raise KeyboardInterrupt

    monkeypatch.setattr(calls, "_hand_over", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(client.executions.pages())
    monkeypatch.undo()
    assert handed[0].ended
    assert client.executions.count() >= 0
    assert calls._running == set()


def test_looked_up_names_come_back_and_so_does_what_went_wrong():
    """And who gave up meanwhile cannot take away the thread's place to put it."""
    found, go_on = _LookUps(), threading.Event()

    def fails():
        raise OSError("no such name")

    assert isinstance(found.submit(fails).exception(30), OSError)
    looking = found.submit(lambda: go_on.wait(30))
    assert not looking.cancel()
    go_on.set()
    assert looking.result(30)


@pytest.mark.parametrize("ahead", [1, 5])
def test_no_more_is_taken_from_an_iterable_than_is_allowed_for_without_results(ahead):
    async def main():
        feed = Feed(range(100))
        feed.ahead = ahead
        feed.pull(lambda told: told(), until=lambda: False)
        assert [await anext(feed) for _ in range(ahead)] == list(range(ahead))
        assert not feed.room
        feed.given += 2
        feed.pull(lambda told: told(), until=lambda: False)
        assert [await anext(feed) for _ in range(2)] == [ahead, ahead + 1]
        assert not feed.room

    asyncio.run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_batch_takes_so_many_requests_ahead_of_its_results_and_no_more(client, concurrency):
    most = 4 * concurrency + 64
    taken, ahead = [], []

    def requests():
        for number in range(most + 10):
            ahead.append(number - len(given))
            taken.append(number)
            yield number

    async def slow(_core, items, *, concurrency):
        waiting = [await anext(items) for _ in range(most)]
        await asyncio.sleep(0.2)  # in which another would be taken
        for number in waiting:
            yield number

    given = []
    for number in fed(client.executions, slow, requests(), concurrency=concurrency):
        given.append(number)  # noqa: PERF402 - read by `requests` meanwhile
    assert given == list(range(most))
    assert max(ahead) == most - 1


def test_a_server_that_two_threads_stop_is_stopped_once():
    server, began, go_on, stops = LocalOmium(), threading.Event(), threading.Event(), []
    server.start()
    served = server._served

    class Held:
        def __exit__(self, *what):
            stops.append(what)
            began.set()
            go_on.wait(30)
            return served.__exit__(*what)

    server._served = Held()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert began.wait(30)
    server.stop()
    go_on.set()
    stopping.join(30)
    assert len(stops) == 1


@pytest.fixture
def pages(client):
    """An iterator that is begun, with more to come."""
    for _ in range(3):
        client.executions.create("read by hand")
    pages = client.executions.pages(page_size=1, prefetch=0, workflow_id="read by hand")
    next(pages)
    return pages


def test_an_iterator_whose_loop_has_ended_says_so_and_the_client_works_on(client, pages):
    process.end(pages._begun[0].thread)
    with pytest.raises(RuntimeError, match="has ended: begin a new one"):
        next(pages)
    assert client.executions.count(workflow_id="read by hand") >= 3


def test_an_iterator_cannot_be_read_on_the_thread_of_its_loop(pages):
    said, done = [], threading.Event()

    def read():
        try:
            next(pages)
        except RuntimeError as error:
            said.append(str(error))
        done.set()

    pages._begun[0].thread.notify(read)
    assert done.wait(30)
    assert "make it from another thread" in said[0]


@pytest.mark.parametrize(("exiting", "said"), [(False, "can't start new thread"), (True, "is shutting down")])
def test_a_thread_that_cannot_be_started_is_told_of_and_forgotten(client, monkeypatch, exiting, said):
    def start(self):
        raise RuntimeError("can't start new thread")

    before = set(process._running)
    monkeypatch.setattr(LoopThread, "start", start)
    monkeypatch.setattr(process, "_exiting", exiting)
    with pytest.raises(RuntimeError, match=said):
        client.executions.count()
    monkeypatch.undo()
    assert process._running == before
    assert client.executions.count() >= 0


def test_what_a_users_async_iterable_has_to_clean_up_is_done_when_the_client_is_closed(local):
    cleaned = []

    async def requests():
        try:
            while True:
                yield ExecutionRequest("nobody")
        finally:
            await asyncio.sleep(0)
            cleaned.append("all")

    with Omium(local.api_key, base_url=local.url) as client:
        kept = requests()  # so that nothing but the end of the loop closes it
        next(client.executions.create_many(kept, concurrency=2))
    assert cleaned == ["all"]


def test_ctrl_c_is_for_the_main_thread_and_for_the_processes_of_workflows(client, local):
    """It goes to a thread that does not block it, and a process that a thread starts blocks what that one does."""
    client.executions.count()

    def blocks(thread):
        found = Future()
        thread.notify(lambda: found.set_result(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        return signal.SIGINT in found.result(30)

    assert blocks(client._line.connect().thread)
    assert not blocks(local._thread)


def test_tasks_that_hooks_began_clean_up_when_the_client_is_closed(local):
    tasks, begun, cleaned = [], threading.Event(), []

    async def task():
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            cleaned.append("all")

    with Omium(local.api_key, base_url=local.url) as client:
        client.executions.count()
        client._line.connect().thread.notify(lambda: tasks.append(asyncio.ensure_future(task())))
        assert begun.wait(30)
    assert cleaned == ["all"]
