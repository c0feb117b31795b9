"""The pytest plugin in real runs of pytest on small projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import omium_async.local
import omium_async.pytest_plugin
import omium_sync

# Runs of pytest in this process forget the modules that they import; these stay, so each run is quick.
_ = omium_async.AsyncOmium, omium_async.local.LocalOmium, omium_sync.Omium, omium_sync.LocalOmium

pytest_plugins = "pytester"

SCOPES = ("function", "module", "session")
QUIET = ("-W", "error", "-p", "no:cacheprovider")
PLUGINS = ("omium_async.pytest_plugin", "pytest_asyncio.plugin", "anyio.pytest_plugin")


@pytest.fixture
def run(pytester, monkeypatch):
    """Write a test file and other modules, and run pytest over them in this process, with warnings as errors."""
    for name in [name for name in os.environ if name.startswith(("OMIUM", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests, **modules):
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        pytester.makepyfile(test_it=tests, **modules)
        return pytester.runpytest_inprocess(*QUIET, *(f"-p{name}" for name in PLUGINS))

    return run


def run_in_a_new_process(folder, tests, *arguments):
    """Run pytest with this plugin, which it finds by its entry point, and no other."""
    (folder / "test_it.py").write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM", "PYTEST"))}
    environment |= {"PYTHONPATH": str(Path(omium_async.__file__).parent.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", *QUIET, "-p", "omium", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


EXAMPLE = (omium_async.pytest_plugin.__doc__ or "").partition(".. code-block:: python\n")[2].partition("\nThe fix")[0]
SYNC = """
import asyncio, gc, weakref
import pytest

def test_a_server_and_a_client(local_omium, omium):
    @local_omium.workflow("report")
    async def report(run):
        return run.input_data
    assert omium.executions.run("report", {"day": 3}).output_data == {"day": 3}

def test_each_test_has_its_own_server(omium):
    assert omium.executions.count() == 0

def test_an_async_client_in_a_sync_test(async_omium):
    async def main():
        await async_omium.executions.create("report")
        return await async_omium.executions.count()
    assert asyncio.run(main()) == 1

def test_the_environment(omium_env):
    from omium_sync import Omium
    with Omium() as mine:
        mine.executions.create("report")
    assert omium_env.counts["POST /executions"] == 1

served = []

@pytest.mark.parametrize("turn", range(3))
def test_nothing_of_a_test_is_kept(local_omium, omium, turn):
    omium.executions.create("report")
    gc.collect()
    assert len([one for one in served if one() is not None]) <= 1
    served.append(weakref.ref(local_omium))
"""


def test_sync_tests_have_a_server_and_clients_of_their_own(run):
    example = "\n".join(line[4:] for line in EXAMPLE.splitlines())
    run(SYNC, test_example=example).assert_outcomes(passed=8)


@pytest.mark.slow
def test_sync_tests_have_them_with_xdist(tmp_path):
    assert "7 passed" in run_in_a_new_process(tmp_path, SYNC, "-p", "xdist", "-n", "2")


ASYNC = """
import pytest
from blockbuster import blockbuster_ctx

@pytest.fixture(autouse=True)
def blocking_is_an_error():
    with blockbuster_ctx():
        yield

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_with_anyio(async_omium):
    assert (await async_omium.executions.create("report")).workflow_id == "report"
"""
IN_A_SCOPE = """
@pytest.mark.asyncio(loop_scope="{scope}")
class Test{scope}:
    async def test_a(self, local_omium, async_omium):
        @local_omium.workflow("report")
        async def report(run):
            return await run.step("one", lambda: run.input_data)
        assert (await async_omium.executions.run("report", 1)).output_data == 1
        assert [row.workflow_id async for row in async_omium.executions.list()] == ["report"]
    async def test_b(self, async_omium):
        assert await async_omium.executions.count() == 0
"""


def test_async_tests_have_them_with_any_plugin_and_loop_scope(run):
    run(ASYNC + "".join(IN_A_SCOPE.format(scope=scope) for scope in SCOPES)).assert_outcomes(passed=7)


MARKERS = """
import pytest
from omium_async import OmiumError, ServerError, UnprocessableEntityError
from omium_async.local import Fault

LOST = Fault(method="POST", path="/executions", when="after", action="drop")
AWAY = Fault(status=503)
pytestmark = pytest.mark.omium(workflows="flows", strict=True)

def test_a_module_of_workflows(omium):
    assert omium.executions.run("report", {"day": 1}).output_data == {"day": 1}
    with pytest.raises(UnprocessableEntityError):
        omium.executions.create("unknown")

@pytest.mark.omium(strict=False)
class TestTheClosestMarkerWins:
    def test_strict(self, omium):
        assert omium.executions.create("unknown").id
        assert omium.executions.run("report", {"day": 1}).status == "completed"

    async def other(run):
        return "other"

    @pytest.mark.omium(workflows={"other": other})
    def test_workflows(self, omium):
        assert omium.executions.run("other").output_data == "other"
        assert omium.executions.create("report").status == "pending"

@pytest.mark.parametrize("turn", range(2))
@pytest.mark.omium(faults=[LOST])
def test_each_test_starts_with_its_faults_unused(omium, turn):
    with pytest.raises(OmiumError) as lost:
        omium.executions.create("report")
    assert lost.value.outcome == "unknown"
    assert omium.executions.count() == 1

@pytest.mark.omium(faults=[AWAY, AWAY])
def test_a_fault_given_twice_is_met_twice(omium):
    with pytest.raises(ServerError):
        omium.with_options(max_retries=1).executions.count()
"""
WORKFLOWS = """
async def report(run):
    return {"day": run.input_data["day"]}
workflows = {"report": report}
"""


def test_the_marker_configures_the_server(run):
    run(MARKERS, flows=WORKFLOWS).assert_outcomes(passed=6)


FAILING = """
import pytest
from omium_async.local import Fault

def test_itself(omium):
    omium.executions.create("report")
    omium.executions.count(status="failed")
    assert False

@pytest.fixture
def before(omium):
    omium.executions.count(workflow_id="in-a-fixture-before")
    assert False

def test_a_fixture_before(before):
    pass

@pytest.fixture
def after(omium):
    yield
    omium.executions.count(workflow_id="in-a-fixture-after")
    assert False

def test_a_fixture_after(after):
    pass

@pytest.mark.omium(faults=[Fault(method="PUT", path="/nowhere")])
def test_a_fault_that_no_request_met(omium):
    assert omium.executions.count(status="paused") == 0

@pytest.mark.omium(faults=[Fault(action="drop", times=60), Fault(status=503)])
def test_with_faults(omium):
    omium.with_options(max_retries=61).executions.count()
    assert False
"""


def test_a_failure_shows_the_requests_that_arrived_and_an_unmet_fault_is_an_error(run):
    ended = run(FAILING)
    ended.assert_outcomes(failed=2, passed=2, errors=3)
    out = ended.stdout.str()
    assert out.count("requests that arrived at local_omium") == 5
    for words in (
        "POST /executions -> 201",
        "GET /executions?page=1&page_size=1&status=failed -> 200",
        "workflow_id=in-a-fixture-before -> 200",
        "workflow_id=in-a-fixture-after -> 200",
        "status=paused -> 200",
        "GET /executions?page=1&page_size=1 -> no response",
        "GET /executions?page=1&page_size=1 -> 503",
        "earlier requests",
        "no request of this test met Fault(",
        "path='/nowhere'",
    ):
        assert words in out, words


WRONG = {
    "workflows='nowhere'": "No module named 'nowhere'",
    "workflows=3": "workflows must be a mapping or the name of a module, not int",
    "faults=['drop']": "faults must contain omium_async.local.Fault objects, not str",
    "workflow='flows'": "the marker `omium` got 'workflow'; it takes workflows, faults, strict",
    "{}": "the marker `omium` got a positional argument; it takes workflows, faults, strict",
}


def test_a_wrong_marker_is_an_error_that_says_what_is_wrong(run):
    tests = [f"@pytest.mark.omium({given})\ndef test_{n}(omium):\n    pass\n" for n, given in enumerate(WRONG)]
    ended = run("import pytest\n" + "".join(tests))
    ended.assert_outcomes(errors=len(WRONG))
    for words in WRONG.values():
        assert words in ended.stdout.str()


def test_the_plugin_imports_nothing_heavy_until_a_fixture_is_used(tmp_path):
    tests = (
        "import sys\n"
        "def test_before():\n"
        "    assert {'aiohttp', 'omium_sync', 'omium_async.local'}.isdisjoint(sys.modules)\n"
        "def test_then(omium):\n"
        "    assert omium.executions.count() == 0\n"
    )
    assert "2 passed" in run_in_a_new_process(tmp_path, tests)
