"""What arrives is kept once, in order, and only what may be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from tests.integration.log.harness import CONTACT, World, conversation, replies

from switchboard.log.records import Attachment, DeliveryNews, Query
from switchboard.providers.base import DeliveryState


async def test_a_message_is_there_when_record_returns(world: World) -> None:
    recorded = await world.log.record(
        world.inbound(
            "What are your hours?",
            media=[Attachment("https://api.twilio.com/m/1", "image/png")],
            attributes={"FromCity": "Oslo"},
            contact_name="Ola",
        )
    )
    other = await world.another()
    await world.seen()
    (message,) = await other.history(recorded.conversation)
    assert (message.name, message.direction, message.body) == (recorded.message, "Inbound", "What are your hours?")
    assert (message.state, recorded.state, recorded.duplicate) == ("Waiting", "Waiting", False)
    assert [(item.url, item.content_type) for item in message.media] == [("https://api.twilio.com/m/1", "image/png")]
    assert message.attributes == {"FromCity": "Oslo"}
    kept = await other.conversation(recorded.conversation)
    assert kept is not None
    assert (kept.contact, kept.channel, kept.messages, kept.contact_name) == (CONTACT, "SMS", 1, "Ola")
    assert kept.last_message == "What are your hours?"


async def test_the_same_message_twice_is_one(world: World) -> None:
    message = world.inbound()
    first = await world.log.record(message)
    second = await world.log.record(message)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert (second.message, second.conversation, second.state) == (first.message, first.conversation, "Waiting")
    assert len(await world.log.history(first.conversation)) == 1


async def test_the_same_message_at_two_pods_at_once_is_one(world: World) -> None:
    other = await world.another()
    messages = [world.inbound(f"m{index}") for index in range(10)]
    recorded = await asyncio.gather(*(log.record(message) for message in messages for log in (world.log, other)))
    assert sum(one.duplicate for one in recorded) == 10
    await world.seen()
    for log in (world.log, other):
        history = await log.history(conversation())
        assert sorted(message.body for message in history) == sorted(message.body for message in messages)


async def test_messages_stand_in_the_order_of_their_receipt(world: World) -> None:
    other = await world.another()
    for index in range(8):
        await (world.log, other)[index % 2].record(world.inbound(f"m{index}"))
        await world.seen()
    history = await world.log.history(conversation())
    assert [message.body for message in history] == [f"m{index}" for index in range(8)]
    assert [message.sequence for message in history] == sorted({message.sequence for message in history})


async def test_many_messages_at_once_are_all_there(world: World) -> None:
    messages = [world.inbound(f"m{index}", contact=f"+1500555{index % 7:04d}") for index in range(60)]
    recorded = await asyncio.gather(*(world.log.record(message) for message in messages))
    assert not any(one.duplicate for one in recorded)
    page = await world.log.messages(Query(), limit=100)
    assert sorted(message.body for message in page.items) == sorted(message.body for message in messages)
    for index in range(7):
        thread = await world.log.history(conversation(f"+1500555{index:04d}"), limit=100)
        # What comes at once has no order: each waits for the API server, or the database, by itself.
        assert sorted(int(message.body[1:]) for message in thread) == list(range(index, 60, 7))


async def test_hostile_text_is_kept(world: World) -> None:
    body = "nul \0 and half a pair \ud83d, quotes '\"; DROP TABLE x; --, \N{PILE OF POO}" + "y" * 70_000
    name = await world.told(body, attributes={f"k{index}\0": "v" * 5000 for index in range(300)})
    (message,) = await world.log.history(name)
    assert message.body.startswith("nul \N{REPLACEMENT CHARACTER} and half a pair ")
    assert "\N{PILE OF POO}" in message.body
    assert len(message.body) == 65_536
    assert len(message.attributes) == 200


async def test_what_a_refused_contact_writes_is_not_kept(world: World) -> None:
    recorded = await world.log.record(world.inbound(state="Refused"))
    assert (recorded.state, recorded.stored) == ("Refused", False)
    assert await world.log.history(recorded.conversation) == []
    assert (await world.log.conversations(Query())).items == []


async def test_what_is_ignored_or_missed_is_kept_with_its_reason_and_never_claimed(world: World) -> None:
    name = await world.told("from a bot", state="Ignored", error="The sender is a connector.")
    await world.told("too late", state="Missed")
    messages = await world.log.history(name)
    assert [(one.state, one.error) for one in messages] == [
        ("Ignored", "The sender is a connector."),
        ("Missed", None),
    ]
    assert await world.claim() is None


async def test_of_held_messages_the_last_five_are_kept_and_none_is_claimed(world: World) -> None:
    for index in range(7):
        name = await world.told(f"m{index}", state="Held")
    assert await world.states(name) == [(f"m{index}", "Held") for index in range(2, 7)]
    assert await world.claim() is None


async def test_a_held_message_that_had_to_go_is_not_held_again_as_the_last_one(world: World) -> None:
    """The backfill finds it at Twilio, and nowhere here."""
    said = [world.inbound(f"m{index}", state="Held") for index in range(7)]
    for inbound in said:
        name = (await world.log.record(inbound)).conversation
        await world.advance(1)
    came = await world.now() - timedelta(minutes=1)
    again = await (await world.another()).record(replace(said[1], time=came))
    assert (again.state, again.duplicate, again.stored) == ("Held", True, False)
    assert (await world.log.record(replace(said[4], time=came))).duplicate
    await world.seen()
    assert await world.states(name) == [(f"m{index}", "Held") for index in range(2, 7)]
    missed = await world.log.record(world.inbound("missed", state="Held", time=await world.now()))
    assert (missed.duplicate, missed.stored) == (False, True)
    assert [body for body, _ in await world.states(name)] == ["m3", "m4", "m5", "m6", "missed"]


async def test_approval_answers_the_last_held_message_of_each_channel(world: World) -> None:
    for body in ("one", "two"):
        await world.told(body, state="Held")
    await world.told("over whatsapp", state="Held", channel="WhatsApp")
    await world.told("somebody else", state="Held", contact="+15005550199")
    released = await world.log.release_held("production-sms", CONTACT)
    assert len(released) == 2
    turns = [await world.claimed(), await world.claimed()]
    assert {tuple(message.body for message in turn.messages) for turn in turns} == {("two",), ("over whatsapp",)}
    assert await world.claim() is None
    assert await world.states(conversation()) == [("one", "Ignored"), ("two", "Working")]
    assert await world.log.release_held("production-sms", CONTACT) == []


async def test_rejection_refuses_what_was_held(world: World) -> None:
    name = await world.told("let me in", state="Held")
    assert await world.log.refuse_held("production-sms", CONTACT) == 1
    assert await world.states(name) == [("let me in", "Refused")]
    assert await world.claim() is None


async def test_stop_opts_out_and_cancels_what_waits(world: World) -> None:
    await world.told()
    turn = await world.answered("part 1", "part 2")
    await world.told("and another thing")
    await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.told("STOP", keyword="Stop", state="Ignored")
    assert await world.states(turn.conversation.name) == [
        ("hello", "Answered"),
        ("part 1", "Sending"),
        ("part 2", "Cancelled"),
        ("and another thing", "Ignored"),
        ("STOP", "Ignored"),
    ]
    kept = await world.log.conversation(turn.conversation.name)
    assert kept is not None
    assert kept.opted_out


async def test_who_opted_out_is_not_answered_until_start(world: World) -> None:
    name = await world.told("STOP", keyword="Stop", state="Ignored")
    await world.told("hello?")
    assert (await world.log.record(world.inbound("START", keyword="Start"))).state == "Ignored"
    await world.told("hello again")
    assert await world.states(name) == [
        ("STOP", "Ignored"),
        ("hello?", "Ignored"),
        ("START", "Ignored"),
        ("hello again", "Waiting"),
    ]


async def test_yes_is_an_ordinary_word_where_no_opt_out_is_on_record(world: World) -> None:
    assert (await world.log.record(world.inbound("YES", keyword="Start"))).state == "Waiting"
    confirmed = world.inbound("START", keyword="Start", keyword_confirmed=True)
    assert (await world.log.record(confirmed)).state == "Ignored"


async def test_stop_on_one_channel_leaves_the_other_alone(world: World) -> None:
    await world.told("STOP", keyword="Stop", state="Ignored")
    assert (await world.log.record(world.inbound("hi", channel="WhatsApp"))).state == "Waiting"


async def test_a_reply_that_is_ready_after_stop_is_not_sent(world: World) -> None:
    await world.told()
    turn = await world.claimed()
    await world.told("STOP", keyword="Stop", state="Ignored")
    turn = await world.log.finish(turn, world.outcome(), replies("too late"))
    assert turn.outbound == []
    assert ("too late", "Cancelled") in await world.states(turn.conversation.name)
    assert await world.claim() is None


async def test_an_announcement_is_sent_once_for_ever(world: World) -> None:
    name = await world.told("who is there?", state="Held")
    (reply,) = replies("A colleague will let you in.")
    other = await world.another()
    await world.seen()
    announced = await asyncio.gather(
        *(log.announce(name, "onboarding", reply, revision="support-v1") for log in (world.log, other, world.log))
    )
    assert sorted(announced) == [False, False, True]
    await world.seen()
    turn = await world.claimed()
    assert not turn.runs
    (part,) = turn.outbound
    assert part.body == "A colleague will let you in."
    attempt = await world.log.begin_attempt(turn, part, seconds=10)
    await world.log.confirm(turn, attempt, "SMout", DeliveryState.QUEUED)
    await world.log.release(turn)
    assert await world.claim() is None
    assert not await world.log.announce(name, "onboarding", reply, revision="support-v1")
    assert await world.log.deliver(DeliveryNews("SMout", DeliveryState.DELIVERED, attempt=attempt.id)) == "Applied"


async def test_two_agents_on_one_store_know_nothing_of_each_other(world: World) -> None:
    sales = await world.another("sales")
    message = world.inbound("for both")
    assert not (await world.log.record(message)).duplicate
    assert (await sales.messages(Query())).items == []
    assert await sales.claim("pod-s", "sales-v1", seconds=30, live=True) is None


async def test_known_ids_are_told_from_unknown_ones(world: World) -> None:
    message = world.inbound()
    await world.log.record(message)
    assert await world.log.known("twilio", message.account, [message.message_id, "SMother"]) == {message.message_id}
    assert await world.log.known("twilio", "ACother", [message.message_id]) == set()
