"""Fixtures for tests of code that uses Omium: a separate local server for each test, and clients of it.

pytest loads this plugin wherever ``omium-async`` is installed. It imports nothing heavy until a fixture is used.

.. code-block:: python

    def test_a_report_is_made(local_omium, omium):
        @local_omium.workflow("report")
        async def report(run):
            return {"day": run.input_data["day"]}

        assert omium.executions.run("report", {"day": 3}).output_data == {"day": 3}

The fixtures:

- ``local_omium``: a started `omium_sync.LocalOmium`, in memory, for this test alone. It is served from a thread, so it
  works in sync and async tests, with any plugin for async tests and any loop scope. Its workflows run in the server's
  event loop: an ``asyncio.Event`` of the test does not reach them, a ``threading.Event`` does.
- ``omium``: an `omium_sync.Omium` for this server; ``async_omium``: an `omium_async.AsyncOmium`. Both retry and poll
  with short delays.
- ``omium_env``: sets ``OMIUM_API_KEY`` and ``OMIUM_API_URL`` for code that creates its own client, and returns the
  ``local_omium``.

``@pytest.mark.omium(workflows=..., faults=[...], strict=None)`` marks a test, a class or a module:

- ``workflows``: a mapping of workflow ids to functions, or the name of a module as ``omiumctl serve --workflows`` takes
  it.
- ``faults``: each test starts with all of them unused. A fault that no request met is an error at teardown.
- ``strict``: True refuses executions of workflows that are not registered, False accepts them. None, the default,
  refuses them as soon as one workflow is registered.

If several markers apply, the closest one that gives an argument wins.

When a test or one of its fixtures fails, the report shows the requests that arrived.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

import omium_async

if TYPE_CHECKING:
    import omium_sync
    from omium_async.local import Fault, SeenRequest
else:

    class _OmiumSync:
        """Import `omium_sync` when a fixture is used or its type hints are resolved."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # pytest looks for hooks and marks on everything in this module
                raise AttributeError(name)
            return getattr(importlib.import_module("omium_sync"), name)

    omium_sync = _OmiumSync()

__all__ = ["async_omium", "local_omium", "omium", "omium_env"]

_MARKER: Final = "omium"
_DEFAULTS: Final = {"workflows": None, "faults": (), "strict": None}
_SERVER: Final = pytest.StashKey["omium_sync.LocalOmium"]()
_MAX_REQUESTS_SHOWN: Final = 50

# Seconds. The server runs on this machine and has no load, so clients need not wait long.
_BACKOFF: Final = (0.0, 0.0)
_POLL_INTERVAL: Final = (0.005, 0.1)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "omium(workflows=None, faults=(), strict=None): what the `local_omium` of a test serves. workflows: a mapping "
        "of ids to functions, or the name of a module with one. faults: Faults for its requests. strict: whether "
        "executions of unregistered workflows are refused (None: as soon as one workflow is registered).",
    )


@pytest.fixture
def local_omium(request: pytest.FixtureRequest) -> Generator[omium_sync.LocalOmium]:
    """A started local server, in memory, for this test alone."""
    node = cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType] - pytest has no type for it
    options = _options(node)
    local = omium_sync.LocalOmium(strict=options["strict"])
    for name, function in _workflows(options["workflows"]).items():
        local.workflow(name)(function)
    with local:
        node.stash[_SERVER] = local
        for fault in _faults(options["faults"]):
            local.inject(fault)
        yield local
        unmet = local.unmet_faults
    if unmet:
        pytest.fail(
            f"no request of this test met {', '.join(map(repr, unmet))}: correct its method or path, or remove it",
            pytrace=False,
        )


@pytest.fixture
def omium(local_omium: omium_sync.LocalOmium) -> Generator[omium_sync.Omium]:
    """A sync client of `local_omium`, closed at the end of the test."""
    with omium_sync.Omium(
        local_omium.api_key, base_url=local_omium.url, backoff=_BACKOFF, poll_interval=_POLL_INTERVAL
    ) as client:
        yield client


@pytest.fixture
def async_omium(local_omium: omium_sync.LocalOmium) -> Generator[omium_async.AsyncOmium]:
    """An async client of `local_omium`, closed at the end of the test; it works on any event loop."""
    client = omium_async.AsyncOmium(
        local_omium.api_key, base_url=local_omium.url, backoff=_BACKOFF, poll_interval=_POLL_INTERVAL
    )
    yield client
    # The loop of the test may be closed or idle by now. The client closes on any loop; this one is never made the
    # current loop, which belongs to the plugin that runs the async tests.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()


@pytest.fixture
def omium_env(local_omium: omium_sync.LocalOmium, monkeypatch: pytest.MonkeyPatch) -> omium_sync.LocalOmium:
    """The environment variables that direct every client created in this test to `local_omium`, which it returns."""
    monkeypatch.setenv("OMIUM_API_KEY", local_omium.api_key)
    monkeypatch.setenv("OMIUM_API_URL", local_omium.url)
    return local_omium


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the requests that arrived to the report of a failed test or fixture."""
    report = yield
    local = item.stash.get(_SERVER, None)
    if report.failed and local is not None:
        report.sections.append(("requests that arrived at local_omium", _lines(local.requests)))
    if call.when == "teardown" and local is not None:
        del item.stash[_SERVER]  # pytest keeps each item until the end of the run
    return report


def _options(node: pytest.Item) -> dict[str, Any]:
    """The arguments of the markers of a test; each from the closest marker that gives it."""
    options: dict[str, Any] = {**_DEFAULTS}
    for marker in reversed(list(node.iter_markers(_MARKER))):
        wrong = [repr(name) for name in marker.kwargs if name not in _DEFAULTS]
        if marker.args:
            wrong.append("a positional argument")
        if wrong:
            raise pytest.UsageError(
                f"{node.nodeid}: the marker `omium` got {wrong[0]}; it takes {', '.join(_DEFAULTS)}"
            )
        options |= marker.kwargs
    return options


def _workflows(given: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None:
        return {}
    if isinstance(given, str):
        from omium_async.local import LocalOmiumError, load_workflows  # noqa: PLC0415 - only when it is needed

        try:
            return load_workflows(given)
        except LocalOmiumError as error:
            raise pytest.UsageError(str(error)) from None
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - a test may give anything
        raise pytest.UsageError(f"workflows must be a mapping or the name of a module, not {type(given).__name__}")
    return given


def _faults(given: Fault | Iterable[Fault]) -> list[Fault]:
    from omium_async.local import Fault  # noqa: PLC0415 - only when it is needed

    faults: list[Fault] = [given] if isinstance(given, Fault) else list(given)
    for fault in faults:
        if not isinstance(fault, Fault):  # pyright: ignore[reportUnnecessaryIsInstance] - a test may give anything
            raise pytest.UsageError(f"faults must contain omium_async.local.Fault objects, not {type(fault).__name__}")
    return faults


def _lines(requests: Iterable[SeenRequest]) -> str:
    """One line for each request, the last ones if there are many."""
    lines = [
        f"{seen.method} {seen.path}{'?' + seen.query if seen.query else ''} -> {seen.status or 'no response'}"
        for seen in requests
    ]
    hidden = len(lines) - _MAX_REQUESTS_SHOWN
    if hidden > 0:
        lines = [f"... {hidden} earlier requests", *lines[hidden:]]
    return "\n".join(lines) or "none"
