"""Lists, filters and histories, page by page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.log.harness import CONTACT, World, conversation, replies

from switchboard.log.records import Query
from switchboard.providers.base import DeliveryState


async def test_history_is_read_backwards_in_pages_with_every_message_once(world: World) -> None:
    for index in range(11):
        await world.told(f"m{index}")
    read: list[str] = []
    before = None
    while page := await world.log.history(conversation(), before=before, limit=4):
        read = [message.body for message in page] + read
        before = page[0].sequence
    assert read == [f"m{index}" for index in range(11)]


async def test_history_has_both_sides(world: World) -> None:
    for number in range(3):
        await world.told(f"question {number}")
        turn = await world.answered(f"answer {number}")
        attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
        await world.log.confirm(turn, attempt, f"SM{number}", DeliveryState.QUEUED)
        await world.log.release(turn)
    history = await world.log.history(conversation())
    assert [message.body for message in history] == [
        text for number in range(3) for text in (f"question {number}", f"answer {number}")
    ]
    assert len({message.execution for message in history}) == 3


async def test_lists_are_newest_first_and_their_pages_leave_nothing_out(world: World) -> None:
    for index in range(9):
        await world.told(f"m{index}", contact=f"+1500555010{index}")
        await world.advance(1)
    for read, key in ((world.log.messages, "body"), (world.log.conversations, "last_message")):
        listed, cursor = [], None
        while True:
            page = await read(Query(), cursor=cursor, limit=4)
            listed += [getattr(item, key) for item in page.items]
            if (cursor := page.next) is None:
                break
        assert listed == [f"m{index}" for index in reversed(range(9))]


async def test_a_cursor_of_somebody_else_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        await world.log.messages(Query(), cursor="surely not")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), {"one", "two", "three"}),
        (Query(agent="support"), {"one", "two", "three"}),
        (Query(agent="sales"), set()),
        (Query(provider="twilio"), {"one", "two", "three"}),
        (Query(provider="other"), set()),
        (Query(contact=CONTACT), {"one", "three"}),
        (Query(contact="+15005550199"), {"two"}),
        (Query(connector="production-sms"), {"one", "two"}),
        (Query(channel="WhatsApp"), {"three"}),
        (Query(contact=CONTACT, connector="other"), {"three"}),
        (Query(conversation=conversation()), {"one"}),
    ],
)
async def test_lists_are_filtered(world: World, query: Query, found: set[str]) -> None:
    await world.told("one")
    await world.told("two", contact="+15005550199")
    await world.told("three", connector="other", channel="WhatsApp")
    assert {message.body for message in (await world.log.messages(query)).items} == found
    if query.conversation is None:
        assert {one.last_message for one in (await world.log.conversations(query)).items} == found
    while (turn := await world.claim()) is not None:
        await world.log.finish(turn, world.outcome(), [])
    executions = (await world.log.executions(query)).items
    answered = {message.body for message in (await world.log.messages(query)).items}
    assert len(executions) == len(answered) == len(found)


async def test_lists_are_filtered_by_time_with_the_end_left_out(world: World) -> None:
    start = await world.now() + timedelta(minutes=5)
    for index in range(4):
        await world.told(f"m{index}", contact=f"+1500555010{index}", time=start + timedelta(minutes=index))
    query = Query(since=start + timedelta(minutes=1), until=start + timedelta(minutes=3))
    assert [message.body for message in (await world.log.messages(query)).items] == ["m2", "m1"]
    assert [one.last_message for one in (await world.log.conversations(query)).items] == ["m2", "m1"]


async def test_executions_are_found_by_time_and_conversation(world: World) -> None:
    for number in range(3):
        await world.told(f"m{number}")
        await world.log.finish(await world.claimed(), world.outcome(), replies())
        await world.advance(60)
    page = await world.log.executions(Query(conversation=conversation()), limit=2)
    assert page.next is not None
    rest = await world.log.executions(Query(conversation=conversation()), cursor=page.next)
    names = [execution.name for execution in (*page.items, *rest.items)]
    assert names == [f"{conversation()}-{number}" for number in (3, 2, 1)]
    recent = Query(since=await world.now() - timedelta(seconds=90))
    assert [execution.name for execution in (await world.log.executions(recent)).items] == names[:1]


async def test_what_is_not_there_is_not_found(world: World) -> None:
    assert await world.log.conversation(conversation()) is None
    assert await world.log.execution(f"{conversation()}-1") is None
    assert await world.log.history(conversation()) == []
