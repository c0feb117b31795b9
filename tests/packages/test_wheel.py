"""The wheel installs and works without the checkout, with its declared dependencies alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM_", "PYTHON"))}
    environment.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    environment["HOME"] = str(cwd)
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", target, ROOT, cwd=target)
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment that holds the wheel and its dependencies alone."""
    home = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", home / "env", cwd=home)
    python = home / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=home)
    return python


def test_holds_both_typed_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"omium_async/py.typed", "omium_sync/py.typed"} <= set(names)
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"omium_async", "omium_sync"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    console = {"templates/layout.html", "static/console.css", "static/htmx.min.js", "static/htmx.LICENSE.txt"}
    assert {f"omium_async/ui/{name}" for name in console} <= set(names)


def test_needs_what_the_contract_names(wheel):
    metadata = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    needed = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", text, re.MULTILINE)
    assert sorted(needed) == ["aiohttp", "anyio", "attrs", "cattrs", "msgspec"]
    assert "License-Expression: MIT" in text
    assert "Requires-Python: >=3.11" in text


def test_does_the_main_job_without_extras(fresh, tmp_path):
    script = (
        "from omium_sync import LocalOmium, Omium\n"
        "with LocalOmium() as local:\n"
        "    @local.workflow('double')\n"
        "    async def double(run):\n"
        "        return await run.step('double', lambda n: n * 2, run.input_data)\n"
        "    with Omium(api_key=local.api_key, base_url=local.url) as omium:\n"
        "        print(omium.executions.run('double', 21, poll_interval=0.01).output_data)\n"
    )
    assert run(fresh, "-W", "error", "-c", script, cwd=tmp_path) == "42\n"


def test_says_what_the_command_line_needs(fresh, tmp_path):
    done = subprocess.run([fresh.parent / "omiumctl", "demo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "omium-async[cli]" in done.stderr
