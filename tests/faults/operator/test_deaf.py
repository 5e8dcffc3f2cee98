"""An operator that cannot hear any more ends and is started anew: one that lives and does nothing helps nobody."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from switchboard.sandbox.processes import tail

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_an_operator_whose_watches_cannot_begin_ends_and_says_why(site: Any) -> None:
    tenant = await site.tenant()
    site.cluster_proxy.refused = frozenset({"/api", "/apis"})  # kopf's first questions, and only kopf's
    try:
        name = f"deaf-{secrets.token_hex(3)}"
        async with site.operator(name, SWITCHBOARD_NAMESPACES=f'["{tenant.namespace}"]') as process:
            async with asyncio.timeout(60):
                assert await process.ended() == 1
            assert "UnsupportedMediaType" in tail(process.log, 200)
    finally:
        site.cluster_proxy.refused = frozenset()
