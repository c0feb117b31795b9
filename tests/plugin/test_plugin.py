"""The pytest plugin in real runs of pytest, each in a project of its own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.timeout(120)

FUNCTION_SCOPE = "asyncio_default_fixture_loop_scope = function\n"
WORKFLOW = """
async def report(run):
    return {"day": run.input_data["day"]}
workflows = {"report": report}
"""


@attrs.frozen
class Run:
    """What a run of pytest printed, and its exit status."""

    code: int
    out: str

    def counts(self) -> dict[str, int]:
        words = self.out.strip().splitlines()[-1].replace(",", "").split()
        return {kind.rstrip("s"): int(number) for number, kind in itertools.pairwise(words) if number.isdigit()}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write a project and run its tests, with every warning an error."""

    def run(test: str, *arguments: str, ini: str = FUNCTION_SCOPE, **files: str) -> Run:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}")
        (tmp_path / "test_it.py").write_text(textwrap.dedent(test))
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMIUM", "PYTEST"))}
        done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=100)
        return Run(done.returncode, done.stdout + done.stderr)

    return run


PLAIN = """
    import asyncio

    def test_sync(local_omium, omium):
        @local_omium.workflow("report")
        async def report(run):
            return run.input_data
        assert omium.executions.run("report", {"day": 3}).output_data == {"day": 3}

    def test_each_test_has_its_own(omium):
        assert omium.executions.count() == 0

    def test_async_in_plain(async_omium):
        async def main():
            await async_omium.executions.create("report")
            return await async_omium.executions.count()
        assert asyncio.run(main()) == 1

    def test_the_environment(omium_env):
        from omium_sync import Omium
        with Omium() as mine:
            mine.executions.create("report")
        assert omium_env.counts["POST /executions"] == 1
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["", "xdist"])
def test_plain_tests(project, arguments):
    ended = project(PLAIN, *arguments)
    assert ended.code == 0, ended.out


@pytest.mark.parametrize("mode", ["auto", "strict"])
@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_with_pytest_asyncio_in_any_mode_and_scope(project, mode, scope):
    ended = project(
        f"""
        import asyncio
        import pytest
        pytestmark = pytest.mark.asyncio(loop_scope={scope!r})

        class TestIt:
            async def test_a(self, local_omium, async_omium, omium):
                created = await async_omium.executions.create("report")
                assert (await async_omium.executions.get(created.id)).id == created.id
                assert omium.executions.count() == 1

            async def test_b(self, async_omium):
                assert await async_omium.executions.count() == 0
        """,
        ini=f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = {scope}\n",
    )
    assert ended.code == 0, ended.out


def test_with_anyio(project):
    ended = project(
        """
        import pytest
        pytestmark = pytest.mark.anyio

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "asyncio"

        async def test_it(async_omium):
            assert (await async_omium.executions.create("report")).workflow_id == "report"

        async def test_again(async_omium):
            assert await async_omium.executions.count() == 0
        """,
        "-p",
        "no:asyncio",
        ini="",
    )
    assert ended.code == 0, ended.out


def test_no_blocking_call_on_the_loop_of_the_tests(project):
    ended = project(
        """
        import pytest
        from blockbuster import blockbuster_ctx

        @pytest.fixture(autouse=True)
        def blocking_is_an_error():
            with blockbuster_ctx():
                yield

        async def test_it(local_omium, async_omium):
            @local_omium.workflow("report")
            async def report(run):
                await run.step("one", lambda: 1)
                return run.input_data
            done = await async_omium.executions.run("report", {"day": 1})
            assert done.status == "completed", done.error
            async for row in async_omium.executions.list():
                assert row.id == done.id
        """,
        ini=f"{FUNCTION_SCOPE}asyncio_mode = auto\n",
    )
    assert ended.code == 0, ended.out


def test_markers(project):
    ended = project(
        """
        import pytest
        from omium_async import OmiumError, UnprocessableEntityError
        from omium_async.local import Fault

        LOST = Fault(method="POST", path="/executions", when="after", action="drop")
        pytestmark = pytest.mark.omium(workflows="flows", strict=True)

        def test_a_module(omium):
            assert omium.executions.run("report", {"day": 1}).output_data == {"day": 1}
            with pytest.raises(UnprocessableEntityError):
                omium.executions.create("nobody")

        @pytest.mark.omium(strict=False)
        class TestTheClosestWins:
            def test_strict(self, omium):
                assert omium.executions.create("nobody").id
                assert omium.executions.run("report", {"day": 1}).status == "completed"

            async def other(run):
                return "other"

            @pytest.mark.omium(workflows={"other": other})
            def test_workflows(self, omium):
                assert omium.executions.run("other").output_data == "other"
                assert omium.executions.create("report").status == "pending"

        @pytest.mark.parametrize("turn", range(2))
        @pytest.mark.omium(faults=[LOST])
        def test_faults_are_met_anew(omium, turn):
            with pytest.raises(OmiumError) as lost:
                omium.executions.create("report")
            assert lost.value.outcome == "unknown"
            assert omium.executions.count() == 1
        """,
        flows=WORKFLOW,
    )
    assert ended.code == 0, ended.out


def test_a_fault_that_was_never_met_is_an_error_at_the_end(project):
    ended = project(
        """
        import pytest
        from omium_async.local import Fault

        @pytest.mark.omium(faults=[Fault(method="PUT", path="/nowhere")])
        def test_it(omium):
            assert omium.executions.count() == 0
        """
    )
    assert ended.counts() == {"passed": 1, "error": 1}
    assert "no request of this test met Fault(" in ended.out
    assert "path='/nowhere'" in ended.out


def test_a_failing_test_shows_what_arrived(project):
    ended = project(
        """
        def test_it(local_omium, omium):
            omium.executions.create("report")
            omium.executions.count(status="failed")
            assert False
        """
    )
    assert ended.code == 1
    assert "requests that arrived at local_omium" in ended.out
    assert "POST /executions -> 201" in ended.out
    assert "GET /executions?page=1&page_size=1&status=failed -> 200" in ended.out


def test_what_arrived_is_shown_wherever_a_test_fails(project):
    ended = project(
        """
        import pytest
        from omium_async.local import Fault

        @pytest.fixture
        def prepared(omium):
            omium.executions.create("in-a-fixture")
            assert False

        def test_a_fixture_before(prepared):
            pass

        @pytest.fixture
        def cleaned(omium):
            yield
            omium.executions.count(workflow_id="at-the-end")
            assert False

        def test_a_fixture_after(cleaned):
            pass

        @pytest.mark.omium(faults=[Fault(path="/nowhere")])
        def test_itself_and_its_fault(omium):
            omium.executions.count(status="paused")
            assert False
        """
    )
    assert ended.counts() == {"failed": 1, "passed": 1, "error": 3}
    assert ended.out.count("requests that arrived at local_omium") == 4
    assert "POST /executions -> 201" in ended.out
    assert "workflow_id=at-the-end -> 200" in ended.out
    assert ended.out.count("status=paused -> 200") == 2
    assert "no request of this test met Fault(" in ended.out


def test_a_fault_twice_is_met_twice_and_shared_ones_by_each_test(project):
    ended = project(
        """
        import pytest
        from omium_async import ServerError
        from omium_async.local import Fault

        AWAY = Fault(status=503)
        pytestmark = pytest.mark.omium(faults=[AWAY, AWAY])

        @pytest.mark.parametrize("turn", range(2))
        def test_both(omium, turn):
            once = omium.with_options(max_retries=1)
            with pytest.raises(ServerError):
                once.executions.count()

        def test_one(omium):
            with pytest.raises(ServerError):
                omium.with_options(max_retries=0).executions.count()
        """
    )
    assert ended.counts() == {"passed": 3, "error": 1}, ended.out


def test_nothing_of_a_test_is_kept_when_it_is_over(project):
    ended = project(
        """
        import gc
        import weakref
        import pytest

        served = []

        @pytest.mark.parametrize("turn", range(20))
        def test_it(local_omium, omium, turn):
            omium.executions.create("report")
            gc.collect()
            assert len([one for one in served if one() is not None]) <= 1
            served.append(weakref.ref(local_omium))
        """
    )
    assert ended.code == 0, ended.out


def test_blocking_calls_are_found_nowhere_on_a_loop_that_serves_and_calls(project):
    ended = project(
        """
        import pytest
        from blockbuster import blockbuster_ctx
        from omium_async import AsyncOmium
        from omium_async.local import LocalOmium

        @pytest.fixture(autouse=True)
        def blocking_is_an_error():
            with blockbuster_ctx():
                yield

        @pytest.mark.parametrize("database", [None, "omium.db"])
        async def test_it(tmp_path, database):
            local = LocalOmium(None if database is None else tmp_path / database)

            @local.workflow("report")
            async def report(run):
                await run.step("one", lambda: 1)
                return run.input_data

            async with local, AsyncOmium(local.api_key, base_url=local.url, poll_interval=(0.01, 0.1)) as omium:
                done = await omium.executions.run("report", {"day": 1})
                assert done.status == "completed", done.error
                assert [row.id async for row in omium.executions.list()] == [done.id]
                await local.reset()
                assert await omium.executions.count() == 0
        """,
        ini=f"{FUNCTION_SCOPE}asyncio_mode = auto\n",
    )
    assert ended.code == 0, ended.out


def test_a_server_on_the_loop_that_a_sync_client_blocks_says_so(project):
    ended = project(
        """
        import pytest
        from omium_async.local import LocalOmium
        from omium_sync import Omium

        async def test_it():
            async with LocalOmium() as local:
                with Omium(local.api_key, base_url=local.url) as omium:
                    with pytest.raises(RuntimeError, match="omium_sync.LocalOmium"):
                        omium.executions.count()
        """,
        "--timeout=20",
        ini=f"{FUNCTION_SCOPE}asyncio_mode = auto\n",
    )
    assert ended.code == 0, ended.out


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("workflows='nowhere'", "No module named 'nowhere'"),
        ("workflows='broken'", "the module broken cannot be imported: ZeroDivisionError"),
        ("workflows=3", "workflows must be a mapping or the name of a module, not int"),
        ("faults=['drop']", "faults must hold omium_async.local.Fault objects, not str"),
        ("workflow='flows'", "the marker `omium` takes no 'workflow'"),
        ("{}", "the marker `omium` takes no argument without a name"),
    ],
)
def test_bad_markers_say_what_is_wrong(project, marker, words):
    ended = project(
        f"""
        import pytest

        @pytest.mark.omium({marker})
        def test_it(omium):
            pass
        """,
        broken="1 / 0",
    )
    assert ended.code != 0
    assert words in ended.out, ended.out


def test_until_a_fixture_is_used_nothing_is_imported(project):
    ended = project(
        """
        import sys

        def test_it():
            heavy = {"aiohttp", "omium_sync", "omium_async.local"}
            assert heavy.isdisjoint(sys.modules)
        """
    )
    assert ended.code == 0, ended.out


def test_the_marker_is_documented(project):
    assert "@pytest.mark.omium(workflows=None" in project("", "--markers").out


def test_the_example_of_the_plugins_own_documentation_runs(project):
    source = (Path(__file__).parents[2] / "omium_async" / "pytest_plugin.py").read_text()
    block = source.partition(".. code-block:: python\n\n")[2].partition("\nThe fixtures:")[0]
    ended = project(block)
    assert ended.counts() == {"passed": 1}, ended.out
