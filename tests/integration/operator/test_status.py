"""What pipelines read: kstatus, and the health checks of Argo CD and Flux, with their rules as data."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube import resources
from switchboard.sandbox.stack import condition

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


def kstatus(obj: Any) -> str:
    """The status that kstatus computes for a custom resource.

    https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
    """
    metadata, status = obj["metadata"], obj.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return "InProgress"
    if condition(obj, "Reconciling").get("status") == "True":
        return "InProgress"
    if condition(obj, "Stalled").get("status") == "True":
        return "Failed"
    ready = condition(obj, "Ready").get("status")
    return "InProgress" if ready in ("False", "Unknown") else "Current"


def argo(obj: Any) -> str:
    """The health that an Argo CD script gives that reads our conditions: docs/guides have it as Lua."""
    if obj.get("status", {}).get("observedGeneration") != obj["metadata"]["generation"]:
        return "Progressing"
    if condition(obj, "Stalled").get("status") == "True":
        return "Degraded"
    return "Healthy" if condition(obj, "Ready").get("status") == "True" else "Progressing"


async def history(desk: Any, resource: Any, name: str, until: Any) -> list[Any]:
    """All versions of an object until one is so."""
    seen: list[Any] = []

    def keep(obj: Any) -> bool:
        seen.append(obj)
        return bool(until(obj))

    await desk.until(resource, name, keep)
    return seen


@pytest.mark.parametrize("kind", ["connector", "agent"])
async def test_it_is_in_progress_from_its_first_status_until_all_is_well(desk: Any, kind: str) -> None:
    await desk.secret()
    await desk.connector()
    await desk.agent()
    resource, name = {
        "connector": (resources.TWILIO_CONNECTORS, "sms"),
        "agent": (resources.AGENTS, "support"),
    }[kind]
    seen = await history(desk, resource, name, lambda it: condition(it, "Ready").get("status") == "True")
    told = [it for it in seen if "status" in it]
    assert {kstatus(it) for it in told[:-1]} <= {"InProgress"}
    assert kstatus(told[-1]) == "Current"
    assert argo(told[-1]) == "Healthy"


async def test_what_a_person_must_mend_has_failed_and_what_is_mended_is_current(desk: Any) -> None:
    await desk.secret(authToken="0" * 32)
    await desk.connector()
    await desk.agent()
    connector = await desk.says("CredentialsInvalid")
    assert (kstatus(connector), argo(connector)) == ("Failed", "Degraded")
    await desk.secret()
    connector = await desk.connected()
    assert (kstatus(connector), argo(connector)) == ("Current", "Healthy")
    assert condition(connector, "Stalled") == {}


async def test_every_condition_is_metav1_shaped_and_speaks_of_this_generation(connected: Any) -> None:
    await connected.agent_says("Serving")
    for resource, name in ((resources.TWILIO_CONNECTORS, "sms"), (resources.AGENTS, "support")):
        obj = await connected.get(resource, name)
        assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
        for entry in obj["status"]["conditions"]:
            assert set(entry) == {"type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"}
            assert entry["observedGeneration"] == obj["metadata"]["generation"]
            assert entry["lastTransitionTime"].endswith("Z")


async def test_the_time_of_a_condition_moves_only_with_its_status(connected: Any) -> None:
    before = condition(await connected.connected(), "CredentialsValid")["lastTransitionTime"]
    await connected.connector(access={"policy": "AllowList", "allow": ["+15005550001"]})
    after = await connected.until(
        resources.TWILIO_CONNECTORS, "sms", lambda it: it["status"]["observedGeneration"] == 2
    )
    assert condition(after, "CredentialsValid")["lastTransitionTime"] == before
    assert condition(after, "CredentialsValid")["observedGeneration"] == 2


async def test_events_are_told_once(connected: Any) -> None:
    for index in range(3):
        await connected.annotate("sms", f"check-{index}")
        await connected.until(
            resources.TWILIO_CONNECTORS,
            "sms",
            lambda it, index=index: it["status"].get("lastTest", {}).get("requested") == f"check-{index}",
        )
    reasons = [
        event["reason"] for event in await connected.list(resources.EVENTS) if event["involvedObject"]["name"] == "sms"
    ]
    assert reasons == ["Connected"]


async def test_no_token_is_in_anything_that_can_be_read(connected: Any) -> None:
    readable = [
        await connected.list(kind)
        for kind in (
            resources.AGENTS,
            resources.AGENT_REVISIONS,
            resources.TWILIO_CONNECTORS,
            resources.CONFIG_MAPS,
            resources.EVENTS,
            resources.DEPLOYMENTS,
        )
    ]
    log = connected.office.operator.log.read_text()
    assert connected.token not in str(readable)
    assert connected.token not in log
    assert "authToken" not in log
