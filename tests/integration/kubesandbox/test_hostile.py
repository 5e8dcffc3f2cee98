"""Controllers and node get there although requests fail, answers are lost and watches break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.integration.kubesandbox.world import World

from kubesandbox import controllers
from kubesandbox.assembly import Options, Sandbox
from kubesandbox.client import ApiError, Client, Config, Object, owner_of
from kubesandbox.client.resources import DEPLOYMENTS, PODS, REPLICA_SETS, SERVICE_ACCOUNTS, SERVICES
from kubesandbox.node import Node, NodeOptions


class HostileClient(Client):
    """Fails one request in six, half of them after they took effect, and breaks watches after a few events."""

    def __init__(self, config: Config, seed: int) -> None:
        super().__init__(config)
        self._random = random.Random(seed)
        self.failures = 0

    async def _send(self, method: str, *arguments: Any) -> Object:
        if self._random.random() > 1 / 6:
            return await super()._send(method, *arguments)
        self.failures += 1
        match self._random.randrange(4):
            case 0:
                raise ApiError(500, "InternalError", "hostile")
            case 1:
                raise ApiError(409 if method != "GET" else 503, "Conflict", "hostile")
            case 2:
                await super()._send(method, *arguments)
                raise aiohttp.ServerDisconnectedError
            case _:
                await super()._send(method, *arguments)
                raise TimeoutError

    async def watch(self, *arguments: Any, **options: Any) -> AsyncIterator[tuple[str, Object]]:
        left = self._random.randrange(1, 8)
        async for event in super().watch(*arguments, **options):
            yield event
            left -= 1
            if left == 0:
                self.failures += 1
                if self._random.random() < 0.3:
                    raise ApiError(410, "Expired", "hostile")
                raise aiohttp.ClientPayloadError


@pytest.mark.parametrize("seed", range(3))
async def test_a_roll_out_ends_with_exactly_what_was_asked_for(
    seed: int, kubeconfig: Path | None, tmp_path: Path
) -> None:
    if kubeconfig is not None:
        pytest.skip("the named cluster has its own controllers")
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(Options(controllers=False, node=False)))
        config = Config(sandbox.url)
        hostile = await stack.enter_async_context(HostileClient(config, seed))
        client = await stack.enter_async_context(Client(config))
        running = asyncio.create_task(controllers.run(hostile))
        stack.push_async_callback(asyncio.wait, [running])
        stack.callback(running.cancel)
        node = await stack.enter_async_context(Node(hostile, NodeOptions(root=tmp_path / "node")))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        world = World(client, node, "default", session)
        await world.until(SERVICE_ACCOUNTS, "default", lambda _: True)
        await world.deployment("web", ["sleep", "1000"], replicas=3)
        await world.create(SERVICES, "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
        await world.available("web", 3)
        await world.client.patch(
            DEPLOYMENTS, "default", "web", {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
        )
        await world.available("web", 3)
        new = max(await world.list(REPLICA_SETS), key=lambda rs: rs["spec"]["replicas"])
        for pod in await world.list(PODS):
            if (owner_of(pod) or {}).get("uid") != new["metadata"]["uid"]:
                await world.gone(PODS, pod["metadata"]["name"])
        assert len(await world.list(PODS)) == 3
        assert hostile.failures > 20
        assert not running.done()
