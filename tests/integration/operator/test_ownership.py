"""What people made by hand survives the operator, whatever its name and labels, and the Agent tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube import resources
from switchboard.kube.resources import Object, ResourceType
from switchboard.sandbox.stack import condition

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

LABELS = {
    "app.kubernetes.io/managed-by": "switchboard-operator",
    "switchboard.dev/agent": "support",
    "switchboard.dev/revision": "support-v0",
}
PODS = {
    "selector": {"matchLabels": {"app": "mine"}},
    "replicas": 0,
    "template": {
        "metadata": {"labels": {"app": "mine"}},
        "spec": {"containers": [{"name": "it", "image": "example.com/it:1"}]},
    },
}
RULES = [
    {
        "http": {
            "paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "mine", "port": {"number": 80}}}}
            ]
        }
    }
]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
BUDGET = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "mine"}}}
SCALING = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "mine"}, "maxReplicas": 2}
CONTENT: dict[ResourceType, dict[str, Any]] = {
    resources.CONFIG_MAPS: {"data": {"mine": "yes"}},
    resources.SERVICE_ACCOUNTS: {},
    resources.ROLE_BINDINGS: {"roleRef": ROLE},
    resources.DEPLOYMENTS: {"spec": PODS},
    resources.PDBS: {"spec": BUDGET},
    resources.HPAS: {"spec": SCALING},
    resources.SERVICES: {"spec": {"ports": [{"port": 80}]}},
    resources.INGRESSES: {"spec": {"rules": RULES}},
}
OF_REVISION = [it for it in CONTENT if it not in (resources.SERVICES, resources.INGRESSES)]


def by_hand(desk: Any, kind: ResourceType, name: str, **metadata: Any) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": desk.namespace, **metadata},
        **CONTENT[kind],
    }


async def make(desk: Any, *objects: Object) -> list[tuple[ResourceType, str, Object]]:
    """Creates objects; what of each has to stay."""
    kinds = {kind.kind: kind for kind in CONTENT}
    made = []
    for obj in objects:
        kind, name = kinds[obj["kind"]], obj["metadata"]["name"]
        made.append((kind, name, said(await desk.kubectl.api.create(kind, obj))))
    return made


def said(obj: Object) -> Object:
    """All of an object but its status, which controllers of Kubernetes' own write."""
    kept = ("uid", "labels", "ownerReferences", "deletionTimestamp")
    metadata = {key: obj["metadata"].get(key) for key in kept}
    return {**{key: it for key, it in obj.items() if key not in ("metadata", "status")}, "metadata": metadata}


async def survived(desk: Any, made: list[tuple[ResourceType, str, Object]]) -> None:
    for kind, name, before in made:
        found = await desk.get(kind, name)
        assert found is not None, f"{kind.kind} {name} is gone"
        assert said(found) == before


@pytest.mark.parametrize(
    "kind",
    [
        resources.CONFIG_MAPS,
        resources.SERVICE_ACCOUNTS,
        resources.ROLE_BINDINGS,
        resources.DEPLOYMENTS,
        resources.SERVICES,
        resources.INGRESSES,
    ],
    ids=lambda kind: kind.kind,
)
async def test_what_has_a_name_that_we_need_stays_and_the_agent_waits_until_it_is_gone(
    desk: Any, kind: ResourceType
) -> None:
    name = "support-webhook" if kind in (resources.SERVICES, resources.INGRESSES) else "support-v1"
    made = await make(desk, by_hand(desk, kind, name, labels=LABELS))
    await desk.secret()
    await desk.connector()
    await desk.agent(template={"name": "v1"})
    agent = await desk.agent_says("NameTaken")
    message = condition(agent, "Ready")["message"]
    assert f"The {kind.kind} {name} exists" in message
    assert "belongs to nobody" in message
    assert "Delete or rename it" in message
    await survived(desk, made)
    await desk.delete(kind, name)
    await desk.agent_says("Serving")


async def test_what_only_goes_with_ours_and_is_controlled_by_nobody_stays(desk: Any) -> None:
    missing = {"name": "test:echo", "instructionsFrom": {"configMapRef": {"name": "prompts", "key": "system"}}}
    await desk.agent(connectors=(), template={"engine": {"model": missing}})
    agent = await desk.agent_says("InstructionsMissing")
    owner = {
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "Agent",
        "name": "support",
        "uid": agent["metadata"]["uid"],
    }
    service = by_hand(desk, resources.SERVICES, "support-webhook", labels=LABELS, ownerReferences=[owner])
    made = await make(desk, service)
    await desk.agent(connectors=(), template={"name": "v1"})
    assert "Service support-webhook" in condition(await desk.agent_says("NameTaken"), "Ready")["message"]
    await survived(desk, made)


async def test_what_carries_our_labels_and_is_of_no_revision_stays_and_is_told_of_once(desk: Any) -> None:
    made = await make(desk, *(by_hand(desk, kind, "support-v0", labels=LABELS) for kind in OF_REVISION))
    made += await make(desk, by_hand(desk, resources.DEPLOYMENTS, "mine", labels=LABELS))
    await desk.secret()
    await desk.connector()
    await desk.agent(template={"name": "v1"})
    await desk.settled()
    told = await desk.event("LabelledByHand", 2)
    assert sorted(it["message"].split()[2] for it in told) == ["mine", "support-v0"]
    assert {it["involvedObject"]["name"] for it in told} == {"support"}
    assert f"kubectl label deployment mine switchboard.dev/agent- -n {desk.namespace}" in str(told)
    await desk.agent(template={"name": "v2"})
    await desk.until(resources.AGENTS, "support", lambda it: it["status"].get("liveRevision") == "support-v2")
    async for index in desk.passes():
        if index == 1:
            break
    assert (await desk.reasons()).count("LabelledByHand") == 2
    await survived(desk, made)
    await desk.delete(resources.AGENTS, "support")
    await desk.gone(resources.DEPLOYMENTS, "support-v2")
    await survived(desk, made)


async def test_a_deployment_made_by_hand_never_counts_as_a_revision(desk: Any) -> None:
    labels = LABELS | {"switchboard.dev/revision": "support-v1"}
    await make(desk, by_hand(desk, resources.DEPLOYMENTS, "support-v1", labels=labels))
    await desk.until(  # without pods to wait for it is available, and says so
        resources.DEPLOYMENTS, "support-v1", lambda it: "conditions" in it.get("status", {})
    )
    await desk.agent(connectors=(), template={"name": "v1"})
    agent = await desk.agent_says("NameTaken")
    assert agent["status"].get("liveRevision") is None


async def test_a_service_made_by_hand_does_not_say_which_revision_is_live(desk: Any) -> None:
    service = by_hand(desk, resources.SERVICES, "support-webhook", labels=LABELS)
    service["spec"] = {**service["spec"], "selector": LABELS}
    await make(desk, service)
    nowhere = {"replicas": 1, "nodeSelector": {"example.com/no": "node"}}
    await desk.agent(connectors=(), template={"name": "v0", "webhook": nowhere})
    agent = await desk.agent_says("NameTaken")
    assert agent["status"]["desiredRevision"] == "support-v0"
    assert agent["status"].get("liveRevision") is None


async def test_what_was_orphaned_on_purpose_stays_and_is_told_of(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent_says("Serving")
    uid = (await desk.get(resources.DEPLOYMENTS, "support-v1"))["metadata"]["uid"]
    await desk.kubectl.api.delete(resources.AGENT_REVISIONS, "support-v1", desk.namespace, propagation="Orphan")
    agent = await desk.agent_says("NameTaken")
    assert "support-v1 exists" in condition(agent, "Ready")["message"]
    assert (await desk.get(resources.DEPLOYMENTS, "support-v1"))["metadata"]["uid"] == uid


async def test_a_revision_that_is_deleted_is_made_again_once_it_is_gone(desk: Any) -> None:
    await desk.agent(connectors=(), template={"name": "v1"})
    await desk.agent_says("Serving")
    kind = resources.AGENT_REVISIONS
    patch: dict[str, Any] = {"metadata": {"finalizers": ["example.com/wait"]}}
    first = await desk.kubectl.api.merge_patch(kind, "support-v1", desk.namespace, patch)
    await desk.delete(kind, "support-v1")
    agent = await desk.until(
        resources.AGENTS, "support", lambda it: "is being deleted" in condition(it, "Ready")["message"]
    )
    assert condition(agent, "Ready")["reason"] == "Deploying"
    patch["metadata"]["finalizers"] = []
    await desk.kubectl.api.merge_patch(kind, "support-v1", desk.namespace, patch)
    await desk.until(kind, "support-v1", lambda it: it["metadata"]["uid"] != first["metadata"]["uid"])
    await desk.agent_says("Serving")
    deployment = await desk.kubectl.api.get(resources.DEPLOYMENTS, "support-v1", desk.namespace)
    assert deployment["metadata"]["ownerReferences"][0]["uid"] != first["metadata"]["uid"]
