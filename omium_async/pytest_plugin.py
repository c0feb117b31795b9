"""Fixtures for tests of code that uses Omium: an Omium of its own for each test, and clients of it.

pytest finds this by itself wherever ``omium-async`` is installed. Nothing of it costs anything until a fixture is used.

.. code-block:: python

    def test_a_report_is_made(local_omium, omium):
        @local_omium.workflow("report")
        async def report(run):
            return {"day": run.input_data["day"]}

        assert omium.executions.run("report", {"day": 3}).output_data == {"day": 3}

The fixtures:

- ``local_omium``: a started `omium_sync.LocalOmium`, in memory, of this test alone. It is served from a thread of its
  own, so it works in plain and in async tests, whatever runs those and in whatever scope their loop is. Its workflows
  run in that thread's loop: an ``asyncio.Event`` of the test does not reach them; a ``threading.Event`` does.
- ``omium``: an `omium_sync.Omium` for it, and ``async_omium``: an `omium_async.AsyncOmium`. Both retry and poll without
  the pauses that a hosted service needs.
- ``omium_env``: sets ``OMIUM_API_KEY`` and ``OMIUM_API_URL``, for code that makes its own client; gives the
  ``local_omium``.

``@pytest.mark.omium(workflows=..., faults=[...], strict=False)`` on a test, a class or a module says what the server
has: ``workflows`` is a mapping of id to function, or names a module as ``omiumctl serve --workflows`` takes it;
``faults`` are met by each test anew, and one that was never met is an error at the test's end; ``strict`` refuses
executions of workflows that nobody registered. Of several markers the closest that gives an argument wins.

When a test fails, or a fixture of it, the report shows the requests that arrived.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

import omium_async

if TYPE_CHECKING:
    import omium_sync
    from omium_async.local import Fault
else:

    class _Facade:
        """`omium_sync`, imported when a fixture is used or its type hints are resolved."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # pytest looks for hooks and marks on everything in this module
                raise AttributeError(name)
            return getattr(importlib.import_module("omium_sync"), name)

    omium_sync = _Facade()

__all__ = ["async_omium", "local_omium", "omium", "omium_env"]

_MARKER: Final = "omium"
_ARGUMENTS: Final = ("workflows", "faults", "strict")
_SERVED: Final = pytest.StashKey["omium_sync.LocalOmium"]()
_MOST_SHOWN: Final = 50  # requests of a failed test

#: Seconds. The server is on this machine and restarts nothing: there is nobody to be patient with.
_BACKOFF: Final = (0.0, 0.0)
_POLL_INTERVAL: Final = (0.005, 0.1)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "omium(workflows=None, faults=(), strict=False): what the `local_omium` of a test serves: a mapping of id to "
        "function, or the name of a module with one; Faults for its requests; whether unknown workflows are refused.",
    )


@pytest.fixture
def local_omium(request: pytest.FixtureRequest) -> Generator[omium_sync.LocalOmium]:
    """An Omium of this test's own, started, in memory, served from a thread of its own."""
    wanted = _marked(request.node)
    local = omium_sync.LocalOmium(strict=wanted.get("strict", False))
    for name, function in _workflows(wanted.get("workflows")).items():
        local.workflow(name)(function)
    with local:
        request.node.stash[_SERVED] = local
        for fault in _faults(wanted.get("faults", ())):
            local.inject(fault)
        yield local
        unmet = local.unmet_faults
    if unmet:
        pytest.fail(
            "no request of this test met " + ", ".join(map(repr, unmet)) + ": mend its method or path, or remove it",
            pytrace=False,
        )


@pytest.fixture
def omium(local_omium: omium_sync.LocalOmium) -> Generator[omium_sync.Omium]:
    """A sync client of this test's `local_omium`, closed at the end."""
    with omium_sync.Omium(
        local_omium.api_key, base_url=local_omium.url, backoff=_BACKOFF, poll_interval=_POLL_INTERVAL
    ) as client:
        yield client


@pytest.fixture
def async_omium(local_omium: omium_sync.LocalOmium) -> Generator[omium_async.AsyncOmium]:
    """An async client of this test's `local_omium`, closed at the end: for async tests, on any loop."""
    client = omium_async.AsyncOmium(
        local_omium.api_key, base_url=local_omium.url, backoff=_BACKOFF, poll_interval=_POLL_INTERVAL
    )
    yield client
    # The loop of the test may have ended or be asleep. Another will do, and none is made the current one: that is
    # the business of whatever runs the async tests.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()


@pytest.fixture
def omium_env(local_omium: omium_sync.LocalOmium, monkeypatch: pytest.MonkeyPatch) -> omium_sync.LocalOmium:
    """The environment leads every client that is made in this test to its `local_omium`, which this gives."""
    monkeypatch.setenv("OMIUM_API_KEY", local_omium.api_key)
    monkeypatch.setenv("OMIUM_API_URL", local_omium.url)
    return local_omium


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the requests that arrived with a test that failed: itself, or a fixture before or after it."""
    report = yield
    local = item.stash.get(_SERVED, None)
    if report.failed and local is not None:
        report.sections.append(("requests that arrived at local_omium", _in_lines(local.requests)))
    if call.when == "teardown" and local is not None:
        del item.stash[_SERVED]  # pytest keeps the test to the end of all
    return report


def _marked(node: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say: each argument by the closest marker that gives it."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers(_MARKER):
        unknown = [name for name in marker.kwargs if name not in _ARGUMENTS]
        if unknown or marker.args:
            what = f"no {unknown[0]!r}" if unknown else "no argument without a name"
            raise pytest.UsageError(f"{node.nodeid}: the marker `omium` takes {what}, only {', '.join(_ARGUMENTS)}")
        found = {**marker.kwargs, **found}
    return found


def _workflows(given: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None:
        return {}
    if isinstance(given, str):
        from omium_async.local import LocalOmiumError, load_workflows  # noqa: PLC0415

        try:
            return load_workflows(given)
        except LocalOmiumError as error:
            raise pytest.UsageError(str(error)) from None
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - a test may give anything
        raise pytest.UsageError(f"workflows must be a mapping or the name of a module, not {type(given).__name__}")
    return given


def _faults(given: Fault | Iterable[Fault]) -> list[Fault]:
    from omium_async.local import Fault  # noqa: PLC0415

    faults: list[Fault] = [given] if isinstance(given, Fault) else list(given)
    for fault in faults:
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] - a test may give anything
            raise pytest.UsageError(f"faults must hold omium_async.local.Fault objects, not {type(fault).__name__}")
    return faults


def _in_lines(requests: Iterable[Any]) -> str:
    lines = [
        f"{seen.method} {seen.path}{'?' + seen.query if seen.query else ''} -> {seen.status or 'no answer'}"
        for seen in requests
    ]
    if not lines:
        return "none"
    more = [f"... and {len(lines) - _MOST_SHOWN} earlier ones"] if len(lines) > _MOST_SHOWN else []
    return "\n".join([*more, *lines[-_MOST_SHOWN:]])
