"""A text from a phone reaches whatever webhook applies, as Twilio would post it."""

import pytest
from aiohttp import web
from tests.unit.sandbox.twilio.conftest import NUMBER, OTHER, PERSON, Stage

from switchboard.providers.base import Channel, Location
from switchboard.providers.twilio.inbound import parse_message
from switchboard.sandbox.twilio.control import ControlError
from switchboard.sandbox.twilio.control_models import ApplicationSpec, MediaSpec, ServiceSpec, Settings


async def test_a_text_is_posted_with_twilio_s_parameters_and_signed_with_the_account_s_token(stage: Stage) -> None:
    result = await stage.control.text(PERSON, NUMBER, "Hällo & 👋", wait=True)
    assert [(call.status, call.attempt) for call in result.calls] == [(200, 1)]
    got = stage.hook.received[0]
    assert got.path == "/sms"
    assert got.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert (
        got.parameters["MessageSid"]
        == got.parameters["SmsSid"]
        == got.parameters["SmsMessageSid"]
        == result.message_sid
    )
    assert got.parameters["FromCountry"] == "US"
    assert stage.hook.signed(stage.account.auth_token)
    message = parse_message(list(got.parameters.items()))
    assert (message.sender, message.recipient, message.body) == (PERSON, NUMBER, "Hällo & 👋")
    assert "MessagingServiceSid" not in got.parameters


async def test_a_whatsapp_message_goes_to_the_sender_s_own_webhook(stage: Stage) -> None:
    await stage.control.text(
        PERSON,
        NUMBER,
        "Hi",
        channel="WhatsApp",
        profile_name="Ada",
        parameters={"Latitude": "1.5", "Longitude": "2.5"},
        wait=True,
    )
    got = stage.hook.received[0]
    assert got.path == "/whatsapp"
    assert stage.hook.signed(stage.account.auth_token)
    message = parse_message(list(got.parameters.items()))
    assert (message.channel, message.sender, message.contact_name) == (Channel.WHATSAPP, PERSON, "Ada")
    assert message.location == Location(1.5, 2.5)


async def test_pictures_are_named_at_the_api(stage: Stage) -> None:
    await stage.control.text(PERSON, NUMBER, media=[MediaSpec(content="aGk="), MediaSpec(content="aGk=")], wait=True)
    message = parse_message(list(stage.hook.received[0].parameters.items()))
    assert message.message_id.startswith("MM")
    assert [media.content_type for media in message.media] == ["image/png", "image/png"]
    assert message.media[0].url.startswith(f"{stage.simulator.url}/2010-04-01/Accounts/{stage.account.sid}/Messages/")


async def test_an_application_a_service_and_deferral_take_precedence_in_their_order(stage: Stage) -> None:
    account, number = stage.account.sid, stage.account.numbers[0].sid
    application = await stage.control.add_application(account, ApplicationSpec(sms_url=f"{stage.hook.url}/application"))
    await stage.control.click(account, "numbers", number, sms_application_sid=application.sid)
    await stage.control.text(PERSON, NUMBER, wait=True)
    url = f"{stage.hook.url}/service"
    service = await stage.control.add_service(account, ServiceSpec(numbers=[NUMBER], inbound_request_url=url))
    await stage.control.text(PERSON, NUMBER, wait=True)
    await stage.control.click(account, "services", service.sid, use_inbound_webhook_on_number=True)
    await stage.control.text(PERSON, NUMBER, wait=True)
    await stage.control.click(
        account, "services", service.sid, use_inbound_webhook_on_number=False, inbound_request_url=""
    )
    dropped = await stage.control.text(PERSON, NUMBER, wait=True)
    assert [got.path for got in stage.hook.received] == ["/application", "/service", "/application"]
    assert stage.hook.received[1].parameters["MessagingServiceSid"] == service.sid
    assert dropped.calls == []


async def test_signatures_can_be_bad_missing_or_of_the_token_before(stage: Stage) -> None:
    old = stage.account.auth_token
    await stage.control.set_token(stage.account.sid, "n" * 32)
    for signature in ("good", "old", "bad", "missing"):
        await stage.control.text(PERSON, NUMBER, signature=signature, wait=True)  # type: ignore[arg-type]
    assert [stage.hook.signed("n" * 32, index) for index in range(4)] == [True, False, False, False]
    assert [stage.hook.signed(old, index) for index in range(4)] == [False, True, False, False]
    assert "X-Twilio-Signature" not in stage.hook.received[3].headers


async def test_the_same_text_can_come_twice_late_and_in_another_order(stage: Stage) -> None:
    first = await stage.control.text(PERSON, NUMBER, "one", times=0)
    second = await stage.control.text(PERSON, NUMBER, "two", times=0)
    assert stage.hook.received == []
    await stage.control.deliver(second.message_sid)
    await stage.control.deliver(first.message_sid, times=2)
    assert [got.parameters["Body"] for got in stage.hook.received] == ["two", "one", "one"]
    assert stage.hook.received[1].parameters == stage.hook.received[2].parameters
    listed = await stage.control.messages(stage.account.sid)
    assert [(message.body, message.status) for message in listed] == [("one", "received"), ("two", "received")]


async def test_a_message_in_twiml_is_texted_and_plain_text_is_too(stage: Stage) -> None:
    answers = [
        ("<Response><Message>One</Message><Message><Body>Two</Body></Message></Response>", "text/xml"),
        ("Three", "text/plain"),
    ]
    stage.hook.answer = lambda before: web.Response(text=answers[before][0], content_type=answers[before][1])
    await stage.control.text(PERSON, NUMBER, wait=True)
    await stage.control.text(PERSON, NUMBER, wait=True)
    for index, body in enumerate(["One", "Two", "Three"]):
        item = await stage.control.next_message(PERSON, after=index)
        assert (item.body, item.sender) == (body, NUMBER)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (web.Response(status=500), 11200),
        (web.Response(status=403), 11200),
        (web.Response(text="", content_type="text/xml"), 11200),
        (web.Response(text="<Response>", content_type="text/xml"), 12100),
        (web.Response(text="<!DOCTYPE a [<!ENTITY b 'c'>]><Response>&b;</Response>", content_type="text/xml"), 12100),
        (web.Response(text="{}", content_type="application/json"), 12300),
        (web.Response(text="<Other/>", content_type="text/xml"), 12200),
    ],
)
async def test_a_bad_answer_is_an_alert_in_the_debugger(stage: Stage, answer: web.Response, code: int) -> None:
    stage.hook.answer = lambda before: answer
    sid = (await stage.control.text(PERSON, NUMBER, wait=True)).message_sid
    assert [(alert.code, alert.message_sid) for alert in await stage.control.alerts()] == [(code, sid)]
    assert await stage.control.inbox(PERSON, wait=False) == []


@pytest.mark.parametrize("status", [200, 204])
async def test_a_good_answer_is_no_alert(stage: Stage, status: int) -> None:
    body = "<Response/>" if status == 200 else None
    stage.hook.answer = lambda before: web.Response(status=status, text=body, content_type="text/xml")
    await stage.control.text(PERSON, NUMBER, wait=True)
    assert await stage.control.alerts() == []


async def test_a_public_address_is_served_where_the_settings_say_and_signed_as_public(stage: Stage) -> None:
    from twilio.request_validator import RequestValidator

    public = "https://hooks.example.com"
    await stage.control.settings(Settings(routes={public: stage.hook.url}))
    await stage.control.click(stage.account.sid, "numbers", stage.account.numbers[0].sid, sms_url=f"{public}/a?b=1")
    await stage.control.text(PERSON, NUMBER, wait=True)
    got = stage.hook.received[0]
    assert (got.path, got.query, got.headers["Host"]) == ("/a", "b=1", "hooks.example.com")
    signature = got.headers["X-Twilio-Signature"]
    assert RequestValidator(stage.account.auth_token).validate(f"{public}/a?b=1", got.parameters, signature)


async def test_a_get_webhook_is_signed_with_its_query(stage: Stage) -> None:
    await stage.control.click(stage.account.sid, "numbers", stage.account.numbers[0].sid, sms_method="GET")
    await stage.control.text(PERSON, NUMBER, "x y", wait=True)
    assert stage.hook.received[0].method == "GET"
    assert stage.hook.signed(stage.account.auth_token)


async def test_a_number_that_nobody_has_and_a_mistyped_order_are_refused(stage: Stage) -> None:
    with pytest.raises(ControlError, match=r"no account here has \+15005550099"):
        await stage.control.text(PERSON, "+15005550099", "x")
    with pytest.raises(ControlError, match="on WhatsApp"):
        await stage.control.text(PERSON, OTHER, "x", channel="WhatsApp")
    with pytest.raises(ControlError, match="colour: no such field"):
        await stage.control.click(stage.account.sid, "numbers", stage.account.numbers[0].sid, colour="red")
    with pytest.raises(ControlError, match="phone_number"):
        await stage.control._send("POST", f"accounts/{stage.account.sid}/numbers", json={"phone_number": "123"})
