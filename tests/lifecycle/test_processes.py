"""Forks, spawned processes and servers that fork: each process has its own loop and connections."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request

import pytest

from .conftest import LONG

FORK = """
import omium_async._transport.session
omium_async._transport.session._KEEPALIVE = 600.0  # a busy machine may leave a connection idle for long
import logging, warnings
logging.getLogger("asyncio").disabled = True  # its debug mode writes to stderr, whose lock a child may inherit
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which these programs do on purpose

def fork(child):
    pid = os.fork()
    if not pid:
        try:
            child()
        except BaseException as error:
            say("the child failed:", repr(error))
            os._exit(1)
        if os.environ.get("LEAVE"):
            sys.exit(0)
        os._exit(0)
    return pid

def ended(pid):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    say("the child hangs")
"""


@pytest.mark.parametrize("leave", ["", "1"], ids=["os._exit", "sys.exit"])
def test_fork_before_and_after_use(process, leave):
    program = (
        FORK
        + """
client = Omium()
ended(fork(lambda: say(client.executions.get("first-child").id)))
say(client.executions.get("parent").id)
ended(fork(lambda: say(client.executions.get("second-child").id, len(list(client.executions.list())))))
say(client.executions.get("parent").id)
with client:
    ended(fork(client.close))
    say(client.executions.get("parent").id)
ended(fork(lambda: say(Omium().executions.get("third-child").id)))
say(threads())
"""
    )
    for ended in process.run(program, LEAVE=leave):
        children = ["first-child", "parent", "second-child 1000", "parent", "parent", "third-child"]
        ended.check(*children, "['MainThread']")
        ports = [ended.server.ports(f"GET {name}-child") for name in ("first", "second", "third")]
        ports.append(ended.server.ports("GET parent"))
        assert len(ports[-1]) == 1, "the parent's connection was used on"
        assert sum(map(len, ports)) == len(set().union(*ports)), "no connection was shared"


@pytest.mark.slow
def test_copies_of_a_client_are_the_childs_own_too(processes):
    program = (
        FORK
        + """
client = Omium()
copy = client.with_options(timeout=50)
say(copy.executions.get("parent").id)
ended(fork(lambda: say(copy.executions.get("child").id, client.executions.get("child").id)))
say(copy.executions.get("parent").id)
"""
    )
    for ended in processes.run(program):
        ended.check("parent", "child child", "parent")
        assert len(ended.server.ports("GET parent")) == len(ended.server.ports("GET child")) == 1
        assert not ended.server.ports("GET child") & ended.server.ports("GET parent")


@pytest.mark.slow
def test_many_generations(processes):
    program = (
        FORK
        + """
client = Omium()
client.executions.get("a")
def child(depth):
    client.executions.get("b")
    if depth:
        ended(fork(lambda: child(depth - 1)))
    client.executions.get("c")
    gc.collect()
for _ in range(5):
    ended(fork(lambda: child(3)))
    client.executions.get("a")
say("end")
"""
    )
    for ended in processes.run(program):
        ended.check("end")
        assert ended.server.count("GET c") == 20
        assert len(ended.server.ports("GET a")) == 1


@pytest.mark.slow
def test_fork_while_other_threads_call(processes):
    program = (
        FORK
        + """
client = Omium()
stop = threading.Event()
calls = []
def work():
    while not stop.is_set():
        calls.append(client.executions.get("parent").id)
workers = [threading.Thread(target=work) for _ in range(8)]
for worker in workers:
    worker.start()
while not calls:
    pass
children = [fork(lambda: client.executions.get("child")) for _ in range(20)]
say(all(ended(child) for child in children))
stop.set()
for worker in workers:
    worker.join()
say(set(calls), client.executions.get("after").id)
"""
    )
    for ended in processes.run(program):
        ended.check("True", "{'parent'} after")
        assert ended.server.count("GET child") == 20
        assert not ended.server.ports("GET child") & ended.server.ports("GET parent")


@pytest.mark.slow
def test_fork_while_locks_are_held(processes):
    program = (
        FORK
        + """
client = Omium(rate_limit=6000)
client.executions.get("parent")
transport = client._core._caller.shared.transport
locks = [part._lock for part in vars(transport).values() if hasattr(part, "_lock")]
with contextlib.ExitStack() as held:
    for lock in locks:
        held.enter_context(lock)
    ended(fork(lambda: say(client.executions.get("child").id)))
say(bool(locks), client.executions.get("parent").id)
"""
    )
    for ended in processes.run(program):
        ended.check("child", "True parent")


@pytest.mark.slow
def test_fork_in_a_handler_during_a_call(processes):
    program = (
        FORK
        + """
client = Omium(timeout=60, attempt_timeout=60)
mine = os.getpid()
def handler(*_):
    if not (child := os.fork()):
        return
    children.append(child)
children = []
signal.signal(signal.SIGUSR1, handler)
try:
    client.executions.get("hold")
except RuntimeError as error:
    say(error)
    say(client.executions.get("child").id)
    os._exit(0)
say(ended(children[0]), os.getpid() == mine)
"""
    )

    def drive(program):
        program.server.wait_for("GET hold")
        program.send(10)
        program.server.wait_for("GET child")
        program.server.release()

    for ended in processes.run(program, drive):
        forked = "the process forked while this call was in progress: it continues in the parent process only"
        ended.check(forked, "child", "True True")


@pytest.mark.parametrize("place", ["threading.Thread.start", "omium_sync._portal._new_loop"])
def test_fork_in_a_handler_while_the_loop_starts(process, place):
    program = (
        FORK
        + f"""
import omium_sync._portal
client = Omium()
original, forked, children = {place}, threading.Event(), []
def handler(*_):
    if child := os.fork():
        children.append(child)
    forked.set()
def slow(*args):  # in a thread: the handler runs in the main thread, which waits
    if not forked.is_set():
        os.kill(os.getpid(), signal.SIGUSR1)
        forked.wait()
    return original(*args)
{place} = slow
signal.signal(signal.SIGUSR1, handler)
try:
    say(client.executions.get("parent").id)
except RuntimeError as error:
    say(error)
    say(client.executions.get("child").id)
    os._exit(0)
say(ended(children[0]))
"""
    )
    forked = "the process forked while this call was in progress: it continues in the parent process only"
    for end in process.run(program):
        assert sorted(end.lines) == sorted([forked, "child", "parent", "True"]), end


@pytest.mark.slow
def test_iterators_across_a_fork(processes):
    program = (
        FORK
        + """
client = Omium()
begun, not_begun = client.executions.list(), client.executions.list()
batch = client.executions.create_many(ExecutionRequest("w") for _ in range(500))
next(begun)
next(batch)
def child():
    say(len(list(not_begun)))
    for iterator in (begun, batch):
        try:
            list(iterator)
        except RuntimeError as error:
            say(error)
        iterator.close()
ended(fork(child))
say(len(list(begun)), len(list(not_begun)), len(list(batch)))
"""
    )
    begun = (
        "the event loop of this iterator has ended, or it was begun in another process, before a fork: begin a new one"
    )
    for ended in processes.run(program):
        ended.check("1000", begun, begun, "999 1000 499")
        assert ended.server.count("POST w") == 500


@pytest.mark.slow
def test_closed_before_the_fork(processes):
    program = (
        FORK.replace("ignore", "error")
        + """
client = Omium()
client.executions.get("a")
client.close()
def child():
    try:
        client.executions.get("b")
    except RuntimeError as error:
        say(error)
ended(fork(child))  # with one thread only: Python has nothing to warn of
"""
    )
    for ended in processes.run(program):
        ended.check("this client is closed (close was called); make a new one")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(processes, method):
    program = f"""
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
client = Omium()

def work(number):
    return client.executions.get(f"child{{number}}").id, len(list(client.executions.list(limit=150)))

if __name__ == "__main__":
    client.executions.get("parent")
    with multiprocessing.get_context("{method}").Pool(3) as pool:
        say(pool.map(work, range(6)) == [(f"child{{number}}", 150) for number in range(6)])
        try:
            pool.apply(print, [client])
        except TypeError as error:
            say(str(error).partition(",")[0])
    say(client.executions.get("parent").id)
"""
    for ended in processes.run(program):
        ended.check("True", "Omium cannot be pickled", "parent")
        children = set().union(*(ended.server.ports(f"GET child{number}") for number in range(6)))
        assert not children & ended.server.ports("GET parent")


APPLICATION = """
from omium_sync import Omium
client = Omium()
at_import = client.executions.get("import").id
def app(environment, start_response):
    rows = sum(1 for _ in client.executions.list(limit=150))
    body = f"{client.executions.get('request').id} {rows} {at_import}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--preload"], ["--preload", "--threads", "4"]], ids=" ".join)
def test_gunicorn(processes, recorder, tmp_path, arguments):
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION, encoding="utf-8")
    gunicorn = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--bind", "127.0.0.1:0"]
    imports = 1 if "--preload" in arguments else 2
    command = [*gunicorn, "--workers", "2", "--chdir", str(tmp_path), *arguments, "application:app"]
    environment = processes.environment(recorder) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), processes.root])}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            log = []
            while not log or "Listening at" not in log[-1]:
                log.append(server.stderr.readline())
                assert log[-1], log
            url = log[-1].split("Listening at: ")[1].split()[0]
            for _ in range(8):
                with urllib.request.urlopen(url, timeout=LONG) as answer:
                    assert answer.read() == b"request 150 import"
            recorder.wait_for("GET import", imports)  # one worker may serve all while the other starts
            started = time.monotonic()
        finally:
            server.terminate()
        rest = server.stderr.read()
        assert server.wait(LONG) == 0
    assert time.monotonic() - started < 20  # after 30 it would be killed
    assert "Traceback" not in rest, rest
    assert recorder.count("GET import") == imports
    assert not recorder.ports("GET import") & recorder.ports("GET request") or "--preload" not in arguments
