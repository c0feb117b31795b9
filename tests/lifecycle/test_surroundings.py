"""Sync calls inside a running loop, in notebooks and on uvloop, and their tracebacks."""

from __future__ import annotations

import os
import queue
import sys
import time

import pytest

from .conftest import LONG


def test_inside_a_running_loop(anywhere):
    program = """
    import asyncio
    client = Omium()
    async def main():
        say(client.executions.get("a").id, len(list(client.executions.list())))
        say(await asyncio.to_thread(client.executions.get, "b") is not None)
        with Omium() as other:
            say(other.executions.get("c").id)
    asyncio.run(main())
    asyncio.run(main())
    """
    for ended in anywhere.run(program):
        ended.check(*["a 1000", "True", "c"] * 2)


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["", "0", "1"])
def test_uvloop_when_asked_for(processes, asked):
    pytest.importorskip("uvloop")
    program = """
    import asyncio
    loops = []
    client = Omium(on_attempt=lambda _: loops.append(type(asyncio.get_running_loop()).__module__.partition(".")[0]))
    say(client.executions.get("a").id, len(list(client.executions.list())), set(loops))
    try:
        client.executions.get("hold")
    except KeyboardInterrupt:
        say("interrupted")
    pid = os.fork()
    say(client.executions.get("b").id)
    if pid:
        os.waitpid(pid, 0)
    """

    def drive(program):
        program.server.wait_for("GET hold")
        program.interrupt()

    for ended in processes.run(program, drive, flags=["-W", "ignore::DeprecationWarning"], OMIUM_UVLOOP=asked):
        loop = "{'uvloop'}" if asked == "1" else "{'asyncio'}"
        ended.check(f"a 1000 {loop}", "interrupted", "b", "b")


def test_nothing_works_without_the_portal(process):
    program = """
    import anyio.from_thread
    from omium_sync import LocalOmium
    class Stub:
        async def __aenter__(self):
            return self
        async def __aexit__(self, *_):
            pass
        async def stop(self, cancel_remaining):
            pass
        def __getattr__(self, name):
            raise NotImplementedError("no portal: " + name)
    import omium_sync._portal
    omium_sync._portal.BlockingPortal = Stub
    client = Omium()
    executions = client.executions
    for call in (lambda: executions.get("a"), lambda: executions.create("w"), lambda: client.request("GET", "/a"),
                 lambda: next(executions.list()), lambda: next(executions.pages()), lambda: next(executions.watch("a")),
                 lambda: next(executions.create_many([ExecutionRequest("w")])), lambda: next(executions.replay_many()),
                 lambda: next(executions.wait_many(["a"])), LocalOmium().start):
        try:
            call()
            say("no error")
        except NotImplementedError as error:
            say(error)
    """
    for ended in process.run(program):
        ended.check(*["no portal: start_task_soon"] * 9, "no portal: wrap_async_context_manager")
        assert ended.server.seen == []


def test_tracebacks_point_at_the_line_and_at_the_cause(anywhere):
    program = """
    import traceback
    def show(call):
        try:
            call()
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            files = [os.path.relpath(frame.filename, os.environ["PYTHONPATH"]) for frame in frames]
            own = [(file, frame.name) for file, frame in zip(files, frames) if file.startswith("omium_sync")]
            text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            say(type(error).__name__, frames[1].name, own[0], len(own) <= 6, files[-1].partition(os.sep)[0])
            say(error.__cause__ is not None, "During handling" in text, os.environ["OMIUM_API_KEY"] in text)
    client = Omium(max_retries=0)
    show(lambda: client.executions.create("w", {1, 2}))
    show(lambda: client.executions.get("nothing"))
    show(lambda: Omium(base_url="http://127.0.0.1:1", max_retries=0).executions.get("a"))
    show(lambda: next(Omium(base_url="http://127.0.0.1:1", max_retries=0).executions.list()))
    show(lambda: Omium(base_url="http://elsewhere", proxy=f"http://u:{os.environ['OMIUM_API_KEY']}@p"))
    """
    file = f"omium_sync{os.sep}_methods.py"
    for ended in anywhere.run(program):
        ended.check(
            f"TypeError <lambda> ('{file}', 'call') True omium_async",
            "False False False",
            f"NotFoundError <lambda> ('{file}', 'call') True omium_async",
            "False False False",
            f"APIConnectionError <lambda> ('{file}', 'call') True omium_async",
            "True False False",
            f"APIConnectionError <lambda> ('{file.replace('methods', 'rows')}', '__next__') True omium_async",
            "True False False",
            f"ConfigurationError <lambda> ('{file.replace('methods', 'client')}', '__init__') True omium_async",
            "False False False",
        )


@pytest.mark.slow
def test_in_a_notebook(processes, recorder, monkeypatch, tmp_path):
    manager = pytest.importorskip("jupyter_client.manager")
    spec = pytest.importorskip("jupyter_client.kernelspec")
    pytest.importorskip("ipykernel")
    for name, value in processes.environment(recorder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    kernel = manager.KernelManager()
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel._kernel_spec = spec.KernelSpec(argv=command, language="python", display_name="here")
    kernel.start_kernel(env=dict(os.environ))
    try:
        client = kernel.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=LONG)

        def run(cell, during=lambda: None):
            sent = client.execute(cell)
            during()
            return _output(client, sent)

        assert run("import asyncio; asyncio.get_running_loop().is_running()") == "True"
        assert run("from omium_sync import Omium; omium = Omium(); omium.executions.get('a').id") == "'a'"
        assert run("await asyncio.sleep(0); len(list(omium.executions.list()))") == "1000"
        interrupted = run(
            "omium.executions.get('hold')", lambda: (recorder.wait_for("GET hold"), kernel.interrupt_kernel())
        )
        assert interrupted == "KeyboardInterrupt"
        recorder.wait_for_end_of("GET hold")
        assert run("omium.executions.get('b').id") == "'b'"
        assert run("rows = omium.executions.list(); next(rows).id") == "'exec_0'"
        kernel.shutdown_wait_time = LONG  # after which it is killed
        started = time.monotonic()
        client.stop_channels()
        kernel.shutdown_kernel()
        assert time.monotonic() - started < LONG / 2
    finally:
        kernel.shutdown_kernel(now=True)
        kernel.cleanup_resources()


def _output(client, sent):
    """What the cell gave, or the name of its error."""
    found = None
    while True:
        try:
            message = client.get_iopub_msg(timeout=LONG)
        except queue.Empty:
            raise AssertionError("the kernel does not answer") from None
        content = message["content"]
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "execute_result":
            found = content["data"]["text/plain"]
        elif message["msg_type"] == "error":
            found = content["ename"]
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            return found
