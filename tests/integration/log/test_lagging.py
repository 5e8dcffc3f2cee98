"""A pod whose watches lag behind what others wrote asks the API server before it says that there is nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from unittest import mock

import pytest
from tests.integration.log import on_cluster
from tests.integration.log.harness import CONTACT, World, conversation, open_log

from switchboard.log.protocol import ConversationLog
from switchboard.log.records import DeliveryNews, Reply
from switchboard.log.resources.log import WATCHED
from switchboard.providers.base import DeliveryState


@pytest.fixture
async def resources(cluster: Any) -> AsyncIterator[World]:
    """A log as custom resources."""
    async with AsyncExitStack() as exits:
        store = await on_cluster.backend(cluster.kubeconfig, f"log-{secrets.token_hex(6)}", exits)
        yield World(store, await open_log(store, exits, "support"), exits)


@contextmanager
def deaf(log: ConversationLog) -> Iterator[None]:
    """What its watches bring comes later; what it asks for itself it knows at once."""
    index, late = log._index, list[Any]()  # type: ignore[attr-defined]
    put, watching = index.put, log._tasks[: len(WATCHED)]  # type: ignore[attr-defined]

    def put_or_keep(*arguments: Any) -> None:
        if asyncio.current_task() in watching:
            late.append(arguments)
        else:
            put(*arguments)

    with mock.patch.object(index, "put", put_or_keep), mock.patch.object(index, "hear"):
        yield
    for arguments in late:
        put(*arguments)


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
