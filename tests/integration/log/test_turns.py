"""Turns are taken in order, by one worker at a time, and taken over from the dead."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest
from tests.integration.log.harness import CONTACT, LEASE, World, conversation, replies, soon

from switchboard.api.conversation import ExecutionError, Step, Usage
from switchboard.log.errors import LeaseLost
from switchboard.log.records import Outcome, Query
from switchboard.providers.base import DeliveryState


async def test_what_waits_is_one_turn_in_order(world: World) -> None:
    for body in ("one", "two", "three"):
        await world.told(body)
    turn = await world.claimed()
    assert turn.runs
    assert [message.body for message in turn.messages] == ["one", "two", "three"]
    assert list(turn.execution.messages) == [message.name for message in turn.messages]
    assert (turn.execution.state, turn.execution.attempts, turn.execution.revision) == ("Running", 1, "support-v1")
    assert (turn.conversation.name, turn.conversation.contact) == (conversation(), CONTACT)
    assert {message.state for message in turn.messages} == {"Working"}
    assert {message.execution for message in turn.messages} == {turn.execution.name}


async def test_what_comes_during_a_turn_is_the_next_one_together(world: World) -> None:
    await world.told("one")
    turn = await world.claimed()
    await world.told("two")
    await world.told("three")
    assert await world.claim() is None
    turn = await world.log.finish(turn, world.outcome(), replies("first answer"))
    assert await world.claim() is None
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, "SMa", DeliveryState.QUEUED)
    await world.log.release(turn)
    following = await world.claimed()
    assert [message.body for message in following.messages] == ["two", "three"]
    assert following.execution.name != turn.execution.name


async def test_conversations_are_taken_oldest_first_and_each_once(world: World) -> None:
    contacts = [f"+1500555010{index}" for index in range(4)]
    for contact in contacts:
        await world.told(contact=contact)
    turns = [await world.claimed() for _ in contacts]
    assert [turn.conversation.contact for turn in turns] == contacts
    assert await world.claim() is None


async def test_many_workers_never_share_a_turn(world: World) -> None:
    for index in range(12):
        await world.told(contact=f"+150055502{index:02d}")
    logs = [world.log, *[await world.another() for _ in range(3)]]
    await world.seen()

    async def take(number: int) -> list[str]:
        taken = []
        while (turn := await world.claim(logs[number % 4], f"pod-{number}")) is not None:
            taken += [message.name for message in turn.messages]
        return taken

    taken = [name for names in await asyncio.gather(*map(take, range(8))) for name in names]
    assert len(taken) == len(set(taken)) == 12


async def test_an_execution_ends_with_all_that_is_known_of_it(world: World) -> None:
    name = await world.told()
    turn = await world.claimed()
    await world.advance(3)
    outcome = Outcome(
        engine="model",
        model="openai:gpt",
        usage=Usage(requests=2, input_tokens=10, output_tokens=5),
        steps=[Step(kind="ToolCall", name="lookup", milliseconds=7, arguments="{}", result="42")],
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    turn = await world.log.finish(turn, outcome, replies("It is 42."))
    assert not turn.runs
    kept = await world.log.execution(turn.execution.name)
    assert kept is not None
    assert (kept.state, kept.engine, kept.model, kept.trace_id) == (
        "Succeeded",
        "model",
        "openai:gpt",
        outcome.trace_id,
    )
    assert (kept.usage, list(kept.steps)) == (outcome.usage, outcome.steps)
    assert kept.end_time is not None
    assert timedelta(seconds=3) <= kept.end_time - kept.start_time < timedelta(seconds=60)
    assert await world.states(name) == [("hello", "Answered"), ("It is 42.", "Sending")]
    answer = (await world.log.history(name))[-1]
    assert (answer.execution, answer.direction, answer.recipient) == (turn.execution.name, "Outbound", CONTACT)


@pytest.mark.parametrize(
    ("ended", "becomes"), [("Succeeded", "Answered"), ("Failed", "Failed"), ("Cancelled", "Ignored")]
)
async def test_an_execution_decides_what_becomes_of_its_messages(world: World, ended: str, becomes: str) -> None:
    name = await world.told()
    turn = await world.claimed()
    turn = await world.log.finish(turn, world.outcome(ended), [])
    assert turn.outbound == []
    assert await world.states(name) == [("hello", becomes)]
    assert await world.claim() is None
    await world.told("and now?")
    assert [message.body for message in (await world.claimed()).messages] == ["and now?"]


async def test_a_retry_comes_back_when_it_is_due_with_its_messages_only(world: World) -> None:
    name = await world.told("one")
    turn = await world.claimed()
    error = ExecutionError(kind="RateLimited", message="The model is busy.")
    await world.log.retry(turn, Outcome("Failed", error=error), at=await world.now() + timedelta(seconds=20))
    await world.told("two")
    assert await world.claim() is None
    kept = await world.log.execution(turn.execution.name)
    assert kept is not None
    assert (kept.state, kept.error) == ("Retrying", error)
    await world.advance(21)
    again = await world.claimed(holder="pod-b")
    assert (again.execution.name, again.execution.attempts) == (turn.execution.name, 2)
    assert [message.body for message in again.messages] == ["one"]
    assert await world.states(name) == [("one", "Working"), ("two", "Waiting")]


async def test_what_is_left_to_others_is_none_of_the_turns_attempts(world: World) -> None:
    await world.told("question")
    for _ in range(5):
        turn = await world.claimed()
        assert turn.execution.attempts == 1
        unable = Outcome("Failed", error=ExecutionError(kind="ConnectorUnavailable", message="not known here"))
        await world.log.retry(turn, unable, at=soon(turn), counts=False)
        kept = await world.log.execution(turn.execution.name)
        assert kept is not None
        assert (kept.state, kept.attempts, kept.error and kept.error.kind) == ("Retrying", 0, "ConnectorUnavailable")
        assert await world.claim() is None
        await world.advance(6)
    first = await world.claimed()
    await world.log.retry(first, world.outcome("Failed"), at=soon(first, 0))
    second = await world.claimed()
    assert second.execution.attempts == 2
    await world.log.retry(second, world.outcome("Failed"), at=soon(second, 0), counts=False)
    third = await world.claimed()
    assert (third.execution.attempts, [message.body for message in third.messages]) == (2, ["question"])
    with pytest.raises(LeaseLost):
        await world.log.retry(second, world.outcome("Failed"), at=soon(second), counts=False)
    ended = await world.log.finish(third, world.outcome(), replies("answer"))
    assert (ended.execution.attempts, len(ended.outbound)) == (2, 1)


async def test_a_turn_given_back_unfinished_is_taken_at_once(world: World) -> None:
    await world.told()
    turn = await world.claimed()
    await world.log.release(turn)
    again = await world.claimed(holder="pod-b")
    assert (again.execution.name, again.execution.attempts) == (turn.execution.name, 2)
    assert again.fence > turn.fence


async def test_a_dead_workers_turn_is_taken_over_when_its_lease_is_over(world: World) -> None:
    await world.told("one")
    turn = await world.claimed()
    other = await world.another()
    await world.seen()
    await world.advance(LEASE - 1)
    assert await world.claim(other, "pod-b") is None
    await world.told("two")
    await world.advance(2)
    again = await world.claimed(other, "pod-b")
    assert again.runs
    assert (again.execution.name, again.execution.attempts) == (turn.execution.name, 2)
    assert [message.body for message in again.messages] == ["one"]
    assert again.fence > turn.fence


async def test_a_renewed_lease_is_not_taken_over(world: World) -> None:
    await world.told()
    turn = await world.claimed()
    other = await world.another()
    for _ in range(3):
        await world.advance(LEASE - 1)
        turn = await world.log.renew(turn, seconds=LEASE)
        await world.seen()
        assert await world.claim(other, "pod-b") is None


async def test_whoever_lost_the_lease_writes_nothing(world: World) -> None:
    name = await world.told()
    turn = await world.claimed()
    finished = await world.log.finish(turn, world.outcome(), replies("answer", "more"))
    attempt = await world.log.begin_attempt(finished, finished.outbound[0], seconds=10)
    other = await world.another()
    await world.seen()
    await world.advance(130)
    again = await world.claimed(other, "pod-b")
    await world.seen()
    before = await world.states(name)
    stale = world.log
    later = await world.now() + timedelta(seconds=1)
    for write in (
        lambda: stale.renew(finished, seconds=LEASE),
        lambda: stale.retry(turn, world.outcome("Failed"), at=later),
        lambda: stale.finish(turn, world.outcome(), replies("another answer")),
        lambda: stale.begin_attempt(finished, finished.outbound[1], seconds=10),
        lambda: stale.refuse(finished, attempt, code=21610, error="no"),
        lambda: stale.unknown(finished, attempt, error="?"),
        lambda: stale.cancel(finished, finished.outbound[1], error="no"),
    ):
        with pytest.raises(LeaseLost):
            await write()
    await stale.release(finished)
    await world.seen()
    assert await world.states(name) == before == [("hello", "Answered"), ("answer", "Sending"), ("more", "Sending")]
    assert (await other.renew(again, seconds=LEASE)).fence == again.fence


async def test_a_stale_worker_is_refused_before_it_has_heard_of_its_successor(world: World) -> None:
    await world.told()
    turn = await world.claimed()
    other = await world.another()
    await world.seen()
    await world.advance(LEASE + 1)
    await world.claimed(other, "pod-b")
    with pytest.raises(LeaseLost):
        await world.log.finish(turn, world.outcome(), replies("too late"))


async def test_an_answer_is_finished_once_however_often_it_is_told(world: World) -> None:
    name = await world.told()
    turn = await world.claimed()
    first = await world.log.finish(turn, world.outcome(), replies("answer"))
    second = await world.log.finish(turn, world.outcome(), replies("answer"))
    assert [part.name for part in first.outbound] == [part.name for part in second.outbound]
    assert await world.states(name) == [("hello", "Answered"), ("answer", "Sending")]


async def test_only_the_conversations_revision_takes_its_turns(world: World) -> None:
    await world.told("one")
    turn = await world.claimed(revision="support-v1")
    await world.log.release(await world.log.finish(turn, world.outcome(), []))
    await world.told("two")
    assert await world.claim(revision="support-v2", live=False) is None
    assert (await world.claimed(revision="support-v1", live=False)).execution.revision == "support-v1"


async def test_a_promotion_hands_over_what_nobody_holds(world: World) -> None:
    old, new = world.log, await world.another()
    await world.told("held by the old one")
    held = await world.claimed(old, "pod-old")
    await world.told("waits", contact="+15005550111")
    await world.seen()
    taken = await world.claimed(new, "pod-new", "support-v2")
    assert [message.body for message in taken.messages] == ["waits"]
    assert taken.execution.revision == "support-v2"
    assert await world.claim(new, "pod-new", "support-v2") is None
    assert (await new.working("support-v1"), await new.working("support-v2")) == (1, 1)
    await old.release(await old.finish(held, world.outcome(), []))
    await world.told("for the new one")
    await world.seen()
    assert await new.working("support-v1") == 0
    following = await world.claimed(new, "pod-new", "support-v2")
    assert [message.body for message in following.messages] == ["for the new one"]
    await new.release(await new.finish(following, world.outcome(), []))
    kept = await new.conversation(following.conversation.name)
    assert kept is not None
    assert kept.revision == "support-v2"


async def test_two_revisions_that_both_believe_to_be_live_share_no_turn(world: World) -> None:
    other = await world.another()
    for index in range(6):
        await world.told(contact=f"+1500555030{index}")
    await world.seen()
    turns = await asyncio.gather(
        *(
            world.claim(log, f"pod-{revision}", revision)
            for _ in range(4)
            for log, revision in ((world.log, "support-v1"), (other, "support-v2"))
        )
    )
    taken = [turn.conversation.name for turn in turns if turn is not None]
    assert len(taken) == len(set(taken))
    assert taken


async def test_an_unfinished_turn_goes_on_with_the_new_revision(world: World) -> None:
    await world.told()
    turn = await world.claimed(revision="support-v1")
    await world.log.retry(turn, world.outcome("Failed"), at=await world.now())
    await world.advance(1)
    again = await world.claimed(holder="pod-new", revision="support-v2")
    assert (again.execution.name, again.execution.revision) == (turn.execution.name, "support-v2")
    kept = await world.log.execution(turn.execution.name)
    assert kept is not None
    assert kept.revision == "support-v2"


async def test_a_worker_is_woken_by_a_message_at_another_pod(world: World) -> None:
    other = await world.another()
    async with aclosing(other.wakeups()) as wakeups, asyncio.timeout(10):  # type: ignore[type-var]
        await anext(wakeups)
        assert await world.claim(other, "pod-b") is None
        waiting = asyncio.ensure_future(anext(wakeups))
        await asyncio.sleep(0)
        await world.told()
        await waiting
        while await world.claim(other, "pod-b") is None:
            await anext(wakeups)


async def test_a_worker_is_woken_when_a_retry_is_due(world: World) -> None:
    await world.told()
    turn = await world.claimed()
    await world.log.retry(turn, world.outcome("Failed"), at=await world.now() + timedelta(seconds=60))
    async with aclosing(world.log.wakeups()) as wakeups, asyncio.timeout(10):  # type: ignore[type-var]
        await anext(wakeups)
        assert await world.claim() is None
        waiting = asyncio.ensure_future(anext(wakeups))
        await asyncio.sleep(0)
        await world.advance(61)
        await waiting
        while await world.claim() is None:
            await anext(wakeups)


async def test_a_clock_that_is_set_back_hides_nothing_that_falls_due(world: World) -> None:
    await world.told()
    async with aclosing(world.log.wakeups()) as wakeups, asyncio.timeout(10):  # type: ignore[type-var]
        await anext(wakeups)
        turn = await world.claimed()
        await world.backend.creep(-600)
        renewed = await world.log.renew(turn, seconds=LEASE)
        await world.log.retry(turn, world.outcome("Failed"), at=soon(renewed))
        await anext(wakeups)
        assert await world.claim() is None
        await world.backend.creep(6)
        await anext(wakeups)
        assert (await world.claimed()).execution.attempts == 2


async def test_a_lease_that_runs_out_wakes_without_anybody_ringing(world: World) -> None:
    await world.told()
    turn = await world.log.claim("pod-a", "support-v1", seconds=0.2, live=True)
    assert turn is not None
    async with aclosing(world.log.wakeups()) as wakeups, asyncio.timeout(10):  # type: ignore[type-var]
        await anext(wakeups)
        waiting = asyncio.ensure_future(anext(wakeups))
        await asyncio.sleep(0)
        await world.backend.creep(0.3)
        await waiting
        while await world.claim(holder="pod-b") is None:
            await anext(wakeups)


async def test_replies_are_counted_so_that_two_bots_do_not_talk_all_night(world: World) -> None:
    name = await world.told()
    start = await world.now()
    await world.answered("one", "two")
    assert await world.log.replies_since(name, start - timedelta(seconds=1)) == 2
    await world.told("STOP", keyword="Stop", state="Ignored")
    assert await world.log.replies_since(name, start - timedelta(seconds=1)) == 0
    assert await world.log.replies_since(name, await world.now() + timedelta(seconds=1)) == 0
    assert (await world.log.executions(Query())).items[0].state == "Succeeded"
