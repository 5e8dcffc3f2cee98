"""Which pods a ReplicaSet owns, makes and removes."""

from __future__ import annotations

from tests.unit.kubesandbox.controllers.objects import NOW, pod, replica_set

from kubesandbox.client import Object
from kubesandbox.controllers.replicas import claim, decide, status


def names(pods: tuple[Object, ...] | list[Object]) -> list[str]:
    return [p["metadata"]["name"] for p in pods]


def test_orphans_that_match_are_adopted_and_own_pods_that_do_not_are_released() -> None:
    pods = [
        pod("ours"),
        pod("lost", labels={"app": "other"}),
        pod("orphan", owner=None),
        pod("finished", owner=None, phase="Succeeded"),
        pod("foreign", owner="someone"),
    ]
    claims = claim(replica_set("v1", 1, 1), pods)
    assert (names(claims.owned), names(claims.release), names(claims.adopt)) == (["ours"], ["lost"], ["orphan"])


def test_missing_pods_are_made_and_finished_or_going_ones_do_not_count() -> None:
    owned = [pod(), pod(phase="Failed"), pod(deleted=True)]
    assert decide(replica_set("v1", 3, 1), owned, owned).create == 2


def test_surplus_pods_go_in_the_order_of_kube_controller_manager() -> None:
    owned = [
        pod("old", since=500),
        pod("young", since=10),
        pod("cheap", annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"}),
        pod("unready", ready=False),
        pod("pending", phase="Pending", ready=False),
        pod("unassigned", phase="Pending", ready=False, node=""),
    ]
    decision = decide(replica_set("v1", 0, 0), owned, owned)
    assert names(decision.delete) == ["unassigned", "pending", "unready", "cheap", "young", "old"]


def test_a_crowded_node_loses_its_pods_first() -> None:
    owned = [pod("alone", node="b"), pod("a1", node="a", since=100), pod("a2", node="a", since=100)]
    assert names(decide(replica_set("v1", 1, 0), owned, owned).delete) == ["a1", "a2"]


def test_a_set_that_is_being_deleted_makes_nothing() -> None:
    going = replica_set("v1", 3, 0)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert decide(going, [], []).create == 0


def test_available_counts_min_ready_seconds() -> None:
    wanted = replica_set("v1", 2, 0)
    wanted["spec"]["minReadySeconds"] = 30
    report = status(wanted, [pod(since=31), pod(since=29)], None, False, NOW)
    assert (report["readyReplicas"], report["availableReplicas"]) == (2, 1)


def test_a_refused_creation_is_a_condition_until_one_succeeds() -> None:
    wanted = replica_set("v1", 2, 0)
    report = status(wanted, [], "pods is forbidden", False, NOW)
    assert report["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "pods is forbidden",
        "lastTransitionTime": "",
    }
    wanted["status"]["conditions"] = report["conditions"]
    assert "conditions" not in status(wanted, [pod()], None, False, NOW)
