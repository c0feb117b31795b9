"""The end of the program, with a client in every state."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_never_closed(processes):
    program = """
    client = Omium()
    client.executions.get("a")
    say("end")
    """
    for ended in processes.run(program):
        ended.check("end")


def test_never_used(process):
    program = """
    client = Omium()
    say(threads(), 'omium_async.local' in sys.modules)
    """
    for ended in process.run(program):
        ended.check("['MainThread'] False")
        assert ended.server.seen == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "keep",
    [
        "cycle = [client]; cycle.append(cycle); del cycle, client",
        "class Holder: pass\nholder = Holder(); holder.me = holder; holder.client = client; Holder.last = holder",
        "sys.modules['holder'] = client",
        "client.executions.myself = client; threading.current_thread().client = client",
    ],
    ids=["lost cycle", "global cycle", "sys.modules", "own cycle"],
)
def test_held_in_a_cycle(processes, keep):
    program = f"""
client = Omium()
client.executions.get("a")
{keep}
say("end")
"""
    for ended in processes.run(program):
        ended.check("end")


def test_collected_client_closes_its_connections_and_ends_the_thread(anywhere):
    program = """
    client = Omium()
    client.executions.get("a")
    loop = next(thread for thread in threading.enumerate() if thread.name == "omium_sync")
    cycle = [client]
    cycle.append(cycle)
    del client, cycle
    gc.collect()
    loop.join(30)
    say(threads())
    """
    for ended in anywhere.run(program):
        ended.check("['MainThread']")


@pytest.mark.slow
def test_collected_while_others_are_used(processes):
    program = """
    kept = Omium()
    kept.executions.get("a")
    for _ in range(50):
        client = Omium()
        client.executions.get("b")
        cycle = [client]
        cycle.append(cycle)
        del client, cycle
    gc.collect()
    say(kept.executions.get("c").id, threads())
    kept.close()
    say(threads())
    """
    for ended in processes.run(program):
        ended.check("c ['MainThread', 'omium_sync']", "['MainThread']")


def test_iterators_left_half_read(process):
    program = """
    client = Omium()
    left = [client.executions.list(), client.executions.pages(), client.executions.list(prefetch=0),
            client.executions.watch("pending"), client.executions.list(workflow_id="hold")]
    for iterator in left:
        next(iterator)
    for _ in range(600):  # far enough for more to be read ahead
        next(left[0])
    batch = client.executions.create_many(ExecutionRequest("w") for _ in range(10_000))
    next(batch)
    for row in client.executions.list():
        break
    say("end")
    """
    for ended in process.run(program):
        ended.check("end")


def test_unfinished_calls_of_daemon_threads_are_cancelled(process):
    program = """
    client = Omium()
    client.executions.get("a")
    for _ in range(8):
        threading.Thread(target=client.executions.get, args=["hold"], daemon=True).start()
    go()
    say("end")
    """

    def drive(program):
        program.server.wait_for("GET hold", 8)
        program.answer()

    for ended in process.run(program, drive):
        ended.check("end")
        ended.server.wait_for_end_of("GET hold", 8)


@pytest.mark.slow
def test_other_threads_finish_their_calls(processes):
    program = """
    client = Omium()
    def work():
        main.join()
        say(client.executions.get("a").id)
    main = threading.main_thread()
    threading.Thread(target=work).start()
    """
    for ended in processes.run(program):
        ended.check("a")


@pytest.mark.slow
def test_calls_in_exit_handlers(processes):
    program = """
    client, other = Omium(), Omium()
    other.executions.get("a")
    atexit.register(lambda: say(client.executions.get("b").id, other.executions.get("c").id))
    """
    for ended in processes.run(program):
        ended.check("b c")


@pytest.mark.slow
def test_calls_in_exit_handlers_older_than_the_package_do_not_hang(processes):
    program = """
    def last():
        try:
            say(client.executions.get("b").id)
        except RuntimeError as error:
            say(error if sys.version_info >= (3, 12) else "unexpected")
    import omium_sync._portal
    atexit.unregister(omium_sync._portal._at_exit)
    atexit.register(last)
    atexit.register(omium_sync._portal._at_exit)  # as if it was imported now
    client = Omium()
    client.executions.get("a")
    say("end")
    """
    for ended in processes.run(program):
        # From 3.12 on no thread is started any more at this time.
        assert ended.lines[1:] in (["b"], ["no call can be started any more: the interpreter is shutting down"]), ended
        ended.check("end", *ended.lines[1:])


@pytest.mark.slow
def test_daemon_threads_start_no_call_when_the_loop_has_ended(processes):
    program = """
    import omium_sync._portal
    ended, called = threading.Event(), threading.Event()
    def late():
        ended.set()
        called.wait(1)  # long enough for a call
    atexit.unregister(omium_sync._portal._at_exit)
    atexit.register(late)
    atexit.register(omium_sync._portal._at_exit)  # as if it was imported now
    client = Omium()
    def call(of):
        ended.wait()
        of()
        called.set()
        say("called")
    client.executions.get("a")
    for of in (lambda: client.executions.get("b"), Omium().executions.count, lambda: list(client.executions.list())):
        threading.Thread(target=call, args=[of], daemon=True).start()
    say("end")
    """
    for end in processes.run(program):
        end.check("end")


@pytest.mark.slow
def test_calls_in_finalizers_at_the_end_do_not_hang(processes):
    program = """
    class Last:
        def __init__(self, write):
            self.client, self.write = Omium(), write
            self.client.executions.get("a")
            self.rows = self.client.executions.list()
            next(self.rows)
        def __del__(self):
            for call in (lambda: self.client.executions.get("b"), lambda: next(self.rows), self.client.close):
                try:
                    call()
                except RuntimeError as error:
                    self.write(1, str(error).encode() + b"\\n")
    last = Last(os.write)
    last.me = last
    say("end")
    """
    for ended in processes.run(program):
        assert ended.lines[0] == "end", ended
        assert "no call can be started any more: the interpreter is shutting down" in ended.lines, ended
        assert (ended.err, ended.code) == ("", 0), ended


@pytest.mark.slow
def test_an_error_and_sys_exit_end_the_program_as_ever(processes):
    program = """
    client = Omium()
    rows = client.executions.list()
    next(rows)
    sys.exit(3)
    """
    for ended in processes.run(program):
        ended.check(code=3)
    for ended in processes.run(program.replace("sys.exit(3)", "1 / 0")):
        assert ended.code == 1
        assert ended.err.count("Traceback") == 1
        assert ended.err.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.slow
def test_a_look_up_that_hangs_does_not_hold_the_exit_up(processes):
    program = """
    import socket
    looking = threading.Event()
    def hang(*args, **kwargs):
        looking.set()
        time.sleep(60)
    socket.getaddrinfo = hang
    client = Omium(base_url="https://nowhere.example")
    threading.Thread(target=client.executions.get, args=["a"], daemon=True).start()
    looking.wait(30)
    say("end")
    """
    for ended in processes.run(program):
        ended.check("end")


@pytest.mark.slow
def test_a_hook_that_hangs_does_not_hold_the_exit_up(processes):
    program = """
    hanging = threading.Event()
    def hang(attempt):
        hanging.set()
        time.sleep(60)
    client = Omium(on_attempt=hang)
    threading.Thread(target=client.executions.get, args=["a"], daemon=True).start()
    hanging.wait(30)
    say("end")
    """
    for ended in processes.run(program):
        ended.check("end")
