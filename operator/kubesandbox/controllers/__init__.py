"""What kube-controller-manager and kube-scheduler do, as far as a node, a chart and a roll-out need it.

On a real control plane these do not run: the real ones do.
"""

import asyncio
from collections.abc import Callable

from kubesandbox.client import Client
from kubesandbox.controllers.accounts import Accounts
from kubesandbox.controllers.deployments import Deployments
from kubesandbox.controllers.disruption import Disruptions
from kubesandbox.controllers.endpoints import EndpointSlices
from kubesandbox.controllers.jobs import Jobs
from kubesandbox.controllers.loop import Shared
from kubesandbox.controllers.orphans import OrphanedPods
from kubesandbox.controllers.replicasets import ReplicaSets
from kubesandbox.controllers.scheduler import Scheduler

__all__ = ["run"]


async def run(client: Client, ready: Callable[[], None] | None = None) -> None:
    """Run every controller until cancelled; `ready` is called when all have seen the cluster's state."""
    shared = Shared(client, {}, {})
    controllers = [
        kind(shared)
        for kind in (Accounts, Deployments, Disruptions, EndpointSlices, Jobs, OrphanedPods, ReplicaSets, Scheduler)
    ]
    async with asyncio.TaskGroup() as group:
        for cache in shared.caches.values():
            group.create_task(cache.run())
        for recorder in shared.recorders.values():
            group.create_task(recorder.run())
        # Nothing is decided before everything has been seen: an empty cache is no empty cluster.
        await shared.synced()
        for controller in controllers:
            group.create_task(controller.run())
        if ready is not None:
            ready()
