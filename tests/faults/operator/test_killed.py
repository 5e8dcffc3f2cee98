"""The operator dies between any two writes, and a new one ends where the old one would have."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from .conftest import OLD, watch

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(280)]


async def run(site: Any, side: int, at: int) -> tuple[dict[str, Any], str, int]:
    """A run whose operator is killed after its write number `at`: what is there, where that was, how many were seen."""
    tenant = await site.tenant()
    spoil = watch(site, tenant)[side]
    spoil.writes_only, spoil.at, spoil.kind = True, at, "lost"
    only = {"SWITCHBOARD_NAMESPACES": f'["{tenant.namespace}"]'}
    async with site.operator(f"first-{side}-{at}", **only) as first:

        async def kill() -> None:
            first.signal(signal.SIGKILL)

        spoil.then = kill
        await tenant.apply()
        if at < 0:
            await tenant.connected()
            state = await tenant.state()
            await tenant.end()
            return state, "", len(spoil.seen)
        ended, connected = asyncio.ensure_future(first.ended()), asyncio.ensure_future(tenant.connected())
        await asyncio.wait({ended, connected}, return_when=asyncio.FIRST_COMPLETED)
        deleting = not ended.done()
        if deleting:
            ending = asyncio.ensure_future(tenant.end())
            await asyncio.wait({ended, ending}, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        connected.cancel()
        await asyncio.gather(connected, return_exceptions=True)
    async with site.operator(f"second-{side}-{at}", **only):
        state = {}
        if not deleting:
            await tenant.connected()
            state = await tenant.state()
        await tenant.end()
    assert await tenant.webhook() == OLD
    return state, spoil.struck, len(spoil.seen)


async def all_of(site: Any, side: int, least: int) -> None:
    expected, _, count = await run(site, side, -1)
    assert count >= least
    places = asyncio.Semaphore(2)

    async def one(at: int) -> None:
        async with places:
            state, where, _ = await run(site, side, at)
            assert not state or state == expected, f"killed after {where}"

    async with asyncio.TaskGroup() as group:
        for at in range(count):
            group.create_task(one(at))


@pytest.mark.long
async def test_killed_after_any_write_to_the_cluster(site: Any) -> None:
    await all_of(site, 0, 12)


async def test_killed_after_any_write_to_twilio(site: Any) -> None:
    await all_of(site, 1, 2)
