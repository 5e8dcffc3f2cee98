"""What the tests wait for, by watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from switchboard.kube.client import Synced
from switchboard.kube.resources import DEPLOYMENTS, MESSAGES, PODS, ResourceType


async def whole(customer: Any, kind: ResourceType, holds: Callable[[list[dict[str, Any]]], bool]) -> list[Any]:
    """All objects of a kind in the tenant's namespace, once `holds` is true of them together."""
    found: dict[str, dict[str, Any]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            async for event in customer.product.kubectl.api.watch(kind, customer.namespace):
                if isinstance(event, Synced):
                    found = {item["metadata"]["name"]: item for item in event.items}
                elif event.kind == "DELETED":
                    found.pop(event.object["metadata"]["name"], None)
                else:
                    found[event.object["metadata"]["name"]] = event.object
                if holds(list(found.values())):
                    return list(found.values())
    told = {name: (it.get("spec"), it.get("status")) for name, it in found.items()}
    raise AssertionError(f"the {kind.plural} did not get there: {told}")


async def answered(customer: Any, count: int = 1, *, told: bool = True) -> list[dict[str, Any]]:
    """Every message, once `count` texts are answered and each answer is delivered.

    `told=False`: or sent. News of a delivery that finds no pod is looked up minutes later.
    """

    def settled(messages: list[dict[str, Any]]) -> bool:
        done = [it for it in messages if it.get("status", {}).get("state") == "Answered"]
        sent = [it for it in messages if _sent(it.get("status", {}), told=told)]
        return len(done) == count and len(sent) == count

    return await whole(customer, MESSAGES, settled)


def _sent(status: dict[str, Any], *, told: bool) -> bool:
    return status.get("delivery") == "Delivered" if told else status.get("state") == "Sent"


async def rolled_out(customer: Any) -> list[dict[str, Any]]:
    """The pods, once they are those that are wanted and no other is left.

    What the operator learns late, of a Secret above all, it rolls out a second time.
    """

    def current(deployments: list[dict[str, Any]]) -> bool:
        return bool(deployments) and all(
            it.get("status", {}).get("observedGeneration") == it["metadata"]["generation"]
            and {it["status"].get(count) for count in ("replicas", "updatedReplicas", "availableReplicas")}
            == {it["spec"]["replicas"]}
            for it in deployments
        )

    await whole(customer, DEPLOYMENTS, current)
    return await whole(
        customer, PODS, lambda found: bool(found) and not any(it["metadata"].get("deletionTimestamp") for it in found)
    )
