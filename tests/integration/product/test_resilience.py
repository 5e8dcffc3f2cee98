"""What breaks, and what people then see: everything through real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.integration.product.conftest import OLD_WEBHOOK
from tests.integration.product.waiting import answered, rolled_out, whole

from switchboard.kube import resources
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import (
    ACCESS_REQUESTS,
    AGENTS,
    CONVERSATIONS,
    DEPLOYMENTS,
    EVENTS,
    MESSAGES,
    PODS,
    TWILIO_CONNECTORS,
    ResourceType,
)
from switchboard.sandbox.twilio.control_models import FaultSpec

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]

HOURS = "We are open 9 to 5, Monday to Friday."


async def _switchboard(customer: Any, *words: str) -> tuple[int, str]:
    """Runs our own command line against the tenant's namespace."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchboard",
        *words,
        "-n",
        customer.namespace,
        env={**os.environ, "KUBECONFIG": str(customer.product.cluster.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the pod's process is found in /proc")
async def test_a_pod_that_is_killed_answers_what_came_meanwhile_once(customer: Any) -> None:
    assert await customer.ask("order 1") == "Order 1 is on its way."
    await answered(customer)
    control = customer.product.twilio.control
    (pod,) = await rolled_out(customer)
    os.kill(_pid(pod), signal.SIGKILL)
    await control.text(customer.person, customer.number, "order 2")
    assert await customer.heard(1) == "Order 2 is on its way."
    restarted = await customer.product.kubectl.until(
        PODS,
        pod["metadata"]["name"],
        lambda it: it["status"]["containerStatuses"][0]["restartCount"] == 1 and _ready(it),
        customer.namespace,
    )
    assert restarted["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert await customer.ask("order 3") == "Order 3 is on its way."
    await answered(customer, 3, told=False)
    assert len(await control.inbox(customer.person, wait=False)) == 3


def _ready(pod: dict[str, Any]) -> bool:
    return any(it["type"] == "Ready" and it["status"] == "True" for it in pod["status"]["conditions"])


def _pid(pod: dict[str, Any]) -> int:
    """The pod's process, by what its environment says of it."""
    wanted = f"SWITCHBOARD_POD_NAME={pod['metadata']['name']}".encode()
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
    raise AssertionError(f"no process of {pod['metadata']['name']} is on this machine")


async def test_a_new_token_is_used_and_the_old_one_accepted_meanwhile(customer: Any) -> None:
    assert await customer.ask("order 1") == "Order 1 is on its way."
    control, kubectl = customer.product.twilio.control, customer.product.kubectl
    new = (await control.set_token(customer.account, "f" * 32)).auth_token
    secret = customer.manifest("Secret")
    secret["stringData"] = {"accountSid": customer.account, "authToken": new, "previousAuthToken": customer.token}
    await kubectl.apply([secret])
    for signature, order in (("old", "2"), ("good", "3")):
        before = len(await control.inbox(customer.person, wait=False))
        await control.text(customer.person, customer.number, f"order {order}", signature=signature)
        assert await customer.heard(before) == f"Order {order} is on its way."
    code, said = await _switchboard(customer, "test", "twilioconnector/production-sms")
    assert code == 0, said


async def test_a_twilio_that_stumbles_delays_and_nothing_more(tenant: Any) -> None:
    control = tenant.product.twilio.control
    await control.fault(FaultSpec(account=tenant.account, status=500, times=2))
    await control.fault(FaultSpec(account=tenant.account, status=429, retry_after=0.2, times=1))
    await tenant.product.kubectl.apply(tenant.objects)
    await tenant.connected()
    await control.fault(
        FaultSpec(account=tenant.account, method="POST", path="*/Messages.json", status=429, retry_after=0.2, times=2)
    )
    assert await tenant.ask("hours?") == HOURS
    await answered(tenant)
    assert len(await control.inbox(tenant.person, wait=False)) == 1


async def test_a_connector_that_comes_back_is_connected_again(customer: Any) -> None:
    kubectl = customer.product.kubectl
    await kubectl.api.delete(TWILIO_CONNECTORS, "production-sms", customer.namespace)
    await kubectl.until(TWILIO_CONNECTORS, "production-sms", lambda _: True, customer.namespace, gone=True)
    assert (await customer.at_twilio()).sms_url == OLD_WEBHOOK
    await kubectl.apply([customer.manifest("TwilioConnector")])
    await customer.connected()
    assert await customer.ask("hours?") == HOURS


async def test_conversations_outlive_their_agent_and_go_on_with_the_next(customer: Any) -> None:
    kubectl = customer.product.kubectl
    assert await customer.ask("order 1") == "Order 1 is on its way."
    await answered(customer)
    await kubectl.api.delete(AGENTS, "support", customer.namespace, propagation="Foreground")
    await kubectl.until(AGENTS, "support", lambda _: True, customer.namespace, gone=True)
    await whole(customer, DEPLOYMENTS, lambda found: not found)
    await customer.connector("AgentNotBound")
    assert len((await kubectl.api.list(MESSAGES, customer.namespace)).items) == 2
    await kubectl.apply([customer.manifest("Agent")])
    await customer.connected()
    assert await customer.ask("order 2") == "Order 2 is on its way."
    await answered(customer, 2)
    await _counted(customer, 4)


async def test_a_stranger_is_let_in_from_the_command_line(tenant: Any) -> None:
    kubectl = tenant.product.kubectl
    for entry in tenant.objects:
        if entry["kind"] == "TwilioConnector":
            entry["spec"]["access"] = {"policy": "Onboarding", "onboardingMessage": "A colleague will let you in."}
    await kubectl.apply(tenant.objects)
    await tenant.connected()
    assert await tenant.ask("order 4") == "A colleague will let you in."
    (request,) = await whole(tenant, ACCESS_REQUESTS, lambda found: len(found) == 1)
    name = request["metadata"]["name"]
    code, said = await _switchboard(tenant, "approve", name, "--note", "a customer")
    assert code == 0, said
    assert said == f"accessrequest.switchboard.dev/{name} approved: {tenant.person}\n"
    assert await tenant.heard(1) == "Order 4 is on its way."
    decided = await kubectl.api.get(ACCESS_REQUESTS, name, tenant.namespace)
    assert decided["spec"]["decision"] == "Approved"
    assert decided["spec"]["decidedBy"]
    code, said = await _switchboard(tenant, "approve", "nobody")
    assert code == 1
    assert "There is no AccessRequest 'nobody'" in said


async def test_a_connector_is_tested_from_the_command_line(customer: Any) -> None:
    code, said = await _switchboard(customer, "test", "twilioconnector/production-sms")
    assert code == 0
    assert said == (
        f"twilioconnector.switchboard.dev/production-sms: {customer.number} is connected to the Agent support.\n"
    )
    await customer.product.twilio.control.set_token(customer.account, "e" * 32)
    code, said = await _switchboard(customer, "test", "twilioconnector/production-sms")
    assert code == 1
    assert "authToken" in said
    code, said = await _switchboard(customer, "test", "agent/support")
    assert code == 2
    assert "'agent/support' is not twilioconnector/NAME" in said


async def test_an_operator_that_is_killed_is_not_missed_and_changes_nothing_when_it_is_back(customer: Any) -> None:
    control = customer.product.twilio.control
    assert await customer.ask("order 1") == "Order 1 is on its way."
    await _told(customer)
    customer.product.operator.signal(signal.SIGKILL)
    await customer.product.operator.ended()
    assert await customer.ask("order 2") == "Order 2 is on its way."
    await answered(customer, 2)
    await _counted(customer, 4)
    before = await _versions(customer)
    asked = len(await control.requests())
    await customer.product.restart_operator()
    code, said = await _switchboard(customer, "test", "twilioconnector/production-sms")
    assert code == 0, said
    after = await _versions(customer)
    connector = ("TwilioConnector", "production-sms")  # the test itself is written on it
    assert before.pop(connector) != after.pop(connector)
    assert after == before
    requests = [it for it in (await control.requests())[asked:] if it.account == customer.account]
    assert requests, "the connector was looked at"
    assert {it.method for it in requests} == {"GET"}


async def _counted(customer: Any, messages: int) -> None:
    """Returns once the conversation says how many messages it has: that is written after them."""
    await whole(
        customer, CONVERSATIONS, lambda found: [it.get("status", {}).get("messages") for it in found] == [messages]
    )


async def _told(customer: Any) -> None:
    """Returns once the Agent says that its connector is connected, and has told so: nothing is left to write."""
    await rolled_out(customer)
    agent = await customer.product.kubectl.until(
        AGENTS,
        "support",
        lambda it: [entry["status"] for entry in it["status"].get("connectors", ())] == ["Connected"],
        customer.namespace,
    )
    (said,) = (it["reason"] for it in agent["status"]["conditions"] if it["type"] == "Ready")
    await whole(
        customer,
        EVENTS,
        lambda found: any(it["reason"] == said and it["involvedObject"]["kind"] == "Agent" for it in found),
    )


async def _versions(customer: Any) -> dict[tuple[str, str], str]:
    """Kind and name to resourceVersion, of everything in the tenant's namespace but for the Leases that pods renew."""
    kinds = {kind for kind in vars(resources).values() if isinstance(kind, ResourceType) and kind.namespaced}
    kinds.discard(resources.LEASES)
    versions = {}
    for kind in kinds:
        with suppress(NotFound):  # a kind that this cluster does not serve
            for item in (await customer.product.kubectl.api.list(kind, customer.namespace)).items:
                versions[kind.kind, item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
    return versions
