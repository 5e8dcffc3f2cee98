"""Every state of a connector, and the sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube import resources
from switchboard.sandbox.stack import condition
from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    ApplicationSpec,
    FaultSpec,
    ServiceSpec,
)

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


def message(connector: Any) -> str:
    return str(condition(connector, "Ready")["message"])


def stalled(connector: Any) -> bool:
    return condition(connector, "Stalled").get("status") == "True"


async def test_a_connector_whose_secret_is_missing_says_how_to_make_it(desk: Any) -> None:
    await desk.connector()
    said = message(await desk.says("CredentialsMissing"))
    assert "kubectl create secret generic twilio" in said
    assert f"-n {desk.namespace}" in said


async def test_a_secret_that_arrives_is_used_within_seconds(desk: Any) -> None:
    await desk.agent()
    await desk.connector()
    await desk.says("CredentialsMissing")
    await desk.secret()
    await desk.connected()


async def test_a_secret_without_a_token_is_not_enough(desk: Any) -> None:
    await desk.secret(authToken="")
    await desk.connector()
    assert "authToken" in message(await desk.says("CredentialsMissing"))


async def test_a_secret_that_is_not_labelled_is_not_used_and_the_command_is_told(desk: Any) -> None:
    await desk.secret(allowed=False)
    await desk.connector()
    said = message(await desk.says("SecretNotAllowed"))
    assert f"kubectl label secret twilio switchboard.dev/use=true -n {desk.namespace}" in said


async def test_wrong_credentials_hold_nothing(desk: Any) -> None:
    await desk.secret(authToken="0" * 32)
    await desk.connector()
    connector = await desk.says("CredentialsInvalid")
    assert condition(connector, "CredentialsValid")["status"] == "False"
    assert stalled(connector)
    assert "phoneNumber" not in connector["status"]
    assert "0" * 32 not in str(connector)


async def test_an_account_sid_of_the_wrong_shape_is_named(desk: Any) -> None:
    await desk.secret(accountSid="ACnonsense")
    await desk.connector()
    assert "accountSid" in message(await desk.says("CredentialsInvalid"))


@pytest.mark.parametrize("code", [20003, 20403, 20005, 90010])
async def test_a_suspended_account_is_told_apart(desk: Any, code: int) -> None:
    await desk.control.change_account(desk.account, AccountChange(status="suspended", suspended_code=code))
    await desk.secret()
    await desk.connector()
    connector = await desk.says("CredentialsInvalid" if code == 20003 else "AccountSuspended")
    assert stalled(connector)


async def test_a_number_of_somebody_else_is_not_found_and_the_account_is_named(desk: Any) -> None:
    await desk.secret()
    await desk.connector(fromNumber=desk.office.twilio.number())
    said = message(await desk.says("NumberNotFound"))
    assert desk.account in said
    assert desk.number in said


async def test_a_number_that_only_begins_like_ours_is_not_ours(desk: Any) -> None:
    await desk.secret()
    await desk.connector(fromNumber=desk.number[:-1])
    await desk.says("NumberNotFound")


async def test_a_number_that_cannot_text_is_told(desk: Any) -> None:
    voice = desk.office.twilio.number()
    await desk.control.add_number(desk.account, voice, sms=False)
    await desk.secret()
    await desk.connector(fromNumber=voice)
    assert "cannot do SMS" in message(await desk.says("NumberNotCapable"))


async def test_a_whatsapp_sender_that_is_missing_is_told(desk: Any) -> None:
    number = desk.office.twilio.number()
    await desk.control.add_number(desk.account, number)
    await desk.secret()
    await desk.connector(fromNumber=number, channels=["SMS", "WhatsApp"])
    assert "no WhatsApp sender" in message(await desk.says("SenderNotFound"))


async def test_a_whatsapp_sender_that_is_offline_is_told(desk: Any) -> None:
    number = desk.office.twilio.number()
    await desk.control.add_sender(desk.account, number, status="OFFLINE")
    await desk.secret()
    await desk.connector(fromNumber=number, channels=["WhatsApp"])
    assert "OFFLINE" in message(await desk.says("SenderOffline"))


async def test_a_connector_that_no_agent_names_says_how_to_name_it(desk: Any) -> None:
    await desk.secret()
    await desk.connector()
    said = message(await desk.says("AgentNotBound"))
    assert "`- name: sms`" in said
    assert (await desk.at_twilio()).sms_url.startswith("https://user:pass@old")


async def test_a_connector_waits_for_an_agent_that_is_not_live_yet(desk: Any) -> None:
    await desk.secret()
    await desk.connector()
    missing = {"model": {"name": "openai:gpt", "apiKey": {"secretRef": {"name": "absent", "key": "k"}}}}
    await desk.agent(template={"engine": missing})
    connector = await desk.says("WaitingForAgent")
    assert not stalled(connector)


async def test_a_host_that_is_not_allowed_is_named(desk: Any) -> None:
    await desk.secret()
    await desk.agent()
    await desk.connector(publicURL="https://evil.example.net")
    assert "evil.example.net" in message(await desk.says("HostNotAllowed"))


async def test_credentials_are_not_sent_to_a_host_that_is_not_allowed(desk: Any) -> None:
    await desk.secret()
    await desk.connector(api={"baseURL": "https://evil.example.net"})
    connector = await desk.says("HostNotAllowed")
    assert "spec.api.baseURL" in message(connector)


async def test_a_host_on_the_allow_list_is_used(desk: Any) -> None:
    await desk.secret()
    await desk.agent()
    await desk.connector(publicURL="https://a.allowed.example.com")
    await desk.connected()
    assert (await desk.at_twilio()).sms_url == desk.url(public="https://a.allowed.example.com")


async def test_an_application_of_the_number_is_named_with_the_setting_to_change(desk: Any) -> None:
    app = await desk.control.add_application(desk.account, ApplicationSpec(friendly_name="Old app"))
    await desk.control.click(desk.account, "numbers", desk.number_sid, sms_application_sid=app.sid)
    await desk.secret()
    await desk.agent()
    await desk.connector()
    said = message(await desk.says("WebhookOverriddenByApplication"))
    assert "Old app" in said
    assert "webhookScope: Service" in said


async def test_an_application_of_this_number_alone_is_written_where_that_is_allowed(desk: Any) -> None:
    app = await desk.control.add_application(desk.account, ApplicationSpec(friendly_name="Old app", sms_url=""))
    await desk.control.click(desk.account, "numbers", desk.number_sid, sms_application_sid=app.sid)
    await desk.secret()
    await desk.agent()
    await desk.connector(webhookScope="Service")
    connector = await desk.connected()
    assert connector["status"]["channels"][0]["sid"] == app.sid
    account = await desk.control.account(desk.account)
    assert account.applications[0].sms_url == desk.url()


async def test_an_application_that_other_numbers_share_is_never_written(desk: Any) -> None:
    app = await desk.control.add_application(desk.account, ApplicationSpec(friendly_name="Shared"))
    await desk.control.click(desk.account, "numbers", desk.number_sid, sms_application_sid=app.sid)
    await desk.control.add_number(desk.account, desk.office.twilio.number(), sms_application_sid=app.sid)
    await desk.secret()
    await desk.agent()
    await desk.connector(webhookScope="Service")
    assert "shared" in message(await desk.says("WebhookOverriddenByApplication"))
    assert (await desk.control.account(desk.account)).applications[0].sms_url == ""


async def test_a_messaging_service_is_named_with_the_setting_to_change(desk: Any) -> None:
    await desk.control.add_service(desk.account, ServiceSpec(friendly_name="A2P", numbers=[desk.number]))
    await desk.secret()
    await desk.agent()
    await desk.connector()
    said = message(await desk.says("WebhookOverriddenByService"))
    assert "A2P" in said
    assert "Defer to sender's webhook" in said


async def test_a_messaging_service_that_defers_to_the_number_is_no_obstacle(desk: Any) -> None:
    service = ServiceSpec(numbers=[desk.number], use_inbound_webhook_on_number=True)
    await desk.control.add_service(desk.account, service)
    await desk.secret()
    await desk.agent()
    await desk.connector()
    await desk.connected()
    assert (await desk.at_twilio()).sms_url == desk.url()


async def test_a_messaging_service_of_this_number_alone_is_written_where_that_is_allowed(desk: Any) -> None:
    await desk.control.add_service(desk.account, ServiceSpec(numbers=[desk.number]))
    await desk.secret()
    await desk.agent()
    await desk.connector(webhookScope="Service")
    await desk.connected()
    assert (await desk.control.account(desk.account)).services[0].inbound_request_url == desk.url()


async def test_a_messaging_service_that_other_numbers_share_is_never_written(desk: Any) -> None:
    other = desk.office.twilio.number()
    await desk.control.add_number(desk.account, other)
    await desk.control.add_service(desk.account, ServiceSpec(numbers=[desk.number, other]))
    await desk.secret()
    await desk.agent()
    await desk.connector(webhookScope="Service")
    assert "shared" in message(await desk.says("WebhookOverriddenByService"))
    assert (await desk.control.account(desk.account)).services[0].inbound_request_url == ""


async def test_the_whatsapp_sandbox_says_what_to_set_by_hand(desk: Any) -> None:
    await desk.secret()
    await desk.agent()
    await desk.connector(fromNumber="+14155238886", channels=["WhatsApp"])
    assert desk.url() in message(await desk.says("SetByHand"))


async def test_two_connectors_on_one_number_who_holds_it_keeps_it(connected: Any) -> None:
    desk = connected
    await desk.agent("other", connectors=("rival",))
    await desk.connector("rival")
    said = message(await desk.says("NumberConflict", "rival"))
    assert f"{desk.namespace}/sms" in said
    await desk.delete(resources.TWILIO_CONNECTORS, "sms")
    await desk.connected("rival")
    assert (await desk.at_twilio()).sms_url == desk.url("rival")


async def test_two_agents_on_one_connector_the_first_keeps_it(connected: Any) -> None:
    desk = connected
    await desk.agent("other")
    agent = await desk.agent_says("ConnectorTaken", "other")
    assert "belongs to the Agent support" in message(agent)
    await desk.delete(resources.AGENTS, "support")
    connector = await desk.until(
        resources.TWILIO_CONNECTORS, "sms", lambda it: it.get("status", {}).get("agent") == "other"
    )
    assert connector["status"]["agent"] == "other"


async def test_an_agent_that_names_a_connector_that_does_not_exist_says_so(desk: Any) -> None:
    await desk.agent(connectors=("nowhere",))
    assert "no such TwilioConnector" in message(await desk.agent_says("ConnectorMissing"))


async def test_twilio_being_down_is_told_and_gets_over(desk: Any) -> None:
    fault = FaultSpec(account=desk.account, status=503, times=None)
    await desk.control.fault(fault)
    await desk.secret()
    await desk.agent()
    await desk.connector()
    connector = await desk.says("TwilioUnavailable")
    assert not stalled(connector)
    await desk.control.clear_faults()
    await desk.connected()


async def test_a_test_that_is_asked_for_is_answered(connected: Any) -> None:
    await connected.annotate("sms", "now")
    connector = await connected.until(resources.TWILIO_CONNECTORS, "sms", lambda it: "lastTest" in it.get("status", {}))
    test = connector["status"]["lastTest"]
    assert (test["requested"], test["succeeded"]) == ("now", True)
    assert connected.number in test["message"]
