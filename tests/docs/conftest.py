"""The site, built once for all tests of a run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Builds the site while each attempt to use the network fails.
BUILD = """
import socket, sys
def refuse(*_, **__):
    raise OSError("the build uses the network")
socket.socket.connect = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all workers of the run."""
    if os.environ.get("OMIUM_TEST_SITE") == "none":
        pytest.skip("OMIUM_TEST_SITE is none")
    pytest.importorskip("sphinx")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index.html").is_file():
            command = [sys.executable, "-c", BUILD, "--fail-on-warning", "--keep-going", "--quiet", "docs", str(folder)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return folder
