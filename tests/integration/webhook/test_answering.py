"""From a text to its answer, with real processes on both sides."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.integration.webhook.conftest import MakeRig
from tests.integration.webhook.rig import environment, verdicts

from switchboard.kube.resources import TWILIO_CONNECTORS
from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    DeliveryPlan,
    FaultSpec,
    MediaSpec,
    ServiceSpec,
    Step,
)
from switchboard.webhook.intake import BOT

pytestmark = pytest.mark.cluster
Number = Callable[[], str]


class Agent:
    """An agent of one's own: each turn is handed to the test, which says what it answers."""

    def __init__(self) -> None:
        self.turns: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.replies: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        await self.turns.put(json.loads(await request.read()))
        status, reply = await self.replies.get()
        return web.json_response({"version": "v1", "reply": reply}, status=status)

    async def turn(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.turns.get(), 100)

    def say(self, text: str, status: int = 200) -> None:
        self.replies.put_nowait((status, text))

    def engine(self) -> dict[str, Any]:
        return {"endpoint": {"url": self.url, "protocol": "HTTP"}}


@asynccontextmanager
async def agent() -> AsyncIterator[Agent]:
    one = Agent()
    runner = web.ServerRunner(web.Server(one.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/turn"
    try:
        yield one
    finally:
        await runner.cleanup()


async def test_a_text_is_answered_on_its_channel_and_each_message_names_its_execution(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig()
    pod = await rig.start()
    ann = number()
    await rig.text(ann, "hi there", wait=True)
    await rig.phone(ann, 1)
    await rig.text(ann, "echo 👋", channel="WhatsApp", profile_name="Ann")
    first, second = await rig.phone(ann, 2)
    assert (first.channel, first.body, first.sender) == ("SMS", "Hello!", rig.number)
    assert (second.channel, second.body) == ("WhatsApp", "You said 👋")

    inbound = await rig.settled(2)
    outbound = await rig.until(lambda: _delivered(rig, 2))
    executions = {one["metadata"]["name"]: one for one in await rig.executions()}
    for message in [*inbound, *outbound]:
        execution = executions[_execution(message)]
        assert execution["status"]["state"] == "Succeeded"
        assert execution["spec"]["revision"] == "support-v1"
    assert {one["spec"]["channel"] for one in await rig.conversations()} == {"SMS", "WhatsApp"}

    trace = inbound[0]["metadata"]["name"].removeprefix("in-")
    lines = [json.loads(line) for line in pod.process.log.read_text().splitlines()]
    told = [line["message"] for line in lines if line.get("trace") == trace and line["level"] == "info"]
    assert told == ["message recorded", "turn begins", "reply sent"]
    text = pod.process.log.read_text()
    assert rig.token not in text
    assert ann not in text
    assert rig.number not in text


def _execution(message: dict[str, Any]) -> str:
    if message["spec"]["direction"] == "Outbound":
        return str(message["metadata"]["name"].rpartition("-")[0])
    return str(message["status"]["execution"])


async def _delivered(rig: Any, count: int) -> list[dict[str, Any]]:
    found = await rig.messages("Outbound", "Sent")
    done = [one for one in found if one["status"].get("delivery") == "Delivered"]
    return done if len(done) == count else []


async def test_a_wrong_and_a_missing_signature_are_refused_and_a_right_one_is_taken_once(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig()
    pod = await rig.start()
    ann = number()
    for signature in ("bad", "missing"):
        result = await rig.text(ann, "hi", signature=signature, wait=True)
        assert verdicts(result) == {403}
    good = await rig.text(ann, "hi", times=3, wait=True)
    assert verdicts(good) == {200}
    await rig.phone(ann, 1)
    await rig.settled(1)
    assert len(await rig.messages("Inbound")) == 1
    assert len(await rig.messages("Outbound")) == 1
    metrics = await pod.metrics()
    assert metrics['switchboard_webhook_requests_total{connector="sms",kind="message",outcome="duplicate"}'] == 2
    assert not any(ann[1:] in name or rig.number[1:] in name for name in metrics)


async def test_messages_that_come_while_a_turn_runs_are_the_next_turn_together_with_the_answer_in_their_history(
    make_rig: MakeRig, number: Number
) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine())
        await rig.start()
        ann = number()
        await rig.text(ann, "one", wait=True)
        first = await bot.turn()
        await rig.text(ann, "two", wait=True)
        await rig.text(ann, "three", wait=True)
        bot.say("to one")
        second = await bot.turn()
        bot.say("to both")
        items = await rig.phone(ann, 2)
    assert [one["text"] for one in first["messages"]] == ["one"]
    assert [one["text"] for one in second["messages"]] == ["two", "three"]
    assert [(one["role"], one["text"]) for one in second["history"]] == [("contact", "one"), ("agent", "to one")]
    assert [item.body for item in items] == ["to one", "to both"]
    assert len(await rig.executions()) == 2


async def test_an_engine_that_fails_is_asked_again_with_the_same_key_and_then_the_fallback_goes_out(
    make_rig: MakeRig, number: Number
) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine(), turn={"maxAttempts": 2, "fallbackReply": "Sorry!"})
        await rig.start()
        ann, bob = number(), number()
        await rig.text(ann, "one")
        bot.say("", status=503)
        first = await bot.turn()
        bot.say("here you are")
        second = await bot.turn()
        assert (first["execution"], first["attempt"]) == (second["execution"], second["attempt"] - 1)
        assert (await rig.phone(ann, 1))[0].body == "here you are"
        await rig.text(bob, "one")
        bot.say("", status=503)
        bot.say("", status=503)
        assert (await rig.phone(bob, 1))[0].body == "Sorry!"
        await rig.until(lambda: rig.messages("Inbound", "Failed"))
    failed = [one for one in await rig.executions() if one["status"]["state"] == "Failed"]
    assert len(failed) == 1
    assert failed[0]["status"]["attempts"] == 2
    assert failed[0]["status"]["error"]["kind"]


async def test_a_long_answer_is_split_on_words_and_arrives_in_order(make_rig: MakeRig, number: Number) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine(), turn={"maxReplyParts": 3})
        await rig.start()
        ann = number()
        await rig.text(ann, "tell me all")
        await bot.turn()
        bot.say(" ".join(f"word{index}" for index in range(1000)))
        items = await rig.phone(ann, 3)
    words = " ".join(item.body for item in items).removesuffix(" …").split()
    assert words == [f"word{index}" for index in range(len(words))]
    assert all(len(item.body) <= 1600 for item in items)
    assert items[-1].body.endswith(" …")


async def test_media_and_places_are_handed_to_the_engine(make_rig: MakeRig, number: Number) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine(), settings=environment(media_bytes=100))
        await rig.start()
        ann = number()
        small, large = MediaSpec(content="aGVsbG8="), MediaSpec(content="eHh4" * 100)
        odd = MediaSpec(content="aGVsbG8=", content_type="application/x-executable")
        await rig.text(ann, "", media=[small, large, odd])
        turn = await bot.turn()
        bot.say("nice")
        place = {"Latitude": "52.5", "Longitude": "13.4", "Label": "Berlin"}
        await rig.text(ann, "", channel="WhatsApp", parameters=place)
        located = await bot.turn()
        bot.say("far")
        await rig.phone(ann, 2)
    [message] = turn["messages"]
    assert [one.get("data") for one in message["media"]] == ["aGVsbG8=", None, None]
    assert "52.5" in located["messages"][0]["text"]
    assert "Berlin" in located["messages"][0]["text"]
    assert await rig.twilio.offences() == []


async def test_stop_is_not_answered_cancels_what_waits_and_start_opens_again(make_rig: MakeRig, number: Number) -> None:
    async with agent() as bot:
        rig = await make_rig(engine=bot.engine())
        await rig.start()
        ann = number()
        await rig.text(ann, "one", wait=True)
        await bot.turn()
        await rig.text(ann, "STOP", wait=True)
        bot.say("too late")
        await rig.until(lambda: rig.messages("Outbound", "Cancelled"))
        await rig.text(ann, "still there?", wait=True)
        await rig.text(ann, "START", wait=True)
        await rig.text(ann, "hello again", wait=True)
        turn = await bot.turn()
        assert [one["text"] for one in turn["messages"]] == ["hello again"]
        bot.say("welcome back")
        bodies = [item.body for item in await rig.twilio.inbox(ann, wait=False)]
        await rig.until(lambda: _shown(rig, ann, "welcome back"))
    assert "too late" not in bodies
    inbound = await rig.settled(5, "Answered", "Ignored")
    states = [one["status"]["state"] for one in inbound]
    assert states == ["Answered", "Ignored", "Ignored", "Ignored", "Answered"]


async def _shown(rig: Any, phone: str, body: str) -> bool:
    return any(item.body == body for item in await rig.twilio.inbox(phone, wait=False))


REFUSED = {
    21211: "InvalidRecipient",
    21408: "RegionNotEnabled",
    21606: "InvalidSender",
    21608: "TrialRecipient",
    21610: "OptedOut",
    21612: "Unreachable",
    21614: "NotMobile",
    21617: "TooLong",
    30032: "SenderNotRegistered",
    30034: "SenderNotRegistered",
    63007: "SenderNotFound",
    63015: "SandboxNotJoined",
    63016: "WindowClosed",
}


async def test_what_twilio_refuses_ends_with_its_meaning(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    await rig.start()
    phones = {number(): code for code in REFUSED}
    for phone, code in phones.items():
        await rig.twilio.plan(DeliveryPlan(account=rig.account, to=phone, refuse=code))
        await rig.text(phone, "hi")

    async def all_failed() -> Any:
        failed = await rig.messages("Outbound", "Failed")
        return failed if len(failed) == len(phones) else None

    for message in await rig.until(all_failed):
        code = phones[message["spec"]["to"]]
        assert message["status"]["errorCode"] == code
        assert message["status"]["error"].startswith(f"{REFUSED[code]}: ")
        assert message["status"]["attempts"] == 1


async def test_a_full_queue_is_tried_again(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    await rig.start()
    ann = number()
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=ann, refuse=21611, times=1))
    await rig.text(ann, "hi")
    assert [item.body for item in await rig.phone(ann, 1)] == ["Hello!"]
    [message] = await rig.until(lambda: rig.messages("Outbound", "Sent"))
    assert message["status"]["attempts"] == 2


async def test_a_window_that_twilio_finds_closed_later_is_told_by_its_callback(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig()
    await rig.start()
    ann = number()
    steps = [Step(status="failed", error_code=63016)]
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=f"whatsapp:{ann}", steps=steps))
    await rig.text(ann, "hi", channel="WhatsApp")
    [failed] = await rig.until(lambda: rig.messages("Outbound", "Failed"))
    assert (failed["status"]["delivery"], failed["status"]["errorCode"]) == ("Failed", 63016)
    assert "24 hours" in failed["status"]["error"]


async def test_what_fails_on_its_way_says_so_and_news_in_any_order_never_goes_backwards(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig()
    await rig.start()
    ann, bob = number(), number()
    steps = [Step(status="sending"), Step(status="undelivered", error_code=30003)]
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=ann, steps=steps))
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=bob, callbacks=["delivered", "sent", "delivered"]))
    await rig.text(ann, "hi")
    [failed] = await rig.until(lambda: rig.messages("Outbound", "Failed"))
    assert (failed["status"]["delivery"], failed["status"]["errorCode"]) == ("Undelivered", 30003)
    await rig.text(bob, "hi")
    [delivered] = await rig.until(lambda: _delivered(rig, 1))
    await rig.twilio.webhook_calls(delivered["status"]["providerMessageId"], count=3)
    assert await _delivered(rig, 1)


async def test_a_busy_twilio_is_tried_again_and_answers_once(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    await rig.start()
    ann = number()
    fault = FaultSpec(account=rig.account, method="POST", path="*/Messages.json", times=2, status=429, code=20429)
    await rig.twilio.fault(fault)
    await rig.text(ann, "hi")
    assert [item.body for item in await rig.phone(ann, 1)] == ["Hello!"]
    [message] = await rig.until(lambda: rig.messages("Outbound", "Sent"))
    assert message["status"]["attempts"] == 3


async def test_a_rotated_token_is_used_at_once(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    await rig.start()
    ann = number()
    changed = await rig.twilio.change_account(rig.account, AccountChange(auth_token="f" * 32))
    rig.write_secret(authToken=changed.auth_token, previousAuthToken=rig.token)
    old = await rig.text(ann, "hi", signature="old", wait=True)
    await rig.phone(ann, 1)  # else both may be one turn
    new = await rig.text(ann, "echo two", wait=True)
    assert verdicts(old, new) == {200}
    await rig.until(lambda: _shown(rig, ann, "You said two"))


async def test_answers_go_through_the_messaging_service_and_to_a_fixed_number_where_the_route_says_so(
    make_rig: MakeRig, number: Number
) -> None:
    ann, boss = number(), number()
    service = "MG" + secrets.token_hex(16)
    outbound = {"useSenderAsReceiver": False, "toNumber": boss}
    rig = await make_rig(spec={"messagingServiceSid": service}, connectors=[{"name": "sms", "outbound": outbound}])
    await rig.twilio.add_service(
        rig.account, ServiceSpec(sid=service, numbers=[rig.number], use_inbound_webhook_on_number=True)
    )
    await rig.start()
    await rig.text(ann, "echo for the boss", wait=True)
    [item] = await rig.phone(boss, 1)
    assert (item.body, item.sender) == ("You said for the boss", rig.number)
    assert await rig.twilio.inbox(ann, wait=False) == []


async def test_two_agents_numbers_do_not_talk_to_each_other(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig()
    ann, bot = number(), number()
    spec = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": bot}
    metadata = {"name": "another", "namespace": rig.namespace}
    await rig.api.apply(TWILIO_CONNECTORS, {"metadata": metadata, "spec": spec}, manager="tests")
    await rig.start()
    for channel in ("SMS", "WhatsApp"):
        assert verdicts(await rig.text(bot, "hi", channel=channel, wait=True)) == {200}
    await rig.settled(2, "Ignored")
    await rig.text(ann, "hi", wait=True)
    await rig.phone(ann, 1)
    assert {one["status"]["error"] for one in await rig.messages("Inbound", "Ignored")} == {BOT}
    assert await rig.twilio.inbox(bot, wait=False) == []
    assert len(await rig.executions()) == 1


async def test_what_no_route_takes_is_counted_and_not_kept(make_rig: MakeRig, number: Number) -> None:
    ann, bob = number(), number()
    rig = await make_rig(connectors=[{"name": "sms", "inbound": {"fromNumber": ann}}])
    pod = await rig.start()
    result = await rig.text(bob, "hi", wait=True)
    assert verdicts(result) == {200}
    await rig.text(ann, "hi", wait=True)
    await rig.phone(ann, 1)
    assert len(await rig.messages("Inbound")) == 1
    name = 'switchboard_webhook_unrouted_messages_total{connector="sms",reason="from_filter"}'
    assert (await pod.metrics())[name] == 1
