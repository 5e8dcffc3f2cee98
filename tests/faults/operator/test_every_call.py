"""Each request fails in turn, in each way that requests fail: it is done again, and the same is there in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .conftest import OLD, watch
from .proxy import KINDS, Kind

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(280)]

AT_ONCE = 6
FEWEST = 25
"""Requests to the cluster that any run takes."""


async def whole(tenant: Any) -> dict[str, Any]:
    """One run to its end: applied, connected, deleted."""
    await tenant.apply()
    await tenant.connected()
    state: dict[str, Any] = await tenant.state()
    await tenant.end()
    assert await tenant.webhook() == OLD
    return state


async def baseline(site: Any) -> tuple[dict[str, Any], int, int]:
    """What is there in the end, and how many requests it took at the cluster and at Twilio."""
    tenant = await site.tenant()
    cluster, twilio = watch(site, tenant)
    return await whole(tenant), len(cluster.seen), len(twilio.seen)


async def spoiled(site: Any, side: int, at: int, kind: Kind) -> tuple[dict[str, Any], str]:
    """What is there in the end although one request failed, and which one that was."""
    tenant = await site.tenant()
    spoil = watch(site, tenant)[side]
    spoil.at, spoil.kind = at, kind
    return await whole(tenant), f"{kind} at {spoil.struck}" if spoil.struck else ""


async def all_of(site: Any, side: int, faults: list[tuple[int, Kind]], expected: dict[str, Any]) -> int:
    """Runs several tenants at a time; how many of them met their fault."""
    places = asyncio.Semaphore(AT_ONCE)
    struck = []

    async def one(at: int, kind: Kind) -> None:
        async with places:
            state, where = await spoiled(site, side, at, kind)
            assert state == expected, where
            struck.append(bool(where))

    async with asyncio.TaskGroup() as group:
        for at, kind in faults:
            group.create_task(one(at, kind))
    return sum(struck)


async def test_every_request_to_the_cluster_may_fail(site: Any, operator: Any) -> None:
    expected, count, _ = await baseline(site)
    assert count > FEWEST
    met = await all_of(site, 0, [(at, KINDS[at % len(KINDS)]) for at in range(count)], expected)
    assert met > FEWEST  # a busy machine's run has more statuses between, and more requests, than another


async def test_every_request_to_twilio_may_fail(site: Any, operator: Any) -> None:
    expected, _, count = await baseline(site)
    assert count >= 4
    kinds: tuple[Kind, ...] = ("throttled", "failed", "dropped", "lost")
    faults = [(at, kind) for at in range(count) for kind in kinds]
    assert await all_of(site, 1, faults, expected) >= len(faults) - len(kinds)
