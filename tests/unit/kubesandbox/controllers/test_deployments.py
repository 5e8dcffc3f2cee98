"""A Deployment's controller on an API server that refuses now and then."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import Any, cast

from tests.unit.kubesandbox.controllers.objects import deployment, replica_set

from kubesandbox.client import ApiError, Client, Object, Resource
from kubesandbox.client.resources import DEPLOYMENTS, REPLICA_SETS, controller_reference
from kubesandbox.controllers.deployments import Deployments
from kubesandbox.controllers.loop import Shared

TOLD = {
    "type": "Progressing",
    "status": "True",
    "lastUpdateTime": "2026-01-01T11:00:00Z",
    "lastTransitionTime": "2026-01-01T11:00:00Z",
    "reason": "NewReplicaSetAvailable",
    "message": 'ReplicaSet "web-v1" has successfully progressed.',
}


class Server:
    """Keeps what is created, and takes statuses once it has refused the first."""

    def __init__(self) -> None:
        self._versions = itertools.count(100)
        self.statuses: list[Object] = []
        self.refused = False
        self.made: Object = {}

    def stored(self, obj: Object, kind: str) -> Object:
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(next(self._versions))}
        return {**obj, "kind": kind}

    async def create(self, resource: Resource, obj: Object) -> Object:
        assert resource is REPLICA_SETS
        obj["metadata"]["uid"] = "rs-new"
        self.made = self.stored(obj, "ReplicaSet")
        return self.made

    async def patch(self, resource: Resource, namespace: str, name: str, patch: Object, **options: Any) -> Object:
        if options.get("subresource") == "status" and not self.refused:
            self.refused = True
            raise ApiError(500, "InternalError", "etcdserver: leader changed")
        if "status" in patch:
            self.statuses.append(patch["status"])
        return {}


async def test_a_roll_out_is_told_of_though_its_first_status_was_refused() -> None:
    server = Server()
    shared = Shared(cast("Client", server), {}, {})
    controller = Deployments(shared)
    new = deployment(image="v2") | {"status": {"replicas": 2, "updatedReplicas": 2, "conditions": [TOLD]}}
    old = replica_set("v1", 2, 2)
    old["metadata"]["ownerReferences"] = [controller_reference(new, DEPLOYMENTS)]
    shared.cache(REPLICA_SETS).remember(server.stored(old, "ReplicaSet"))
    shared.cache(DEPLOYMENTS).remember(server.stored(new, "Deployment"))
    running = asyncio.create_task(controller.run())
    async with asyncio.timeout(10):
        while not server.made:
            await asyncio.sleep(0)
        # Its pod is there before the status is written: nothing else shows that this is another roll-out.
        counted = server.made | {"status": {"observedGeneration": 1, "replicas": 1}}
        shared.cache(REPLICA_SETS).remember(server.stored(counted, "ReplicaSet"))
        while not server.statuses:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    (progressing,) = (it for it in server.statuses[0]["conditions"] if it["type"] == "Progressing")
    assert (progressing["reason"], progressing["status"]) == ("NewReplicaSetCreated", "True")
