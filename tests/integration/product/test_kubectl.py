"""What somebody does and sees with kubectl."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from tests.integration.product.conftest import OLD_WEBHOOK
from tests.integration.product.waiting import answered, rolled_out, whole

from switchboard.kube.resources import AGENT_REVISIONS, AGENTS, EVENTS, NAMESPACES, TWILIO_CONNECTORS

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on this machine"),
]

Run = Callable[..., Awaitable[str]]
TRIES = 8
PASSING = re.compile(r"etcdserver: |too many requests|the object has been modified|unable to decode an event|EOF")
"""What a busy or hostile API server says: somebody at a terminal types the same again."""


@pytest.fixture(name="run")
def kubectl_in_the_namespace(customer: Any) -> Run:
    """Runs kubectl in the customer's namespace; gives its output, or fails with what it said."""

    async def kubectl(*words: str, given: str = "") -> str:
        environment: Mapping[str, str] = {
            **os.environ,
            "KUBECONFIG": str(customer.product.cluster.kubeconfig),
            # What kubectl keeps of a server's kinds goes by its address, and ports come again.
            "KUBECACHEDIR": str(customer.product.directory / "kubectl"),
        }
        for _ in range(TRIES):
            process = await asyncio.create_subprocess_exec(
                "kubectl",
                "-n",
                customer.namespace,
                *words,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(90):
                output, errors = await process.communicate(given.encode())
            if process.returncode == 0 or not PASSING.search(errors.decode()):
                break
        assert process.returncode == 0, errors.decode()
        return output.decode()

    return kubectl


async def test_get_answers_is_it_working(customer: Any, run: Run) -> None:
    await customer.product.kubectl.until(
        AGENTS, "support", lambda it: it["status"].get("connectors") == [CONNECTED], customer.namespace
    )
    await customer.product.kubectl.until(
        AGENT_REVISIONS,
        "support-v1",
        lambda it: (it["status"].get("state"), it["status"].get("ready")) == ("Serving", "1/1"),
        customer.namespace,
    )
    shown = await run("get", "agents,agentrevisions,twilioconnectors")
    assert re.search(r"NAME +READY +LIVE +DESIRED +CONNECTORS +AGE\n", shown)
    assert re.search(r"agent\.switchboard\.dev/support +True +support-v1 +support-v1 +1/1 +\d+s\n", shown)
    assert re.search(r"NAME +AGENT +STATE +READY +AGE\n", shown)
    assert re.search(r"agentrevision\.switchboard\.dev/support-v1 +support +Serving +1/1 +\d+s\n", shown)
    number = re.escape(customer.number)
    assert re.search(r"NAME +NUMBER +STATUS +AGENT +AGE\n", shown)
    assert re.search(rf"twilioconnector\.switchboard\.dev/production-sms +{number} +Connected +support +\d+s\n", shown)


CONNECTED = {"name": "production-sms", "status": "Connected"}


async def test_the_category_lists_everything_that_is_ours(customer: Any, run: Run) -> None:
    assert await customer.ask("hours?")
    await answered(customer)
    shown = await run("get", "switchboard")
    kinds = ("agent", "agentrevision", "twilioconnector", "conversation", "message", "execution")
    assert [kind for kind in kinds if f"\n{kind}.switchboard.dev/" not in f"\n{shown}"] == []
    for short in ("ag", "agr", "twc", "conv", "msg", "exe", "acr"):
        await run("get", short)


async def test_describe_shows_conditions_and_events(customer: Any, run: Run) -> None:
    await whole(customer, EVENTS, lambda events: any(it.get("reason") == "Connected" for it in events))
    for _ in range(TRIES):
        shown, _, events = (await run("describe", "twilioconnector", "production-sms")).partition("Events:")
        if "<none>" not in events:  # so it says too when it was refused them
            break
    sentence = f"{customer.number} is connected to the Agent support."
    assert re.search(rf"Message: +{re.escape(sentence)}\n +.*\n* *Reason: +Connected", shown), shown
    assert re.search(rf"Normal +Connected +\S+ +switchboard-operator +{re.escape(sentence)}", events), events


async def test_messages_name_their_executions(customer: Any, run: Run) -> None:
    assert await customer.ask("order 9")
    await answered(customer)
    shown = await run("get", "messages")
    inbound = re.search(r"in-\w{32} +Inbound +SMS +\S+ +\S+ +Answered +(c-\w+-1)\b", shown)
    outbound = re.search(r"c-\w+-1-1 +Outbound +SMS +\S+ +\S+ +Sent +Delivered +(c-\w+-1)\b", shown)
    assert inbound, shown
    assert outbound, shown
    assert inbound[1] == outbound[1]
    execution = json.loads(await run("get", "execution", inbound[1], "-o", "json"))
    assert execution["status"]["state"] == "Succeeded"


async def test_logs_of_a_webhook_pod_follow_a_message_and_mask_its_number(customer: Any, run: Run) -> None:
    (pod,) = await rolled_out(customer)
    assert await customer.ask("hours?")
    await answered(customer)
    shown = await run("logs", pod["metadata"]["name"])
    entries = [json.loads(line) for line in shown.splitlines()]
    said = [entry["message"] for entry in entries]
    assert [it for it in ("serving", "message recorded", "turn begins", "reply sent") if it not in said] == []
    assert customer.person not in shown
    assert customer.token not in shown


async def test_an_applied_change_is_a_second_revision_and_the_first_drains(customer: Any, run: Run) -> None:
    agent = customer.manifest("Agent")
    agent["spec"]["template"]["name"] = "v2"
    agent["spec"]["template"]["engine"]["script"]["fallback"] = "Second revision here."
    out = await run("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(agent))
    assert "agent.switchboard.dev/support serverside-applied" in out
    await run("wait", "agent/support", "--for=jsonpath={.status.liveRevision}=support-v2", "--timeout=50s")
    await customer.product.kubectl.until(
        AGENT_REVISIONS, "support-v1", lambda it: it["status"].get("state") == "Standby", customer.namespace
    )
    shown = await run("get", "agentrevisions")
    assert re.search(r"support-v2 +support +Serving +1/1", shown), shown
    assert re.search(r"support-v1 +support +Standby", shown), shown
    assert await customer.ask("?") == "Second revision here."


async def test_a_deleted_connector_leaves_the_number_as_it_was(customer: Any, run: Run) -> None:
    assert (await customer.at_twilio()).sms_url != OLD_WEBHOOK
    await run("delete", "twilioconnector", "production-sms", "--timeout=50s")
    assert (await customer.at_twilio()).sms_url == OLD_WEBHOOK


async def test_a_deleted_namespace_goes_and_leaves_the_number_as_it_was(customer: Any, run: Run) -> None:
    assert await customer.ask("hours?")
    await run("delete", "namespace", customer.namespace, "--timeout=60s")
    await customer.product.kubectl.until(NAMESPACES, customer.namespace, lambda _: True, gone=True)
    assert (await customer.at_twilio()).sms_url == OLD_WEBHOOK


async def test_wait_understands_our_conditions(customer: Any, run: Run) -> None:
    out = await run("wait", "twilioconnector/production-sms", "agent/support", "--for=condition=Ready", "--timeout=50s")
    assert out.count("condition met") == 2
    connector = await customer.product.kubectl.api.get(TWILIO_CONNECTORS, "production-sms", customer.namespace)
    assert connector["status"]["observedGeneration"] == connector["metadata"]["generation"]
