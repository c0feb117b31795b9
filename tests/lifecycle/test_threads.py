"""Many threads on one client, threads that close it, and calls from the thread of the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from omium_sync._portal import LoopThread, start_thread

from .recorder import LONG


def test_many_threads_on_one_client(anywhere):
    program = """
    from concurrent.futures import ThreadPoolExecutor
    with Omium() as client, ThreadPoolExecutor(32) as pool:
        ids = [f"id{number}" for number in range(640)]
        say([detail.id for detail in pool.map(client.executions.get, ids)] == ids)
        say(sorted({row.id for row in client.executions.list()}) == sorted(f"exec_{number}" for number in range(1000)))
    say(threads())
    """
    for ended in anywhere.run(program):
        ended.check("True", "True", "['MainThread']")


def test_many_clients_in_many_threads(anywhere):
    program = """
    from concurrent.futures import ThreadPoolExecutor
    def use(number):
        with Omium() as client:
            client.executions.get(f"id{number}")
            return [name for name in threads() if "omium" in name]
    with ThreadPoolExecutor(32) as pool:
        say(max(len(names) for names in pool.map(use, range(200))) <= 3)  # the one in use, and others that end
    say(threads())
    """
    for ended in anywhere.run(program):
        ended.check("True", "['MainThread']")


def test_closed_twice_and_used_after_that(anywhere):
    program = """
    client = Omium()
    copy = client.with_options(timeout=5)
    rows, half = client.executions.list(), client.executions.list()
    for _ in range(600):  # far enough for more to be read ahead
        next(half)
    copy.executions.get("a")
    client.close()
    client.close()
    copy.close()
    for use in (lambda: client.executions.get("b"), lambda: copy.executions.get("b"), client.__enter__,
                lambda: next(rows), lambda: list(half), lambda: client.request("GET", "/x"),
                lambda: list(client.executions.pages())):
        try:
            say("no error", use())
        except RuntimeError as error:
            say(error)
    half.close()
    never = Omium()
    never.close()
    try:
        never.executions.get("b")
    except RuntimeError as error:
        say(error)
    say(threads())
    """
    closed = "this client is closed (close was called); make a new one"
    for ended in anywhere.run(program):
        ended.check(*[closed] * 8, "['MainThread']")


def test_closed_while_other_threads_call(anywhere):
    program = """
    other = Omium()  # keeps the loop from ending with the client
    other.executions.get("other")
    client = Omium(max_retries=0, max_connections=3, timeout=60, attempt_timeout=60)
    ends = []
    def use(call, *args):
        try:
            call(*args)
            ends.append("a result")
        except OmiumError as error:
            ends.append((type(error).__name__, error.outcome_unknown))
        except RuntimeError as error:
            ends.append(str(error))
    def start(*call):
        thread = threading.Thread(target=use, args=call)
        thread.start()
        return thread
    started = [start(client.executions.get, "hold"), start(client.executions.create, "hold")]
    go()
    started.append(start(lambda: client.executions.wait("pending", until=["failed"], poll_interval=60)))
    started.append(start(list, client.executions.list(workflow_id="hold")))
    go()
    started += [start(client.executions.create, "w") for _ in range(3)]  # these wait for a connection
    time.sleep(0.2)
    client.close()
    for thread in started:
        thread.join(30)
    for end in sorted(map(str, ends)):
        say(end)
    other.close()
    say(threads())
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.server.wait_for("POST hold")
        program.answer()
        program.server.wait_for("GET pending")
        program.server.wait_for("LIST hold")
        program.answer()

    for ended in anywhere.run(program, drive):
        *ends, threads = ended.lines
        assert threads == "['MainThread']", ended
        assert len(ends) == 7, ended
        known = ("('APIConnectionError', ", "this client ", "the client was closed")
        assert all(end.startswith(known) for end in ends), ended.lines
        assert "('APIConnectionError', True)" in ends, ended  # the verdict on the write that had been sent
        ended.check(*ended.lines)


def test_a_call_that_starts_while_the_loop_ends_does_not_hang(monkeypatch):
    async def running():
        return asyncio.get_running_loop()

    def close():  # after this nothing that was sent to the loop is done any more
        closing.set()
        sent.wait(LONG)
        do_close()

    def send(*args, **options):
        if threading.current_thread() is caller:
            sending.set()
            closing.wait(0.2)
        try:
            return do_send(*args, **options)
        finally:
            if threading.current_thread() is caller:
                sent.set()

    def call():
        with pytest.raises(RuntimeError):
            thread.start_task(running)

    monkeypatch.setattr("omium_sync._portal._ANSWER_TIMEOUT", LONG)
    closing, sending, sent = threading.Event(), threading.Event(), threading.Event()
    thread = start_thread(LoopThread("omium_sync.test"))
    loop = thread.start_task(running).result()
    do_close, do_send = loop.close, loop.call_soon_threadsafe
    loop.close, loop.call_soon_threadsafe = close, send
    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    assert sending.wait(LONG)
    thread.stop()
    caller.join(LONG)
    assert not caller.is_alive()


def test_an_iterator_shared_between_threads(anywhere):
    program = """
    client = Omium()
    for iterator, key in ((client.executions.list(page_size=20), lambda row: row.id),
                          (client.executions.pages(page_size=10), lambda page: page.page),
                          (client.executions.create_many(ExecutionRequest("w", number) for number in range(300)),
                           lambda outcome: outcome.request.input_data)):
        found = []
        workers = [threading.Thread(target=lambda: found.extend(map(key, iterator))) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        say(len(found), len(set(found)))
    """
    for ended in anywhere.run(program):
        ended.check("1000 1000", "100 100", "300 300")


def test_an_iterator_closed_by_another_thread(anywhere):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    rows = client.executions.list(workflow_id="hold", prefetch=0)
    def close():
        go()
        rows.close()
        rows.close()
        say("closed")
    closer = threading.Thread(target=close)
    closer.start()
    try:
        for row in rows:
            pass
    except RuntimeError as error:
        closer.join()
        say(error)
    say(list(rows), client.executions.get("after").id)
    """

    def drive(program):
        program.server.wait_for("LIST hold")
        program.answer()

    for ended in anywhere.run(program, drive):
        ended.check("closed", "this iterator was closed by another thread while it was read", "[] after")
        ended.server.wait_for_end_of("LIST hold")


def test_closing_an_iterator_ends_what_it_had_under_way(anywhere):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    rows = client.executions.list(workflow_id="hold")
    for _ in range(100):
        next(rows)
    go()
    rows.close()
    batch = client.executions.create_many([ExecutionRequest("w"), *[ExecutionRequest("hold")] * 8], concurrency=4)
    def read():
        try:
            for outcome in batch:
                say(outcome.state)
        except RuntimeError as error:
            say(error)
    reader = threading.Thread(target=read)
    reader.start()
    go()
    batch.close()
    reader.join()
    say(list(rows), list(batch))
    """

    def drive(program):
        program.server.wait_for("LIST hold")
        program.answer()
        program.server.wait_for_end_of("LIST hold")
        program.server.wait_for("POST hold", 4)
        assert program.line() == "created\n"
        program.answer()
        program.server.wait_for_end_of("POST hold", 4)

    for ended in anywhere.run(program, drive):
        # The reader was within the call, or on its way to it: then it sees a closed iterator.
        complaint = ["this iterator was closed by another thread while it was read"] * (len(ended.lines) - 2)
        ended.check("created", *complaint, "[] []")


def test_context_of_the_calling_thread(anywhere):
    program = """
    import contextvars, logging
    user = contextvars.ContextVar("user", default="nobody")
    class Filter(logging.Filter):
        def filter(self, record):
            record.user = user.get()
            return True
    class Handler(logging.Handler):
        def emit(self, record):
            logged.add(record.user)
    logged, seen = set(), []
    logger = logging.getLogger("omium_async")
    handler = Handler()
    handler.addFilter(Filter())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    client = Omium(on_attempt=lambda attempt: seen.append(user.get()))
    user.set("main")
    client.executions.get("a")
    list(client.executions.list(limit=300))
    list(client.executions.create_many([ExecutionRequest("w")]))
    say(set(seen), logged)
    def work():
        user.set("other")
        client.executions.get("a")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    say(seen[-1], user.get())
    del seen[:]
    def many(number):
        user.set(number)
        for _ in range(30):
            client.executions.get("a")
    crowd = [threading.Thread(target=many, args=[number]) for number in range(16)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    say({seen.count(number) for number in range(16)})
    """
    for ended in anywhere.run(program):
        ended.check("{'main'} {'main'}", "other main", "{30}")


def test_calls_from_the_thread_of_the_loop(anywhere):
    program = """
    import logging
    def hook(attempt):
        for call in (lambda: client.executions.get("inner"), client.close, lambda: next(client.executions.list()),
                     lambda: other.executions.get("inner")):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error).partition(" (")[0])
    errors = []
    client, other = Omium(on_attempt=hook), Omium()
    say(client.executions.get("a").id, len(errors), set(errors))
    say(client.executions.get("a").id)
    """
    for ended in anywhere.run(program):
        ended.check('a 4 {"this call is made on the loop\'s own thread"}', "a")
        assert ended.server.count("GET inner") == 0


def test_of_what_hooks_raise_only_ctrl_c_is_the_callers(anywhere):
    program = """
    def hook(attempt):
        if threads_to_end:
            raise threads_to_end.pop()
    threads_to_end = []
    client, other = Omium(on_attempt=hook), Omium(timeout=60, attempt_timeout=60)
    holder = threading.Thread(target=lambda: say(other.executions.get("hold").id))
    holder.start()
    go()
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        for call in (lambda: client.executions.get("a"), lambda: list(client.executions.list()),
                     lambda: list(client.executions.create_many([ExecutionRequest("w")] * 3))):
            threads_to_end.append(kind("mine"))
            try:
                call()
                say(kind.__name__, "ignored")
            except BaseException as error:
                say(kind.__name__, "raised", type(error).__name__)
    say(client.executions.get("after").id)
    go()
    holder.join()
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.answer()
        program.server.wait_for("GET after")
        program.server.release()
        program.answer()

    for ended in anywhere.run(program, drive):
        ignored = [f"{kind} ignored" for kind in ("SystemExit", "GeneratorExit")]
        raised = ["KeyboardInterrupt raised KeyboardInterrupt"]
        assert ended.lines[:9] == ignored[:1] * 3 + raised * 3 + ignored[1:] * 3, ended
        assert (sorted(ended.lines[-2:]), ended.code) == (["after", "hold"], 0), ended  # both say it at the same time


@pytest.mark.slow
def test_a_list_that_failed_on_the_thread_of_the_loop_keeps_no_client_alive(processes):
    program = """
    def hook(attempt):
        if rows:
            try:
                next(rows[0])
            except RuntimeError as error:
                say(str(error).partition(" (")[0])
    rows = []
    client = Omium(on_attempt=hook)
    begun = client.executions.list(page_size=20)
    for _ in range(20):
        next(begun)
    rows.append(begun)
    client.executions.get("a")
    rows.clear()
    del client, begun
    deadline = time.monotonic() + 10
    for thread in threading.enumerate():
        while thread.name == "omium_sync" and thread.is_alive() and time.monotonic() < deadline:
            gc.collect()  # the tracebacks of what ended are circles
            thread.join(0.05)
    say(threads())
    """
    for ended in processes.run(program):
        ended.check("this call is made on the loop's own thread", "['MainThread']")


def test_dropped_on_the_thread_of_the_loop(anywhere):
    program = """
    def hook(attempt):
        clients.clear()
        gc.collect()
    clients = [Omium(on_attempt=hook)]
    clients[0].executions.get("b")
    rows = Omium().executions.list()
    say(next(rows).id, len(list(rows)))
    """
    for ended in anywhere.run(program):
        ended.check("exec_0 999")
