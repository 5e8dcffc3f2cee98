"""Twilio and the API server fail in every way they can; messages come twice and out of order; pods die at random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from tests.faults.webhook.promises import check, settle
from tests.integration.webhook.conftest import Databases
from tests.integration.webhook.rig import Pod, Rig
from tests.integration.webhook.roads import Wire

from switchboard.sandbox.twilio.control_models import DeliveryPlan, FaultSpec, Step

pytestmark = pytest.mark.cluster
MakeFaulty = Callable[..., Awaitable[Rig]]
Number = Callable[[], str]


def sending(rig: Rig, **fault: object) -> FaultSpec:
    return FaultSpec.model_validate({"account": rig.account, "method": "POST", "path": "*/Messages.json", **fault})


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "after": True},
        {"status": 503, "after": True},
        {"drop": True, "after": True},
    ],
    ids=["500", "503", "dropped"],
)
async def test_a_reply_that_twilio_sent_without_saying_so_is_found_and_sent_once(
    make_faulty: MakeFaulty, number: Number, fault: dict[str, object]
) -> None:
    rig = await make_faulty()
    await rig.start()
    await rig.twilio.fault(sending(rig, **fault))
    ann = number()
    texts = {ann: ["echo ann-0", "echo ann-1"]}
    for text in texts[ann]:
        await rig.text(ann, text, wait=True)
    await settle(rig, 2)
    assert (await check(rig, [ann], texts)).answered == 2
    await rig.until(lambda: _count(rig, "Sent", 2))


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"delay": 1.5}], ids=["500", "dropped", "slow"])
async def test_a_reply_of_which_nobody_knows_is_told_and_not_sent_again(
    make_faulty: MakeFaulty, number: Number, fault: dict[str, object]
) -> None:
    rig = await make_faulty()
    pod = await rig.start()
    await rig.twilio.fault(sending(rig, **fault))
    ann = number()
    texts = {ann: ["echo ann-0", "echo ann-1"]}
    for text in texts[ann]:
        await rig.text(ann, text, wait=True)
    await settle(rig, 2)
    tally = await check(rig, [ann], texts)
    assert list(tally.unanswered) == ["ann-0"]
    assert tally.unanswered["ann-0"].startswith("DeliveryUnknown")
    [event] = await rig.events()
    assert (event["reason"], event["involvedObject"]["name"]) == ("DeliveryUnknown", "sms")
    assert ann not in str(event)
    assert (await pod.metrics())['switchboard_delivery_unknown_total{connector="sms"}'] == 1


async def test_where_it_is_asked_a_reply_in_doubt_is_sent_again_and_all_of_it_is_on_record(
    make_faulty: MakeFaulty, number: Number, backend: dict[str, str]
) -> None:
    rig = await make_faulty(turn={"resendUnknown": True}, **backend)
    pod = await rig.start()
    await rig.twilio.fault(sending(rig, status=500))
    ann = number()
    texts = {ann: ["echo ann-0", "echo ann-1"]}
    for text in texts[ann]:
        await rig.text(ann, text, wait=True)
    await settle(rig, 2)
    assert (await check(rig, [ann], texts)).answered == 2
    first, *_ = await rig.messages("Outbound", "Sent")
    assert first["status"]["attempts"] == 2
    assert await rig.events() == []
    assert (await pod.metrics())['switchboard_sends_total{connector="sms",outcome="sent_again"}'] == 1


async def test_a_reply_that_stays_in_doubt_is_sent_three_times_at_most_and_then_told(
    make_faulty: MakeFaulty, number: Number
) -> None:
    rig = await make_faulty(turn={"resendUnknown": True}, settings={"UNCONFIRMED": "0.5"})
    await rig.start()
    await rig.twilio.fault(sending(rig, status=500, times=None))
    ann = number()
    texts = {ann: ["echo ann-0"]}
    await rig.text(ann, texts[ann][0], wait=True)
    await settle(rig, 1)
    tally = await check(rig, [ann], texts)
    assert tally.unanswered["ann-0"].startswith("DeliveryUnknown")
    [reply] = await rig.messages("Outbound")
    assert reply["status"]["attempts"] == 3
    posted = [one for one in await rig.twilio.requests() if one.account == rig.account and one.method == "POST"]
    assert len(posted) == 3
    assert [event["reason"] for event in await rig.events()] == ["DeliveryUnknown"]


async def test_a_delivery_whose_callbacks_found_no_pod_is_looked_up_at_twilio(
    make_faulty: MakeFaulty, number: Number, backend: dict[str, str]
) -> None:
    looks = {"SWITCHBOARD_DELIVERY_AGES": "[0.2]", "SWITCHBOARD_BACKFILL_SECONDS": "0.5"}
    rig = await make_faulty(settings=looks, **backend)
    await rig.start()
    ann, bob = number(), number()
    steps = [Step(status="sending"), Step(status="sent")]
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=ann, callbacks=[]))
    await rig.twilio.plan(DeliveryPlan(account=rig.account, to=bob, callbacks=[], steps=steps))
    for phone in (ann, bob):
        await rig.text(phone, "echo hello-1")
        await rig.phone(phone, 1)
    await rig.until(lambda: _delivery(rig, ann, "Delivered"))
    # Where Twilio never says more it is asked as often as there are ages, and no more.
    await rig.until(lambda: _delivery(rig, bob, "Sent"))
    [reply] = [one for one in await rig.messages("Outbound") if one["spec"]["to"] == bob]
    path = f"/2010-04-01/Accounts/{rig.account}/Messages/{reply['status']['providerMessageId']}.json"

    async def asked() -> int:
        return len([one for one in await rig.twilio.requests() if one.method == "GET" and one.path == path])

    async def listed() -> int:
        listing = f"/2010-04-01/Accounts/{rig.account}/Messages.json"
        return len([one for one in await rig.twilio.requests() if one.method == "GET" and one.path == listing])

    await rig.until(lambda: _at_least(asked, 1))
    later = await listed() + 4
    await rig.until(lambda: _at_least(listed, later))
    assert await asked() == 1


async def _at_least(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted


async def _delivery(rig: Rig, phone: str, delivery: str) -> bool:
    return any(
        one["spec"]["to"] == phone and one["status"].get("delivery") == delivery
        for one in await rig.messages("Outbound")
    )


async def _count(rig: Rig, state: str, count: int) -> bool:
    return len(await rig.messages("Outbound", state)) == count


async def test_a_twilio_that_stays_busy_ends_with_a_reason(make_faulty: MakeFaulty, number: Number) -> None:
    rig = await make_faulty(settings={"SWITCHBOARD_SEND_ATTEMPTS": "2"})
    await rig.start()
    await rig.twilio.fault(sending(rig, status=429, code=20429, times=None))
    ann = number()
    texts = {ann: ["echo ann-0"]}
    await rig.text(ann, texts[ann][0])
    await settle(rig, 1)
    tally = await check(rig, [ann], texts)
    assert tally.unanswered["ann-0"].startswith("TooManyRequests")


async def test_messages_that_come_twice_late_and_out_of_order_are_answered_once_in_the_order_of_their_receipt(
    make_faulty: MakeFaulty, number: Number
) -> None:
    rig = await make_faulty(settings={"SWITCHBOARD_SETTLING_SECONDS": "20"})
    await rig.start()
    await rig.start()
    ann = number()
    texts = {ann: [f"echo ann-{index}" for index in range(6)]}
    sids = [(await rig.text(ann, text, times=0)).message_sid for text in texts[ann]]
    order = [*sids, *sids, *sids]
    random.Random(7).shuffle(order)
    for sid in order:
        await rig.twilio.deliver(sid)
    await asyncio.gather(*(rig.twilio.deliver(sid, times=2) for sid in sids))
    await settle(rig, 6)
    tally = await check(rig, [ann], texts)
    assert (tally.recorded, tally.answered) == (6, 6)


async def test_while_the_api_server_is_away_nothing_is_acknowledged_and_afterwards_all_is_answered(
    make_faulty: MakeFaulty, number: Number, api_server: Path, tmp_path: Path
) -> None:
    document = yaml.safe_load(api_server.read_text())
    server = urlsplit(document["clusters"][0]["cluster"]["server"])
    wire = Wire(server.hostname or "", server.port or 80)
    await wire.open()
    document["clusters"][0]["cluster"]["server"] = f"{server.scheme}://127.0.0.1:{wire.port}"
    document["clusters"][0]["cluster"]["tls-server-name"] = server.hostname
    cut = tmp_path / "kubeconfig"
    cut.write_text(yaml.safe_dump(document))
    try:
        rig = await make_faulty(kubeconfig=cut)
        await rig.start()
        ann, bob = number(), number()
        texts = {ann: ["echo ann-0", "echo ann-1"], bob: ["echo bob-0"]}
        await rig.text(ann, texts[ann][0])
        await rig.phone(ann, 1)
        wire.cut()
        first = await rig.text(ann, texts[ann][1], wait=True)
        second = await rig.text(bob, texts[bob][0], wait=True)
        assert {call.status for call in [*first.calls, *second.calls] if call.kind == "message"} == {503}
        wire.mend()
        await settle(rig, 3)
        assert (await check(rig, [ann, bob], texts)).answered == 3
    finally:
        await wire.close()


async def test_while_postgresql_is_away_nothing_is_acknowledged_and_afterwards_all_is_answered(
    make_faulty: MakeFaulty, number: Number, databases: Databases
) -> None:
    rig = await make_faulty(dsn=databases.dsn())
    await rig.start()
    ann, bob = number(), number()
    texts = {ann: ["echo ann-0", "echo ann-1"], bob: ["echo bob-0"]}
    await rig.text(ann, texts[ann][0])
    await rig.phone(ann, 1)
    databases.server.stop()
    try:
        first = await rig.text(ann, texts[ann][1], wait=True)
        second = await rig.text(bob, texts[bob][0], wait=True)
    finally:
        databases.server.start()
    assert {call.status for call in [*first.calls, *second.calls] if call.kind == "message"} == {503}
    await settle(rig, 3)
    assert (await check(rig, [ann, bob], texts)).answered == 3


async def test_two_replicas_of_which_one_dies_over_and_over_while_twilio_stumbles_keep_every_promise(
    make_faulty: MakeFaulty, number: Number, backend: dict[str, str]
) -> None:
    rig = await make_faulty(**backend)
    pods = [await rig.start(), await rig.start()]
    chance = random.Random(3)
    await rig.twilio.fault(sending(rig, status=429, code=20429, probability=0.1, times=None))
    await rig.twilio.fault(sending(rig, status=500, after=True, probability=0.1, times=None))
    phones = [number() for _ in range(6)]
    names = ["ann", "bob", "cid", "dan", "eve", "fay"]
    texts = {phone: [f"echo {name}-{index}" for index in range(8)] for phone, name in zip(phones, names, strict=True)}

    async def chat(phone: str) -> None:
        for text in texts[phone]:
            await rig.text(phone, text, wait=True, times=chance.choice([1, 1, 2]))

    async def havoc() -> None:
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0.2, 0.6))
            victim: Pod = pods.pop(chance.randrange(2))
            victim.kill()
            rig.leave(victim)
            await victim.process.ended()
            pods.append(await rig.start())

    await asyncio.gather(havoc(), *(chat(phone) for phone in phones))
    await settle(rig, 48, timeout=60)
    tally = await check(rig, phones, texts)
    assert tally.recorded == 48
    assert all(reason.startswith("DeliveryUnknown") for reason in tally.unanswered.values())
    print(
        f"{tally.acknowledged} acknowledged, {tally.recorded} recorded, {tally.answered} answered, {tally.unanswered}"
    )
