"""What is sent moves through Twilio's states, is called back, and arrives on the phone."""

import asyncio

import pytest
from tests.unit.sandbox.twilio.conftest import NUMBER, OTHER, PERSON, Stage

from switchboard.providers.base import DeliveryState
from switchboard.providers.twilio.inbound import parse_delivery
from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    Advance,
    DeliveryPlan,
    ServiceSpec,
    Settings,
    Step,
)


def statuses(stage: Stage) -> list[str]:
    return [got.parameters["MessageStatus"] for got in stage.hook.received]


async def test_a_message_is_delivered_and_each_later_state_called_back_signed(stage: Stage) -> None:
    answer = await stage.send(StatusCallback=f"{stage.hook.url}/status/1")
    assert (answer["status"], answer["date_sent"]) == ("queued", None)
    await stage.control.webhook_calls(str(answer["sid"]), count=3)
    assert statuses(stage) == ["sending", "sent", "delivered"]
    assert all(stage.hook.signed(stage.account.auth_token, index) for index in range(3))
    news = parse_delivery(list(stage.hook.received[-1].parameters.items()))
    assert news is not None
    assert (news.message_id, news.state) == (answer["sid"], DeliveryState.DELIVERED)
    assert len(await stage.control.inbox(PERSON)) == 1


async def test_callbacks_come_in_whatever_order_and_number_is_asked_for(stage: Stage) -> None:
    plan = DeliveryPlan(callbacks=["delivered", "sent", "sent"], times=1)
    await stage.control.plan(plan)
    answer = await stage.send(StatusCallback=f"{stage.hook.url}/s")
    await stage.control.webhook_calls(str(answer["sid"]), count=3)
    assert statuses(stage) == ["delivered", "sent", "sent"]
    again = await stage.send(StatusCallback=f"{stage.hook.url}/s")
    await stage.control.webhook_calls(str(again["sid"]), count=3)
    assert statuses(stage)[3:] == ["sending", "sent", "delivered"]


async def test_a_message_that_fails_says_so_and_does_not_arrive(stage: Stage) -> None:
    await stage.control.plan(DeliveryPlan(steps=[Step(status="sent"), Step(status="undelivered", error_code=30003)]))
    answer = await stage.send(StatusCallback=f"{stage.hook.url}/s")
    await stage.control.webhook_calls(str(answer["sid"]), count=2)
    assert stage.hook.received[-1].parameters["ErrorCode"] == "30003"
    message = await stage.control.message(str(answer["sid"]))
    assert (message.status, message.error_code, message.arrived) == ("undelivered", 30003, False)


async def test_a_held_message_moves_when_it_is_told(stage: Stage) -> None:
    await stage.control.plan(DeliveryPlan(hold=True))
    sid = str((await stage.send(StatusCallback=f"{stage.hook.url}/s"))["sid"])
    assert (await stage.control.message(sid)).status == "queued"
    await stage.control.advance(sid, Advance(status="sent", callback=False))
    assert (await stage.control.next_message(PERSON)).message_sid == sid
    await stage.control.advance(sid, Advance(status="read"))
    assert statuses(stage) == ["read"]


async def test_the_phone_waits_for_the_next_message_without_asking_twice(stage: Stage) -> None:
    waiting = asyncio.create_task(stage.control.next_message(PERSON, after=1))
    await stage.send(Body="one")
    await stage.send(Body="two")
    assert (await waiting).body == "two"
    with pytest.raises(TimeoutError):
        await stage.control.next_message(PERSON, after=2, timeout=0.05)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "5551234"}, 21211),
        ({"To": NUMBER}, 21266),
        ({"From": ""}, 21603),
        ({"From": "+15005550099"}, 21606),
        ({"From": f"whatsapp:{NUMBER}"}, 21910),
        ({"To": f"whatsapp:{PERSON}", "From": f"whatsapp:{OTHER}"}, 63007),
        ({"Body": ""}, 21619),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": "ftp://x/y"}, 21620),
        ({"StatusCallback": "https://has_underscore.example.com/"}, 21609),
        ({"MessagingServiceSid": "MG" + "0" * 32}, 21701),
    ],
)
async def test_what_twilio_refuses_is_refused_with_its_code(stage: Stage, form: dict[str, str], code: int) -> None:
    answer = await stage.send(**form)
    assert (answer["code"], answer["status"]) == (code, 400)
    assert answer["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert await stage.control.messages() == []


async def test_a_trial_account_texts_only_verified_numbers_and_says_that_it_is_one(stage: Stage) -> None:
    await stage.control.change_account(stage.account.sid, AccountChange(type="Trial"))
    assert (await stage.send())["code"] == 21608
    stage.simulator.world.accounts[stage.account.sid].verified.add(PERSON)
    assert (await stage.send(Body="Hi"))["body"] == "Sent from your Twilio trial account - Hi"


async def test_stop_and_start_are_answered_by_twilio_which_blocks_and_unblocks(stage: Stage) -> None:
    await stage.control.text(PERSON, NUMBER, "Stop", wait=True)
    assert "unsubscribed" in (await stage.control.next_message(PERSON)).body
    assert stage.hook.received[0].parameters["Body"] == "Stop"
    assert "OptOutType" not in stage.hook.received[0].parameters
    assert (await stage.send())["code"] == 21610
    await stage.control.text(PERSON, NUMBER, "please start", wait=True)
    assert (await stage.send())["code"] == 21610
    await stage.control.text(PERSON, NUMBER, "START", wait=True)
    assert "re-subscribed" in (await stage.control.next_message(PERSON, after=1)).body
    assert (await stage.send())["status"] == "queued"


async def test_yes_is_an_answer_like_another_to_who_never_opted_out(stage: Stage) -> None:
    await stage.control.text(PERSON, NUMBER, "Yes", wait=True)
    assert await stage.control.inbox(PERSON, wait=False) == []


async def test_an_opt_out_is_from_the_whole_service_and_is_named_with_advanced_opt_out(stage: Stage) -> None:
    url = f"{stage.hook.url}/service"
    spec = ServiceSpec(numbers=[NUMBER, OTHER], inbound_request_url=url, advanced_opt_out=True)
    service = await stage.control.add_service(stage.account.sid, spec)
    await stage.control.text(PERSON, NUMBER, "STOP", wait=True)
    assert stage.hook.received[0].parameters["OptOutType"] == "STOP"
    assert (await stage.send(From=OTHER))["code"] == 21610
    assert (await stage.send(From="", MessagingServiceSid=service.sid))["code"] == 21610


async def test_news_of_a_whatsapp_message_goes_to_the_sender_s_address_unless_the_message_names_one(
    stage: Stage,
) -> None:
    webhook = {"status_callback_url": f"{stage.hook.url}/sender"}
    stage.simulator.world.accounts[stage.account.sid].senders[stage.account.senders[0].sid].webhook |= webhook
    await stage.control.text(PERSON, NUMBER, channel="WhatsApp", times=0)
    for path in ("", "/message"):
        form = {"StatusCallback": stage.hook.url + path} if path else {}
        answer = await stage.send(To=f"whatsapp:{PERSON}", From=f"whatsapp:{NUMBER}", **form)
        await stage.control.webhook_calls(str(answer["sid"]), count=3)
    assert [got.path for got in stage.hook.received] == ["/sender"] * 3 + ["/message"] * 3


@pytest.mark.parametrize("how", ["callback", "answer"])
async def test_whatsapp_takes_free_text_for_24_hours_after_the_person_wrote(stage: Stage, how: str) -> None:
    await stage.control.settings(Settings.model_validate({"window_errors": how}))
    addresses = {"To": f"whatsapp:{PERSON}", "From": f"whatsapp:{NUMBER}"}

    async def outcome(status: str) -> int | None:
        answer = await stage.send(**addresses)
        if "sid" not in answer:
            return int(str(answer["code"]))
        message = await stage.control.message(str(answer["sid"]), status=status)
        assert message.status == status
        return message.error_code

    assert await outcome("failed") == 63016
    await stage.control.text(PERSON, NUMBER, channel="WhatsApp", wait=True)
    assert await outcome("delivered") is None
    await stage.control.advance_clock(24 * 3600 - 60)
    assert await outcome("delivered") is None
    await stage.control.advance_clock(120)
    assert await outcome("failed") == 63016


async def test_stop_is_no_keyword_on_whatsapp(stage: Stage) -> None:
    await stage.control.text(PERSON, NUMBER, "STOP", channel="WhatsApp", wait=True)
    assert await stage.control.inbox(PERSON, wait=False) == []
    answer = await stage.send(To=f"whatsapp:{PERSON}", From=f"whatsapp:{NUMBER}")
    assert answer["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "segments"), [("x" * 160, "1"), ("x" * 161, "2"), ("€" * 80, "1"), ("👋" * 35, "1"), ("👋" * 36, "2")]
)
async def test_segments_are_counted_as_the_networks_do(stage: Stage, body: str, segments: str) -> None:
    assert (await stage.send(Body=body))["num_segments"] == segments
