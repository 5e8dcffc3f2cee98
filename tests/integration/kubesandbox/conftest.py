"""A control plane with a node of this test: the embedded one, or the one that `--kubeconfig` names."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.integration.kubesandbox.world import TAINT, World
from tests.patient import PatientClient

from kubesandbox.assembly import Options, Sandbox
from kubesandbox.client import Client, Config
from kubesandbox.client.resources import NAMESPACES, SERVICE_ACCOUNTS
from kubesandbox.node import Node, NodeOptions

NODE_ENVIRONMENT = {**os.environ, "SECRET_OF_THE_NODE": "leaked"}


@pytest_asyncio.fixture
async def world(request: pytest.FixtureRequest, kubeconfig: Path | None, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        if kubeconfig is None:
            options = Options(node=False, hostile=request.config.getoption("--hostile"))
            sandbox = await stack.enter_async_context(Sandbox(options))
            config = Config(server=sandbox.url)
        else:
            config = Config.load(kubeconfig)
        client = await stack.enter_async_context(PatientClient(config))
        name = f"node-{secrets.token_hex(4)}"
        node_options = NodeOptions(
            name=name, root=tmp_path / "node", back_off_scale=0.02, environment=NODE_ENVIRONMENT, taints=(TAINT,)
        )
        nodes = await stack.enter_async_context(Client(config))
        node = await stack.enter_async_context(Node(nodes, node_options))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        namespace = f"t-{secrets.token_hex(4)}"
        await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        made = World(client, node, namespace, session)
        # A pod is refused until the namespace has its ServiceAccount, on a real control plane too.
        await made.until(SERVICE_ACCOUNTS, "default", lambda _: True)
        yield made
        await client.delete(NAMESPACES, "", namespace)
