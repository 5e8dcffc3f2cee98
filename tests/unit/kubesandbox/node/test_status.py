"""Phases, conditions and container statuses."""

from __future__ import annotations

import datetime as dt

import pytest

from kubesandbox.client import Object
from kubesandbox.node.backoff import BackOff
from kubesandbox.node.status import Container, PodFacts, Running, State, Terminated, Waiting, phase_of, pod_status

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RUNNING = Running(NOW)
WAITING = Waiting("ContainerCreating")
DONE, FAILED = Terminated(0, "Completed", NOW, NOW), Terminated(1, "Error", NOW, NOW)


def container(state: State, *, name: str = "c", ready: bool = False, last: Terminated | None = None) -> Container:
    return Container(name, "image", "Always", state=state, ready=ready, last=last)


@pytest.mark.parametrize(
    ("policy", "initial", "main", "expected"),
    [
        ("Always", [], [WAITING], "Pending"),
        ("Always", [], [RUNNING, WAITING], "Pending"),
        ("Always", [], [RUNNING, DONE], "Running"),
        ("Always", [], [FAILED], "Running"),
        ("Never", [], [DONE, DONE], "Succeeded"),
        ("Never", [], [DONE, FAILED], "Failed"),
        ("OnFailure", [], [FAILED], "Running"),
        ("OnFailure", [], [DONE], "Succeeded"),
        ("Always", [RUNNING], [WAITING], "Pending"),
        ("Never", [FAILED], [WAITING], "Failed"),
        ("Always", [FAILED], [WAITING], "Pending"),
        ("Always", [DONE], [RUNNING], "Running"),
    ],
)
def test_the_phase_is_the_kubelets(policy: str, initial: list[State], main: list[State], expected: str) -> None:
    spec = {"restartPolicy": policy}
    assert phase_of(spec, [container(s) for s in initial], [container(s) for s in main]) == expected


def test_a_container_in_back_off_leaves_its_pod_running() -> None:
    crashed = container(Waiting("CrashLoopBackOff"), last=FAILED)
    assert phase_of({}, [], [crashed]) == "Running"


def test_a_deleted_pod_ends_as_its_containers_did() -> None:
    assert phase_of({}, [], [container(DONE)], ended=True) == "Succeeded"
    assert phase_of({}, [], [container(FAILED)], ended=True) == "Failed"


def test_conditions_name_what_is_not_ready_and_keep_their_times() -> None:
    pod: Object = {"metadata": {"generation": 3}, "spec": {"readinessGates": []}, "status": {}}
    facts = PodFacts(NOW, "10.0.0.1", "127.0.0.1", True)
    pod["status"] = pod_status(
        pod, [], [container(RUNNING, name="a"), container(RUNNING, name="b", ready=True)], facts, NOW
    )
    held = {c["type"]: c for c in pod["status"]["conditions"]}
    assert held["Ready"]["message"] == "containers with unready status: [a]"
    assert (held["Ready"]["reason"], held["Ready"]["observedGeneration"]) == ("ContainersNotReady", 3)
    pod["status"]["conditions"].append({"type": "example.com/gate", "status": "True", "lastTransitionTime": "x"})
    later = pod_status(pod, [], [container(RUNNING, ready=True)], facts, NOW + dt.timedelta(seconds=9))
    times = {c["type"]: c["lastTransitionTime"] for c in later["conditions"]}
    assert times["Initialized"] == "2026-01-01T00:00:00Z"
    assert times["Ready"] == "2026-01-01T00:00:09Z"
    assert times["example.com/gate"] == "x"


def test_a_readiness_gate_holds_ready_back() -> None:
    pod: Object = {"metadata": {}, "spec": {"readinessGates": [{"conditionType": "g"}]}, "status": {}}
    status = pod_status(pod, [], [container(RUNNING, ready=True)], PodFacts(NOW, "", "", True), NOW)
    held = {c["type"]: c for c in status["conditions"]}
    assert (held["ContainersReady"]["status"], held["Ready"]["status"]) == ("True", "False")
    assert held["Ready"]["reason"] == "ReadinessGatesNotReady"


def test_back_off_doubles_to_its_limit_and_is_forgotten_after_quiet() -> None:
    back_off, seen, now = BackOff(), [], 0.0
    for _ in range(8):
        back_off.finished(now)
        seen.append(back_off.seconds)
        now += back_off.seconds + 1
    assert seen == [0, 10, 20, 40, 80, 160, 300, 300]
    assert back_off.text == "5m0s"
    back_off.finished(now + 601)
    assert back_off.seconds == 0


def test_a_scaled_back_off_is_written_unscaled() -> None:
    back_off = BackOff(scale=0.01)
    back_off.finished(0)
    back_off.finished(0.1)
    assert back_off.seconds == pytest.approx(0.1)
    assert back_off.text == "10s"
