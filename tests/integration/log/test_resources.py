"""What only custom resources do: bounds, statuses for people, watches that lag, objects that people delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from tests.integration.log import on_cluster
from tests.integration.log.harness import CONNECTOR, CONTACT, World, conversation, open_log, replies, soon

from switchboard.kube.errors import Forbidden, TooManyRequests, Unavailable
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, ResourceType
from switchboard.log.errors import LogFull, LogUnavailable
from switchboard.log.records import Query
from switchboard.providers.base import DeliveryState


@pytest.fixture
async def resources(cluster: Any) -> AsyncIterator[World]:
    """A log as custom resources."""
    import secrets

    async with AsyncExitStack() as exits:
        store = await on_cluster.backend(cluster.kubeconfig, f"log-{secrets.token_hex(6)}", exits)
        yield World(store, await open_log(store, exits, "support"), exits)


def store(world: World) -> on_cluster.OnCluster:
    assert isinstance(world.backend, on_cluster.OnCluster)
    return world.backend


async def status(world: World, resource: ResourceType, name: str) -> dict[str, Any]:
    found = await store(world).api.get(resource, name, store(world).namespace)
    return dict(found.get("status") or {})


async def exchange(world: World, text: str, contact: str = CONTACT) -> None:
    await world.told(text, contact=contact)
    turn = await world.answered(f"answer to {text}")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, f"SM-{text}", DeliveryState.QUEUED)
    await world.log.release(turn)


async def test_people_see_what_became_of_everything(resources: World) -> None:
    name = await resources.told("what are your hours?", contact_name="Ola")
    turn = await resources.claimed()
    inbound = turn.messages[0].name
    shown = await status(resources, MESSAGES, inbound)
    assert (shown["state"], shown["execution"]) == ("Working", turn.execution.name)
    turn = await resources.log.finish(turn, resources.outcome(), replies("nine to five"))
    attempt = await resources.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await resources.log.confirm(turn, attempt, "SMa", DeliveryState.QUEUED)
    await resources.log.release(turn)
    await resources.log.settled()  # type: ignore[attr-defined]
    assert (await status(resources, MESSAGES, inbound))["state"] == "Answered"
    sent = await status(resources, MESSAGES, turn.outbound[0].name)
    assert (sent["state"], sent["providerMessageId"], sent["delivery"], sent["attempts"]) == (
        "Sent",
        "SMa",
        "Queued",
        1,
    )
    assert "attempt" not in sent
    ended = await status(resources, EXECUTIONS, turn.execution.name)
    assert (ended["state"], ended["engine"], ended["parts"], ended["attempts"]) == ("Succeeded", "script", 1, 1)
    assert ended["duration"].endswith("s")
    kept = await status(resources, CONVERSATIONS, name)
    assert (kept["messages"], kept["lastMessage"], kept["revision"], kept["contactName"]) == (
        2,
        "nine to five",
        "support-v1",
        "Ola",
    )


async def test_what_waits_or_is_not_answered_is_shown_too(resources: World) -> None:
    shown = {}
    for state in ("Waiting", "Held", "Ignored", "Missed"):
        recorded = await resources.log.record(
            resources.inbound(
                state, state=state, contact=f"+1500555{len(shown):04d}", error="why" if state == "Ignored" else None
            )
        )
        shown[state] = recorded.message
    await resources.log.settled()  # type: ignore[attr-defined]
    for state, name in shown.items():
        assert (await status(resources, MESSAGES, name))["state"] == state
    assert (await status(resources, MESSAGES, shown["Ignored"]))["error"] == "why"


async def test_a_turn_costs_one_status_write_of_its_conversation(resources: World) -> None:
    written: list[str] = []
    api = resources.log._api  # type: ignore[attr-defined]

    async def observe(verb: str, resource: ResourceType, subresource: str | None) -> None:
        if verb in {"create", "patch", "update", "delete"}:
            written.append(f"{verb} {resource.plural}{'/' + subresource if subresource else ''}")

    await exchange(resources, "opens the conversation")
    await resources.log.settled()  # type: ignore[attr-defined]
    api.observer = observe
    await exchange(resources, "another")
    await resources.log.settled()  # type: ignore[attr-defined]
    assert written.count("patch conversations/status") == 1
    assert written.count("create messages") == 2
    assert written.count("create executions") == 1
    assert len(written) <= 10, written


async def test_no_number_stands_in_a_name_or_label(resources: World) -> None:
    await exchange(resources, "hello")
    await resources.log.settled()  # type: ignore[attr-defined]
    for resource in (CONVERSATIONS, MESSAGES, EXECUTIONS):
        for item in (await store(resources).api.list(resource, store(resources).namespace)).items:
            metadata = item["metadata"]
            seen = [metadata["name"], *metadata["labels"].values(), *metadata.get("annotations", {}).values()]
            assert not [text for text in seen if CONTACT.lstrip("+") in text]


async def test_a_full_log_drops_the_oldest_that_are_finished(resources: World) -> None:
    small = await resources.another(max_messages=20)
    resources.log = small
    for index in range(9):
        await exchange(resources, f"m{index}")
        await resources.advance(1)
    await resources.told("waits", contact="+15005550111")
    for index in range(9, 14):
        await exchange(resources, f"m{index}", contact="+15005550122")
    await resources.seen()
    bodies = [message.body for message in (await small.messages(Query(), limit=100)).items]
    assert len(bodies) <= 20
    assert {"waits", "m13", "answer to m13"} <= set(bodies)
    assert "m0" not in bodies


async def test_a_full_log_says_until_when_it_has_forgotten_what_came_and_a_new_pod_knows_it(resources: World) -> None:
    small = resources.log = await resources.another(max_messages=10)
    begun = await resources.now()
    lease = await small.backfill(CONNECTOR, "pod-a", seconds=60)
    assert lease is not None
    assert lease.forgotten is None
    said = [resources.inbound(f"m{index}") for index in range(8)]
    for inbound in said:
        await small.record(inbound)
        await exchange_rest(resources)
        await resources.advance(60)
    await small.backfilled(lease, begun)
    await resources.seen()
    kept = [one for one in await small.history(conversation()) if one.direction == "Inbound"]
    assert 0 < len(kept) < len(said)
    for log in (small, await resources.another()):
        lease = await log.backfill(CONNECTOR, "pod-a", seconds=60)
        assert lease is not None
        assert lease.cursor == begun
        assert lease.forgotten is not None
        assert kept[0].time - timedelta(seconds=61) <= lease.forgotten < kept[0].time
        elsewhere = await log.backfill("another-connector", "pod-a", seconds=60)
        assert elsewhere is not None
        assert elsewhere.forgotten is None


async def test_what_a_full_log_dropped_is_a_duplicate_to_pods_that_saw_it_go(resources: World) -> None:
    other = await resources.another()
    small = resources.log = await resources.another(max_messages=10)
    said = [resources.inbound(f"m{index}") for index in range(8)]
    for inbound in said:
        await small.record(inbound)
        await exchange_rest(resources)
    await resources.seen()
    ids = [inbound.message_id for inbound in said]
    for log in (small, other):
        assert await log.known("twilio", said[0].account, ids) == set(ids)
        again = await log.record(said[0])
        assert (again.duplicate, again.stored) == (True, False)
    await resources.seen()
    assert "m0" not in [body for body, _ in await resources.states(conversation())]
    assert await resources.claim() is None


async def test_what_was_recorded_by_a_clock_that_is_ahead_is_answered_at_once_and_in_order(
    resources: World,
) -> None:
    """As before a node's time was set back, or at a pod of another node."""
    await resources.backend.creep(600)
    await resources.told("by the clock that was ahead")
    await resources.backend.creep(-600)
    await resources.told("after it was set back")
    turn = await resources.claimed()
    assert [message.body for message in turn.messages] == ["by the clock that was ahead", "after it was set back"]
    assert await resources.claim(holder="pod-b") is None
    await resources.log.retry(turn, resources.outcome("Failed"), at=soon(turn))
    assert await resources.claim() is None


async def test_a_log_that_is_full_of_work_takes_no_more_and_loses_none(resources: World) -> None:
    small = await resources.another(max_messages=10)
    for index in range(10):
        await small.record(resources.inbound(f"m{index}", contact=f"+1500555020{index}"))
    with pytest.raises(LogFull):
        await small.record(resources.inbound("one too many"))
    assert len((await small.messages(Query(), limit=100)).items) == 10
    resources.log = small
    turn = await resources.claimed()
    await small.finish(turn, resources.outcome(), [])
    assert (await small.record(resources.inbound("now there is room"))).state == "Waiting"
    assert len((await small.messages(Query(), limit=100)).items) == 10


async def test_strangers_who_wait_to_be_let_in_leave_room_for_who_was(resources: World) -> None:
    small = await resources.another(max_messages=10)
    for index in range(10):
        held = resources.inbound(f"held {index}", contact=f"+1500555020{index}", state="Held")
        await small.record(held)
        await resources.advance(1)
    assert (await small.record(resources.inbound("a customer's"))).state == "Waiting"
    bodies = [message.body for message in (await small.messages(Query(), limit=100)).items]
    assert bodies[0] == "a customer's"
    assert "held 0" not in bodies
    assert "held 9" in bodies


async def test_an_answer_that_somebody_deleted_is_not_sent_again(resources: World) -> None:
    await exchange(resources, "hello")
    await resources.log.settled()  # type: ignore[attr-defined]
    (sent,) = [one for one in await resources.log.history(conversation()) if one.direction == "Outbound"]
    await store(resources).api.delete(MESSAGES, sent.name, store(resources).namespace)
    await resources.seen()
    await resources.advance(3600)
    assert await resources.claim() is None
    fresh = await resources.another()
    assert await resources.claim(fresh, "pod-b") is None


async def test_a_conversation_that_somebody_deleted_comes_back_with_its_messages(resources: World) -> None:
    name = await resources.told("hello")
    await store(resources).api.delete(CONVERSATIONS, name, store(resources).namespace)
    await resources.seen()
    turn = await resources.claimed()
    assert (turn.conversation.name, turn.conversation.contact, turn.conversation.channel) == (name, CONTACT, "SMS")
    assert [message.body for message in turn.messages] == ["hello"]


async def test_a_pod_whose_watches_lag_takes_nothing_twice(resources: World) -> None:
    blind = await resources.another()
    await resources.told("one")
    await resources.seen()
    index = blind._index  # type: ignore[attr-defined]
    late: list[tuple[ResourceType, dict[str, Any]]] = []
    with mock.patch.object(index, "put", lambda *arguments: late.append(arguments)):
        await exchange_rest(resources)
        assert await blind.claim("pod-b", "support-v1", seconds=30, live=True) is None
    assert late
    for arguments in late:
        index.put(*arguments)
    await resources.seen()
    assert await resources.states(conversation()) == [("one", "Answered"), ("answer", "Sent")]
    assert len((await resources.log.executions(Query())).items) == 1


async def exchange_rest(world: World) -> None:
    turn = await world.answered("answer")
    attempt = await world.log.begin_attempt(turn, turn.outbound[0], seconds=10)
    await world.log.confirm(turn, attempt, "SMa", DeliveryState.QUEUED)
    await world.log.release(turn)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("no answer in time"),
        Unavailable("etcdserver: request timed out", status=500),
        TooManyRequests("slow down", status=429, retry_after=1),
        Forbidden("no such rule", status=403),
    ],
)
async def test_an_api_server_that_fails_is_told_as_unavailable(resources: World, error: Exception) -> None:
    api = resources.log._api  # type: ignore[attr-defined]
    with mock.patch.object(api, "create", side_effect=error), pytest.raises(LogUnavailable):
        await resources.told("lost?")
    assert (await resources.log.record(resources.inbound("again"))).state == "Waiting"
    assert resources.log.ready


async def test_a_log_that_nobody_uses_is_ready_as_soon_as_the_api_server_answers_again(resources: World) -> None:
    api, asked = resources.log._api, asyncio.Event()  # type: ignore[attr-defined]
    away = Unavailable("etcdserver: leader changed", status=500)

    async def get(*_: Any) -> Any:
        asked.set()
        raise away

    async with asyncio.timeout(30):
        with mock.patch.object(api, "create", side_effect=away), mock.patch.object(api, "get", get):
            with pytest.raises(LogUnavailable):
                await resources.told("lost?")
            for _ in range(2):
                await asked.wait()
                assert not resources.log.ready
                asked.clear()
        while not resources.log.ready:
            await asyncio.sleep(0.01)


async def test_what_was_made_although_nobody_was_told_is_not_made_twice(resources: World) -> None:
    api = resources.log._api  # type: ignore[attr-defined]
    create = api.create

    async def makes_and_is_silent(*arguments: Any, **options: Any) -> Any:
        await create(*arguments, **options)
        raise Unavailable("no answer in time")

    message = resources.inbound("once")
    with mock.patch.object(api, "create", makes_and_is_silent), pytest.raises(LogUnavailable):
        await resources.log.record(message)  # its conversation was made
    with mock.patch.object(api, "create", makes_and_is_silent), suppress(LogUnavailable):
        await resources.log.record(message)
    await resources.log.record(message)
    assert (await resources.log.record(message)).duplicate
    await resources.seen()
    assert [body for body, _ in await resources.states(conversation())] == ["once"]


async def test_objects_that_nobody_can_read_are_left_alone(resources: World) -> None:
    await resources.told("fine")
    index = resources.log._index  # type: ignore[attr-defined]
    index.put(MESSAGES, {"metadata": {"name": "broken", "resourceVersion": "99999999"}, "spec": {"direction": "Up"}})
    assert "broken" not in index.messages
    assert len((await resources.log.messages(Query())).items) == 1


async def test_two_pods_answer_a_lively_conversation_without_losing_or_repeating(resources: World) -> None:
    logs = [resources.log, await resources.another()]
    said = 30

    async def talk() -> None:
        for index in range(said):
            await logs[index % 2].record(resources.inbound(f"m{index}"))

    taken: list[str] = []
    talking = asyncio.create_task(talk())

    async def work(log: Any, holder: str) -> None:
        while not talking.done() or len(taken) < said:
            turn = await resources.claim(log, holder)
            if turn is None:
                await asyncio.sleep(0)
                continue
            taken.extend(message.body for message in turn.messages)
            turn = await log.finish(turn, resources.outcome(), replies("ok"))
            attempt = await log.begin_attempt(turn, turn.outbound[0], seconds=5)
            await log.confirm(turn, attempt, f"SM{attempt.id}", DeliveryState.QUEUED)
            await log.release(turn)

    async with asyncio.timeout(60):
        await asyncio.gather(talking, *(work(log, f"pod-{index}") for index, log in enumerate(logs)))
    assert sorted(taken) == sorted(f"m{index}" for index in range(said))
    await resources.seen()
    states = {body: state for body, state in await resources.states(conversation()) if body != "ok"}
    assert set(states.values()) == {"Answered"}


@pytest.mark.parametrize("failing", ["before it", "after it"])
async def test_a_claim_that_failed_halfway_is_made_again_at_once(resources: World, failing: str) -> None:
    await resources.told()
    api = resources.log._api  # type: ignore[attr-defined]
    patch = api.merge_patch
    failed = []

    async def fail_once(resource: ResourceType, name: str, *arguments: Any, **options: Any) -> Any:
        if failed or resource is not MESSAGES:
            return await patch(resource, name, *arguments, **options)
        failed.append(name)
        if failing == "after it":
            await patch(resource, name, *arguments, **options)
        raise Unavailable("no answer")

    with mock.patch.object(api, "merge_patch", fail_once):
        with pytest.raises(LogUnavailable):
            await resources.claim()
        turn = await resources.claimed()
    assert [message.body for message in turn.messages] == ["hello"]
    assert (turn.fence, turn.execution.state, turn.execution.attempts) == (2, "Running", 1)  # nobody had run it
    assert failed == [message.name for message in turn.messages]
