"""The rig of the integration tests, with faults built into its pods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.webhook.conftest import Databases, MakeRig, api_server, databases, make_rig, number, simulator
from tests.integration.webhook.rig import Rig, environment

__all__ = ["api_server", "databases", "make_rig", "number", "simulator"]

MODULE = "tests.faults.webhook.crashing"
UNCONFIRMED, MARGIN = 2.0, 0.4


@pytest.fixture(params=["resources", "postgres"])
def backend(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a rig is told of its conversation log: one test runs on both."""
    if request.param == "resources":
        return {}
    databases: Databases = request.getfixturevalue("databases")
    return {"dsn": databases.dsn()}


@pytest.fixture
def make_faulty(make_rig: MakeRig) -> Callable[..., Awaitable[Rig]]:
    """Makes rigs whose times are short, and whose pods can be told where to die."""

    async def make(**more: Any) -> Rig:
        settings = {
            **environment(lease_seconds=1.5, send_seconds=1, settling_seconds=0.5, backfill_seconds=2),
            "UNCONFIRMED": str(UNCONFIRMED),
            "MARGIN": str(MARGIN),
            **more.pop("settings", {}),
        }
        return await make_rig(settings=settings, module=MODULE, **more)

    return make
