"""What is kept, for how long, and how far was looked for what was missed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.log.harness import CONTACT, World, conversation

from switchboard.log.errors import LeaseLost
from switchboard.log.records import Query
from switchboard.providers.base import DeliveryState


async def exchange(world: World, contact: str) -> None:
    """A question and its answer."""
    await world.told(contact=contact)
    turn = await world.answered("answer")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, f"SM{contact}", DeliveryState.QUEUED)
    await world.log.release(turn)


async def test_old_conversations_go_in_small_steps_and_newer_ones_stay(world: World) -> None:
    for index in range(3):
        await exchange(world, f"+1500555010{index}")
    await world.advance(3600)
    await exchange(world, "+15005550109")
    steps = await world.expired(await world.now() - timedelta(minutes=30), limit=4)
    assert len(steps) >= 3
    assert max(steps) <= 12
    assert [one.contact for one in (await world.log.conversations(Query())).items] == ["+15005550109"]
    assert len((await world.log.messages(Query())).items) == 2
    assert len((await world.log.executions(Query())).items) == 1
    assert await world.claim() is None


async def test_a_message_that_is_found_late_makes_its_conversation_no_older(world: World) -> None:
    await exchange(world, CONTACT)
    now = await world.now()
    for body, state in (("found late", "Missed"), ("STOP", "Ignored"), ("START", "Ignored")):
        keyword = {"STOP": "Stop", "START": "Start"}.get(body)
        await world.told(body, state=state, keyword=keyword, time=now - timedelta(days=9))
    assert await world.expired(now - timedelta(days=5)) == []
    kept = await world.log.conversation(conversation())
    assert kept is not None
    assert kept.last_message_time is not None
    assert abs(kept.last_message_time - now) < timedelta(minutes=1)
    assert len(await world.log.history(conversation())) == 5


async def test_what_is_in_work_does_not_go(world: World) -> None:
    await world.told("waits")
    await world.told("runs", contact="+15005550112")
    await world.claimed()
    await world.advance(3600)
    assert await world.log.expire(await world.now()) == 0
    assert len((await world.log.messages(Query())).items) == 2


async def test_what_a_stranger_wrote_whom_nobody_let_in_goes_with_its_time(world: World) -> None:
    await world.told("held", state="Held", contact="+15005550111")
    await world.advance(3600)
    await world.expired(await world.now() - timedelta(minutes=1))
    assert (await world.log.messages(Query())).items == []
    assert (await world.log.conversations(Query())).items == []


async def test_who_opted_out_stays_known_when_the_texts_are_gone(world: World) -> None:
    name = await world.told("STOP", keyword="Stop", state="Ignored")
    await world.advance(3600)
    await world.expired(await world.now() - timedelta(minutes=1))
    assert await world.log.history(name) == []
    kept = await world.log.conversation(name)
    assert kept is not None
    assert (kept.opted_out, kept.last_message) == (True, None)
    assert (await world.log.record(world.inbound("hello?"))).state == "Ignored"


async def test_a_contact_that_comes_back_begins_anew(world: World) -> None:
    await exchange(world, "+15005550100")
    await world.advance(3600)
    await world.expired(await world.now() - timedelta(minutes=1))
    assert await world.log.conversation(conversation()) is None
    await world.told("back again")
    assert [message.body for message in (await world.claimed()).messages] == ["back again"]
    await world.seen()  # late news of what is gone is older than the news that it is gone
    assert [message.body for message in await world.log.history(conversation())] == ["back again"]


async def test_one_pod_looks_for_what_was_missed_and_the_cursor_never_goes_back(world: World) -> None:
    other = await world.another()
    first = await world.log.backfill("production-sms", "pod-a", seconds=60)
    assert first is not None
    assert first.cursor is None
    assert await other.backfill("production-sms", "pod-b", seconds=60) is None
    elsewhere = await other.backfill("another-connector", "pod-b", seconds=60)
    assert elsewhere is not None
    reached = await world.now()
    await world.log.backfilled(first, reached)
    second = await other.backfill("production-sms", "pod-b", seconds=60)
    assert second is not None
    assert second.cursor == reached
    await other.backfilled(second, reached - timedelta(hours=1))
    third = await other.backfill("production-sms", "pod-b", seconds=60)
    assert third is not None
    assert third.cursor == reached


async def test_a_dead_pods_look_is_taken_over_and_the_dead_may_not_move_the_cursor(world: World) -> None:
    other = await world.another()
    first = await world.log.backfill("production-sms", "pod-a", seconds=60)
    assert first is not None
    await world.advance(61)
    second = await other.backfill("production-sms", "pod-b", seconds=60)
    assert second is not None
    assert second.fence > first.fence
    with pytest.raises(LeaseLost):
        await world.log.backfilled(first, await world.now())
    await other.backfilled(second, None)
    third = await world.log.backfill("production-sms", "pod-a", seconds=60)
    assert third is not None
    assert third.cursor is None


async def test_a_pod_that_heard_no_answer_to_its_claim_or_started_again_looks_at_once(world: World) -> None:
    unheard = await world.log.backfill("production-sms", "pod-a", seconds=60)
    assert unheard is not None
    again = await world.log.backfill("production-sms", "pod-a", seconds=60)
    assert again is not None
    assert again.fence > unheard.fence
    with pytest.raises(LeaseLost):
        await world.log.backfilled(unheard, await world.now())
    assert await (await world.another()).backfill("production-sms", "pod-b", seconds=60) is None
    await world.log.backfilled(again, None)


async def test_a_log_that_was_closed_and_opened_again_knows_all(world: World) -> None:
    await world.told("before")
    turn = await world.claimed()
    await world.log.close()
    again = await world.another()
    assert [message.body for message in await again.history(conversation())] == ["before"]
    await world.advance(60)
    taken = await world.claimed(again, "pod-b")
    assert taken.execution.name == turn.execution.name
    assert again.ready
