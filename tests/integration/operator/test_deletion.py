"""What goes puts back what was there; nothing waits for ever, and no number is ever released."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.api.runtime import CONTACTS_SECRET
from switchboard.kube import resources
from switchboard.sandbox.twilio.control_models import AccountChange, FaultSpec

from .conftest import OLD

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_a_connector_that_goes_puts_the_old_webhook_back(connected: Any) -> None:
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    number = await connected.at_twilio()
    assert (number.sms_url, number.sms_fallback_url) == (OLD, "https://fallback.example.com/")
    assert "WebhookRestored" in await connected.reasons()
    assert await connected.control.offences() == []


async def test_a_number_without_a_webhook_before_has_none_afterwards(desk: Any) -> None:
    await desk.control.click(desk.account, "numbers", desk.number_sid, sms_url="", sms_fallback_url="")
    await desk.secret()
    await desk.agent()
    await desk.connector()
    await desk.connected()
    await desk.delete(resources.TWILIO_CONNECTORS, "sms")
    await desk.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await desk.at_twilio()).sms_url == ""


async def test_a_webhook_of_somebody_else_is_left_alone(connected: Any) -> None:
    # The Agent goes first, so that nothing is repaired in between.
    await connected.delete(resources.AGENTS, "support")
    await connected.says("AgentNotBound")
    theirs = "https://theirs.example.com/"
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_url=theirs)
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await connected.at_twilio()).sms_url == theirs


async def test_a_url_of_a_switchboard_is_never_kept(desk: Any) -> None:
    await desk.control.click(
        desk.account, "numbers", desk.number_sid, sms_url=desk.url(public="https://elsewhere.example")
    )
    await desk.secret()
    await desk.agent()
    await desk.connector()
    await desk.connected()
    await desk.delete(resources.TWILIO_CONNECTORS, "sms")
    await desk.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await desk.at_twilio()).sms_url == ""


async def test_an_intruders_url_is_not_what_comes_back(connected: Any) -> None:
    await connected.control.click(
        connected.account, "numbers", connected.number_sid, sms_url="https://intruder.example/"
    )
    await connected.event("WebhookRepaired")
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await connected.at_twilio()).sms_url == OLD


async def test_without_its_secret_the_last_valid_credentials_put_it_back(connected: Any) -> None:
    await connected.delete(resources.SECRETS, "twilio")
    await connected.says("CredentialsMissing")
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await connected.at_twilio()).sms_url == OLD


async def test_twilio_out_of_reach_holds_a_deletion_only_for_a_while(connected: Any) -> None:
    await connected.control.fault(FaultSpec(account=connected.account, status=503, times=None))
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    event, *_ = await connected.event("WebhookNotRestored")  # told again where the deletion was refused after it
    assert "Twilio's console" in event["message"]
    await connected.control.clear_faults()


async def test_a_revoked_token_holds_a_deletion_only_for_a_while(connected: Any) -> None:
    await connected.control.change_account(connected.account, AccountChange(auth_token="f" * 32))
    await connected.says("CredentialsInvalid")
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    assert "WebhookNotRestored" in await connected.reasons()


async def test_a_whole_namespace_goes_and_the_webhook_is_back(connected: Any) -> None:
    await connected.kubectl.delete_namespace(connected.namespace)
    await connected.kubectl.until(resources.NAMESPACES, connected.namespace, lambda _: False, gone=True)
    assert (await connected.at_twilio()).sms_url == OLD


@pytest.mark.parametrize(
    "order",
    [("agent", "connector", "secret"), ("secret", "connector", "agent"), ("connector", "agent", "secret")],
    ids="-".join,
)
async def test_everything_goes_in_any_order(connected: Any, order: tuple[str, ...]) -> None:
    what = {
        "agent": (resources.AGENTS, "support"),
        "connector": (resources.TWILIO_CONNECTORS, "sms"),
        "secret": (resources.SECRETS, "twilio"),
    }
    for step in order:
        await connected.delete(*what[step])
    for step in order:
        await connected.gone(*what[step])
    for kind in (
        resources.AGENT_REVISIONS,
        resources.DEPLOYMENTS,
        resources.SERVICES,
        resources.INGRESSES,
        resources.ROLE_BINDINGS,
        resources.SECRETS,
    ):
        for obj in await connected.list(kind):
            if obj["metadata"]["name"] != CONTACTS_SECRET:
                await connected.gone(kind, obj["metadata"]["name"])
    assert await connected.get(resources.SECRETS, CONTACTS_SECRET), "contacts' conversations outlive the Agent"
    assert (await connected.at_twilio()).sms_url == OLD
    assert await connected.control.offences() == []


async def test_another_number_in_the_manifest_puts_the_first_ones_webhook_back(connected: Any) -> None:
    second = connected.office.twilio.number()
    await connected.control.add_number(connected.account, second, sms_url="https://second.example.com/")
    await connected.connector(fromNumber=second)
    await connected.stands(OLD)
    await connected.connected()
    assert (await connected.control.number(connected.account, second)).sms_url == connected.url()
    await connected.delete(resources.TWILIO_CONNECTORS, "sms")
    await connected.gone(resources.TWILIO_CONNECTORS, "sms")
    assert (await connected.control.number(connected.account, second)).sms_url == "https://second.example.com/"
