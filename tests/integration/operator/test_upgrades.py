"""What a new version of the CRDs and a new process find is what the old ones left: nothing is written."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.namespaces import Namespaces

from switchboard.api import crd
from switchboard.api.agent import Agent, AgentRevision
from switchboard.kube import resources
from switchboard.kube.resources import CRDS
from switchboard.sandbox import stack
from switchboard.sandbox.stack import reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec

from .conftest import OLD

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


def with_a_default(definition: Any) -> Any:
    """A kind's definition as a later version has it: its template has one more field, with a default."""
    changed = json.loads(json.dumps(definition))
    for version in changed["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        template = spec["template"]["properties"] if "template" in spec else spec
        template["turn"]["properties"]["patienceSeconds"] = {"type": "integer", "default": 7}
    return changed


@asynccontextmanager
async def a_later_version(kubectl: Any, agent: Any) -> AsyncIterator[None]:
    """The later CRDs, until the end; served once the Agent has the new default."""
    old = [crd.definition(kind) for kind in (Agent, AgentRevision)]
    try:
        for definition in old:
            await kubectl.api.apply(CRDS, with_a_default(definition), manager=stack.MANAGER)
        await agent(lambda it: it["spec"]["template"]["turn"].get("patienceSeconds") == 7)
        yield
    finally:
        for definition in old:
            await kubectl.api.apply(CRDS, definition, manager=stack.MANAGER)
        await agent(lambda it: "patienceSeconds" not in it["spec"]["template"]["turn"])


async def served(desk: Any, holds: Any) -> None:
    """Waits until the Agent is served so. A new schema sends no event: it is read again."""
    async with asyncio.timeout(30):
        while not holds(await desk.get(resources.AGENTS, "support")):
            await asyncio.sleep(0.05)


async def test_a_new_default_in_the_crds_makes_no_revision_and_writes_nothing(connected: Any) -> None:
    first = await connected.settled()
    await connected.at_rest()
    [revision] = await connected.list(resources.AGENT_REVISIONS)
    before = await connected.versions()
    async with a_later_version(connected.kubectl, partial(served, connected)):
        await connected.agent(revisionHistoryLimit=5)  # what has the Agent looked at again
        seen = await connected.until(
            resources.AGENTS,
            "support",
            lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"] == 2,
        )
        assert seen["spec"]["template"]["turn"]["patienceSeconds"] == 7
        assert seen["status"]["liveRevision"] == first["status"]["liveRevision"] == revision["metadata"]["name"]
        async for index in connected.passes():
            if index == 1:
                break
        after = await connected.versions()
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {"agents/support", "twilioconnectors/sms"}


@pytest.mark.long
async def test_a_restart_with_many_settled_objects_writes_nothing(desk: Any, tmp_path: Path) -> None:
    """Two hundred, of which every connector has a number of its own."""
    connectors, agents = 180, 20
    namespaces = Namespaces(desk.kubectl, "opr", 1)
    environment = {
        **desk.office.environment,
        "SWITCHBOARD_NAMESPACES": json.dumps(namespaces.names),
        "SWITCHBOARD_CHECK_INTERVAL": "300",
    }
    numbers = [desk.office.twilio.number() for _ in range(connectors)]
    account = f"AC{secrets.token_hex(16)}"
    await desk.control.create_account(
        AccountSpec(
            sid=account, auth_token=desk.token, numbers=[NumberSpec(phone_number=it, sms_url=OLD) for it in numbers]
        )
    )
    many = replace(desk, namespace=await namespaces.take(), account=account)
    async with stack.operator(tmp_path, environment, name="first"):
        await many.secret()
        await asyncio.gather(
            *(many.connector(f"c{index}", fromNumber=number) for index, number in enumerate(numbers)),
            *(
                many.agent(f"a{index}", connectors=tuple(f"c{it}" for it in range(index, connectors, agents)))
                for index in range(agents)
            ),
        )
        await all_are(many, resources.TWILIO_CONNECTORS, connectors, "Connected")
        await all_are(many, resources.AGENTS, agents, "Serving")
        await many.at_rest()
    before, asked = await many.versions(), len(await desk.control.requests())
    async with stack.operator(tmp_path, environment, name="second") as process:
        await reconciled(process.log, connectors + agents)
    assert await many.versions() == before
    of_account = [it for it in (await desk.control.requests())[asked:] if it.account == account]
    assert {it.method for it in of_account} == {"GET"}
    assert len(of_account) <= 10  # lists, once for all
    await namespaces.leave(served=False)


async def all_are(desk: Any, resource: Any, count: int, wanted: str) -> None:
    good: set[str] = set()
    watch = desk.kubectl.api.watch(resource, desk.namespace)
    async for event in watch:
        for obj in event.items if hasattr(event, "items") else [event.object]:
            (good.add if reason(obj) == wanted else good.discard)(obj["metadata"]["name"])
        if len(good) == count:
            break
    await watch.aclose()


async def reconciled(log: Path, times: int) -> None:
    """Waits until an operator has looked at so many objects."""
    [port] = re.findall(r"health_port=(\d+)", log.read_text(encoding="utf-8"))
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        done = 0.0
        while done < times:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                lines = (await response.text()).splitlines()
            done = sum(float(it.rpartition(" ")[2]) for it in lines if it.startswith("switchboard_reconciles_total{"))
            await asyncio.sleep(0.05)
