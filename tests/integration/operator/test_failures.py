"""A revision that cannot run says why in the pod's own words, and leaves the one before it live."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.namespaces import Namespaces

from switchboard.kube import resources
from switchboard.sandbox import stack
from switchboard.sandbox.stack import condition

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


@asynccontextmanager
async def misled(desk: Any, directory: Path, **settings: str) -> AsyncIterator[Any]:
    """The desk in a namespace of another operator, whose settings let pods fail."""
    namespaces = Namespaces(desk.kubectl, "opf", 1)
    environment = {**desk.office.environment, "SWITCHBOARD_NAMESPACES": json.dumps(namespaces.names), **settings}
    async with stack.operator(directory, environment) as process:
        office = replace(desk.office, operator=process, namespaces=namespaces, environment=environment)
        yield replace(desk, office=office, namespace=await namespaces.take())
        await namespaces.leave()


async def said_of_its_pods(desk: Any, cause: str, engine: Any = None, **webhook: Any) -> str:
    """What an Agent says of its second revision, whose pods fail, once it knows the cause.

    A Deployment may give up before its pods are there to say why.
    """
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent_says("Serving")
    other = {"engine": engine} if engine is not None else {}
    await desk.agent(connectors=(), template={"name": "v2", "webhook": {"replicas": 1, **webhook}, **other})
    agent = await desk.until(resources.AGENTS, "support", lambda it: tells(it, "Ready", "RevisionFailed", cause))
    assert agent["status"]["liveRevision"] == "support-v1"
    assert condition(agent, "Stalled")["status"] == "True"
    revision = await desk.until(
        resources.AGENT_REVISIONS,
        "support-v2",
        lambda it: it.get("status", {}).get("state") == "Failed" and cause in condition(it, "Available")["message"],
    )
    said: str = condition(agent, "Ready")["message"]
    assert condition(revision, "Available")["message"] in said
    assert "support-v1 goes on serving" in said
    return said


def tells(obj: Any, kind: str, reason: str, cause: str) -> bool:
    found = condition(obj, kind)
    return found.get("reason") == reason and cause in found["message"]


async def test_an_image_that_cannot_be_pulled(desk: Any) -> None:
    """The embedded cluster's node pulls no images: a pod that no node takes is given the words of one that does."""
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent_says("Serving")
    nowhere = {"replicas": 1, "nodeSelector": {"example.com/nowhere": "true"}}
    await desk.agent(connectors=(), template={"name": "v2", "webhook": nowhere})
    pod = await first_pod(desk)
    image = pod["spec"]["containers"][0]["image"]
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}
    status = {
        "containerStatuses": [
            {
                "name": "webhook",
                "image": image,
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"waiting": waiting},
            }
        ]
    }
    name = pod["metadata"]["name"]
    await desk.kubectl.api.merge_patch(resources.PODS, name, desk.namespace, {"status": status}, subresource="status")
    agent = await desk.agent_says("RevisionFailed")
    said = condition(agent, "Ready")["message"]
    assert f"The image {image} cannot be pulled (ImagePullBackOff): Back-off pulling image: not found" in said
    assert agent["status"]["liveRevision"] == "support-v1"


async def first_pod(desk: Any) -> Any:
    found: list[Any] = []
    watch = desk.kubectl.api.watch(resources.PODS, desk.namespace)
    async for event in watch:
        found += event.items if hasattr(event, "items") else [event.object]
        if found:
            break
    await watch.aclose()
    return found[0]


async def test_a_process_that_crashes(desk: Any, tmp_path: Path) -> None:
    async with misled(desk, tmp_path, **pods_of("/nowhere/kubeconfig")) as other:
        said = await said_of_its_pods(other, "It crashed: ")
    assert "support-v2: It crashed: " in said
    assert "/nowhere/kubeconfig" in said


async def test_a_probe_that_does_not_succeed(desk: Any, tmp_path: Path) -> None:
    """The pods are led to an API server that is not there, by a file that comes with their engine's Secret."""
    nobody = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    engine = {"endpoint": {"url": "http://127.0.0.1:1", "headersSecretRef": {"name": "misleading"}}}
    settings = pods_of("/etc/switchboard/secrets/engine/headers/kubeconfig") | {"SWITCHBOARD_PROGRESS_SECONDS": "4"}
    async with misled(desk, tmp_path, **settings) as other:
        await other.secret("misleading", kubeconfig=json.dumps(nobody))
        said = await said_of_its_pods(other, "The pod support-v2-", engine)
    assert "support-v2: The pod support-v2-" in said
    assert "runs and its readiness probe does not succeed" in said


def pods_of(kubeconfig: str) -> dict[str, str]:
    """Settings of an operator whose pods serve by that file. Their check before it asks no API server."""
    return {"SWITCHBOARD_POD_ENVIRONMENT": json.dumps({"KUBECONFIG": kubeconfig})}


async def test_a_pod_that_admission_refuses_as_a_quota_does(desk: Any) -> None:
    missing = "no PriorityClass with name missing was found"
    said = await said_of_its_pods(desk, missing, priorityClassName="missing")
    assert "support-v2: No pod can be made: " in said
