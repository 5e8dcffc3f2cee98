"""The log as custom resources, on the tests' cluster, in a namespace of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from tests import patient
from tests.integration.log.harness import KEY, Clock, Dying

from switchboard.kube.client import KubeApi
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, NAMESPACES, ResourceType
from switchboard.log.protocol import ConversationLog
from switchboard.log.resources import ResourcesLog


class OnCluster:
    """Implements `Backend`."""

    def __init__(self, api: KubeApi, namespace: str, kubeconfig: Path, exits: AsyncExitStack) -> None:
        self.api = api
        self.namespace = namespace
        self.clock = Clock()
        self.logs: list[ResourcesLog] = []
        self._kubeconfig = kubeconfig
        self._exits = exits

    async def open(self, agent: str, max_messages: int, dying: Dying | None = None) -> ConversationLog:
        # A log that is away says LogUnavailable, and its pod asks again: these tests ask once. That somebody else made
        # an object is what a log goes by.
        api = await patient.connect(self._kubeconfig, adopts=False)
        if dying is not None:
            for name in ("create", "replace", "merge_patch", "delete"):
                setattr(api, name, _mortal(dying, getattr(api, name)))
        self._exits.push_async_callback(api.close)
        log = ResourcesLog(
            api, namespace=self.namespace, agent=agent, key=KEY, max_messages=max_messages, clock=self.clock
        )
        self.logs.append(log)
        return log

    async def advance(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)
        for log in self.logs:
            log._bell.ring()

    async def creep(self, seconds: float) -> None:
        """Time goes by, and nobody is told."""
        self.clock.time += timedelta(seconds=seconds)

    async def now(self) -> datetime:
        return self.clock.now()

    async def seen(self) -> None:
        """Each log's index has every object in the version that the API server has."""
        wanted = {}
        for resource in (CONVERSATIONS, EXECUTIONS, MESSAGES):
            listing = await self.api.list(resource, self.namespace)
            wanted[resource] = {
                item["metadata"]["name"]: int(item["metadata"]["resourceVersion"])
                for item in listing.items
                if item["metadata"]["labels"]["switchboard.dev/agent"] == "support"
            }
        for log in self.logs:
            if log._agent == "support":
                await _knows(log, wanted)


def _mortal(dying: Dying, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def write(*arguments: Any, **options: Any) -> Any:
        return await dying.write(lambda: method(*arguments, **options))

    return write


async def _knows(log: ResourcesLog, wanted: dict[ResourceType, dict[str, int]]) -> None:
    heard = asyncio.Event()
    index = log._index
    put, remove = index.put, index.remove

    def heard_put(*arguments: Any) -> None:
        put(*arguments)
        heard.set()

    def heard_remove(*arguments: Any) -> None:
        remove(*arguments)
        heard.set()

    def behind(resource: ResourceType, there: dict[str, int]) -> bool:
        kept = index._kept(resource)
        older = any(name not in kept or kept[name].version < at for name, at in there.items())
        return older or bool(kept.keys() - there.keys())

    with mock.patch.object(index, "put", heard_put), mock.patch.object(index, "remove", heard_remove):
        async with asyncio.timeout(30):
            while any(behind(resource, there) for resource, there in wanted.items()):
                heard.clear()
                await heard.wait()


async def backend(kubeconfig: Path, namespace: str, exits: AsyncExitStack) -> OnCluster:
    """A namespace on the cluster, which goes when the test ends."""
    api = await patient.connect(kubeconfig)
    exits.push_async_callback(api.close)
    await api.create(NAMESPACES, {"metadata": {"name": namespace}})
    exits.push_async_callback(api.delete, NAMESPACES, namespace)
    return OnCluster(api, namespace, kubeconfig, exits)
