"""What somebody changes at Twilio is found, put back and told once; what is not ours to change stays."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube import resources
from switchboard.sandbox.stack import condition
from switchboard.sandbox.twilio.control_models import ApplicationSpec, ServiceSpec

from .conftest import OLD

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_a_registered_webhook_keeps_the_customers_fallback(connected: Any) -> None:
    number = await connected.at_twilio()
    assert number.sms_url == connected.url()
    assert number.sms_method == "POST"
    assert number.sms_fallback_url == "https://fallback.example.com/"


async def test_the_previous_webhook_is_kept_in_a_secret_and_shown_nowhere_else(connected: Any) -> None:
    secret = await connected.get(resources.SECRETS, "sms-previous-webhook")
    assert secret is not None
    assert secret["metadata"]["ownerReferences"][0]["name"] == "sms"
    assert "switchboard.dev/use" not in secret["metadata"].get("labels", {})
    shown = [
        await connected.list(kind) for kind in (resources.TWILIO_CONNECTORS, resources.EVENTS, resources.CONFIG_MAPS)
    ]
    assert "user:pass" not in str(shown)


async def test_a_secret_of_the_name_that_is_somebody_elses_is_not_taken_over(desk: Any) -> None:
    await desk.secret("sms-previous-webhook", allowed=False)
    before = await desk.get(resources.SECRETS, "sms-previous-webhook")
    await desk.secret()
    await desk.connector()
    await desk.agent()
    connector = await desk.says("NameTaken")
    assert "sms-previous-webhook" in condition(connector, "Ready")["message"]
    assert await desk.get(resources.SECRETS, "sms-previous-webhook") == before
    assert (await desk.at_twilio()).sms_url == OLD
    await desk.delete(resources.SECRETS, "sms-previous-webhook")
    await desk.annotate("sms", "again")
    await desk.connected()


@pytest.mark.parametrize(
    "change",
    [
        {"sms_url": "https://intruder.example.com/hook?token=secret"},
        {"sms_url": ""},
        {"sms_method": "GET"},
    ],
    ids=["another URL", "no URL", "another method"],
)
async def test_a_changed_webhook_is_found_at_the_interval_put_back_and_told(connected: Any, change: Any) -> None:
    await connected.control.click(connected.account, "numbers", connected.number_sid, **change)
    [event] = await connected.event("WebhookRepaired")
    assert event["involvedObject"]["name"] == "sms"
    assert "token=secret" not in event["message"]
    number = await connected.at_twilio()
    assert (number.sms_url, number.sms_method) == (connected.url(), "POST")


async def test_changed_connection_overrides_are_put_back(connected: Any) -> None:
    bare = connected.url().partition("#")[0]
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_url=bare)
    await connected.event("WebhookRepaired")
    assert (await connected.at_twilio()).sms_url == connected.url()


async def test_a_fallback_that_is_changed_later_is_the_customers_own(connected: Any) -> None:
    new = "https://new-fallback.example.com/"
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_fallback_url=new)
    async for index in connected.passes():
        if index == 1:
            break
    assert (await connected.at_twilio()).sms_fallback_url == new
    assert "WebhookRepaired" not in await connected.reasons()


async def test_a_sender_has_a_webhook_of_its_own_that_is_put_back(desk: Any) -> None:
    await desk.secret()
    await desk.agent()
    await desk.connector(channels=["SMS", "WhatsApp"])
    connector = await desk.connected()
    sender = (await desk.control.account(desk.account)).senders[0]
    assert sender.callback_url == desk.url()
    assert {entry["channel"]: entry["sid"] for entry in connector["status"]["channels"]} == {
        "SMS": desk.number_sid,
        "WhatsApp": sender.sid,
    }
    theirs = {"callback_url": "https://intruder.example.com/", "callback_method": "POST"}
    await desk.control.click(desk.account, "senders", sender.sid, webhook=theirs)
    await desk.event("WebhookRepaired")
    assert (await desk.control.account(desk.account)).senders[0].callback_url == desk.url()


async def test_an_application_that_is_set_later_is_found(connected: Any) -> None:
    app = await connected.control.add_application(connected.account, ApplicationSpec(friendly_name="Late"))
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_application_sid=app.sid)
    connector = await connected.says("WebhookOverriddenByApplication")
    assert condition(connector, "WebhookRegistered")["status"] == "False"
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_application_sid="")
    await connected.connected()


async def test_a_messaging_service_that_takes_the_number_later_is_found(connected: Any) -> None:
    service = await connected.control.add_service(connected.account, ServiceSpec(numbers=[connected.number]))
    await connected.says("WebhookOverriddenByService")
    await connected.control.click(connected.account, "services", service.sid, use_inbound_webhook_on_number=True)
    await connected.connected()


@pytest.mark.calm("two repairs have to fall into three seconds")
async def test_somebody_who_keeps_changing_it_is_left_alone_and_told(connected: Any) -> None:
    intruder = "https://other-cluster.example.com/hook"
    for count in (1, 2):
        await connected.control.click(connected.account, "numbers", connected.number_sid, sms_url=intruder)
        await connected.event("WebhookRepaired", count)
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_url=intruder)
    connector = await connected.says("WebhookContested")
    said = condition(connector, "Ready")["message"]
    assert "other-cluster.example.com" in said
    assert (
        f"kubectl annotate twilioconnector sms switchboard.dev/test=$(date +%s) --overwrite -n {connected.namespace}"
        in said
    )
    assert condition(connector, "Stalled")["status"] == "True"
    assert (await connected.at_twilio()).sms_url == intruder
    await connected.annotate("sms", "again")
    await connected.connected()
    assert (await connected.at_twilio()).sms_url == connected.url()


async def test_a_check_that_is_asked_for_finds_drift_at_once(connected: Any) -> None:
    await connected.control.click(connected.account, "numbers", connected.number_sid, sms_url=OLD)
    async for _ in connected.passes():
        break
    assert (await connected.at_twilio()).sms_url == connected.url()


async def test_at_rest_nothing_is_written_and_twilio_is_asked_little(connected: Any) -> None:
    await connected.settled()
    await connected.at_rest()
    before = await connected.versions()
    calls = [it for it in await connected.control.requests() if it.account == connected.account]
    seen = len(calls)
    while len(calls) < seen + 12:  # four checks at the interval, three requests each
        calls = [it for it in await connected.control.requests() if it.account == connected.account]
    assert {it.method for it in calls[seen:]} == {"GET"}
    assert await connected.versions() == before
