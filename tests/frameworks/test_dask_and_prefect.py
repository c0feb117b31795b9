"""Dask and Prefect, which retry and store work."""

from __future__ import annotations

import subprocess
import sys

from omium_async.local import Fault

from .conftest import EXAMPLES
from .needs import need


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
