"""Ctrl-C and other exceptions of signal handlers: the call is cancelled and has ended before they are raised."""

from __future__ import annotations

import signal

import pytest

from .conftest import interrupt_at

INTERRUPTED = """
attempts = []
client = Omium(on_attempt=attempts.append, max_retries=0, timeout=60, attempt_timeout=60)
client.executions.get("before")
del attempts[:]
say("ready")
try:
    {call}
except KeyboardInterrupt:
    seen = [(attempt.error, attempt.outcome_unknown) for attempt in attempts]  # before anything else happens
    say("interrupted", *seen)
say(client.executions.get("after").id)
"""


ELSEWHERE = """
def elsewhere():
    go()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
threading.Thread(target=elsewhere, daemon=True).start()
"""


@pytest.mark.parametrize(
    ("call", "what", "unknown"),
    [
        ("client.executions.get('hold')", "GET hold", False),
        ("client.executions.create('hold')", "POST hold", True),
        ("client.executions.run('hold')", "POST hold", True),
        ("list(client.executions.list(workflow_id='hold', prefetch=0))", "LIST hold", False),
        ("list(client.executions.pages(workflow_id='hold', prefetch=0))", "LIST hold", False),
        ("list(client.executions.create_many([ExecutionRequest('hold')]))", "POST hold", True),
        ("next(client.executions.wait_many(['hold']))", "GET hold", False),
        ("client.request('PUT', '/hold')", "PUT hold", True),
    ],
    ids=["get", "create", "run", "list", "pages", "create_many", "wait_many", "request"],
)
def test_in_a_call(anywhere, call, what, unknown):
    for ended in anywhere.run(INTERRUPTED.format(call=call), interrupt_at(what)):
        cancelled = ended.lines[1]
        assert cancelled.startswith("interrupted"), ended
        assert cancelled.endswith(f"('CancelledError', {unknown})"), ended
        ended.check("ready", cancelled, "after")
        ended.server.wait_for_end_of(what)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("client.executions.get('hold')", "GET hold"),
        ("list(client.executions.list(workflow_id='hold', prefetch=0))", "LIST hold"),
        ("next(client.executions.wait_many(['hold']))", "GET hold"),
    ],
    ids=["get", "list", "wait_many"],
)
def test_that_does_not_wake_the_thread(anywhere, call, what):
    """As one that comes just before the thread falls asleep: here it comes to another thread."""

    def drive(program):
        program.server.wait_for(what)
        program.answer()

    for ended in anywhere.run(ELSEWHERE + INTERRUPTED.format(call=call), drive):
        interrupted = ended.lines[1]
        assert interrupted.endswith("('CancelledError', False)"), ended
        ended.check("ready", interrupted, "after")


@pytest.mark.parametrize(
    "call",
    ["client.executions.wait('pending', poll_interval=60, until=['failed'])",
     "list(client.executions.watch('pending', poll_interval=60, until=['failed']))"],
    ids=["wait", "watch"],
)  # fmt: skip
def test_between_polls(anywhere, call):
    for ended in anywhere.run(INTERRUPTED.format(call=call), interrupt_at("GET pending")):
        assert ended.lines[1].startswith("interrupted"), ended
        ended.check("ready", ended.lines[1], "after")


def test_a_write_that_waits_for_its_turn_is_never_sent(anywhere):
    program = """
    client = Omium(max_connections=1, timeout=60, attempt_timeout=60)
    holder = threading.Thread(target=client.executions.get, args=["hold"])
    holder.start()
    go()
    try:
        threading.Timer(0.3, interrupt).start()
        client.executions.create("w")
    except KeyboardInterrupt:
        say("interrupted")
    go()
    holder.join()
    say(client.executions.get("after").id)
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.answer()
        assert program.line() == "interrupted\n"
        program.server.release()
        program.answer()

    for ended in anywhere.run(program, drive):
        ended.check("interrupted", "after")
        assert ended.server.count("POST w") == 0, ended


def test_what_was_created_before_is_said(anywhere):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    say("ready")
    try:
        client.executions.run("w", poll_interval=60, until=["failed"])
    except KeyboardInterrupt as interrupt:
        say(*interrupt.__notes__)
    """
    for ended in anywhere.run(program, interrupt_at("GET exec_0")):
        ended.check("ready", "execution exec_0 was created before this, and continues")


def test_a_batch_sends_nothing_more(anywhere):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    requests = [ExecutionRequest("w"), *[ExecutionRequest("hold")] * 4, *[ExecutionRequest("later")] * 100]
    try:
        for outcome in client.executions.create_many(requests, concurrency=4):
            pass
    except KeyboardInterrupt:
        say("interrupted")
    go()
    say(client.executions.get("after").id)
    """

    def drive(program):
        program.server.wait_for("POST hold", 4)
        program.interrupt()
        assert program.line() == "interrupted\n"
        program.server.wait_for_end_of("POST hold", 4)
        program.server.release()
        program.answer()

    for ended in anywhere.run(program, drive):
        ended.check("interrupted", "after")
        assert ended.server.count("POST later") == 0


def test_in_the_requests_of_a_batch(anywhere):
    program = """
    client = Omium()
    def requests():
        yield ExecutionRequest("w")
        interrupt()
        time.sleep(10)
    try:
        list(client.executions.create_many(requests()))
    except KeyboardInterrupt:
        say("interrupted", client.executions.get("after").id)
    """
    for ended in anywhere.run(program):
        ended.check("interrupted after")


@pytest.mark.slow
def test_at_the_start(processes):
    program = """
    import omium_sync._portal as loop
    new_loop, go_on = loop._new_loop, threading.Event()
    def slow_loop():
        loop._new_loop = new_loop
        interrupt()
        go_on.wait()
        return new_loop()
    loop._new_loop = slow_loop
    client = Omium()
    try:
        client.executions.create("w")
    except KeyboardInterrupt:
        say("interrupted", threads())
        go_on.set()
    say(client.executions.get("after").id)
    client.close()
    for thread in threading.enumerate():
        if thread.name == "omium_sync":  # given up by the interrupt: it ends as soon as it has started
            thread.join(30)
    say(threads())
    """
    for ended in processes.run(program):
        ended.check("interrupted ['MainThread', 'omium_sync']", "after", "['MainThread']")
        assert ended.server.count("POST w") == 0


@pytest.mark.slow
def test_at_any_instant(processes):
    program = """
    import random
    client = Omium()
    client.executions.get("before")
    def on_alarm(_, frame):
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.003))
        if frame.f_code.co_name in {"_remove", "remove", "__del__"}:  # Python would report an error in there
            return
        while frame is not None:
            if frame.f_code is calls.__code__:
                raise KeyboardInterrupt
            frame = frame.f_back
    def calls():
        while True:
            client.executions.get("a")
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    for _ in range(200):
        with contextlib.suppress(KeyboardInterrupt):
            calls()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    say(client.executions.get("after").id, threads())
    client.close()
    say(threads())
    """
    for ended in processes.run(program):
        ended.check("after ['MainThread', 'omium_sync']", "['MainThread']")


def test_whatever_a_handler_raises(anywhere):
    program = """
    class SoftTimeLimit(Exception):
        pass
    def limit(*_):
        raise SoftTimeLimit
    signal.signal(signal.SIGALRM, limit)
    client = Omium(timeout=60, attempt_timeout=60)
    try:
        client.executions.get("hold")
    except SoftTimeLimit as error:
        say("limited", error.__cause__, error.__context__)
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.send(signal.SIGALRM)

    for ended in anywhere.run(program, drive):
        ended.check("limited None None")
        ended.server.wait_for_end_of("GET hold")


def test_a_handler_may_call_itself(anywhere):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    def handler(*_):
        say(client.executions.get("inner").id)
    signal.signal(signal.SIGUSR1, handler)
    say(client.executions.get("hold").id)
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.send(signal.SIGUSR1)
        program.server.wait_for("GET inner")
        program.server.release()

    for ended in anywhere.run(program, drive):
        ended.check("inner", "hold")


def test_uncaught(process):
    program = """
    client = Omium(timeout=60, attempt_timeout=60)
    client.executions.get("hold")
    """
    for ended in process.run(program, interrupt_at("GET hold")):
        assert ended.code == -signal.SIGINT, ended
        assert ended.err.count("Traceback") == 1, ended
        assert ended.err.endswith("KeyboardInterrupt\n"), ended
        ended.server.wait_for_end_of("GET hold")
