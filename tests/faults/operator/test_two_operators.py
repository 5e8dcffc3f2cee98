"""Two operators: one writes, the other takes over within seconds, and never do both write."""

from __future__ import annotations

import asyncio
import secrets
import signal
from typing import Any

import pytest

from switchboard.kube.resources import LEASES, TWILIO_CONNECTORS
from switchboard.sandbox.stack import reason

from .conftest import watch

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def holder(site: Any, namespace: str, wanted: str) -> None:
    """Waits until that identity holds the Lease."""
    await site.kubectl.until(
        LEASES,
        "switchboard-operator",
        lambda it: it["spec"].get("holderIdentity") == wanted,
        namespace,
        timeout=30,
    )


@pytest.mark.parametrize(("number", "lease", "within"), [(signal.SIGTERM, "15", 8.0), (signal.SIGKILL, "3", 20.0)])
async def test_the_second_takes_over_in_seconds(site: Any, number: int, lease: str, within: float) -> None:
    tenant = await site.tenant()
    name = f"two-{secrets.token_hex(3)}"
    common = {
        "SWITCHBOARD_NAMESPACES": f'["{tenant.namespace}"]',
        "SWITCHBOARD_LEASE_NAMESPACE": tenant.namespace,
        "SWITCHBOARD_LEASE_SECONDS": lease,
    }
    async with site.operator(f"{name}-a", SWITCHBOARD_IDENTITY="a", **common) as first:
        await holder(site, tenant.namespace, "a")
        async with site.operator(f"{name}-b", SWITCHBOARD_IDENTITY="b", **common):
            await tenant.apply()
            await tenant.connected()
            first.signal(number)
            async with asyncio.timeout(within):
                await holder(site, tenant.namespace, "b")
            await tenant.end()


async def test_while_the_first_leads_the_second_writes_nothing(site: Any) -> None:
    tenant = await site.tenant()
    name = f"two-{secrets.token_hex(3)}"
    common = {"SWITCHBOARD_NAMESPACES": f'["{tenant.namespace}"]', "SWITCHBOARD_LEASE_NAMESPACE": tenant.namespace}
    cluster, twilio = watch(site, tenant)
    cluster.writes_only = twilio.writes_only = True
    async with site.operator(f"{name}-a", SWITCHBOARD_IDENTITY="a", **common):
        await holder(site, tenant.namespace, "a")
        async with site.operator(f"{name}-b", SWITCHBOARD_IDENTITY="b", **common):
            await tenant.apply()
            await tenant.connected()
            creations = [it for it in cluster.seen if "/leases" not in it]
            assert len(twilio.seen) == 1
            assert len([it for it in creations if it.endswith("/agentrevisions")]) == 1
            assert len([it for it in creations if it.endswith("/deployments/support-v1")]) == 1


async def test_one_that_lost_the_lease_ends_and_writes_no_more(site: Any) -> None:
    tenant = await site.tenant()
    name = f"two-{secrets.token_hex(3)}"
    common = {
        "SWITCHBOARD_NAMESPACES": f'["{tenant.namespace}"]',
        "SWITCHBOARD_LEASE_NAMESPACE": tenant.namespace,
        "SWITCHBOARD_LEASE_SECONDS": "3",
    }
    async with site.operator(f"{name}-a", SWITCHBOARD_IDENTITY="a", **common) as first:
        await holder(site, tenant.namespace, "a")
        stolen = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}}
        await site.kubectl.api.merge_patch(LEASES, "switchboard-operator", tenant.namespace, stolen)
        async with asyncio.timeout(15):
            assert await first.ended() == 3
        await tenant.apply()
        found = await site.kubectl.api.get(TWILIO_CONNECTORS, "sms", tenant.namespace)
        assert reason(found) == ""
