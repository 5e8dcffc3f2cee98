"""Placement, slices, Jobs and budgets: decisions that need no cluster."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.unit.kubesandbox.controllers.objects import NOW, ago, pod

from kubesandbox.client import Object
from kubesandbox.controllers import completion, disruption, slices
from kubesandbox.controllers.placement import place


def node(name: str, *, ready: bool = True, labels: dict[str, str] | None = None, **spec: object) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"conditions": conditions, "allocatable": {"pods": "2"}}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": status}


def test_the_least_loaded_node_gets_the_pod() -> None:
    assert place(pod(), [node("a"), node("b")], {"a": 1}).node == "b"


@pytest.mark.parametrize(
    ("candidate", "load", "reason"),
    [
        (node("a", ready=False), {}, "node(s) were not ready"),
        (node("a", unschedulable=True), {}, "node(s) were unschedulable"),
        (node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]), {}, "untolerated taint(s) {k: v}"),
        (node("a"), {"a": 2}, "Too many pods"),
    ],
)
def test_a_pod_that_fits_nowhere_is_told_why(candidate: Object, load: dict[str, int], reason: str) -> None:
    placement = place(pod(), [candidate], load)
    assert placement.node is None
    assert placement.message.startswith("0/1 nodes are available: 1 ")
    assert reason in placement.message


def test_selectors_affinity_and_tolerations_are_honoured() -> None:
    wanted = pod()
    wanted["spec"]["nodeSelector"] = {"disk": "fast"}
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["x"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    wanted["spec"]["affinity"] = {"nodeAffinity": required}
    wanted["spec"]["tolerations"] = [{"key": "k", "operator": "Exists"}]
    taint = {"key": "k", "value": "v", "effect": "NoExecute"}
    fits = node("fits", labels={"disk": "fast", "zone": "x"}, taints=[taint])
    assert place(wanted, [node("plain"), node("half", labels={"disk": "fast"}), fits], {}).node == "fits"
    assert place(wanted, [], {}).message == "no nodes available to schedule pods"


SERVICE: Object = {
    "metadata": {"name": "web", "namespace": "ns", "uid": "s", "labels": {"team": "a"}},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}


def test_a_slice_lists_pods_by_readiness_and_leaves_out_finished_ones() -> None:
    pods = [
        pod("a", ip="10.0.0.1"),
        pod("b", ip="10.0.0.2", ready=False),
        pod("c", ip="10.0.0.3", deleted=True),
        pod("d", phase="Succeeded"),
        pod("e", labels={"app": "x"}),
    ]
    (made,) = slices.changes(SERVICE, pods, []).create
    seen = {e["addresses"][0]: tuple(e["conditions"].values()) for e in made["endpoints"]}
    assert seen == {
        "10.0.0.1": (True, True, False),
        "10.0.0.2": (False, False, False),
        "10.0.0.3": (False, True, True),
    }
    assert made["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    (subset,) = slices.endpoints_subsets(SERVICE, pods)
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.1"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.0.0.2"]


def test_a_slice_that_shows_the_pods_already_is_left_alone() -> None:
    pods = [pod("a")]
    (made,) = slices.changes(SERVICE, pods, []).create
    made["metadata"]["name"] = "web-1"
    changes = slices.changes(SERVICE, pods, [made])
    assert (changes.create, changes.update, changes.delete) == ([], [], [])
    gone = slices.changes(SERVICE, [], [made])
    assert gone.update[0][1]["endpoints"] == []


def job(**spec: object) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": []}}
    whole = {"completions": 1, "parallelism": 1, "backoffLimit": 2, "template": template, **spec}
    return {"metadata": {"name": "j", "namespace": "ns", "uid": "j"}, "spec": whole, "status": {}}


def conditions(status: Object) -> set[str]:
    return {c["type"] for c in status.get("conditions") or ()}


def test_a_job_makes_a_pod_and_ends_with_its_success() -> None:
    first = completion.decide(job(), [], NOW)
    assert (first.create, first.status["startTime"]) == (1, ago(0))
    done = completion.decide(job(), [pod(phase="Succeeded")], NOW)
    assert conditions(done.status) == {"SuccessCriteriaMet", "Complete"}
    assert done.create == 0


def test_a_job_backs_off_after_failures_and_gives_up_at_its_limit() -> None:
    failed = pod(phase="Failed", since=3)
    waits = completion.decide(job(), [failed], NOW)
    assert waits.create == 0
    assert waits.after == pytest.approx(7)
    assert completion.decide(job(), [failed], NOW + dt.timedelta(seconds=8)).create == 1
    over = completion.decide(job(backoffLimit=0), [failed], NOW)
    assert conditions(over.status) == {"FailureTarget", "Failed"}


def test_a_job_past_its_deadline_ends_its_pods_before_it_is_failed() -> None:
    late = job(activeDeadlineSeconds=5)
    late["status"]["startTime"] = ago(6)
    running = pod()
    ending = completion.decide(late, [running], NOW)
    assert ending.delete == [running]
    assert conditions(ending.status) == {"FailureTarget"}
    late["status"] = ending.status
    ended = completion.decide(late, [], NOW)
    assert conditions(ended.status) == {"FailureTarget", "Failed"}


def test_a_finished_job_is_removed_after_its_time() -> None:
    done = job(ttlSecondsAfterFinished=10)
    done["status"]["conditions"] = [
        {"type": "Complete", "status": "True", "lastTransitionTime": ago(4), "reason": "", "message": ""}
    ]
    assert completion.decide(done, [], NOW).after == 6
    assert completion.decide(done, [], NOW + dt.timedelta(seconds=6)).remove


def test_what_a_job_asks_for_and_is_not_done_is_refused() -> None:
    assert "completionMode" in (completion.refused(job(completionMode="Indexed")) or "")
    assert "podFailurePolicy" in (completion.refused(job(podFailurePolicy={"rules": []})) or "")
    assert completion.refused(job()) is None


@pytest.mark.parametrize(
    ("spec", "ready", "allowed"),
    [
        ({"minAvailable": 1}, 3, 2),
        ({"minAvailable": "50%"}, 3, 1),
        ({"maxUnavailable": 1}, 3, 1),
        ({"maxUnavailable": 1}, 2, 0),
        ({"minAvailable": 3}, 3, 0),
    ],
)
def test_a_budget_allows_what_keeps_enough_pods_healthy(spec: Object, ready: int, allowed: int) -> None:
    pods = [pod(ready=index < ready) for index in range(3)]
    assert disruption.budget({"spec": spec}, pods, 3).allowed == allowed
