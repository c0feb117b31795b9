"""`examples/container`: the commands of its Dockerfile and its compose file, without a container."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request

import pytest

from omium_sync.cli.commands.ui import _USUAL_PORT

from ..ports import free_port
from .conftest import ROOT

FOLDER = ROOT / "examples" / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMPOSE = (FOLDER / "compose.yaml").read_text()
KEY = "omium_key_of_the_containers_1"


def instruction(name):
    (found,) = re.findall(rf"^{name} ((?:.*\\\n)*.*)", DOCKERFILE, re.MULTILINE)
    return found.replace("\\\n", "")


def composed(name):
    """The value of a key of the compose file, which is JSON or a text."""
    (found,) = re.findall(rf"^ *{name}: (.*)$", COMPOSE, re.MULTILINE)
    return json.loads(found) if found[0] == "[" else found


def test_the_compose_file_names_what_its_services_use():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(COMPOSE)
    server, application = found["services"]["omium"], found["services"]["application"]
    assert (server["secrets"], list(found["secrets"]), list(found["volumes"])) == (
        ["omium_key"],
        ["omium_key"],
        ["data"],
    )
    assert application["depends_on"]["omium"]["condition"] == "service_healthy"
    assert (server["healthcheck"]["test"], application["command"]) == (composed("test"), composed("command"))


def test_the_image_has_the_extras_the_files_and_the_ports_of_its_command():
    extras = re.search(r"omium-async\[(.+?)\]", DOCKERFILE)[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    assert all((FOLDER / name).is_file() for name in instruction("COPY").split()[:-1])
    command = json.loads(instruction("CMD"))
    assert instruction("EXPOSE").split() == [command[command.index("--port") + 1], str(_USUAL_PORT)]
    assert re.findall(r'"127.0.0.1:(\d+):(\d+)"', COMPOSE) == [(str(_USUAL_PORT),) * 2, ("8700",) * 2]


def test_the_application_runs_beside_the_server_and_its_console(omiumctl, monkeypatch):
    pytest.importorskip("jinja2", reason="the extra ui is not installed")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr("omium_sync.cli.commands.ui._USUAL_PORT", free_port())
    for name in instruction("COPY").split()[:-1]:
        shutil.copy(FOLDER / name, omiumctl.home)
    omiumctl.write("omium_key", KEY + "\n")
    port = str(free_port())
    here = {"/data": str(omiumctl.home), "/run/secrets": str(omiumctl.home), "8700": port, "://omium": "://127.0.0.1"}

    def changed(text):
        for there, replaced in here.items():
            text = text.replace(there, replaced)
        return text

    def run(command, environment=None):
        program = {"python": [sys.executable], "omiumctl": omiumctl.command()}[command[0]]
        done = subprocess.run(
            [*program, *map(changed, command[1:])],
            env=omiumctl.environment | {name: changed(text) for name, text in (environment or {}).items()},
            cwd=omiumctl.home, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def use(said):
        run(composed("test")[1:])
        environment = {"OMIUM_API_URL": composed("OMIUM_API_URL"), "OMIUM_API_KEY": KEY}
        assert run(composed("command"), environment) == "Hello Ada\n"
        with urllib.request.urlopen(said["console"]) as page:
            assert "greet" in page.read().decode()

    said, ended = omiumctl.serve(*map(changed, json.loads(instruction("CMD"))[2:]), use=use)
    sys.modules.pop("flows", None)
    assert (said["url"], said["console"].startswith("http://localhost:")) == (f"http://127.0.0.1:{port}", True)
    assert (ended.code, (omiumctl.home / "omium.db").exists()) == (0, True)
