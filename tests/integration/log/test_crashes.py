"""A pod dies before or after each of its writes, and another one goes on: nothing is lost, nothing is sent twice."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.integration.log.harness import NUMBER, Crashed, Dying, World

from switchboard.log.errors import LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import DeliveryNews, Reply
from switchboard.providers.base import DeliveryState

ANSWER = ("part 1", "part 2")


class Twilio:
    """Takes what is posted, and remembers under which attempt."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str]] = []

    def post(self, message: str, attempt: str) -> str:
        self.posts.append((message, attempt))
        return f"SM{len(self.posts):032x}"


async def work(world: World, log: ConversationLog, holder: str, twilio: Twilio) -> None:
    """What a worker does, until there is nothing to do."""
    while (turn := await world.claim(log, holder)) is not None:
        if turn.runs:
            to = turn.conversation.contact
            turn = await log.finish(turn, world.outcome(), [Reply(NUMBER, to, text) for text in ANSWER])
        for part in turn.outbound:
            if part.attempt is not None:
                await log.unknown(turn, part.attempt, error="Nobody confirmed it.")
                continue
            attempt = await log.begin_attempt(turn, part, seconds=10)
            sid = twilio.post(part.name, attempt.id)
            await log.confirm(turn, attempt, sid, DeliveryState.QUEUED)
        await log.release(turn)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("callbacks", [False, True], ids=["silent", "callbacks"])
async def test_a_worker_may_die_at_any_write(world: World, after: bool, callbacks: bool) -> None:
    crashes = unknown = 0
    for step in range(40):
        contact, twilio = f"+150055510{step:02d}", Twilio()
        name = await world.told("question", contact=contact)
        await world.seen()
        dying = Dying(step, after=after)
        mortal = await world.another(dying=dying)
        with suppress(Crashed):
            await work(world, mortal, f"pod-{step}", twilio)
        crashes += dying.died
        await world.seen()
        if callbacks:
            for index, (_, attempt) in enumerate(twilio.posts, start=1):
                await world.log.deliver(DeliveryNews(f"SM{index:032x}", DeliveryState.DELIVERED, attempt=attempt))
        for _ in range(3):
            await world.advance(200)
            await work(world, world.log, "pod-successor", twilio)
        await world.seen()
        history = await world.log.history(name)
        assert [message.body for message in history] == ["question", *ANSWER], step
        assert [message.state for message in history[:1]] == ["Answered"], step
        posted = [message for message, _ in twilio.posts]
        assert len(posted) == len(set(posted)), f"step {step}: sent twice"
        for part in history[1:]:
            assert part.state in {"Sent", "DeliveryUnknown"}, step
            assert part.state == "DeliveryUnknown" or part.name in posted, step
            if part.state == "DeliveryUnknown":
                unknown += 1
                assert part.attempts == 1, step
                assert not callbacks or part.name not in posted, f"step {step}: a callback was not believed"
        if not dying.died:
            break
    else:
        pytest.fail("the worker never got through")
    assert crashes >= 5
    # A part is in doubt if its sender died between its request's record and the answer's, and no callback told.
    assert (unknown == 0) == (callbacks and not after)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_receiver_may_die_at_any_write_when_the_sender_tries_again(world: World, after: bool) -> None:
    crashes = 0
    for step in range(20):
        contact = f"+150055520{step:02d}"
        messages = [
            world.inbound("hi", contact=contact),
            world.inbound("STOP", contact=contact, keyword="Stop", state="Ignored"),
        ]
        dying = Dying(step, after=after)
        mortal = await world.another(dying=dying)
        with suppress(Crashed, LogUnavailable):
            for message in messages:
                await mortal.record(message)
        crashes += dying.died
        await world.seen()
        for message in messages:
            recorded = await world.log.record(message)
        await world.seen()
        assert await world.states(recorded.conversation) == [("hi", "Ignored"), ("STOP", "Ignored")], step
        kept = await world.log.conversation(recorded.conversation)
        assert kept is not None
        assert kept.opted_out, step
        assert await world.claim() is None, step
        if not dying.died:
            break
    else:
        pytest.fail("the receiver never got through")
    assert crashes >= 2
