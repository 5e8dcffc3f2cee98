"""What a Deployment does next."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kubesandbox.controllers.objects import NOW, ago, deployment, pod, replica_set

from kubesandbox.client import Object
from kubesandbox.controllers import progress, rollout
from kubesandbox.controllers.rollout import Plan, decide, observe


def sizes(plan: Plan) -> dict[str, int]:
    return {step.replica_set["metadata"]["name"]: step.replicas for step in plan.scale}


def strategy(surge: int | str, unavailable: int | str) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_the_first_replica_set_is_made_with_all_replicas_its_hash_and_its_revision() -> None:
    plan = decide(observe(deployment(3), []), [])
    assert plan.create is not None
    labels = plan.create["metadata"]["labels"]
    assert plan.create["spec"]["replicas"] == 3
    assert plan.create["metadata"]["name"] == f"web-{labels['pod-template-hash']}"
    assert plan.create["spec"]["selector"]["matchLabels"] == labels
    assert plan.create["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert plan.revision == "1"


def test_a_new_template_surges_within_its_limit() -> None:
    wanted = deployment(4, "v2", strategy=strategy(1, 0))
    plan = decide(observe(wanted, [replica_set("v1", 4, 4, desired=4)]), [])
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 1
    assert plan.create["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_old_pods_go_only_as_far_as_availability_allows() -> None:
    wanted = deployment(4, "v2", strategy=strategy(1, 0))
    sets = [replica_set("v1", 4, 4, desired=4, age=9), replica_set("v2", 1, 0, revision=2, desired=4)]
    assert sizes(decide(observe(wanted, sets), [])) == {}
    sets[1]["status"]["availableReplicas"] = 1
    assert sizes(decide(observe(wanted, sets), [])) == {"web-v1": 3}


def test_unhealthy_old_pods_go_first() -> None:
    wanted = deployment(4, "v2", strategy=strategy(1, 1))
    sets = [replica_set("v1", 4, 2, desired=4, age=9), replica_set("v2", 1, 1, revision=2, desired=4)]
    assert sizes(decide(observe(wanted, sets), [])) == {"web-v1": 2}


def test_recreate_waits_for_the_last_old_pod() -> None:
    wanted = deployment(2, "v2", strategy={"type": "Recreate"})
    assert sizes(decide(observe(wanted, [replica_set("v1", 2, 2)]), [])) == {"web-v1": 0}
    old = replica_set("v1", 0, 0)
    assert decide(observe(wanted, [old]), [pod(deleted=True)]).create is None
    made = decide(observe(wanted, [old]), []).create
    assert made is not None
    assert made["spec"]["replicas"] == 2


def test_going_back_to_an_old_template_gives_its_replica_set_a_new_revision() -> None:
    sets = [replica_set("v1", 0, 0, revision=1, age=9), replica_set("v2", 2, 2, revision=2)]
    plan = decide(observe(deployment(2, "v1"), sets), [])
    assert plan.create is None
    assert plan.annotate is not None
    assert plan.annotate["deployment.kubernetes.io/revision"] == "3"
    assert plan.annotate["deployment.kubernetes.io/revision-history"] == "1"
    assert plan.revision == "3"


def test_a_paused_deployment_makes_nothing_new_but_scales() -> None:
    wanted = deployment(5, "v2", paused=True)
    plan = decide(observe(wanted, [replica_set("v1", 2, 2)]), [])
    assert plan.create is None
    assert sizes(plan) == {"web-v1": 5}


def test_scaling_during_a_roll_out_is_shared_in_proportion() -> None:
    wanted = deployment(20, "v2", strategy=strategy(0, 1))
    sets = [replica_set("v1", 8, 8, desired=10, age=9), replica_set("v2", 2, 2, revision=2, desired=10)]
    for held in sets:
        held["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] = "10"
    assert sizes(decide(observe(wanted, sets), [])) == {"web-v1": 16, "web-v2": 4}


def test_history_beyond_the_limit_goes_when_the_roll_out_is_complete() -> None:
    done = deployment(2, "v3", revisionHistoryLimit=1)
    done["status"] = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    sets = [
        replica_set("v1", 0, 0, revision=1, age=9),
        replica_set("v2", 0, 0, revision=2, age=5),
        replica_set("v3", 2, 2, revision=3),
    ]
    assert [rs["metadata"]["name"] for rs in decide(observe(done, sets), []).remove] == ["web-v1"]
    done["status"]["availableReplicas"] = 1
    assert decide(observe(done, sets), []).remove == []


def test_a_deployment_that_is_being_deleted_is_left_alone() -> None:
    going = deployment(2)
    going["metadata"]["deletionTimestamp"] = ago(0)
    assert decide(observe(going, []), []) == Plan()


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 1, (1, 0)),
        (0, 0, 3, (0, 1)),
        ("0%", "10%", 5, (0, 1)),
        (2, 9, 3, (2, 3)),
    ],
)
def test_percentages_round_up_for_surge_and_down_for_unavailable(
    surge: int | str, unavailable: int | str, replicas: int, expected: tuple[int, int]
) -> None:
    assert rollout.surge_and_unavailable(deployment(replicas, strategy=strategy(surge, unavailable))) == expected


def test_hashes_differ_by_template_and_by_collision() -> None:
    one, other = deployment(image="a")["spec"]["template"], deployment(image="b")["spec"]["template"]
    assert len({rollout.template_hash(one, 0), rollout.template_hash(other, 0), rollout.template_hash(one, 1)}) == 3
    assert rollout.template_hash(one, 0) == rollout.template_hash(copy.deepcopy(one), 0)


@given(
    replicas=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    order=st.lists(st.integers(0, 2), max_size=60),
)
def test_no_order_of_events_breaks_the_limits_and_every_roll_out_ends(
    replicas: int, surge: int, unavailable: int, order: list[int]
) -> None:
    """Old and new ReplicaSets, with pods that become available or go in any order."""
    wanted = deployment(replicas, "v2", strategy=strategy(surge, unavailable))
    most, fewest = rollout.surge_and_unavailable(wanted)
    old = replica_set("v1", replicas, replicas, desired=replicas, age=9)
    sets = [old]

    def act() -> None:
        plan = decide(observe(wanted, sets), [])
        if plan.create is not None:
            new = replica_set("v2", plan.create["spec"]["replicas"], 0, revision=2, desired=replicas)
            sets.append(new)
        for step in plan.scale:
            step.replica_set["spec"]["replicas"] = step.replicas
            status = step.replica_set["status"]
            status["availableReplicas"] = min(status["availableReplicas"], step.replicas)
        assert sum(rs["spec"]["replicas"] for rs in sets) <= replicas + most
        assert sum(rs["status"]["availableReplicas"] for rs in sets) >= replicas - fewest

    for event in [*order, *[0, 1] * (4 * replicas + 8)]:
        if event == 0:
            act()
        elif event == 1 and len(sets) > 1:
            new = sets[1]
            if new["status"]["availableReplicas"] < new["spec"]["replicas"]:
                new["status"]["availableReplicas"] += 1
    assert [rs["spec"]["replicas"] for rs in sets] == [0, replicas]


# -- status ------------------------------------------------------------------------------------------------------


def test_progress_moves_the_deadline_and_standing_still_exceeds_it() -> None:
    stuck = deployment(2, "v2", progressDeadlineSeconds=60)
    sets = [replica_set("v1", 2, 2, age=9), replica_set("v2", 1, 0, revision=2)]
    held = progress.status(observe(stuck, sets), None, NOW)
    for entry in held["conditions"]:
        entry["lastUpdateTime"] = ago(61)
    stuck["status"] = held
    late = progress.status(observe(stuck, sets), None, NOW)
    progressing = next(c for c in late["conditions"] if c["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert progressing["message"] == 'ReplicaSet "web-v2" has timed out progressing.'
    sets[1]["status"]["readyReplicas"] = sets[1]["status"]["availableReplicas"] = 1
    moved = progress.status(observe(stuck, sets), None, NOW)
    assert next(c for c in moved["conditions"] if c["type"] == "Progressing")["reason"] == "ReplicaSetUpdated"


def test_available_follows_the_minimum() -> None:
    wanted = deployment(4, strategy=strategy(1, 1))
    enough = progress.status(observe(wanted, [replica_set("v1", 4, 3, desired=4)]), None, NOW)
    short = progress.status(observe(wanted, [replica_set("v1", 4, 2, desired=4)]), None, NOW)
    assert [c["status"] for s in (enough, short) for c in s["conditions"] if c["type"] == "Available"] == [
        "True",
        "False",
    ]
    assert short["unavailableReplicas"] == 2


def test_a_replica_sets_failure_is_told_and_taken_back() -> None:
    failing = replica_set("v1", 2, 0)
    failing["status"]["conditions"] = [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": "forbidden",
            "lastTransitionTime": ago(5),
        }
    ]
    wanted = deployment(2)
    wanted["status"] = progress.status(observe(wanted, [failing]), None, NOW)
    told = [c for c in wanted["status"]["conditions"] if c["type"] == "ReplicaFailure"]
    assert (told[0]["reason"], told[0]["message"]) == ("FailedCreate", "forbidden")
    healed = progress.status(observe(wanted, [replica_set("v1", 2, 0)]), None, NOW)
    assert "ReplicaFailure" not in {c["type"] for c in healed["conditions"]}


def test_paused_and_resumed_are_told() -> None:
    wanted = deployment(2, paused=True)
    sets = [replica_set("v1", 2, 2)]
    wanted["status"] = progress.status(observe(wanted, sets), None, NOW)
    assert _reason(wanted["status"]) == "DeploymentPaused"
    wanted["spec"]["paused"] = False
    wanted["status"] = progress.status(observe(wanted, sets), None, NOW)
    assert _reason(wanted["status"]) == "DeploymentResumed"
    assert _reason(progress.status(observe(wanted, sets), None, NOW)) == "NewReplicaSetAvailable"


def _reason(status: Object) -> str:
    return str(next(c["reason"] for c in status["conditions"] if c["type"] == "Progressing"))
