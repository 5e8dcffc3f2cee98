"""What all unit tests share: properties are tried for as long as they take, on whatever machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The first text that a fresh clone draws takes two seconds: the tables of Unicode are made then.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
