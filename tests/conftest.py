"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The same examples at each run, and no clock in what passes: machines are slow at times.
settings.register_profile("omium", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("omium")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Reports go from process to process as UTF-8, and some tests speak of lone surrogates, in their logs too."""
    report = yield
    return _encodable(report)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_encodable(each) for each in value])
    return value
