"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples at each run, and no clock in what passes: machines are slow at times, and a report of a test that
# was only slow may hold text that no pipe between processes carries.
settings.register_profile("omium", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("omium")
