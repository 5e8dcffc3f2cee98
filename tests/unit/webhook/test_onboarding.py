"""Strangers: asked for once, told once, and let in or turned away as a person, or a policy, decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.webhook.fakes import ACCOUNT, ANN, BOB, OURS, Notebook, connectors, manifest

from switchboard.api.access import AccessRequest
from switchboard.kube.errors import AlreadyExists, Conflict, NotFound, Unavailable
from switchboard.kube.resources import Object
from switchboard.log.errors import LogUnavailable
from switchboard.log.records import Recorded
from switchboard.providers.base import Channel, InboundMessage
from switchboard.webhook.connectors import Connectors
from switchboard.webhook.intake import Desk, Taken
from switchboard.webhook.limits import RateLimiter
from switchboard.webhook.onboarding import Onboarding, request_name
from switchboard.webhook.requests import ASKING_SECONDS, Asker, Decisions

KEY = b"the namespace's"
WELCOME = "A colleague will let you in."


@dataclass
class Kube:
    """An API server that holds AccessRequests."""

    objects: dict[str, Object] = field(default_factory=dict)
    created: int = 0
    patches: list[Object] = field(default_factory=list)
    failing: list[Exception] = field(default_factory=list)
    losing: list[Exception] = field(default_factory=list)
    """Raised in place of the answers to patches that were applied."""

    async def create(self, resource: object, body: Object) -> Object:
        if self.failing:
            raise self.failing.pop(0)
        name = body["metadata"]["name"]
        if name in self.objects:
            raise AlreadyExists("it is there")
        self.created += 1
        self.objects[name] = body | {"metadata": {**body["metadata"], "resourceVersion": "1"}}
        return self.objects[name]

    async def get(self, resource: object, name: str, namespace: str) -> Object:
        if name not in self.objects:
            raise NotFound("it is gone")
        return self.objects[name]

    async def merge_patch(
        self, resource: object, name: str, namespace: str, patch: Object, *, subresource: str
    ) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.patches.append(patch)
        kept = self.objects[name]
        assert patch["metadata"]["resourceVersion"] == kept["metadata"]["resourceVersion"]
        kept["status"] = {**kept.get("status", {}), **patch["status"]}
        if self.losing:
            raise self.losing.pop(0)


@dataclass
class Door:
    """All of it."""

    kube: Kube
    log: Notebook
    connectors: Connectors
    decisions: Decisions
    onboarding: Onboarding

    async def ask(self, sender: str = ANN, *, duplicate: bool = False, name: str = "") -> None:
        message = InboundMessage("twilio", ACCOUNT, "SM1", Channel.SMS, sender, OURS, "hi")
        message.contact_name = name
        recorded = Recorded("c-1", "in-1", "Held", duplicate)
        await self.onboarding.ask(self.connectors.by_name["sms"], message, Taken(recorded, Asker("sms", sender)))

    def decide(self, decision: str, sender: str = ANN) -> None:
        """What the watch brings when a person decides."""
        name = request_name(KEY, "uid-sms", sender)
        kept = self.kube.objects.setdefault(name, {"metadata": {"name": name, "resourceVersion": "1"}, "spec": {}})
        kept["spec"] = {"connector": "sms", "contact": sender, "decision": decision}
        self.decisions.put(AccessRequest.model_validate(kept))

    async def settle(self) -> None:
        """One round of what runs all the time."""
        await self.onboarding._settle()
        await self.onboarding._report()

    def status(self, sender: str = ANN) -> Object:
        return cast("Object", self.kube.objects[request_name(KEY, "uid-sms", sender)]["status"])


@pytest.fixture
def open_door(tmp_path: Path) -> Callable[..., Door]:
    def opened(policy: str = "Onboarding", *, welcome: str = WELCOME, **access: Any) -> Door:
        kube, log, decisions = Kube(), Notebook(), Decisions()
        spec = {"policy": policy, "onboardingMessage": welcome, **access}
        built = connectors(tmp_path, manifest(access=spec))
        made = Onboarding(
            cast("Any", kube), cast("Any", log), built, decisions, "acme", KEY, "support", revision=lambda: "support-v1"
        )
        built.on_change = made.reconsider
        return Door(kube, log, built, decisions, made)

    return opened


async def test_a_stranger_is_asked_for_once_and_told_once(open_door: Callable[..., Door]) -> None:
    door = open_door()
    await door.ask(name="Ann")
    await door.settle()
    await door.ask(name="Ann")
    await door.settle()
    assert door.kube.created == 1
    # The log says it once for ever; until the watch brings the request's status, this pod asks it to.
    for conversation, kind, reply in door.log.announced:
        said = (conversation, kind, reply.body, reply.recipient, reply.sender)
        assert said == ("c-1", "onboarding", WELCOME, ANN, OURS)
    assert door.log.announced
    assert (door.status()["messages"], door.status()["onboarded"], door.status()["contactName"]) == (2, True, "Ann")
    assert door.status()["firstMessageTime"] <= door.status()["lastMessageTime"]


async def test_a_long_connectors_name_is_cut_to_a_label_that_is_one(open_door: Callable[..., Door]) -> None:
    door = open_door()
    long = replace(door.connectors.by_name["sms"], name="a" * 62 + "-" + "b" * 20)
    message = InboundMessage("twilio", ACCOUNT, "SM1", Channel.SMS, ANN, OURS, "hi")
    recorded = Recorded("c-1", "in-1", "Held")
    await door.onboarding.ask(long, message, Taken(recorded, Asker(long.name, ANN)))
    [made] = door.kube.objects.values()
    assert made["metadata"]["labels"]["switchboard.dev/connector"] == "a" * 62


async def test_who_was_told_by_another_pod_is_not_told_again(open_door: Callable[..., Door]) -> None:
    door = open_door()
    await door.ask()
    await door.settle()
    name = request_name(KEY, "uid-sms", ANN)
    door.decisions.put(AccessRequest.model_validate(door.kube.objects[name]))
    door.log.announced.clear()
    await door.ask()
    assert door.log.announced == []


async def test_without_a_message_nobody_is_told(open_door: Callable[..., Door]) -> None:
    door = open_door(welcome="")
    await door.ask()
    await door.settle()
    assert door.log.announced == []
    assert door.status()["onboarded"] is False


async def test_a_message_whose_announcement_failed_is_counted_once_though_it_comes_again(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door()
    announce, failures = door.log.announce, [LogUnavailable("away")]

    async def fails(*arguments: Any, **options: Any) -> bool:
        if failures:
            raise failures.pop()
        return await announce(*arguments, **options)

    monkeypatch.setattr(door.log, "announce", fails)
    with pytest.raises(LogUnavailable):
        await door.ask()
    await door.ask(duplicate=True)
    await door.settle()
    assert door.status()["messages"] == 1
    assert len(door.log.announced) == 1


async def test_a_request_that_another_pod_made_is_no_failure_and_one_that_cannot_be_made_is(
    open_door: Callable[..., Door],
) -> None:
    door = open_door()
    door.kube.failing = [AlreadyExists("it is there")]
    await door.ask()
    assert len(door.log.announced) == 1
    door.kube.failing = [Unavailable("gone")]
    with pytest.raises(Unavailable):
        await door.ask(BOB)
    assert len(door.log.announced) == 1


async def test_beyond_the_bound_of_those_who_wait_nobody_is_asked_for_or_told(open_door: Callable[..., Door]) -> None:
    door = open_door(maxPending=1)
    await door.ask(ANN)
    await door.ask(BOB)
    await door.ask(ANN)
    assert door.kube.created == 1
    assert {reply.recipient for _, _, reply in door.log.announced} == {ANN}


async def test_the_bound_holds_for_strangers_who_come_all_at_once(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(maxPending=3)
    create, may = door.kube.create, asyncio.Event()

    async def slowly(resource: object, body: Object) -> Object:
        await may.wait()
        return await create(resource, body)

    monkeypatch.setattr(door.kube, "create", slowly)
    desk = Desk(cast("Any", door.log), door.connectors, door.decisions, RateLimiter(burst=20, per_second=1))

    async def write(number: int) -> str:
        connector = door.connectors.by_name["sms"]
        sender = f"+1500556{number // 2:04}"  # each writes twice
        message = InboundMessage("twilio", ACCOUNT, f"SM{number}", Channel.SMS, sender, OURS, "hi")
        taken = await desk.take(connector, message)
        if taken.asks is not None:
            await door.onboarding.ask(connector, message, taken)
        return taken.recorded.state

    writing = [asyncio.create_task(write(number)) for number in range(40)]
    for _ in range(10):
        await asyncio.sleep(0)
    may.set()
    states = await asyncio.gather(*writing)
    assert door.kube.created == 3
    assert (states.count("Held"), states.count("Refused")) == (6, 34)
    assert (await write(40), await write(0)) == ("Refused", "Held")


async def test_who_could_not_be_asked_for_takes_nobodys_place_for_long(open_door: Callable[..., Door]) -> None:
    decisions = open_door().decisions
    assert decisions.may_ask(Asker("sms", ANN), 1, 0.0)
    assert decisions.may_ask(Asker("sms", ANN), 1, 1.0)
    assert not decisions.may_ask(Asker("sms", BOB), 1, 2.0)
    assert decisions.may_ask(Asker("another", BOB), 1, 2.0)
    assert decisions.may_ask(Asker("sms", BOB), 1, 1.0 + ASKING_SECONDS)


@pytest.mark.parametrize(("decision", "released", "refused"), [("Approved", 1, 0), ("Rejected", 0, 1)])
async def test_what_was_held_while_it_was_decided_is_settled_all_the_same(
    open_door: Callable[..., Door], decision: str, released: int, refused: int
) -> None:
    door = open_door()
    door.decide(decision)
    await door.settle()
    settled = len(door.log.released), len(door.log.refused)
    await door.ask()  # it was held before the decision was known, and recorded after it was acted on
    await door.settle()
    assert (len(door.log.released) - settled[0], len(door.log.refused) - settled[1]) == (released, refused)
    assert door.kube.created == 0


async def test_what_was_held_while_the_policy_was_opened_is_settled_all_the_same(
    open_door: Callable[..., Door],
) -> None:
    door = open_door()
    connector = door.connectors.by_name["sms"]
    door.connectors.put(manifest(access={"policy": "Open"}))
    await door.settle()
    message = InboundMessage("twilio", ACCOUNT, "SM1", Channel.SMS, ANN, OURS, "hi")
    await door.onboarding.ask(connector, message, Taken(Recorded("c-1", "in-1", "Held"), Asker("sms", ANN)))
    await door.settle()
    assert door.log.released == [("sms", ANN)]


async def test_a_repeated_webhook_is_counted_once(open_door: Callable[..., Door]) -> None:
    door = open_door()
    await door.ask()
    await door.ask(duplicate=True)
    await door.settle()
    assert door.status()["messages"] == 1


@pytest.mark.parametrize(
    ("policy", "decision", "released", "refused"),
    [
        ("Onboarding", "Approved", True, False),
        ("Onboarding", "Rejected", False, True),
        ("Onboarding", "Pending", False, False),
        ("AllowList", "Approved", False, False),
        ("AllowList", "Pending", False, False),
        ("AllowList", "Rejected", False, True),
        ("Open", "Pending", True, False),
        ("Open", "Rejected", False, True),
    ],
)
async def test_what_was_held_is_answered_turned_away_or_goes_on_waiting(
    open_door: Callable[..., Door], policy: str, decision: str, released: bool, refused: bool
) -> None:
    door = open_door(policy)
    door.decide(decision)
    await door.settle()
    assert (bool(door.log.released), bool(door.log.refused)) == (released, refused)
    assert ("decidedTime" in door.kube.objects[request_name(KEY, "uid-sms", ANN)].get("status", {})) == (
        decision != "Pending"
    )


async def test_a_decision_is_acted_on_once_and_waits_for_its_connector(open_door: Callable[..., Door]) -> None:
    door = open_door()
    door.decide("Approved")
    await door.settle()
    await door.settle()
    assert door.log.released == [("sms", ANN)]


async def test_opening_the_policy_lets_in_who_waits_and_other_changes_disturb_nobody(
    open_door: Callable[..., Door],
) -> None:
    door = open_door()
    door.decide("Pending")
    await door.settle()
    door.connectors.put(manifest(access={"policy": "Onboarding", "onboardingMessage": WELCOME}, channels=["SMS"]))
    await door.settle()
    assert door.log.released == []
    door.connectors.put(manifest(access={"policy": "Open"}))
    await door.settle()
    assert door.log.released == [("sms", ANN)]


async def test_a_status_that_somebody_else_wrote_meanwhile_is_written_again_and_a_failure_loses_no_count(
    open_door: Callable[..., Door],
) -> None:
    door = open_door()
    await door.ask()
    door.kube.failing = [Conflict("changed")]
    await door.settle()
    assert door.status()["messages"] == 1
    await door.ask()
    door.kube.failing = [Unavailable("gone")]
    with pytest.raises(Unavailable):
        await door.settle()
    await door.ask()
    await door.settle()
    assert door.status()["messages"] == 3


async def test_what_was_written_by_a_request_without_an_answer_is_counted_once(open_door: Callable[..., Door]) -> None:
    door = open_door()
    await door.ask()
    door.kube.losing = [Unavailable("timed out"), Unavailable("timed out")]
    with pytest.raises(Unavailable):
        await door.settle()
    await door.ask()
    with pytest.raises(Unavailable):
        await door.settle()
    await door.settle()
    assert door.status()["messages"] == 2
    await door.ask()
    await door.settle()
    assert door.status()["messages"] == 3


async def test_what_comes_while_a_status_is_written_that_fails_is_counted_with_it(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door()
    await door.ask(name="Ann")
    get = door.kube.get

    async def meanwhile(*arguments: Any) -> Object:
        monkeypatch.setattr(door.kube, "get", get)
        await door.ask()
        raise Unavailable("gone")

    monkeypatch.setattr(door.kube, "get", meanwhile)
    with pytest.raises(Unavailable):
        await door.settle()
    await door.settle()
    assert (door.status()["messages"], door.status()["contactName"], door.status()["onboarded"]) == (2, "Ann", True)


async def test_what_fails_is_done_again_by_itself(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, slept = open_door(), asyncio.Event()
    sleep = asyncio.sleep

    async def quickly(seconds: float) -> None:
        slept.set()
        await sleep(0)

    await door.ask()
    door.kube.failing = [Unavailable("gone")]
    monkeypatch.setattr("switchboard.webhook.onboarding.asyncio.sleep", quickly)
    running = asyncio.create_task(door.onboarding.run())
    async with asyncio.timeout(5):
        await slept.wait()
        while not door.kube.patches:
            await sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert door.status()["messages"] == 1
