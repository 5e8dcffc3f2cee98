"""What may change of pods and of what counts them (ValidatePodUpdate, ValidateDeploymentStatus, admission)."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api

SPEC = {"activeDeadlineSeconds": 50, "containers": [{"name": "main", "image": "one"}]}
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


@pytest.fixture
def pods(ask: Api, space: str) -> str:
    """The path of a namespace's pods."""
    ask.good("POST", f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": "default"}})
    return f"/api/v1/namespaces/{space}/pods"


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"activeDeadlineSeconds": 90},
            "spec.activeDeadlineSeconds",
            "Invalid value: 90: must be less than or equal to previous value",
        ),
        (
            {"tolerations": [{"$patch": "replace"}, {"key": "k", "operator": "Exists"}]},
            "spec.tolerations",
            "Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            {"containers": [{"name": "other", "image": "any"}]},
            "spec.containers",
            "Forbidden: pod updates may not add or remove containers",
        ),
        ({"containers": [{"name": "main", "image": ""}]}, "spec.containers[0].image", "Required value"),
    ],
)
def test_a_pods_change_is_refused_for(ask: Api, pods: str, spec: dict, field: str, message: str) -> None:
    ask.good("POST", pods, {"metadata": {"name": "p"}, "spec": SPEC})
    reply = ask("PATCH", f"{pods}/p", {"spec": spec}, kind=STRATEGIC)
    assert reply.status == 422
    assert [(c["field"], c["message"]) for c in reply.body["details"]["causes"]] == [(field, message)]


def test_a_pod_takes_another_image_an_earlier_end_and_more_tolerations(ask: Api, pods: str) -> None:
    made = ask.good("POST", pods, {"metadata": {"name": "p"}, "spec": SPEC})
    more = [*made["spec"]["tolerations"], {"key": "k", "operator": "Exists"}]
    change = {"activeDeadlineSeconds": 5, "tolerations": more}
    assert ask.merge(f"{pods}/p", {"spec": change})["spec"]["tolerations"] == more


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        (
            {"priority": 7},
            (
                "the integer value of priority (7) must not be provided in pod spec; priority admission controller "
                "computed 0 from the given PriorityClass name"
            ),
        ),
    ],
)
def test_a_priority_comes_from_a_class_that_exists(ask: Api, pods: str, spec: dict, why: str) -> None:
    reply = ask("POST", pods, {"metadata": {"name": "p"}, "spec": {**SPEC, **spec}})
    assert (reply.status, reply.body["message"]) == (403, f'pods "p" is forbidden: {why}')


def test_a_status_counts_no_more_ready_than_there_are(ask: Api, space: str) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": SPEC["containers"]}}
    ask.good(
        "POST",
        path,
        {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}} | {"template": template}},
    )
    reply = ask("PATCH", f"{path}/d/status", {"status": {"replicas": 1, "readyReplicas": 2}}, kind=MERGE)
    assert [c["field"] for c in reply.body["details"]["causes"]] == ["status.readyReplicas"]
    reply = ask("PATCH", f"{path}/d/status", {"status": {"replicas": -1}}, kind=MERGE)
    parts = ("", "updatedReplicas", "readyReplicas", "availableReplicas")
    found = [c["field"] for c in reply.body["details"]["causes"]]
    assert found == [f"status.{part or 'replicas'}" for part in parts]


def test_a_namespace_that_stays_is_active(ask: Api, space: str) -> None:
    reply = ask("PATCH", f"/api/v1/namespaces/{space}/status", {"status": {"phase": "Odd"}}, kind=MERGE)
    assert reply.body["details"]["causes"][0]["field"] == "status.Phase"


def test_core_kinds_say_which_field_they_cannot_be_selected_by(ask: Api, pods: str) -> None:
    # pkg/apis/core/v1/conversion.go; kinds without fields of their own name the two that all have.
    assert ask("GET", pods, fieldSelector="spec.bogus=1").body["message"] == "field label not supported: spec.bogus"
    maps = pods.replace("pods", "configmaps")
    assert ask("GET", maps, fieldSelector="bogus=1").body["message"] == (
        '"bogus" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )
