"""What the server itself does with Services, Jobs, Pods and their like."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api


@pytest.fixture
def services(space: str) -> str:
    return f"/api/v1/namespaces/{space}/services"


def service(name: str, **spec: object) -> dict:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def test_an_address_is_nobodys_field_and_stays(ask: Api, services: str) -> None:
    made = ask.good("POST", services, service("a"))
    assert "f:clusterIP" not in made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    body = service("a", clusterIP="10.96.99.99")
    reply = ask("PATCH", f"{services}/a", body, kind="application/merge-patch+json")
    assert reply.body["details"]["causes"][0] == {
        "reason": "FieldValueInvalid",
        "message": 'Invalid value: ["10.96.99.99"]: may not change once set',
        "field": "spec.clusterIPs[0]",
    }
    without = service("a")
    without["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    assert ask.good("PUT", f"{services}/a", without)["spec"]["clusterIP"] == made["spec"]["clusterIP"]


def test_no_two_services_have_one_address_and_none_is_none(ask: Api, services: str) -> None:
    addresses = {ask.good("POST", services, service(f"s{n}"))["spec"]["clusterIP"] for n in range(5)}
    assert len(addresses) == 5
    assert ask.good("POST", services, service("headless", clusterIP="None"))["spec"]["clusterIPs"] == ["None"]


def test_node_ports_go_with_the_type_that_has_them(ask: Api, services: str) -> None:
    made = ask.good("POST", services, service("a", type="NodePort"))
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] < 32768
    changed = ask.merge(f"{services}/a", {"spec": {"type": "ClusterIP"}})["spec"]
    assert "nodePort" not in changed["ports"][0]
    assert "externalTrafficPolicy" not in changed


def test_a_jobs_pods_are_kept_unless_their_deletion_is_asked_for(ask: Api, space: str) -> None:
    path = f"/apis/batch/v1/namespaces/{space}/jobs"
    container = {"name": "main", "image": "any"}
    body = {
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    made = ask.good("POST", path, body)
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    reply = ask("DELETE", f"{path}/j")
    assert reply.body["metadata"]["finalizers"] == ["orphan"]
    assert reply.headers["Warning"][0].startswith('299 - "child pods are preserved by default when jobs are deleted')
    ask.gone(f"{path}/j")


def test_a_pod_gets_its_account_and_goes_with_grace_once_it_is_on_a_node(ask: Api, space: str) -> None:
    namespace = f"/api/v1/namespaces/{space}"
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "any"}]}}
    refused = ask("POST", f"{namespace}/pods", body)
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    ask.good("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    pod = ask.good("POST", f"{namespace}/pods", body)
    assert pod["spec"]["serviceAccountName"] == "default"
    mount = pod["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    ask.good("POST", f"{namespace}/pods/p/binding", binding)
    assert ask("POST", f"{namespace}/pods/p/binding", binding).status == 409
    going = ask.good("DELETE", f"{namespace}/pods/p")["metadata"]
    assert going["deletionGracePeriodSeconds"] == 30
    assert ask("GET", f"{namespace}/pods/p").status == 200
    ask.good("DELETE", f"{namespace}/pods/p", gracePeriodSeconds="0")
    assert ask("GET", f"{namespace}/pods/p").status == 404


def test_a_running_pods_spec_does_not_change_but_for_its_image(ask: Api, space: str) -> None:
    namespace = f"/api/v1/namespaces/{space}"
    ask.good("POST", f"{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "one"}]}}
    ask.good("POST", f"{namespace}/pods", body)
    image = {"spec": {"containers": [{"name": "main", "image": "two"}]}}
    strategic = "application/strategic-merge-patch+json"
    assert ask("PATCH", f"{namespace}/pods/p", image, kind=strategic).status == 200
    reply = ask("PATCH", f"{namespace}/pods/p", {"spec": {"hostname": "x"}}, kind=strategic)
    assert (reply.status, reply.body["details"]["causes"][0]["field"]) == (422, "spec")


def test_an_event_is_one_in_both_groups(ask: Api, space: str) -> None:
    core = f"/api/v1/namespaces/{space}/events"
    about = {"kind": "Pod", "name": "p", "namespace": space}
    ask.good("POST", core, {"metadata": {"name": "e"}, "involvedObject": about, "reason": "R", "message": "m"})
    new = ask.good("GET", f"/apis/events.k8s.io/v1/namespaces/{space}/events/e")
    assert (new["regarding"]["name"], new["note"]) == ("p", "m")
    found = ask.good("GET", core, fieldSelector="involvedObject.name=p")["items"]
    assert [event["metadata"]["name"] for event in found] == ["e"]


def test_a_secrets_type_and_an_immutable_config_map_do_not_change(ask: Api, space: str) -> None:
    namespace = f"/api/v1/namespaces/{space}"
    ask.good("POST", f"{namespace}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    merge = "application/merge-patch+json"
    reply = ask("PATCH", f"{namespace}/secrets/s", {"type": "other"}, kind=merge)
    assert reply.body["message"] == 'Secret "s" is invalid: type: Invalid value: "other": field is immutable'
    ask.good("POST", f"{namespace}/configmaps", {"metadata": {"name": "c"}, "immutable": True, "data": {"a": "1"}})
    reply = ask("PATCH", f"{namespace}/configmaps/c", {"data": {"a": "2"}}, kind=merge)
    assert reply.body["message"].endswith("data: Forbidden: field is immutable when `immutable` is set")


@pytest.mark.parametrize(
    ("path", "body", "updated", "made"),
    [
        ("/apis/coordination.k8s.io/v1/namespaces/{}/leases", {"spec": {"holderIdentity": "a"}}, 422, 201),
        ("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", {"spec": {"minAvailable": 1}}, 422, 404),
        ("/api/v1/namespaces/{}/services", {"spec": {"ports": [{"port": 80}]}}, 200, 201),
        ("/api/v1/namespaces/{}/configmaps", {}, 200, 404),
    ],
    ids=["leases", "poddisruptionbudgets", "services", "configmaps"],
)
def test_a_kind_says_whether_it_may_be_replaced_unseen_and_made_by_replacing(
    ask: Api, space: str, path: str, body: dict, updated: int, made: int
) -> None:
    path = path.format(space)
    found = ask.good("POST", path, {"metadata": {"name": "a"}, **body})
    del found["metadata"]["resourceVersion"]
    reply = ask("PUT", f"{path}/a", found)
    assert reply.status == updated
    if updated == 422:
        assert reply.body["details"]["causes"] == [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: 0: must be specified for an update",
                "field": "metadata.resourceVersion",
            }
        ]
    assert ask("PUT", f"{path}/b", {"metadata": {"name": "b"}, **body}).status == made
