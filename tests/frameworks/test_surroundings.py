"""Cloud functions, gevent, trio and data frames."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import anyio
import pytest

from omium_async import AsyncOmium
from omium_async.local import Fault
from omium_sync import Omium

from .conftest import EXAMPLES
from .needs import need


def run(environment, *command):
    done = subprocess.run(
        [sys.executable, "-W", "error", *command], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_frozen_between_two_calls(environment, local):
    """The process is stopped whole, for longer than the server keeps an idle connection."""
    program = textwrap.dedent("""
        import sys
        from lambda_function import handler
        for line in sys.stdin:
            print(handler({"id": line.strip(), "input": {"day": 1}}, None)["statusCode"], flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def call(event):
            process.stdin.write(f"{event}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert call("a") == "202"
        os.kill(process.pid, signal.SIGSTOP)
        local.stop()  # its connections are gone, and so is what it kept in memory
        os.kill(process.pid, signal.SIGCONT)
        assert call("b") == "503"
        process.stdin.close()
        assert process.wait(20) == 0


def test_gevent(environment, local):
    need("gevent")
    assert run(environment, str(EXAMPLES / "gevent_app.py"), "20") == ["20 20"]


def test_trio(environment, local):
    need("trio")
    assert run(environment, str(EXAMPLES / "trio_app.py")) == ["report"]


def test_the_async_client_refuses_trio_with_a_reason(local):
    trio = need("trio")
    client = AsyncOmium(local.api_key, base_url=local.url)
    with pytest.raises(RuntimeError, match=r"asyncio.*omium_sync"):
        trio.run(client.executions.get, "exec_1")


@pytest.mark.parametrize("library", ["asyncio", "anyio", "uvloop"])
def test_the_async_client_runs_in_each_event_loop_of_asyncio(local, library):
    run = need(library).run

    async def main():
        async with AsyncOmium(local.api_key, base_url=local.url) as omium:
            done = await omium.executions.run("report", {"day": 3})
            local.inject(Fault(method="GET", path="/executions/*", action="stall"))
            with anyio.move_on_after(0.01) as scope:
                await omium.executions.get(done.id)
            return (
                done.output_data,
                scope.cancelled_caught,
                [row.id async for row in omium.executions.list()] == [done.id],
            )

    assert (run(main) if library == "anyio" else run(main())) == ({"day": 3}, True, True)


def test_ipython_shows_a_model_on_several_lines(local):
    pretty = need("IPython.lib.pretty").pretty
    with Omium(local.api_key, base_url=local.url) as omium:
        done = omium.executions.run("report", {"day": 3})
    shown = pretty(done).splitlines()
    assert shown[0] == "ExecutionDetail("
    assert "output_data={'day': 3}" in "".join(shown)
    assert pretty([done]).count(done.id) == 1


def test_structlog_renders_the_fields_of_records(local, caplog):
    structlog = need("structlog")
    fields = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()], processor=structlog.processors.JSONRenderer()
    )
    with caplog.at_level("DEBUG", "omium_async"), Omium(local.api_key, base_url=local.url) as omium:
        omium.executions.create("report", {"day": 3})
    lines = [json.loads(fields.format(record)) for record in caplog.records]
    assert ("POST", 201) in [(line.get("omium_method"), line.get("omium_status")) for line in lines]


def test_pandas_and_polars(example, local):
    pandas, polars = need("pandas"), need("polars")
    module = example("data_frames")
    with module.Omium() as omium:
        for day in range(3):
            omium.executions.run("report", {"day": day})
        table, inputs = module.pandas_frame(omium, "report"), module.pandas_inputs(omium, "report")
        columns = module.polars_frame(omium, "report").schema
    assert sorted(inputs["input_data.day"]) == [0, 1, 2]
    assert isinstance(table["created_at"].dtype, pandas.DatetimeTZDtype)
    assert columns["created_at"] == polars.Datetime("us", "UTC")
