"""A cluster where much is late, lost or refused: a run ends as anywhere else. `make test-hostile` runs far more so."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests import patient
from tests.namespaces import Namespaces

from switchboard.sandbox import stack

from .conftest import PUBLIC, Site
from .proxy import Proxy
from .test_every_call import whole

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

AT_ONCE = 4


async def test_on_a_hostile_cluster_every_run_ends_as_the_others(twilio: Any, tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        options = ["--hostile", "7", "--no-node"]
        cluster = await running.enter_async_context(stack.cluster(tmp_path, options=options))
        api = await running.enter_async_context(await patient.connect(cluster.kubeconfig))
        kubectl = stack.Kubectl(api, cluster.kubeconfig)
        await kubectl.install()
        namespaces = Namespaces(kubectl, "hostile", AT_ONCE)
        environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "SWITCHBOARD_PUBLIC_URL": PUBLIC,
            "SWITCHBOARD_TWILIO_BASE_URL": twilio.url,
            "SWITCHBOARD_NAMESPACES": json.dumps(namespaces.names),
            "SWITCHBOARD_LOG_FORMAT": "text",
        }
        nothing = Proxy("")
        site = Site(kubectl, twilio, nothing, nothing, namespaces, environment, tmp_path)
        await running.enter_async_context(site.operator())
        tenants = [await site.tenant() for _ in range(AT_ONCE)]
        states = await asyncio.gather(*(whole(tenant) for tenant in tenants))
    assert states == [states[0]] * AT_ONCE
