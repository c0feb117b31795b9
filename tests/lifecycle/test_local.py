"""The life of `omium_sync.LocalOmium`, which serves from a thread."""

from __future__ import annotations

import pytest

from .conftest import interrupt_at

LOCAL = """
from omium_sync import LocalOmium
from omium_async.local import LocalOmiumError
"""


def test_served_and_stopped(anywhere):
    program = (
        LOCAL
        + """
local = LocalOmium()
@local.workflow("double")
async def double(run):
    return await run.step("twice", lambda: run.input_data * 2)
for _ in range(2):
    with local, Omium(local.api_key, base_url=local.url) as client:
        done = client.executions.run("double", 21, poll_interval=0.01)
        say(done.output_data, [name for name in threads() if "sync" in name])
say(threads())
"""
    )
    for ended in anywhere.run(program):
        ended.check(*["42 ['omium_sync', 'omium_sync.LocalOmium']"] * 2, "['MainThread']")


@pytest.mark.slow
def test_never_stopped(processes, tmp_path):
    program = (
        LOCAL
        + """
for database in (None, f"omium-{os.getpid()}.db"):
    local = LocalOmium(database)
    @local.workflow("slow")
    async def slow(run):
        await run.step("sleep", time.sleep, 60)
    @local.workflow("slower")
    async def slower(run):
        import asyncio
        await asyncio.sleep(60)
    local.start()
    client = Omium(local.api_key, base_url=local.url)
    for workflow in ("slow", "slower"):
        client.executions.create(workflow)
    while {row.status for row in client.executions.list()} != {"running"}:
        pass
say("end")
"""
    )
    for ended in processes.run(program):
        ended.check("end")


@pytest.mark.slow
def test_executions_cut_off_by_a_stop_or_exit_continue(processes):
    program = (
        LOCAL
        + """
import subprocess
first = '''
import sys, time
from omium_sync import LocalOmium, Omium
local = LocalOmium(sys.argv[1])
@local.workflow("w")
async def w(run):
    await run.step("one", lambda: 1)
    import asyncio
    await asyncio.sleep(60)
local.start()
client = Omium(local.api_key, base_url=local.url)
found = client.executions.create("w")
while not client.executions.get(found.id).checkpoints:
    pass
print(found.id)
'''
database = f"omium-{os.getpid()}.db"
execution_id = subprocess.check_output([sys.executable, "-c", first, database], text=True).strip()
local = LocalOmium(database)
@local.workflow("w")
async def w(run):
    return await run.step("one", lambda: 2), await run.step("two", lambda: 2)
with local, Omium(local.api_key, base_url=local.url) as client:
    say(client.executions.wait(execution_id, timeout=20).output_data)
"""
    )
    for ended in processes.run(program):
        ended.check("[1, 2]")


def test_a_workflow_that_blocks_keeps_no_client_from_others(anywhere):
    program = (
        LOCAL
        + """
local = LocalOmium()
blocked = threading.Event()
@local.workflow("blocks")
async def blocks(run):
    blocked.set()
    release.wait(30)
release = threading.Event()
with local, Omium(local.api_key, base_url=local.url) as client, Omium() as other:
    client.executions.create("blocks")
    blocked.wait(30)
    say(other.executions.get("a").id)
    release.set()
"""
    )
    for ended in anywhere.run(program):
        ended.check("a")


def test_clear_errors(anywhere):
    program = (
        LOCAL
        + """
import socket
local = LocalOmium()
def show(call):
    try:
        call()
    except Exception as error:
        say(type(error).__name__, error)
show(lambda: local.url)
show(lambda: LocalOmium("o.db").api_key)
local.stop()
with local:
    show(local.start)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        try:
            LocalOmium(port=port).start()
        except LocalOmiumError as error:
            say(str(error).replace(str(port), "PORT"))
    @local.workflow("stops")
    async def stops(run):
        local.stop()
    with Omium(local.api_key, base_url=local.url) as client:
        say(client.executions.run("stops", poll_interval=0.01).error.partition(" (")[0])
show(lambda: local.url)
say(threads())
"""
    )
    unstarted = "LocalOmiumError this LocalOmium is not started; use `with` it, or `local.start()`"
    for ended in anywhere.run(program):
        ended.check(
            unstarted,
            unstarted,
            "LocalOmiumError this LocalOmium is started already",
            "another program uses port PORT of 127.0.0.1; choose another port, or 0 for any free one",
            "RuntimeError: this call is made on the loop's own thread",
            unstarted,
            "['MainThread']",
        )


def test_ctrl_c_inside(anywhere):
    program = (
        LOCAL
        + """
try:
    with LocalOmium() as local, Omium(local.api_key, base_url=local.url) as mine, Omium() as client:
        mine.executions.create("w")
        client.executions.get("hold")
except KeyboardInterrupt:
    say("interrupted", threads())
"""
    )
    for ended in anywhere.run(program, interrupt_at("GET hold")):
        ended.check("interrupted ['MainThread']")


@pytest.mark.slow
def test_a_forked_child_leaves_the_server_to_its_parent(processes):
    program = (
        LOCAL
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
with LocalOmium() as local, Omium(local.api_key, base_url=local.url) as client:
    client.executions.create("w")
    pid = os.fork()
    if not pid:
        say(client.executions.count())
        for use in (lambda: local.url, local.reset):
            try:
                use()
            except LocalOmiumError as error:
                say(error)
        local.stop()
        with local, Omium(local.api_key, base_url=local.url) as own:
            say(own.executions.count())
        client.close()
        os._exit(0)
    os.waitpid(pid, 0)
    say(client.executions.count())
"""
    )
    advice = (
        "the parent process serves this LocalOmium: read `url` and `api_key` before the fork, or create a LocalOmium "
        "here"
    )
    for ended in processes.run(program):
        ended.check("1", advice, advice, "0", "1")
