"""The client does what it says against the simulator."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.providers.conftest import NUMBER, PERSON, Line

from switchboard.providers.base import Channel, DeliveryState, OutboundMessage
from switchboard.providers.errors import AccountUnusableError, CredentialsError, NotFoundError
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    ApiKeySpec,
    ApplicationSpec,
    ServiceSpec,
    Settings,
)

HOOK = "https://hooks.example.com/twilio/acme/sms#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
HELLO = OutboundMessage(Channel.SMS, PERSON, "Hello", sender=NUMBER)


async def test_a_probe_says_whose_the_credentials_are_and_keeps_no_token(line: Line) -> None:
    account = await line.client.probe()
    assert (account.sid, account.friendly_name, account.status, account.type) == (
        line.account.sid,
        "Acme",
        "active",
        "Full",
    )
    assert line.account.auth_token not in repr(account)
    assert line.account.auth_token not in repr(vars(line.client)) + repr(Credentials(line.account.sid, "t" * 32))


async def test_a_probe_with_an_api_key_asks_what_a_key_may_read(line: Line) -> None:
    key = await line.control.add_key(line.account.sid, ApiKeySpec())
    client = line.client_with(api_key_sid=key.sid, api_key_secret=key.secret)
    assert (await client.probe()).sid == line.account.sid
    assert await line.requests() == ["GET IncomingPhoneNumbers.json"]
    wrong = line.client_with(api_key_sid=key.sid, api_key_secret="wrong")
    with pytest.raises(CredentialsError):
        await wrong.probe()


async def test_wrong_credentials_are_told_without_showing_them(line: Line) -> None:
    with pytest.raises(CredentialsError) as caught:
        await line.client_with("wrongwrong").probe()
    assert (caught.value.reason, caught.value.code, caught.value.status) == ("CredentialsInvalid", 20003, 401)
    assert "wrongwrong" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("status", ["suspended", "closed"])
@pytest.mark.parametrize("code", [0, 20005, 20403, 90010])
async def test_an_account_that_is_not_active_is_told_whatever_twilio_answers(
    line: Line, status: str, code: int
) -> None:
    change = AccountChange.model_validate({"status": status, "suspended_code": code})
    await line.control.change_account(line.account.sid, change)
    with pytest.raises(AccountUnusableError) as caught:
        await line.client.probe()
    assert caught.value.reason == "AccountSuspended"
    assert "console" in str(caught.value)


async def test_a_number_is_found_only_if_it_is_exactly_that_one(line: Line) -> None:
    await line.control.add_number(line.account.sid, NUMBER + "7")
    found = await line.client.find_number(NUMBER)
    assert found is not None
    assert found.phone_number == NUMBER
    assert found.capabilities.sms
    assert await line.client.find_number(NUMBER[:-1]) is None
    assert await line.client.find_number("+15005550009") is None


async def test_all_numbers_are_listed_over_pages_at_one_request_a_thousand(line: Line) -> None:
    account = line.simulator.world.accounts[line.account.sid]
    first = next(iter(account.numbers.values()))
    for index in range(1500):
        sid = f"PN{index:032x}"
        account.numbers[sid] = replace(first, sid=sid, phone_number=f"+1415{index:07d}")
    await line.control.clear_requests()
    numbers = await line.client.list_numbers()
    assert len({number.sid for number in numbers}) == len(account.numbers) == 1501
    assert await line.requests() == ["GET IncomingPhoneNumbers.json"] * 2


async def test_a_number_s_webhook_is_set_its_fallback_stays_and_both_are_cleared_together(line: Line) -> None:
    sid = line.account.numbers[0].sid
    await line.control.click(line.account.sid, "numbers", sid, sms_fallback_url="https://old.example.com/fallback")
    number = await line.client.update_number(sid, sms_url=HOOK)
    assert (number.sms_url, number.sms_method) == (HOOK, "POST")
    assert number.sms_fallback_url == "https://old.example.com/fallback"
    assert await line.client.read_number(sid) == number
    cleared = await line.client.update_number(sid, sms_url="")
    assert (cleared.sms_url, cleared.sms_fallback_url) == ("", "")


async def test_an_application_is_read_and_written(line: Line) -> None:
    application = await line.control.add_application(
        line.account.sid, ApplicationSpec(sms_url="https://a.example.com/")
    )
    assert (await line.client.read_application(application.sid)).sms_url == "https://a.example.com/"
    assert (await line.client.update_application(application.sid, sms_url=HOOK)).sms_url == HOOK


async def test_a_messaging_service_is_read_with_its_numbers_and_written(line: Line) -> None:
    service = await line.control.add_service(
        line.account.sid, ServiceSpec(numbers=[NUMBER], use_inbound_webhook_on_number=True)
    )
    listed = await line.client.list_services()
    assert [(item.sid, item.use_inbound_webhook_on_number) for item in listed] == [(service.sid, True)]
    numbers = await line.client.list_service_numbers(service.sid)
    assert [(item.sid, item.phone_number) for item in numbers] == [(line.account.numbers[0].sid, NUMBER)]
    assert (await line.client.update_service(service.sid, inbound_url=HOOK)).inbound_request_url == HOOK
    assert (await line.client.read_service(service.sid)).inbound_request_url == HOOK


@pytest.mark.parametrize("update", ["merge", "replace"])
@pytest.mark.parametrize("clears", ["empty", "null", "both"])
async def test_a_sender_s_webhook_is_set_and_cleared_whichever_way_twilio_takes_it(
    line: Line, update: str, clears: str
) -> None:
    await line.control.settings(Settings.model_validate({"sender_update": update, "sender_clears_with": clears}))
    sender = await line.client.find_sender(NUMBER)
    assert sender is not None
    assert sender.online
    updated = await line.client.update_sender(sender, callback_url=HOOK, status_callback_url=HOOK)
    assert (updated.webhook.callback_url, updated.webhook.status_callback_url) == (HOOK, HOOK)
    assert updated.webhook.fallback_url == "https://old.example.com/fallback"
    cleared = await line.client.update_sender(updated, callback_url="", status_callback_url="")
    assert (cleared.webhook.callback_url, cleared.webhook.status_callback_url) == ("", "")
    assert cleared.webhook.fallback_url == "https://old.example.com/fallback"


async def test_a_sender_that_updates_slowly_is_given_as_it_is_read_again(line: Line) -> None:
    await line.control.settings(Settings(slow_senders=True))
    sender = await line.client.find_sender(NUMBER)
    assert sender is not None
    updated = await line.client.update_sender(sender, callback_url=HOOK)
    assert updated.status == "ONLINE:UPDATING"
    assert updated.online
    assert (await line.client.read_sender(sender.sid)).webhook.callback_url == HOOK


async def test_a_text_is_handed_over_and_arrives(line: Line) -> None:
    result = await line.client.send(HELLO)
    assert result.state is DeliveryState.QUEUED
    assert result.segments == 1
    item = await line.control.next_message(PERSON)
    assert (item.message_sid, item.body, item.channel) == (result.message_id, "Hello", "SMS")
    await line.control.message(result.message_id, status="delivered")
    assert (await line.client.read_message(result.message_id)).status == "delivered"


async def test_a_messaging_service_may_choose_the_sender(line: Line) -> None:
    service = await line.control.add_service(line.account.sid, ServiceSpec(numbers=[NUMBER]))
    await line.client.send(OutboundMessage(Channel.SMS, PERSON, "Hi", service=service.sid))
    assert (await line.control.next_message(PERSON)).sender == NUMBER


async def test_inbound_messages_are_listed_newest_first_for_who_was_away(line: Line) -> None:
    for body in ("one", "two", "three"):
        await line.control.text(PERSON, NUMBER, body)
    await line.control.text(PERSON, NUMBER, "WhatsApp", channel="WhatsApp")
    await line.client.send(HELLO)
    today = datetime.now(UTC).date()
    listed = await line.client.list_messages(to=NUMBER, sent_since=today)
    assert [message.body for message in listed] == ["three", "two", "one"]
    assert all(message.inbound and message.date_sent for message in listed)
    assert [m.body for m in await line.client.list_messages(to=NUMBER, limit=2)] == ["three", "two"]
    assert await line.client.list_messages(to=NUMBER, sent_since=today + timedelta(days=2)) == []
    assert [m.body for m in await line.client.list_messages(to=f"whatsapp:{NUMBER}")] == ["WhatsApp"]
    sent = await line.client.list_messages(to=PERSON)
    assert [(message.body, message.inbound) for message in sent] == [("Hello", False)]


async def test_what_is_not_there_is_told(line: Line) -> None:
    with pytest.raises(NotFoundError):
        await line.client.read_number("PN" + "0" * 32)
    with pytest.raises(ValueError, match="32 hexadecimal"):
        await line.client.read_number("../../Accounts")


async def test_the_client_releases_nothing_and_has_no_means_to(line: Line) -> None:
    names = [name for name in dir(TwilioClient) if not name.startswith("_")]
    assert not [name for name in names if "delete" in name or "release" in name or "remove" in name]
    assert await line.control.offences() == []


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("accountSid", ["../x", "token"]),
        ("authToken", ["AC" + "0" * 32, ""]),
        ("apiKeySid", ["AC" + "0" * 32, "t", "", "AC" + "0" * 32, "s"]),
        ("apiKeySecret", ["AC" + "0" * 32, "t", "", "SK" + "0" * 32, ""]),
    ],
)
def test_wrong_credentials_name_the_secret_s_key(field: str, values: list[str]) -> None:
    with pytest.raises(ValueError, match=field):
        Credentials(*values)


def test_both_tokens_are_known_during_a_rotation() -> None:
    assert Credentials("AC" + "0" * 32, "new", "old").tokens == ("new", "old")
    assert Credentials("AC" + "0" * 32, "new").tokens == ("new",)
