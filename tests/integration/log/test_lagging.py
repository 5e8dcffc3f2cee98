"""A pod whose watches lag behind what others wrote asks the API server before it says that there is nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from tests.integration.log import on_cluster
from tests.integration.log.harness import CONTACT, World, conversation, open_log

from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, ResourceType
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import DeliveryNews, Query, Reply
from switchboard.log.resources.log import WATCHED
from switchboard.providers.base import DeliveryState


@pytest.fixture
async def resources(cluster: Any) -> AsyncIterator[World]:
    """A log as custom resources."""
    async with AsyncExitStack() as exits:
        store = await on_cluster.backend(cluster.kubeconfig, f"log-{secrets.token_hex(6)}", exits)
        yield World(store, await open_log(store, exits, "support"), exits)


@contextmanager
def deaf(log: ConversationLog, *kinds: ResourceType) -> Iterator[None]:
    """What its watches bring (of these kinds) comes later; what it asks for itself it knows at once."""
    index, late = log._index, list[Any]()  # type: ignore[attr-defined]
    watching = log._tasks[: len(WATCHED)]  # type: ignore[attr-defined]

    def later(call: Any) -> Any:
        def now_or_later(*arguments: Any) -> None:
            if asyncio.current_task() in watching and arguments[0] in (kinds or WATCHED):
                late.append((call, arguments))
            else:
                call(*arguments)

        return now_or_later

    news = ("put", "gone", "sync")
    with mock.patch.multiple(index, **{name: later(getattr(index, name)) for name in news}, hear=mock.DEFAULT):
        yield
    for call, arguments in late:
        call(*arguments)


async def knows(world: World, log: ConversationLog, resource: ResourceType) -> None:
    """Returns when the log knows all objects of one kind."""
    store = world.backend
    assert isinstance(store, on_cluster.OnCluster)
    listing = await store.api.list(resource, store.namespace)
    wanted = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in listing.items}
    await on_cluster._knows(log, {resource: wanted})  # type: ignore[arg-type]


async def test_news_of_a_reply_that_a_pod_has_not_heard_of_is_applied(resources: World) -> None:
    other = await resources.another()
    await resources.told()
    await resources.seen()
    with deaf(other):
        _, part, attempt = await resources.begun()
        news = DeliveryNews("SM1", DeliveryState.SENT, attempt=attempt.id)
        assert await other.deliver(news) == "Adopted"
        assert await other.deliver(DeliveryNews("SM1", DeliveryState.SENT, attempt=attempt.id)) == "Stale"
    await resources.seen()
    kept = await resources.one(part.name)
    assert (kept.state, kept.provider_message_id, kept.delivery) == ("Sent", "SM1", DeliveryState.SENT)


async def test_news_of_an_attempt_that_a_pod_has_not_heard_of_is_applied(resources: World) -> None:
    other = await resources.another()
    await resources.told()
    turn = await resources.answered("answer")
    await resources.seen()
    with deaf(other):
        attempt = await resources.log.begin_attempt(turn, turn.outbound[0], seconds=10)
        assert await other.deliver(DeliveryNews("SM1", DeliveryState.SENT, attempt=attempt.id)) == "Adopted"
    await resources.seen()


async def test_news_that_fits_no_message_stays_unknown(resources: World) -> None:
    attempt = f"{conversation()}-1-1.1"
    assert await resources.log.deliver(DeliveryNews("SM1", DeliveryState.SENT, attempt=attempt)) == "Unknown"


async def test_a_message_that_another_pod_recorded_is_a_duplicate_before_it_was_heard_of(resources: World) -> None:
    other = await resources.another()
    await resources.seen()
    message = resources.inbound("hi")
    with deaf(other):
        first = await resources.log.record(message)
        again = await other.record(message)
    assert (again.message, again.duplicate, first.duplicate) == (first.message, True, False)
    await resources.seen()
    assert await resources.states(first.conversation) == [("hi", "Waiting")]


async def test_a_pod_that_has_not_heard_of_an_earlier_message_answers_it_first_all_the_same(resources: World) -> None:
    other = await resources.another()
    await resources.told("ignore me", state="Ignored")
    await resources.seen()
    with deaf(other):
        name = await resources.told("one")
        await other.record(resources.inbound("two"))
        turn = await resources.claimed(other, "pod-b")
    assert [message.body for message in turn.messages] == ["one", "two"]
    await resources.seen()
    assert await resources.claim() is None
    assert await resources.states(name) == [("ignore me", "Ignored"), ("one", "Working"), ("two", "Working")]


async def test_a_stranger_is_told_though_the_pod_has_not_heard_of_the_conversation(resources: World) -> None:
    other = await resources.another()
    await resources.seen()
    with deaf(other):
        name = await resources.told(state="Held")
        assert await other.announce(name, "onboarding", Reply("+15005550006", CONTACT, "wait"), revision="support-v1")
    await resources.seen()
    assert not await resources.log.announce(
        name, "onboarding", Reply("+15005550006", CONTACT, "wait"), revision="support-v1"
    )


async def test_a_pod_that_has_not_heard_of_a_turn_does_not_call_its_messages_answered(resources: World) -> None:
    other = await resources.another()
    name = await resources.told("question")
    await resources.seen()
    with deaf(other, EXECUTIONS):
        await resources.claimed()  # and dies
        await knows(resources, other, MESSAGES)
        assert await other.history(name) == await resources.log.history(name)
        other._projection.soon(name)  # type: ignore[attr-defined]
        await other.settled()  # type: ignore[attr-defined]
    await resources.seen()
    await resources.advance(200)
    turn = await resources.claimed(other, "pod-b")
    assert [message.body for message in turn.messages] == ["question"]
    assert (turn.fence, turn.execution.attempts) == (2, 2)


async def test_a_pod_that_has_not_heard_of_a_part_begins_no_turn_before_it_is_sent(resources: World) -> None:
    other = await resources.another()
    name = await resources.told("one")
    await resources.seen()
    with deaf(other, MESSAGES):
        turn = await resources.answered("first")
        await resources.log.release(turn)
        await resources.log.settled()  # type: ignore[attr-defined]
        await knows(resources, other, EXECUTIONS)
        await other.record(resources.inbound("two"))
        turn = await resources.claimed(other, "pod-b")
        assert [part.body for part in turn.outbound] == ["first"]
    await resources.seen()
    assert turn.conversation.name == name


async def test_a_pod_that_hears_of_a_turn_while_it_begins_the_next_lets_it_be(resources: World) -> None:
    other = await resources.another()
    await resources.told("one")
    await resources.seen()
    store = other._store  # type: ignore[attr-defined]
    ask = store.read_untaken

    async def ask_and_hear(conversation: str) -> None:
        await resources.claimed()
        await knows(resources, other, EXECUTIONS)
        await ask(conversation)

    with deaf(other, MESSAGES), mock.patch.object(store, "read_untaken", ask_and_hear):
        await other.record(resources.inbound("two"))
        assert await resources.claim(other, "pod-b") is None
    await resources.seen()
    assert await resources.claim() is None
    assert len((await other.executions(Query())).items) == 1


async def test_a_message_whose_turn_was_deleted_is_told_as_answered(resources: World) -> None:
    name = await resources.told("question")
    turn = await resources.claimed()
    await resources.log.settled()  # type: ignore[attr-defined]
    store = resources.backend
    assert isinstance(store, on_cluster.OnCluster)
    await store.api.delete(EXECUTIONS, turn.execution.name, store.namespace)
    await resources.seen()
    await resources.log.settled()  # type: ignore[attr-defined]
    assert await resources.states(name) == [("question", "Answered")]


async def test_a_status_that_somebody_else_wrote_first_is_written_all_the_same(resources: World) -> None:
    name = await resources.told("question")
    log: Any = resources.log
    turn = await resources.claimed()
    await log.settled()
    patch, crossed = log._store.patch, list[str]()

    async def cross(resource: ResourceType, record: str, version: int, change: Any, **options: Any) -> Any:
        if resource is MESSAGES and not crossed:
            crossed.append(record)
            await patch(resource, record, version, {"status": {"error": "mine"}})
        return await patch(resource, record, version, change, **options)

    await log.finish(turn, resources.outcome(), [])
    with mock.patch.object(log._store, "patch", cross):
        log._projection.soon(name, seconds=0)
        await log.settled()
    assert crossed
    assert [kept.shown for kept in log._index.messages.values()] == ["Answered"]


async def test_a_claim_that_a_status_crossed_is_made_again_at_once(resources: World) -> None:
    await resources.told("question")
    turn = await resources.claimed()  # and dies
    await resources.seen()
    await resources.advance(200)
    store, log = resources.backend, resources.log
    assert isinstance(store, on_cluster.OnCluster)
    api: Any = log._api  # type: ignore[attr-defined]
    patch, crossed = api.merge_patch, list[str]()

    async def cross(resource: ResourceType, name: str, namespace: str, body: Any, **options: Any) -> Any:
        if resource is EXECUTIONS and not crossed:
            crossed.append(name)
            shown = {"status": {"state": "Running"}}
            await store.api.merge_patch(resource, name, namespace, shown, subresource="status")
        return await patch(resource, name, namespace, body, **options)

    with mock.patch.object(api, "merge_patch", cross):
        taken = await resources.claimed(holder="pod-b")
    assert crossed == [turn.execution.name]
    assert [message.body for message in taken.messages] == ["question"]


async def finished(world: World, text: str, contact: str) -> None:
    """A message and its answer, seen through."""
    await world.told(text, contact=contact)
    turn = await world.answered(f"answer to {text}")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, f"SM-{text}", DeliveryState.QUEUED)
    await world.log.release(turn)
    await world.log.settled()  # type: ignore[attr-defined]


async def objects(world: World, resource: ResourceType) -> set[str]:
    """What the API server has."""
    store = world.backend
    assert isinstance(store, on_cluster.OnCluster)
    return {item["metadata"]["name"] for item in (await store.api.list(resource, store.namespace)).items}


async def test_late_news_of_what_a_pod_deleted_itself_does_not_bring_it_back(resources: World) -> None:
    small = resources.log = await resources.another(max_messages=10)
    with deaf(small):
        for index in range(12):
            await finished(resources, f"m{index}", f"+15005550{index:03}")
    index: Any = small._index  # type: ignore[attr-defined]
    for resource in (MESSAGES, EXECUTIONS):
        assert set(index._kept(resource)) == await objects(resources, resource)
    assert len(index.messages) <= 10


async def test_of_two_pods_that_make_room_one_behind_the_other_neither_drops_more_than_is_needed(
    resources: World,
) -> None:
    first, second = await resources.another(max_messages=20), await resources.another(max_messages=20)
    resources.log = first
    for index in range(10):
        await finished(resources, f"m{index}", f"+15005550{index:03}")
    await resources.seen()
    with deaf(second):
        await finished(resources, "one more", "+15005550111")
        there = await objects(resources, MESSAGES)
        await second.record(resources.inbound("at the other pod", contact="+15005550112"))
        assert there <= await objects(resources, MESSAGES)
    await resources.seen()
    await second.record(resources.inbound("and again", contact="+15005550113"))
    assert len(await objects(resources, MESSAGES)) == 20


async def test_who_was_let_in_while_another_pod_made_room_is_answered(resources: World) -> None:
    other = await resources.another(max_messages=10)
    held = await resources.log.record(resources.inbound("let me in", state="Held"))
    for index in range(9):
        await resources.told(f"m{index}", contact=f"+15005550{index:03}", state="Ignored")
        await resources.advance(1)
    await resources.seen()
    with deaf(other, MESSAGES), mock.patch("switchboard.log.resources.room._held", return_value=False):
        await resources.log.release_held("production-sms", CONTACT)
        assert (await other.record(resources.inbound("new", contact="+15005550199"))).stored
    await resources.seen()
    assert held.message in await objects(resources, MESSAGES)
    assert "let me in" in [message.body for message in (await resources.claimed()).messages]


async def test_a_conversation_that_went_after_its_messages_is_not_made_again_by_who_hears_of_them_later(
    resources: World,
) -> None:
    other = await resources.another()
    name = await resources.told("old", state="Ignored")
    await resources.log.settled()  # type: ignore[attr-defined]
    await resources.seen()
    await resources.advance(3600)
    with deaf(other, MESSAGES):
        assert await resources.log.expire(await resources.now()) == 2
        await knows(resources, other, CONVERSATIONS)
        other._projection.soon(name)  # type: ignore[attr-defined]
        await other.settled()  # type: ignore[attr-defined]
    assert await objects(resources, CONVERSATIONS) == set()
    await resources.seen()
    assert other._index.threads == {}  # type: ignore[attr-defined]


async def test_a_conversation_that_alone_was_deleted_is_made_again(resources: World) -> None:
    name = await resources.told("here", state="Ignored")
    await resources.log.settled()  # type: ignore[attr-defined]
    store = resources.backend
    assert isinstance(store, on_cluster.OnCluster)
    await store.api.delete(CONVERSATIONS, name, store.namespace)
    await resources.seen()
    resources.log._projection.soon(name)  # type: ignore[attr-defined]
    await resources.log.settled()  # type: ignore[attr-defined]
    assert await objects(resources, CONVERSATIONS) == {name}


async def test_who_was_let_in_while_another_pod_held_what_came_next_is_answered(resources: World) -> None:
    other = await resources.another()
    name = await resources.told("let me in", state="Held")
    await resources.seen()
    with deaf(other, MESSAGES):
        await resources.log.release_held("production-sms", CONTACT)
        for index in range(5):
            await other.record(resources.inbound(f"m{index}", state="Held"))
    await resources.seen()
    assert ("let me in", "Waiting") in await resources.states(name)


async def test_what_two_pods_expire_at_once_is_counted_once_and_all_goes(resources: World) -> None:
    other = await resources.another()
    for index in range(6):
        await finished(resources, f"m{index}", f"+15005550{index:03}")
    await resources.advance(3600)
    await resources.seen()
    kinds = (MESSAGES, EXECUTIONS, CONVERSATIONS)
    there = sum([len(await objects(resources, resource)) for resource in kinds])
    before, gone = await resources.now(), 0
    with deaf(other):
        while count := await resources.log.expire(before, limit=4):
            gone += count
        assert gone == there
        assert await other.expire(before, limit=4) == 0
    assert [await objects(resources, resource) for resource in kinds] == [set(), set(), set()]
    assert not other._index.messages  # type: ignore[attr-defined]


async def test_an_execution_that_changed_when_it_was_to_go_goes_the_next_time_with_its_messages(
    resources: World,
) -> None:
    store, log = resources.backend, resources.log
    assert isinstance(store, on_cluster.OnCluster)
    await finished(resources, "question", CONTACT)
    await resources.advance(3600)
    await resources.seen()
    kinds = (MESSAGES, EXECUTIONS, CONVERSATIONS)
    there = [await objects(resources, resource) for resource in kinds]
    (execution,) = there[1]
    with deaf(log, EXECUTIONS):
        await store.api.merge_patch(EXECUTIONS, execution, store.namespace, {"metadata": {"annotations": {"a": "b"}}})
        assert await log.expire(await resources.now()) == 0
    assert [await objects(resources, resource) for resource in kinds] == there
    assert await resources.expired(await resources.now()) == [4]
    assert [await objects(resources, resource) for resource in kinds] == [set(), set(), set()]


async def test_an_execution_that_is_all_that_is_left_goes_when_its_time_is_over(resources: World) -> None:
    store = resources.backend
    assert isinstance(store, on_cluster.OnCluster)
    await finished(resources, "question", CONTACT)
    for resource in (MESSAGES, CONVERSATIONS):
        for name in await objects(resources, resource):
            await store.api.delete(resource, name, store.namespace)
    await resources.seen()
    before = await resources.now()
    assert await resources.expired(before - timedelta(hours=1)) == []
    assert await resources.expired(before) == [1]
    assert await objects(resources, EXECUTIONS) == set()
