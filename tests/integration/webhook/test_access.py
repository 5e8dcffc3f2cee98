"""Who may write: strangers wait for a person, and what waited is answered when they are let in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.webhook.conftest import Databases, MakeRig
from tests.integration.webhook.rig import Rig

from switchboard.kube.resources import ACCESS_REQUESTS, TWILIO_CONNECTORS
from switchboard.log.records import Inbound

pytestmark = pytest.mark.cluster
Number = Callable[[], str]
WELCOME = "A colleague will let you in."


def onboarding(**more: Any) -> dict[str, Any]:
    return {"policy": "Onboarding", "onboardingMessage": WELCOME, **more}


async def requests(rig: Rig, count: int) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        found = (await rig.api.list(ACCESS_REQUESTS, rig.namespace)).items
        return found if len(found) == count else []

    return list(await rig.until(look))


async def decide(rig: Rig, name: str, decision: str) -> None:
    await rig.api.merge_patch(ACCESS_REQUESTS, name, rig.namespace, {"spec": {"decision": decision}})


async def test_a_stranger_is_asked_for_once_told_once_and_answered_when_let_in(
    make_rig: MakeRig, number: Number
) -> None:
    rig = await make_rig(access=onboarding())
    await rig.start()
    ann = number()
    await rig.text(ann, "echo one", wait=True, profile_name="Ann")
    await rig.text(ann, "echo two", wait=True)
    assert [item.body for item in await rig.phone(ann, 1)] == [WELCOME]
    [request] = await requests(rig, 1)
    assert request["spec"] == {"connector": "sms", "contact": ann, "decision": "Pending", "note": ""}
    assert ann[1:] not in request["metadata"]["name"]
    await rig.settled(2, "Held")

    async def counted() -> bool:
        [one] = await requests(rig, 1)
        return bool(one.get("status", {}).get("messages") == 2 and one["status"]["onboarded"])

    await rig.until(counted)
    await decide(rig, request["metadata"]["name"], "Approved")
    assert [item.body for item in await rig.phone(ann, 2)] == [WELCOME, "You said two"]
    await rig.settled(2, "Answered", "Ignored")
    await rig.text(ann, "echo three", wait=True)
    assert (await rig.phone(ann, 3))[2].body == "You said three"


async def test_who_is_let_in_a_day_after_writing_on_whatsapp_gets_no_answer_and_the_execution_says_why(
    make_rig: MakeRig, number: Number, databases: Databases
) -> None:
    rig = await make_rig(access=onboarding(onboardingMessage=""), dsn=databases.dsn())
    await rig.start()
    assert rig.reader is not None
    ann, bob = number(), number()
    for contact, hours in ((ann, 25), (bob, 23)):
        await rig.reader.record(
            Inbound(
                provider="twilio",
                account=rig.account,
                message_id=f"SM{contact[1:]:0>32}",
                connector="sms",
                channel="WhatsApp",
                contact=contact,
                sender=contact,
                recipient=rig.number,
                body="echo please",
                state="Held",
                time=datetime.now(UTC) - timedelta(hours=hours),
            )
        )
        spec = {"connector": "sms", "contact": contact, "decision": "Approved"}
        metadata = {"name": f"acr-{contact[1:]}", "namespace": rig.namespace}
        await rig.api.create(ACCESS_REQUESTS, {"metadata": metadata, "spec": spec})
    late, in_time = await rig.settled(2, "Answered", "Failed")
    executions = {one["metadata"]["name"]: one["status"] for one in await rig.executions()}
    assert executions[late["status"]["execution"]]["error"]["kind"] == "WindowClosed"
    assert executions[in_time["status"]["execution"]]["state"] == "Succeeded"
    assert [one["spec"]["to"] for one in await rig.messages("Outbound")] == [bob]


async def test_who_is_turned_away_is_not_answered(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(access=onboarding(onboardingMessage=""))
    await rig.start()
    ann = number()
    await rig.text(ann, "hi", wait=True)
    [request] = await requests(rig, 1)
    await decide(rig, request["metadata"]["name"], "Rejected")
    await rig.settled(1, "Refused")
    await rig.text(ann, "hi again", wait=True)
    assert len(await rig.messages()) == 1
    assert await rig.twilio.inbox(ann, wait=False) == []


async def test_a_decision_that_was_made_while_no_pod_ran_is_found(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(access=onboarding(onboardingMessage=""))
    pod = await rig.start()
    ann = number()
    await rig.text(ann, "hi", wait=True)
    [request] = await requests(rig, 1)
    pod.kill()
    rig.leave(pod)
    await decide(rig, request["metadata"]["name"], "Approved")
    await rig.start()
    assert (await rig.phone(ann, 1))[0].body == "Hello!"


async def test_the_number_of_those_who_wait_is_bounded(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(access=onboarding(onboardingMessage="", maxPending=2))
    pod = await rig.start()
    for _ in range(4):
        await rig.text(number(), "hi", wait=True)
    await requests(rig, 2)
    assert (await pod.metrics())['switchboard_access_requests_total{connector="sms",outcome="full"}'] == 2


async def test_an_allow_list_keeps_others_out_also_when_the_policy_is_taken_away(
    make_rig: MakeRig, number: Number
) -> None:
    ann, bob = number(), number()
    rig = await make_rig(access={"policy": "AllowList", "allow": [ann]})
    pod = await rig.start()
    await rig.text(bob, "hi", wait=True)
    await rig.text(ann, "hi", wait=True)
    await rig.phone(ann, 1)
    closed = {"spec": {"access": {"policy": "AllowList", "allow": []}}}
    await rig.api.merge_patch(TWILIO_CONNECTORS, "sms", rig.namespace, closed)

    async def refused() -> bool:
        await rig.text(ann, "hi", wait=True)
        metrics = await pod.metrics()
        return metrics.get('switchboard_messages_recorded_total{connector="sms",state="Refused"}', 0) >= 2

    await rig.until(refused)
    assert await rig.twilio.inbox(bob, wait=False) == []
    assert (await rig.api.list(ACCESS_REQUESTS, rig.namespace)).items == []


async def test_opening_the_policy_lets_in_who_waits(make_rig: MakeRig, number: Number) -> None:
    rig = await make_rig(access=onboarding(onboardingMessage=""))
    await rig.start()
    ann = number()
    await rig.text(ann, "hi", wait=True)
    await requests(rig, 1)
    opened = {"spec": {"access": {"policy": "Open", "onboardingMessage": None}}}
    await rig.api.merge_patch(TWILIO_CONNECTORS, "sms", rig.namespace, opened)
    assert (await rig.phone(ann, 1))[0].body == "Hello!"
