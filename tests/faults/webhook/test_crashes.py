"""SIGKILL and SIGSTOP of a worker at each step of a turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests.faults.webhook.promises import check, settle
from tests.integration.webhook.conftest import Databases
from tests.integration.webhook.rig import Rig

pytestmark = pytest.mark.cluster
MakeFaulty = Callable[..., Awaitable[Rig]]
Number = Callable[[], str]

STEPS = [
    f"{step}:{moment}"
    for step in ("record", "claim", "answer", "finish", "begin_attempt", "send", "confirm", "release")
    for moment in ("before", "after")
    if (step, moment) != ("claim", "before")
]
IN_DOUBT = {"begin_attempt:after", "send:before"}
"""Where nobody can know whether the reply was sent: it is told, and not sent again."""


@pytest.mark.parametrize("place", STEPS)
async def test_a_pod_that_is_killed_at_any_step_loses_nothing_and_answers_once(
    make_faulty: MakeFaulty, number: Number, place: str
) -> None:
    await killed_at(place, await make_faulty(), number)


@pytest.mark.parametrize(
    "place", ["record:after", "answer:after", "finish:after", "begin_attempt:after", "send:after", "confirm:after"]
)
async def test_with_a_database_it_is_the_same(
    make_faulty: MakeFaulty, number: Number, databases: Databases, place: str
) -> None:
    await killed_at(place, await make_faulty(dsn=databases.dsn()), number)


async def killed_at(place: str, rig: Rig, number: Number) -> None:
    marker = rig.directory / "crashed"
    faults = {"CRASH_AT": place, "CRASH_FILE": str(marker)}
    victim = await rig.start(environment=faults)
    ann, bob = number(), number()
    texts = {phone: [f"echo {name}-{index}" for index in range(2)] for phone, name in ((ann, "ann"), (bob, "bob"))}
    await rig.text(ann, texts[ann][0])
    await victim.process.ended()
    assert marker.exists()
    rig.leave(victim)
    await rig.start(environment=faults)
    for phone, text in ((bob, texts[bob][0]), (ann, texts[ann][1]), (bob, texts[bob][1])):
        await rig.text(phone, text, wait=True)
    await settle(rig, 4)
    tally = await check(rig, [ann, bob], texts)
    assert tally.recorded == 4
    if place in IN_DOUBT:
        assert list(tally.unanswered) == ["ann-0"]
        assert tally.unanswered["ann-0"].startswith("DeliveryUnknown")
        assert [event["reason"] for event in await rig.events()] == ["DeliveryUnknown"]
    else:
        assert tally.answered == 4, tally.unanswered


STANDS_STILL = ["answer:before", "finish:before", "begin_attempt:before", "begin_attempt:after", "send:after"]


@pytest.mark.parametrize("place", STANDS_STILL)
async def test_a_pod_that_stands_still_past_its_lease_and_goes_on_answers_nothing_twice(
    make_faulty: MakeFaulty, number: Number, place: str
) -> None:
    await stands_still_at(place, await make_faulty(), number)


@pytest.mark.parametrize("place", STANDS_STILL)
async def test_with_a_database_a_pod_that_stands_still_answers_nothing_twice_either(
    make_faulty: MakeFaulty, number: Number, databases: Databases, place: str
) -> None:
    await stands_still_at(place, await make_faulty(dsn=databases.dsn()), number)


async def stands_still_at(place: str, rig: Rig, number: Number) -> None:
    marker = rig.directory / "paused"
    faults = {"CRASH_AT": f"{place}:STOP", "CRASH_FILE": str(marker)}
    victim = await rig.start(environment=faults)
    ann = number()
    texts = {ann: ["echo ann-0", "echo ann-1"]}
    await rig.text(ann, texts[ann][0])
    await rig.until(lambda: _exists(marker))
    rig.leave(victim)
    await rig.start(environment=faults)
    await rig.text(ann, texts[ann][1], wait=True)
    await settle(rig, 2)
    victim.go_on()
    await victim.process.stop()
    await settle(rig, 2)
    tally = await check(rig, [ann], texts)
    assert "ann-1" not in tally.unanswered


async def _exists(marker: object) -> bool:
    return marker.exists()  # type: ignore[attr-defined, no-any-return]


async def test_a_message_that_kills_its_worker_ends_with_the_fallback_and_holds_up_nobody(
    make_faulty: MakeFaulty, number: Number
) -> None:
    rig = await make_faulty(turn={"maxAttempts": 2, "fallbackReply": "Sorry!"}, settings={"POISON": "arsenic"})
    ann, bob = number(), number()
    pod = await rig.start()
    await rig.text(ann, "arsenic", wait=True)
    for _ in range(2):
        await pod.process.ended()
        rig.leave(pod)
        pod = await rig.start()
        await rig.text(bob, f"echo bob-{len(rig.pods)}", wait=True)
    assert [item.body for item in await rig.phone(ann, 1)] == ["Sorry!"]
    assert len(await rig.phone(bob, 2)) == 2
    await rig.until(lambda: rig.messages("Inbound", "Failed"))
    [failed] = [one for one in await rig.executions() if one["status"]["state"] == "Failed"]
    assert failed["status"]["error"]["kind"] == "AttemptsExhausted"
