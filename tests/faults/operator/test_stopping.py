"""A revision that has handed over is stopped to the end, whatever a deletion meets, and it is said."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchboard.kube import resources

from .conftest import PATIENCE, watch
from .proxy import Kind

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(280)]

RAN_IT = (resources.DEPLOYMENTS, resources.ROLE_BINDINGS, resources.SERVICE_ACCOUNTS, resources.CONFIG_MAPS)
KINDS: tuple[Kind, ...] = ("conflict", "failed", "lost")


async def stopped(site: Any, at: int = -1, kind: Kind = "failed") -> tuple[list[str], str]:
    """Lets v2 take over from v1, one of whose deletions fails: what was deleted, and where it failed."""
    tenant = await site.tenant()
    spoil, _ = watch(site, tenant)
    spoil.deletes_only, spoil.at, spoil.kind = True, at, kind
    until = site.kubectl.until
    await tenant.apply()
    await tenant.connected()
    await tenant.apply("v2")
    live = {"liveRevision": "support-v2"}.items()
    await until(resources.AGENTS, "support", lambda it: live <= it["status"].items(), tenant.namespace)
    drain = {
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "AgentRevision",
        "metadata": {"name": "support-v1", "namespace": tenant.namespace},
        "status": {"drain": {"revision": "support-v2", "working": 0}},
    }
    await site.kubectl.api.apply(resources.AGENT_REVISIONS, drain, manager="webhook", subresource="status")
    for resource in RAN_IT:
        await until(resource, "support-v1", lambda _: False, tenant.namespace, timeout=PATIENCE, gone=True)
    async with asyncio.timeout(PATIENCE):
        async for change in site.kubectl.api.watch(resources.EVENTS, tenant.namespace):
            items = change.items if hasattr(change, "items") else [change.object]
            if any(item["reason"] == "RevisionRemoved" for item in items):
                break
    deleted = [path.split("/")[-2] for path in spoil.seen]
    await tenant.end()
    return deleted, spoil.struck


async def test_a_deletion_that_fails_leaves_nothing_of_a_superseded_revision(site: Any, operator: Any) -> None:
    deleted, _ = await stopped(site)
    assert deleted == [resource.plural for resource in RAN_IT]
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(stopped(site, at, kind)) for at in range(len(deleted)) for kind in KINDS]
    for run in runs:
        again, struck = run.result()
        assert struck
        assert set(again) == set(deleted)
