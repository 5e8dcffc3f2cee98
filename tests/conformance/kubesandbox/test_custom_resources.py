"""Versions, selectable fields, scale and names of custom resources."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api, definition, version

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def group(ask: Api, space: str) -> str:
    name = f"{space}.example.com"
    integer, text = {"type": "integer"}, {"type": "string"}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    old = version("v1", {"size": integer}, deprecated=True)
    new = version(
        "v2",
        {"size": integer, "color": {**text, "default": "red"}, "replicas": {"type": "integer", "default": 1}},
        selectableFields=[{"jsonPath": ".spec.color"}],
        subresources={"status": {}, "scale": scale},
    )
    ask.good("POST", CRDS, definition("things", name, old, new))
    return name


def thing(group: str, served: str, name: str, **spec: object) -> dict:
    return {"apiVersion": f"{group}/{served}", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


def test_an_object_is_kept_in_one_version_and_served_in_all(ask: Api, space: str, group: str) -> None:
    root = f"/apis/{group}"
    created = ask.good("POST", f"{root}/v1/namespaces/{space}/things", thing(group, "v1", "a", size=1))
    assert (created["apiVersion"], created["spec"]) == (f"{group}/v1", {"size": 1})
    newer = ask.good("GET", f"{root}/v2/namespaces/{space}/things/a")
    assert (newer["apiVersion"], newer["spec"]) == (f"{group}/v2", {"size": 1, "color": "red", "replicas": 1})
    event = ask.watch(f"{root}/v2/namespaces/{space}/things", 1)[0]
    assert event["object"]["apiVersion"] == f"{group}/v2"


def test_a_field_that_is_selectable_selects(ask: Api, space: str, group: str) -> None:
    path = f"/apis/{group}/v2/namespaces/{space}/things"
    for name, color in (("a", "red"), ("b", "blue")):
        ask.good("POST", path, thing(group, "v2", name, color=color))
    body = ask.good("GET", path, fieldSelector="spec.color=blue")
    assert [item["metadata"]["name"] for item in body["items"]] == ["b"]
    reply = ask("GET", path, fieldSelector="spec.size=1")
    assert (reply.status, reply.body["reason"]) == (400, "BadRequest")


def test_scale_reads_and_writes_where_the_definition_says(ask: Api, space: str, group: str) -> None:
    path = f"/apis/{group}/v2/namespaces/{space}/things"
    ask.good("POST", path, thing(group, "v2", "a", replicas=2))
    scale = ask.good("GET", f"{path}/a/scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 2)
    assert ask.merge(f"{path}/a/scale", {"spec": {"replicas": 5}})["spec"]["replicas"] == 5
    body = ask.good("GET", f"{path}/a")
    assert (body["spec"]["replicas"], body["metadata"]["generation"]) == (5, 2)


def test_names_that_another_definition_has_are_not_accepted(ask: Api, space: str, group: str) -> None:
    other = definition("others", group, version("v1", {}))
    other["spec"]["names"] |= {"kind": "Thing", "listKind": "ThingList"}
    ask.good("POST", CRDS, other)
    body = ask.good("GET", f"{CRDS}/others.{group}")
    conditions = {c["type"]: (c["status"], c["reason"]) for c in body["status"]["conditions"]}
    assert conditions == {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    assert ask("GET", f"/apis/{group}/v1/namespaces/{space}/others").status == 404


def test_openapi_describes_the_new_kind_under_a_new_hash(ask: Api, group: str) -> None:
    entry = ask.good("GET", "/openapi/v3")["paths"][f"apis/{group}/v2"]["serverRelativeURL"]
    document = ask.good("GET", entry)
    name = ".".join([*reversed(group.split(".")), "v2", "Thing"])
    assert document["components"]["schemas"][name]["properties"]["spec"]["properties"]["color"]["default"] == "red"
    patch = document["paths"][f"/apis/{group}/v2/namespaces/{{namespace}}/things/{{name}}"]["patch"]
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}


def test_the_group_is_found_by_aggregated_discovery(ask: Api, group: str) -> None:
    shape = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    items = Api(ask.url, {"Accept": shape}).good("GET", "/apis")["items"]
    found = next(item for item in items if item["metadata"]["name"] == group)
    assert [v["version"] for v in found["versions"]] == ["v2", "v1"]
    assert [s["subresource"] for s in found["versions"][0]["resources"][0]["subresources"]] == ["scale", "status"]


def test_a_default_that_is_new_holds_for_old_objects_without_a_write(ask: Api, space: str, group: str) -> None:
    path = f"/apis/{group}/v2/namespaces/{space}/things"
    before = ask.good("POST", path, thing(group, "v2", "a"))
    crd = ask.good("GET", f"{CRDS}/things.{group}")
    schema = crd["spec"]["versions"][1]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["shape"] = {"type": "string", "default": "round"}
    ask.good("PUT", f"{CRDS}/things.{group}", crd)
    after = ask.good("GET", f"{path}/a")
    assert after["spec"]["shape"] == "round"
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    same = ask.merge(f"{path}/a", {"spec": {"shape": "round"}})
    assert same["metadata"]["generation"] == 1


def test_a_deprecated_version_warns_of_itself(ask: Api, space: str, group: str) -> None:
    reply = ask("GET", f"/apis/{group}/v1/namespaces/{space}/things")
    assert reply.headers["Warning"] == [f'299 - "{group}/v1 Thing is deprecated; use {group}/v2 Thing"']


def test_what_a_real_server_has_and_this_one_has_not_is_501(ask: Api, space: str) -> None:
    asked = (
        ("POST", "/apis/apps/v1/namespaces/{}/statefulsets"),
        ("GET", "/apis/apps/v1/namespaces/{}/controllerrevisions"),
        ("GET", "/api/v1/namespaces/{}/pods/p/exec"),
    )
    for method, path in asked:
        reply = ask(method, path.format(space), {} if method == "POST" else None)
        assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")


def test_kinds_that_are_never_made_here_are_read_as_empty_lists(ask: Api, space: str) -> None:
    # kubectl's `get all`, `describe namespace` and `apply --prune` ask for them on every cluster.
    reply = ask.good("GET", f"/apis/apps/v1/namespaces/{space}/statefulsets")
    assert (reply["kind"], reply["items"]) == ("StatefulSetList", [])
    assert ask("GET", f"/api/v1/namespaces/{space}/limitranges/none").status == 404


def test_fields_given_twice_are_told_of(ask: Api, space: str) -> None:
    body = b'{"metadata": {"name": "c"}, "data": {"a": "1", "a": "2"}}'
    path = f"/api/v1/namespaces/{space}/configmaps"
    assert ask("POST", path, body).headers["Warning"] == ['299 - "duplicate field \\"data.a\\""']
    strict = ask("POST", path, body, fieldValidation="Strict")
    assert strict.status == 400
    assert strict.body["message"].endswith('strict decoding error: duplicate field "data.a"')


def simple(plural: str, kind: str, group: str = "names.example.com") -> dict:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": plural, "kind": kind}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def test_names_are_accepted_one_by_one_and_the_last_conflict_is_told(ask: Api) -> None:
    # apiextensions-apiserver pkg/controller/status/naming_controller.go
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    ask.good("POST", path, simple("ones", "One"))
    ask.good("POST", path, simple("others", "One"))
    status = ask.good("GET", f"{path}/others.names.example.com")["status"]
    assert status["acceptedNames"] == {"plural": "others", "kind": ""}
    found = {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}
    assert found == {
        "NamesAccepted": ("False", "ListKindConflict", '"OneList" is already in use'),
        "Established": ("False", "NotAccepted", "not all names are accepted"),
    }
    for name in ("others", "ones"):
        ask.good("DELETE", f"{path}/{name}.names.example.com")


def test_a_version_that_was_stored_stays_in_the_definition(ask: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    ask.good("POST", path, simple("kept", "Kept"))
    change = [{"op": "replace", "path": "/spec/versions/0/name", "value": "v2"}]
    reply = ask("PATCH", f"{path}/kept.names.example.com", change, kind="application/json-patch+json")
    assert reply.status == 422
    assert [c["field"] for c in reply.body["details"]["causes"]] == ["status.storedVersions[0]"]
    ask.good("DELETE", f"{path}/kept.names.example.com")


def test_kubernetes_own_groups_need_an_approval(ask: Api) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    reply = ask("POST", path, simple("things", "Thing", "x.k8s.io"), dryRun="All")
    assert [c["field"] for c in reply.body["details"]["causes"]] == ["metadata.annotations[api-approved.kubernetes.io]"]


def test_a_custom_resources_bad_name_is_told_with_its_bad_fields(ask: Api, space: str) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = simple("ruled", "Ruled")
    rule = {"type": "object", "x-kubernetes-validations": [{"rule": "false", "message": "never"}]}
    schema = {"type": "object", "properties": {"spec": rule}}
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    ask.good("POST", path, definition)
    body = {"apiVersion": "names.example.com/v1", "kind": "Ruled", "metadata": {"name": "A_"}, "spec": {}}
    resources = f"/apis/names.example.com/v1/namespaces/{space}/ruled"
    causes = ask("POST", resources, body).body["details"]["causes"]
    assert [c["field"] for c in causes] == ["metadata.name", "spec"]
    # hasBlockingErr: what is required and missing, metadata included, keeps CEL rules from being run.
    causes = ask("POST", resources, {**body, "metadata": {}}).body["details"]["causes"]
    assert [c["field"] for c in causes] == ["metadata.name", "<nil>"]
    ask.good("DELETE", f"{path}/ruled.names.example.com")
