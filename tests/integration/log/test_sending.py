"""No part is sent twice, and what nobody can tell is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.integration.log.harness import CONNECTOR, CONTACT, LEASE, World, replies, soon

from switchboard.log.errors import LeaseLost, OptedOut
from switchboard.log.protocol import UNCONFIRMED_SECONDS
from switchboard.log.records import DeliveryNews, DeliveryResult, Message
from switchboard.providers.base import DeliveryState

QUEUED, SENT, DELIVERED, READ = (
    DeliveryState.QUEUED,
    DeliveryState.SENT,
    DeliveryState.DELIVERED,
    DeliveryState.READ,
)
FAILED, UNDELIVERED = DeliveryState.FAILED, DeliveryState.UNDELIVERED


async def test_parts_are_sent_in_order_each_under_an_attempt_of_its_own(world: World) -> None:
    name = await world.told()
    turn = await world.answered("part 1", "part 2", "part 3")
    assert [part.body for part in turn.outbound] == ["part 1", "part 2", "part 3"]
    attempts = []
    for number, part in enumerate(turn.outbound):
        attempt = await world.log.begin_attempt(turn, part, seconds=10)
        await world.log.confirm(turn, attempt, f"SM{number}", QUEUED)
        attempts.append(attempt.id)
    await world.log.release(turn)
    assert len(set(attempts)) == 3
    assert await world.states(name) == [
        ("hello", "Answered"),
        ("part 1", "Sent"),
        ("part 2", "Sent"),
        ("part 3", "Sent"),
    ]
    assert [one.provider_message_id for one in (await world.log.history(name))[1:]] == ["SM0", "SM1", "SM2"]
    assert await world.claim() is None


async def test_an_attempt_is_on_record_before_it_is_made(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    now = await world.now()
    other = await world.another()
    await world.seen()
    kept = await world.one(part.name, other)
    assert kept.attempt is not None
    assert (kept.attempt.id, kept.attempt.number, kept.attempt.fence) == (attempt.id, attempt.number, attempt.fence)
    assert abs(kept.attempt.deadline - attempt.deadline) < timedelta(seconds=1)
    assert (kept.state, kept.attempts, attempt.number, attempt.message) == ("Sending", 1, 1, part.name)
    assert abs(attempt.deadline - now - timedelta(seconds=10)) < timedelta(seconds=5)
    assert abs(attempt.unconfirmed_after - now - timedelta(seconds=120)) < timedelta(seconds=5)
    assert attempt.fence == turn.fence


async def test_of_two_attempts_for_one_part_one_is_made(world: World) -> None:
    await world.told()
    turn, part, _ = await world.begun()
    kept = await world.one(part.name)
    with pytest.raises(LeaseLost):
        await world.log.begin_attempt(turn, kept, seconds=10)


async def test_an_attempt_whose_recording_was_not_confirmed_to_us_can_be_begun_again_by_us_alone(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    assert (await world.log.begin_attempt(turn, part, seconds=10)).id == attempt.id


async def test_the_lease_outlasts_the_request(world: World) -> None:
    await world.told()
    turn = await world.answered("answer")
    await world.advance(LEASE - 1)
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.advance(10)
    other = await world.another()
    await world.seen()
    assert await world.claim(other, "pod-b") is None
    await world.log.confirm(turn, attempt, "SMa", QUEUED)


async def test_a_part_that_was_never_begun_is_sent_by_the_successor(world: World) -> None:
    await world.told()
    turn = await world.answered("part 1", "part 2")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, "SMa", QUEUED)
    other = await world.another()
    await world.advance(LEASE * 2)
    await world.seen()
    again = await world.claimed(other, "pod-b")
    assert not again.runs
    assert [(part.body, part.attempt) for part in again.outbound] == [("part 2", None)]
    assert [message.body for message in again.messages] == ["hello"]
    await other.begin_attempt(again, again.outbound[0], seconds=10)


async def test_an_attempt_of_the_dead_is_waited_out_then_told_and_not_made_again(world: World) -> None:
    name = await world.told()
    _, part, attempt = await world.begun()
    other = await world.another()
    await world.seen()
    await world.advance(119)
    assert await world.claim(other, "pod-b") is None
    await world.advance(2)
    again = await world.claimed(other, "pod-b")
    (doubtful,) = again.outbound
    assert doubtful.attempt is not None
    assert doubtful.attempt.id == attempt.id
    with pytest.raises(LeaseLost):
        await other.begin_attempt(again, doubtful, seconds=10)
    await other.unknown(again, attempt, error="Nobody confirmed it.")
    await other.release(again)
    kept = await world.one(part.name, other)
    assert (kept.state, kept.error) == ("DeliveryUnknown", "Nobody confirmed it.")
    assert await world.claim(other, "pod-b") is None
    await world.seen()
    assert await world.states(name) == [("hello", "Answered"), ("answer", "DeliveryUnknown")]


async def test_what_is_in_doubt_and_which_ids_are_recorded_is_known_of_all_conversations(world: World) -> None:
    await world.told()
    _, part, attempt = await world.begun()
    await world.told(contact="+14155550199")
    second, rival, rivals = await world.begun()
    other = await world.another()
    await world.seen()
    since = await world.now() - timedelta(minutes=10)

    async def in_doubt(since: datetime = since) -> set[str]:
        return {message.name for message in await other.in_doubt(CONTACT, since=since)}

    assert await in_doubt() == {part.name, rival.name}
    assert not await other.in_doubt("+14155550199", since=since)
    await world.log.confirm(second, rivals, "SM9", DeliveryState.SENT)
    assert await other.sent(["SM9", "SM8"]) == {"SM9"}, "at once, whatever a watch has brought"
    await world.log.release(second)
    await world.seen()
    assert await in_doubt() == {part.name}
    await world.advance(121)
    await other.unknown(await world.claimed(other, "pod-b"), attempt, error="Nobody confirmed it.")
    assert await in_doubt() == {part.name}
    assert await in_doubt(await world.now() + timedelta(minutes=1)) == set()
    await other.deliver(DeliveryNews("SM8", DeliveryState.SENT, attempt.id))
    assert await in_doubt() == set()
    assert await other.sent(["SM9", "SM8"]) == {"SM8", "SM9"}


async def test_what_is_in_doubt_is_sent_again_where_that_is_asked_and_the_first_attempt_may_still_adopt(
    world: World,
) -> None:
    name = await world.told()
    turn, part, first = await world.begun()
    with pytest.raises(ValueError, match="may yet be confirmed"):
        await world.log.unknown(turn, first, error="Nobody confirmed it.", again=True)
    await world.advance(UNCONFIRMED_SECONDS + 1)
    turn = await world.claimed(holder="pod-b")
    assert [one.attempt and one.attempt.id for one in turn.outbound] == [first.id]
    await world.log.unknown(turn, first, error="Nobody confirmed it.", again=True)
    kept = await world.one(part.name)
    assert (kept.state, kept.attempt, kept.attempts, kept.error) == ("Sending", None, 1, "Nobody confirmed it.")
    second = await world.log.begin_attempt(turn, kept, seconds=10)
    assert (second.number, second.id) == (2, f"{part.name}.2")
    assert await world.log.deliver(DeliveryNews("SM1", DeliveryState.SENT, attempt=first.id)) == "Adopted"
    assert await world.log.deliver(DeliveryNews("SM2", DeliveryState.SENT, attempt=second.id)) == "Contradicted"
    await world.log.release(turn)
    assert await world.states(name) == [("hello", "Answered"), ("answer", "Sent")]
    assert await world.claim() is None


async def test_replies_whose_delivery_nobody_told_are_found_by_connector_and_time(world: World) -> None:
    made: dict[str, Message] = {}
    for index, (body, state) in enumerate(
        [("queued", DeliveryState.QUEUED), ("sent", DeliveryState.SENT), ("delivered", DeliveryState.DELIVERED)]
    ):
        await world.told(contact=f"+1500555020{index}")
        turn, part, attempt = await world.begun(body)
        await world.log.confirm(turn, attempt, f"SM{index}", DeliveryState.QUEUED)
        await world.log.deliver(DeliveryNews(f"SM{index}", state))
        await world.log.release(turn)
        made[body] = part
    await world.told(contact="+15005550203")
    turn, part, attempt = await world.begun("refused")
    await world.log.refuse(turn, attempt, code=21610, error="opted out")
    await world.log.release(turn)
    await world.told(contact="+15005550204")
    await world.begun("under way")
    await world.seen()
    begin, end = made["queued"].time, await world.now() + timedelta(seconds=1)

    async def found(connector: str = CONNECTOR, since: datetime = begin, until: datetime = end, limit: int = 9) -> Any:
        kept = await world.log.undelivered(connector, since=since, until=until, limit=limit)
        return [(message.body, message.provider_message_id) for message in kept]

    assert await found() == [("queued", "SM0"), ("sent", "SM1")]
    assert await found(limit=1) == [("queued", "SM0")]
    assert await found(since=made["sent"].time) == [("sent", "SM1")]
    assert await found(until=made["sent"].time) == [("queued", "SM0")]
    assert await found(connector="another") == []


async def test_nothing_is_given_up_before_its_time(world: World) -> None:
    await world.told()
    turn, _, attempt = await world.begun()
    with pytest.raises(ValueError, match="may yet be confirmed"):
        await world.log.unknown(turn, attempt, error="?")


async def test_a_callback_adopts_what_the_dead_had_sent(world: World) -> None:
    name = await world.told()
    _, part, attempt = await world.begun()
    other = await world.another()
    await world.seen()
    assert await other.deliver(DeliveryNews("SMa", SENT, attempt=attempt.id)) == "Adopted"
    kept = await world.one(part.name, other)
    assert (kept.state, kept.delivery, kept.provider_message_id, kept.attempt) == ("Sent", SENT, "SMa", None)
    await world.advance(LEASE * 2)
    assert await world.claim(other, "pod-b") is None
    await world.told("next")
    await world.seen()
    assert [message.body for message in (await world.claimed(other, "pod-b")).messages] == ["next"]
    assert (await world.states(name))[1] == ("answer", "Sent")


async def test_a_callback_that_overtakes_the_answer_to_the_request_is_kept(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    other = await world.another()
    await world.seen()
    assert await other.deliver(DeliveryNews("SMa", DELIVERED, attempt=attempt.id)) == "Adopted"
    await world.log.confirm(turn, attempt, "SMa", QUEUED)
    assert (await world.one(part.name)).delivery == DELIVERED


async def test_a_callback_for_what_was_given_up_still_adopts(world: World) -> None:
    await world.told()
    _, part, attempt = await world.begun()
    await world.advance(121)
    again = await world.claimed(holder="pod-b")
    await world.log.unknown(again, attempt, error="?")
    assert await world.log.deliver(DeliveryNews("SMa", DELIVERED, attempt=attempt.id)) == "Adopted"
    kept = await world.one(part.name)
    assert (kept.state, kept.delivery, kept.error) == ("Sent", DELIVERED, None)


async def test_what_a_stale_worker_sent_is_kept_and_it_is_told_to_stop(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    other = await world.another()
    await world.seen()
    await world.advance(121)
    await world.claimed(other, "pod-b")
    await world.seen()
    with pytest.raises(LeaseLost):
        await world.log.confirm(turn, attempt, "SMa", QUEUED)
    await world.seen()
    kept = await world.one(part.name, other)
    assert (kept.state, kept.provider_message_id) == ("Sent", "SMa")


async def test_what_was_put_off_is_tried_again_when_due_under_a_new_attempt(world: World) -> None:
    await world.told()
    turn, part, first = await world.begun()
    retry_at = await world.now() + timedelta(seconds=30)
    await world.log.refuse(turn, first, code=20429, error="Too many requests.", retry_at=retry_at)
    kept = await world.one(part.name)
    assert (kept.state, kept.error_code, kept.error, kept.attempt) == ("Sending", 20429, "Too many requests.", None)
    assert kept.not_before is not None
    await world.log.release(turn)
    assert await world.claim() is None
    await world.advance(31)
    again = await world.claimed(holder="pod-b")
    second = await world.log.begin_attempt(again, again.outbound[0], seconds=10)
    assert (second.number, second.id == first.id) == (2, False)
    await world.log.confirm(again, second, "SMb", QUEUED)
    kept = await world.one(part.name)
    assert (kept.state, kept.attempts, kept.error, kept.error_code) == ("Sent", 2, None, None)


async def test_a_part_that_is_left_to_others_comes_again_without_an_attempt(world: World) -> None:
    await world.told()
    turn = await world.answered("one", "two")
    first = turn.outbound[0]
    await world.log.postpone(turn, first, error="not known here", at=soon(turn))
    await world.log.release(turn)
    kept = await world.one(first.name)
    assert (kept.state, kept.attempts, kept.error) == ("Sending", 0, "not known here")
    assert await world.claim() is None
    await world.advance(6)
    again = await world.claimed(holder="pod-b")
    assert [part.body for part in again.outbound] == ["one", "two"]
    with pytest.raises(LeaseLost):
        await world.log.postpone(turn, first, error="late", at=soon(turn))
    attempt = await world.log.begin_attempt(again, again.outbound[0], seconds=10)
    assert attempt.number == 1
    await world.log.confirm(again, attempt, "SM1", DeliveryState.QUEUED)
    sent = await world.one(first.name)
    assert (sent.state, sent.error, sent.not_before) == ("Sent", None, None)


async def test_a_part_in_doubt_that_is_left_to_others_is_given_up_by_nobody_before(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    await world.log.release(turn)
    await world.advance(UNCONFIRMED_SECONDS + 1)
    turn = await world.claimed(holder="pod-b")
    (doubted,) = turn.outbound
    assert doubted.attempt is not None
    await world.log.postpone(turn, doubted, error="not known here", at=soon(turn))
    await world.log.release(turn)
    assert await world.claim() is None
    await world.advance(6)
    turn = await world.claimed(holder="pod-c")
    (doubted,) = turn.outbound
    assert doubted.attempt is not None
    assert (doubted.attempt.id, doubted.attempts) == (attempt.id, 1)
    await world.log.postpone(turn, part, error="of a part as it was before its attempt", at=soon(turn))
    await world.log.unknown(turn, doubted.attempt, error="nobody knows")
    assert (await world.one(part.name)).state == "DeliveryUnknown"


async def test_what_was_refused_ends_with_its_meaning_and_the_next_part_goes_on(world: World) -> None:
    name = await world.told()
    turn = await world.answered("part 1", "part 2")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.refuse(turn, attempt, code=21614, error="The number is no mobile.")
    following = await world.log.begin_attempt(turn, turn.outbound[1], seconds=10)
    await world.log.confirm(turn, following, "SMb", QUEUED)
    await world.log.release(turn)
    kept = (await world.log.history(name))[1]
    assert (kept.state, kept.error_code, kept.error) == ("Failed", 21614, "The number is no mobile.")
    assert await world.claim() is None


async def test_nothing_is_sent_to_who_sent_stop(world: World) -> None:
    await world.told()
    turn = await world.answered("part 1", "part 2")
    other = await world.another()
    await world.seen()
    await other.record(world.inbound("STOP", keyword="Stop", state="Ignored"))
    await world.seen()
    with pytest.raises(OptedOut):
        await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    assert {state for _, state in await world.states(turn.conversation.name)} == {"Answered", "Cancelled", "Ignored"}
    await world.log.release(turn)
    assert await world.claim() is None


async def test_a_part_can_be_cancelled_with_its_reason(world: World) -> None:
    await world.told()
    turn = await world.answered("too late for whatsapp")
    await world.log.cancel(turn, turn.outbound[0], error="WindowClosed")
    await world.log.release(turn)
    kept = await world.one(turn.outbound[0].name)
    assert (kept.state, kept.error) == ("Cancelled", "WindowClosed")
    assert await world.claim() is None


@pytest.mark.parametrize(
    ("known", "news", "result", "delivery"),
    [
        (QUEUED, SENT, "Applied", SENT),
        (SENT, QUEUED, "Stale", SENT),
        (SENT, SENT, "Stale", SENT),
        (DELIVERED, SENT, "Stale", DELIVERED),
        (DELIVERED, FAILED, "Stale", DELIVERED),
        (DELIVERED, READ, "Applied", READ),
        (READ, DELIVERED, "Stale", READ),
        (UNDELIVERED, DELIVERED, "Stale", UNDELIVERED),
    ],
)
async def test_news_is_applied_by_rank_and_never_backwards(
    world: World, known: DeliveryState, news: DeliveryState, result: DeliveryResult, delivery: DeliveryState
) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    await world.log.confirm(turn, attempt, "SMa", known)
    assert await world.log.deliver(DeliveryNews("SMa", news, attempt=attempt.id)) == result
    assert (await world.one(part.name)).delivery == delivery


async def test_news_of_a_failure_says_why(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    await world.log.confirm(turn, attempt, "SMa", QUEUED)
    news = DeliveryNews("SMa", UNDELIVERED, error_code=30006, error="A landline.")
    assert await world.log.deliver(news) == "Applied"
    kept = await world.one(part.name)
    assert (kept.state, kept.delivery, kept.error_code, kept.error) == ("Failed", UNDELIVERED, 30006, "A landline.")


async def test_the_same_news_at_once_from_many_pods_is_applied_once(world: World) -> None:
    await world.told()
    turn, _, attempt = await world.begun()
    await world.log.confirm(turn, attempt, "SMa", QUEUED)
    others = [await world.another() for _ in range(3)]
    await world.seen()
    news = DeliveryNews("SMa", DELIVERED, attempt=attempt.id)
    results = await asyncio.gather(*(log.deliver(news) for log in others))
    assert sorted(results) == ["Applied", "Stale", "Stale"]


async def test_news_that_fits_nothing_changes_nothing(world: World) -> None:
    await world.told()
    turn, part, attempt = await world.begun()
    assert await world.log.deliver(DeliveryNews("SMx", SENT)) == "Unknown"
    assert await world.log.deliver(DeliveryNews("SMx", SENT, attempt="nonsense")) == "Unknown"
    assert await world.log.deliver(DeliveryNews("SMx", SENT, attempt=f"{part.name}.2")) == "Unknown"
    assert await world.log.deliver(DeliveryNews("SMx", SENT, attempt=f"{part.name[:-1]}7.1")) == "Unknown"
    await world.log.confirm(turn, attempt, "SMa", QUEUED)
    assert await world.log.deliver(DeliveryNews("SMother", SENT, attempt=attempt.id)) == "Contradicted"
    kept = await world.one(part.name)
    assert (kept.provider_message_id, kept.delivery) == ("SMa", QUEUED)


async def test_news_signed_with_one_connectors_token_changes_nothing_of_anothers(world: World) -> None:
    await world.told()
    _, part, attempt = await world.begun()
    forged = DeliveryNews("SMx", SENT, attempt=attempt.id, connector="somebody-elses")
    assert await world.log.deliver(forged) == "Unknown"
    assert (await world.one(part.name)).provider_message_id is None
    assert await world.log.deliver(replace(forged, connector=CONNECTOR)) == "Adopted"


async def test_an_answer_without_parts_ends_the_turn(world: World) -> None:
    await world.told()
    turn = await world.log.finish(await world.claimed(), world.outcome(), replies())
    assert turn.outbound == []
    await world.log.release(turn)
    await world.told("more")
    assert [message.body for message in (await world.claimed()).messages] == ["more"]
