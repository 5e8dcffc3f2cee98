"""What the tests wait for, by watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from switchboard.kube.client import Synced
from switchboard.kube.resources import MESSAGES, ResourceType


async def whole(customer: Any, kind: ResourceType, holds: Callable[[list[dict[str, Any]]], bool]) -> list[Any]:
    """All objects of a kind in the tenant's namespace, once `holds` is true of them together."""
    found: dict[str, dict[str, Any]] = {}
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
    raise AssertionError("the watch ended")


async def answered(customer: Any, count: int = 1) -> list[dict[str, Any]]:
    """Every message, once `count` texts are answered and each answer is delivered."""

    def settled(messages: list[dict[str, Any]]) -> bool:
        done = [it for it in messages if it.get("status", {}).get("state") == "Answered"]
        sent = [it for it in messages if it.get("status", {}).get("delivery") == "Delivered"]
        return len(done) == count and len(sent) == count

    return await whole(customer, MESSAGES, settled)
