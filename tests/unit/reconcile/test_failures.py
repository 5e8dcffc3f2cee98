"""Why pods are not ready, in their own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchboard.reconcile.failures import workload

from .samples import NOW


def deployment(*conditions: Any, generation: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "support-v1", "generation": generation},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, "conditions": list(conditions), **status},
    }


AVAILABLE = {"type": "Available", "status": "True"}
UNAVAILABLE = {"type": "Available", "status": "False", "lastTransitionTime": "2026-11-22T11:50:00Z"}


def pod(*, init: Any = None, main: Any = None, **more: Any) -> dict[str, Any]:
    status: dict[str, Any] = {**more}
    if init is not None:
        status["initContainerStatuses"] = [init]
    if main is not None:
        status["containerStatuses"] = [main]
    return {"metadata": {"name": "support-v1-x"}, "status": status}


def test_it_is_available_when_the_deployment_says_so_of_this_generation() -> None:
    assert workload(deployment(AVAILABLE, readyReplicas=2), [], NOW).available
    assert not workload(deployment(AVAILABLE, readyReplicas=2, generation=2), [], NOW).available


def test_no_replicas_are_available_at_once() -> None:
    none = deployment(AVAILABLE)
    none["spec"]["replicas"] = 0
    assert workload(none, [], NOW).available


FAILED = {"exitCode": 1, "reason": "Error", "message": "SWITCHBOARD: rule 3 is no regular expression"}
LOGGED = "\n".join(
    [
        'a line that was cut"}',
        json.dumps({"time": "2026-11-22T12:00:00.123+00:00", "message": "it begins"}),
        json.dumps({"message": "rule 3 is no regular expression", "exception": "Trace:\n a\nValueError: three\n"}),
    ]
)
CAUSES = {
    "the check": (pod(init={"state": {"terminated": FAILED}}), "rule 3 is no regular expression"),
    "the check, waiting to be restarted": (
        pod(init={"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": FAILED}}),
        "rule 3 is no regular expression",
    ),
    "the check, of which only the log's end is known": (
        pod(init={"state": {"terminated": {**FAILED, "message": LOGGED}}}),
        "The check before its start failed: rule 3 is no regular expression: ValueError: three",
    ),
    "an image": (
        pod(main={"image": "x:1", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}}),
        "image x:1 cannot be pulled (ImagePullBackOff): Back-off",
    ),
    "a configuration": (
        pod(main={"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no ConfigMap"}}}),
        "CreateContainerConfigError): no ConfigMap",
    ),
    "a crash": (
        pod(
            main={
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            }
        ),
        "It crashed: OOMKilled (exit code 137)",
    ),
    "an eviction": (pod(phase="Failed", reason="Evicted", message="low on memory"), "Evicted: low on memory"),
}


@pytest.mark.parametrize(("state", "says"), CAUSES.values(), ids=CAUSES.keys())
def test_a_cause_that_stays_is_a_failure_in_the_pods_words(state: Any, says: str) -> None:
    result = workload(deployment(UNAVAILABLE), [state], NOW).problem
    assert result is not None
    assert result.reason == "RevisionFailed"
    assert says in result.message


def test_a_quota_is_told_by_the_deployment() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=0"}
    result = workload(deployment(UNAVAILABLE, failure), [], NOW).problem
    assert result is not None
    assert "exceeded quota" in result.message


def test_a_probe_that_never_succeeds_is_told_after_the_deadline() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "…"}
    running = pod(main={"state": {"running": {}}, "ready": False})
    early = workload(deployment(UNAVAILABLE), [running], NOW).problem
    result = workload(deployment(UNAVAILABLE, late), [running], NOW).problem
    assert early is not None
    assert result is not None
    assert (early.reason, result.reason) == ("Deploying", "RevisionFailed")
    assert "readiness probe" in result.message


def test_a_pod_that_found_no_node_says_why() -> None:
    unscheduled = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: too little cpu"}])
    result = workload(deployment(UNAVAILABLE), [unscheduled], NOW).problem
    assert result is not None
    assert "too little cpu" in result.message


def test_a_container_that_came_back_is_no_failure() -> None:
    back = pod(main={"state": {"running": {}}, "ready": False, "lastState": {"terminated": {"exitCode": 1}}})
    result = workload(deployment(UNAVAILABLE), [back], NOW).problem
    assert result is not None
    assert result.reason == "Deploying"


def test_pods_that_are_ending_do_not_speak_for_the_revision() -> None:
    ending = pod(init={"state": {"terminated": FAILED}})
    ending["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert workload(deployment(UNAVAILABLE), [ending], NOW).problem is None


def test_it_is_known_since_when_no_pod_is_ready() -> None:
    result = workload(deployment(UNAVAILABLE), [], NOW)
    assert result.silent_since is not None
    assert (NOW - result.silent_since).total_seconds() == 600
