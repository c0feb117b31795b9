"""LangGraph, Dask and Prefect, which retry and store work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omium_async import OmiumError
from omium_async.local import Fault

from .conftest import EXAMPLES
from .needs import need


async def test_langgraph_never_makes_a_run_twice(example, local):
    need("langgraph")
    module = example("langgraph_node")
    memory = module.InMemorySaver()
    graph = module.build(memory)
    try:
        local.inject(Fault(method="POST", path="/executions", status=501, times=2))
        thread = {"configurable": {"thread_id": "1"}}
        state = await graph.ainvoke({"question": "why"}, thread)
        assert state["execution"]["output_data"] == {"answer": "WHY"}
        stored = (await graph.aget_state(thread)).values
        assert stored["execution"]["id"] == stored["execution_id"]

        local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
        before = await module.omium.executions.count()
        with pytest.raises(OmiumError) as lost:
            await graph.ainvoke({"question": "again"}, {"configurable": {"thread_id": "2"}})
        assert lost.value.outcome == "unknown"
        assert await module.omium.executions.count() == before + 1
    finally:
        await module.omium.aclose()


def test_dask(example, local, tmp_path):
    distributed = need("distributed")
    module = example("dask_batch")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        ids = module.run(client, 25, str(tmp_path))
        assert len(set(ids)) == 25
        assert sorted(module.run(client, 25, str(tmp_path))) == sorted(ids)
    assert local.counts["POST /executions"] == 25


def test_prefect(environment, local, tmp_path):
    need("prefect")
    local.inject(Fault(method="POST", path="/executions", status=501))
    settings = {"PREFECT_HOME": str(tmp_path), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    settings["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "90"  # for a busy machine
    program = EXAMPLES / "prefect_flow.py"
    done = subprocess.run(
        [sys.executable, str(program)], env={**environment, **settings}, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2"
    assert local.counts["POST /executions"] == 3
