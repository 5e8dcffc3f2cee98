"""From `kubectl apply` to an answered text."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from switchboard.api.runtime import message_path
from switchboard.kube.resources import (
    AGENT_REVISIONS,
    AGENTS,
    CONVERSATIONS,
    DEPLOYMENTS,
    EXECUTIONS,
    MESSAGES,
    TWILIO_CONNECTORS,
)
from switchboard.providers.twilio.signature import sign
from switchboard.sandbox.stack import condition, reason

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]


async def test_the_quickstart_is_connected_and_registered_at_twilio(customer: Any) -> None:
    connector = await customer.connected()
    assert condition(connector, "Ready")["status"] == "True"
    assert connector["status"]["agent"] == "support"
    number = await customer.at_twilio()
    assert number.sms_url.startswith(connector["status"]["webhookURL"])
    assert connector["status"]["webhookURL"].endswith(message_path(customer.namespace, "production-sms"))


@pytest.mark.parametrize("channel", ["SMS", "WhatsApp"])
async def test_a_text_is_answered_on_its_channel_and_names_its_execution(customer: Any, channel: str) -> None:
    assert await customer.ask("Where is order 1234?", channel) == "Order 1234 is on its way."
    outbound = await _message(customer, lambda it: it["spec"]["direction"] == "Outbound" and _delivered(it))
    inbound = await _message(
        customer, lambda it: it["spec"]["direction"] == "Inbound" and it["status"].get("state") == "Answered"
    )
    assert outbound["status"]["execution"] == inbound["status"]["execution"]
    api = customer.product.kubectl.api
    execution = await api.get(EXECUTIONS, inbound["status"]["execution"], customer.namespace)
    assert execution["spec"]["messages"] == [inbound["metadata"]["name"]]
    assert execution["status"]["state"] == "Succeeded"
    conversation = await customer.product.kubectl.until(
        CONVERSATIONS,
        inbound["spec"]["conversation"],
        lambda it: it.get("status", {}).get("messages") == 2,
        customer.namespace,
    )
    assert conversation["spec"]["channel"] == channel
    assert conversation["spec"]["contact"] == customer.person


async def test_only_a_right_signature_is_let_in_and_a_repeated_message_is_answered_once(customer: Any) -> None:
    url = (await customer.connected())["status"]["webhookURL"]
    fields = {
        "MessageSid": "SM" + "1" * 32,
        "AccountSid": customer.account,
        "From": customer.person,
        "To": customer.number,
        "Body": "hours?",
        "NumMedia": "0",
    }
    right = sign(customer.token, url, list(fields.items()))
    control = customer.product.twilio.control
    async with aiohttp.ClientSession() as session:

        async def post(**headers: str) -> int:
            async with asyncio.timeout(30):
                while True:  # a router learns of endpoints a moment after the connector; Twilio tries again then too
                    async with session.post(url, data=fields, headers=headers) as response:
                        if response.status != 503:
                            return response.status
                    await asyncio.sleep(0.1)

        assert await post(**{"X-Twilio-Signature": "d3Jvbmc="}) == 403
        assert await post() == 403
        assert await post(**{"X-Twilio-Signature": right}) == 200
        await customer.heard(0)
        assert await post(**{"X-Twilio-Signature": right}) == 200
    # A later message of the same conversation is answered after all that came before it.
    assert await customer.ask("order 7") == "Order 7 is on its way."
    assert [answer.body for answer in await control.inbox(customer.person, wait=False)] == [
        "We are open 9 to 5, Monday to Friday.",
        "Order 7 is on its way.",
    ]
    listing = await customer.product.kubectl.api.list(MESSAGES, customer.namespace)
    assert sum(it["spec"]["direction"] == "Inbound" for it in listing.items) == 2


async def test_a_changed_agent_becomes_a_second_revision_and_the_first_drains(customer: Any) -> None:
    kubectl = customer.product.kubectl
    agent = customer.manifest("Agent")
    agent["spec"]["template"]["name"] = "v2"
    agent["spec"]["template"]["engine"]["script"]["fallback"] = "Second revision here."
    await kubectl.apply([agent])
    await kubectl.until(
        AGENTS, "support", lambda it: it.get("status", {}).get("liveRevision") == "support-v2", customer.namespace
    )
    await kubectl.until(
        AGENT_REVISIONS, "support-v1", lambda it: it["status"].get("state") == "Standby", customer.namespace
    )
    deployments = await kubectl.api.list(DEPLOYMENTS, customer.namespace)
    assert [it["metadata"]["name"] for it in deployments.items] == ["support-v2"]
    assert await customer.ask("something else") == "Second revision here."
    assert reason(await customer.connected()) == "Connected"


async def test_deleting_the_connector_puts_the_old_webhook_back(customer: Any) -> None:
    kubectl = customer.product.kubectl
    await kubectl.api.delete(TWILIO_CONNECTORS, "production-sms", customer.namespace)
    await kubectl.until(TWILIO_CONNECTORS, "production-sms", lambda _: True, customer.namespace, gone=True)
    number = await customer.at_twilio()
    assert number.sms_url == "https://old.example.com/sms"
    agent = await kubectl.until(AGENTS, "support", lambda it: reason(it) == "ConnectorMissing", customer.namespace)
    assert "production-sms" in condition(agent, "Ready")["message"]


async def test_no_token_stands_in_any_object_or_log(customer: Any) -> None:
    assert await customer.ask("hours") == "We are open 9 to 5, Monday to Friday."
    await _message(customer, _delivered)
    from tests.integration.product.everything import logs, objects_but_secrets

    texts = [*await objects_but_secrets(customer), *logs(customer)]
    assert any(customer.number in text for text in texts), "the search must have found the tenant's objects"
    assert not [text[:300] for text in texts if customer.token in text]


def _delivered(message: dict[str, Any]) -> bool:
    return bool(message.get("status", {}).get("delivery") == "Delivered")


async def _message(customer: Any, holds: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for event in customer.product.kubectl.api.watch(MESSAGES, customer.namespace):
            for item in getattr(event, "items", None) or [getattr(event, "object", None)]:
                if item and holds(item):
                    return dict(item)
    raise AssertionError("the watch ended")
