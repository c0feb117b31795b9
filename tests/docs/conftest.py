"""The site, built once for all tests of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Whatever is asked of the network fails: the build may ask for nothing.
BUILD = """
import socket, sys
def refused(*_, **__):
    raise OSError("the build asks the network")
socket.socket.connect = socket.getaddrinfo = refused
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the README does it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", BUILD, "--fail-on-warning", "--keep-going", "--quiet", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "index.html").is_file()
    return folder
