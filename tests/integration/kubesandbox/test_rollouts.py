"""Deployments roll out, and requests reach their pods, with real processes."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing

import pytest
from tests.integration.kubesandbox.world import PYTHON_SERVER, SECONDS, World, condition, phase

from kubesandbox.client import Object, owner_of
from kubesandbox.client.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    INGRESSES,
    JOBS,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
)
from kubesandbox.controllers import orphans

SLEEP = ["sleep", "1000"]
READINESS = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
SERVER = {
    "ports": [{"name": "http", "containerPort": 8080}],
    "readinessProbe": READINESS,
}
MOMENT, LONG_MOMENT = 1, 8  # seconds: on a hostile cluster two watches after another are late by up to 2 each, or end
GENTLE = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


async def serve(world: World, name: str = "web", replicas: int = 2, moment: int = MOMENT) -> None:
    # Endpoints and routers learn of a pod's end a moment after it began: what serves goes on for that moment.
    container = {**SERVER, "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(moment)]}}}}
    await world.deployment(
        name, PYTHON_SERVER, container=container, grace=moment + 4, replicas=replicas, strategy=GENTLE
    )
    port = {"name": "http", "port": 80, "targetPort": "http"}
    await world.create(SERVICES, name, spec={"selector": {"app": name}, "ports": [port]})


async def template(world: World, name: str, **annotations: str) -> None:
    patch: Object = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    await world.client.patch(DEPLOYMENTS, world.namespace, name, patch)


async def test_a_deployment_becomes_available_and_says_so_as_the_real_controllers_do(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=2)
    obj = await world.available("web", 2)
    (replica_set,) = await world.list(REPLICA_SETS)
    obj = await world.until(
        DEPLOYMENTS, "web", lambda d: condition(d, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )
    name = replica_set["metadata"]["name"]
    assert condition(obj, "Progressing")["message"] == f'ReplicaSet "{name}" has successfully progressed.'
    assert condition(obj, "Available")["reason"] == "MinimumReplicasAvailable"
    assert obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = await world.list(PODS, app="web")
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    for pod in pods:
        assert pod["metadata"]["name"].startswith(f"{name}-")
        assert (owner_of(pod) or {})["uid"] == replica_set["metadata"]["uid"]


async def test_a_rolling_update_has_no_moment_without_service(world: World, hostile: list[str]) -> None:
    await serve(world, moment=LONG_MOMENT if hostile else MOMENT)
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"name": "http"}}}}
    host = f"{world.namespace}.example.com"
    await world.create(INGRESSES, "web", spec={"rules": [{"host": host, "http": {"paths": [path]}}]})
    await world.available("web", 2)
    ingress = await world.until(INGRESSES, "web", lambda i: (i.get("status") or {}).get("loadBalancer"))
    assert ingress["status"]["loadBalancer"]["ingress"] == [{"ip": "127.0.0.1"}]
    statuses: list[int] = []
    served = asyncio.Event()

    async def ask() -> None:
        while True:
            async with world.session.get(world.node.router_url, headers={"Host": host}) as response:
                statuses.append(response.status)
                if response.status == 200:
                    served.set()
            await asyncio.sleep(0)

    asking = asyncio.create_task(ask())
    async with asyncio.timeout(20):
        await served.wait()
    statuses.clear()
    before = {pod["metadata"]["uid"] for pod in await world.list(PODS, app="web")}
    await template(world, "web", version="2")
    await world.available("web", 2)
    for pod in await world.list(PODS, app="web"):
        if pod["metadata"]["uid"] in before:
            await world.gone(PODS, pod["metadata"]["name"])
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert len(statuses) > 10
    assert set(statuses) == {200}
    (held,) = await world.list(ENDPOINT_SLICES, **{"kubernetes.io/service-name": "web"})
    await world.until(ENDPOINT_SLICES, held["metadata"]["name"], lambda obj: len(obj.get("endpoints") or []) == 2)


async def test_scaling_down_ends_processes_and_scaling_to_zero_answers_503(world: World) -> None:
    await serve(world, replicas=3)
    await world.available("web", 3)
    await world.client.patch(DEPLOYMENTS, world.namespace, "web", {"spec": {"replicas": 0}})
    await world.available("web", 0)
    for pod in await world.list(PODS, app="web"):
        await world.gone(PODS, pod["metadata"]["name"])
    headers, text = {"Host": f"web.{world.namespace}.svc"}, ""
    async with asyncio.timeout(20):  # the router learns of it a moment later; until then nothing takes connections
        while "has no ready endpoint" not in text:
            async with world.session.get(world.node.router_url, headers=headers) as response:
                assert response.status == 503
                text = await response.text()


async def test_a_service_is_reached_by_its_host_name_and_an_unknown_one_is_not(world: World) -> None:
    await serve(world, replicas=1)
    await world.available("web", 1)
    host = f"web.{world.namespace}.svc.cluster.local:80"
    async with asyncio.timeout(20):
        status = 0
        while status != 200:
            async with world.session.get(world.node.router_url, headers={"Host": host}) as response:
                status = response.status
    async with world.session.get(world.node.router_url, headers={"Host": f"none.{world.namespace}.svc"}) as response:
        assert response.status == 503
    async with world.session.get(world.node.router_url, headers={"Host": "elsewhere.example"}) as response:
        assert response.status == 404


async def test_a_roll_out_that_never_gets_ready_says_so_and_is_undone(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=2, progressDeadlineSeconds=2, strategy=GENTLE)
    await world.available("web", 2)
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    container = {"name": "main", "image": "none", "command": SLEEP, "readinessProbe": never}
    bad: Object = {"spec": {"template": {"spec": {"containers": [container]}}}}
    good = (await world.get(DEPLOYMENTS, "web"))["spec"]["template"]
    await world.client.patch(DEPLOYMENTS, world.namespace, "web", bad)
    stuck = await world.until(
        DEPLOYMENTS, "web", lambda d: condition(d, "Progressing").get("reason") == "ProgressDeadlineExceeded"
    )
    assert condition(stuck, "Progressing")["status"] == "False"
    assert condition(stuck, "Progressing")["message"].endswith("has timed out progressing.")
    assert condition(stuck, "Available")["status"] == "True"
    assert stuck["status"]["availableReplicas"] == 2
    await world.client.patch(DEPLOYMENTS, world.namespace, "web", {"spec": {"template": good}})
    await world.available("web", 2)
    back = await world.until(
        DEPLOYMENTS,
        "web",
        lambda d: d["metadata"]["annotations"].get("deployment.kubernetes.io/revision") == "3",
    )
    assert back["status"]["availableReplicas"] == 2


async def test_recreate_ends_the_old_pods_before_it_makes_new_ones(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=2, strategy={"type": "Recreate"})
    await world.available("web", 2)
    old = {pod["metadata"]["uid"] for pod in await world.list(PODS, app="web")}
    assert len(old) == 2
    await template(world, "web", version="2")
    async with asyncio.timeout(SECONDS), aclosing(world.pods()) as moments:
        async for pods in moments:
            if new := pods.keys() - old:
                # As oldPodsRunning of the real controller: a pod that has ended is waited for no longer.
                assert {phase(pods[uid]) for uid in old & pods.keys()} <= {"Succeeded", "Failed"}
                break
    assert new
    await world.available("web", 2)


async def test_old_replica_sets_beyond_the_history_limit_are_removed(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=1, revisionHistoryLimit=1)
    await world.available("web", 1)
    first = (await world.list(REPLICA_SETS))[0]["metadata"]["name"]
    for version in ("2", "3"):
        await template(world, "web", version=version)
        await world.available("web", 1)
    await world.gone(REPLICA_SETS, first)
    revisions = {
        rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for rs in await world.list(REPLICA_SETS)
    }
    assert revisions == {"2", "3"}


async def test_a_deleted_pod_is_replaced(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=1)
    await world.available("web", 1)
    (pod,) = await world.list(PODS, app="web")
    await world.client.delete(PODS, world.namespace, pod["metadata"]["name"])
    await world.gone(PODS, pod["metadata"]["name"])
    # The Deployment's status may be that of the pod which is gone for a while yet.
    async with asyncio.timeout(SECONDS), aclosing(world.pods()) as states:
        async for pods in states:
            if any(condition(new, "Ready").get("status") == "True" for new in pods.values()):
                break
    assert pod["metadata"]["uid"] not in pods
    await world.available("web", 1)


async def test_a_job_completes_and_is_removed_after_its_time(world: World) -> None:
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none", "command": ["true"]}]}
    }
    await world.create(JOBS, "hook", spec={"template": template, "ttlSecondsAfterFinished": 1})
    job = await world.until(JOBS, "hook", lambda j: condition(j, "Complete").get("status") == "True")
    assert job["status"]["succeeded"] == 1
    assert condition(job, "SuccessCriteriaMet")["reason"] == "CompletionsReached"
    await world.gone(JOBS, "hook")


async def test_a_job_that_keeps_failing_fails(world: World) -> None:
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none", "command": ["false"]}]}
    }
    await world.create(JOBS, "hook", spec={"template": template, "backoffLimit": 0})
    job = await world.until(JOBS, "hook", lambda j: condition(j, "Failed").get("status") == "True")
    assert condition(job, "Failed")["reason"] == "BackoffLimitExceeded"
    assert job["status"]["failed"] == 1


async def test_a_disruption_budget_counts_what_may_go(world: World) -> None:
    await world.deployment("web", SLEEP, replicas=2)
    selector = {"matchLabels": {"app": "web"}}
    await world.create(POD_DISRUPTION_BUDGETS, "web", spec={"minAvailable": 1, "selector": selector})
    await world.available("web", 2)
    pdb = await world.until(
        POD_DISRUPTION_BUDGETS, "web", lambda b: (b.get("status") or {}).get("disruptionsAllowed") == 1
    )
    assert pdb["status"]["expectedPods"] == 2
    assert pdb["status"]["desiredHealthy"] == 1


async def test_a_pod_that_fits_no_node_says_why_and_runs_once_it_does(world: World, kubeconfig: object) -> None:
    if kubeconfig is not None:
        pytest.skip("other nodes of a named cluster change the message")
    await world.pod("picky", SLEEP, nodeSelector={"disk": "fast"})
    text = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    # A heartbeat that is late makes the node "not ready" for a moment.
    pod = await world.until(PODS, "picky", lambda p: condition(p, "PodScheduled").get("message") == text)
    assert condition(pod, "PodScheduled")["status"] == "False"
    await world.client.patch(NODES, "", world.node.name, {"metadata": {"labels": {"disk": "fast"}}})
    await world.until(PODS, "picky", lambda p: phase(p) == "Running")


async def test_pods_of_a_node_that_is_gone_are_removed(
    world: World, kubeconfig: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kubeconfig is not None:
        pytest.skip("a real control plane waits 40 seconds")
    monkeypatch.setattr(orphans, "QUARANTINE_SECONDS", 0.2)
    metadata = {"name": "gone"}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"pods": "9"}}
    await world.client.create(NODES, {"metadata": metadata, "status": status})
    await world.client.patch(NODES, "", "gone", {"status": status}, subresource="status")
    await world.pod("lost", SLEEP, nodeName="gone")
    await world.client.delete(NODES, "", "gone")
    await world.gone(PODS, "lost")
