"""Patches that make nonsense (k8s.io/apiserver pkg/endpoints/handlers/patch.go) and metadata that does not change."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api

MERGE, JSON, STRATEGIC = (f"application/{name}+json" for name in ("merge-patch", "json-patch", "strategic-merge-patch"))
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def path(ask: Api, space: str) -> str:
    """A ConfigMap's."""
    ask.good("POST", f"/api/v1/namespaces/{space}/configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
    return f"/api/v1/namespaces/{space}/configmaps/c"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE, {"data": {"a": 1}}),
        (JSON, [{"op": "add", "path": "/data/a", "value": 1}]),
        (STRATEGIC, {"data": {"a": 1}}),
        (MERGE, {"kind": "Secret"}),
        (MERGE, {"apiVersion": "v2"}),
    ],
)
def test_a_patch_that_leaves_no_object_of_the_kind_is_422(ask: Api, path: str, kind: str, body: object) -> None:
    reply = ask("PATCH", path, body, kind=kind)
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    assert reply.body["message"].startswith(' "" is invalid: patch: Invalid value: ')
    assert [c["field"] for c in reply.body["details"]["causes"]] == ["patch"]


def test_a_strict_strategic_patch_shows_the_patch_as_go_prints_it(ask: Api, path: str) -> None:
    reply = ask("PATCH", path, {"bogus": [1, {"a": True}]}, kind=STRATEGIC, fieldValidation="Strict")
    assert reply.body["message"] == (
        ' "" is invalid: patch: Invalid value: "map[bogus:[1 map[a:true]]]": strict decoding error: '
        'unknown field "bogus"'
    )


def test_a_list_without_its_merge_key_is_an_error_of_the_servers_own(ask: Api, space: str) -> None:
    services = f"/api/v1/namespaces/{space}/services"
    ask.good("POST", services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    reply = ask("PATCH", f"{services}/s", {"spec": {"ports": [{"name": "a"}]}}, kind=STRATEGIC)
    assert (reply.status, reply.body.get("reason")) == (500, None)
    assert reply.body["message"] == "map: map[name:a] does not contain declared merge key: port"


def test_a_strategic_patch_cannot_say_another_kind(ask: Api, path: str) -> None:
    assert ask.good("PATCH", path, {"kind": "Secret"}, kind=STRATEGIC)["kind"] == "ConfigMap"


def test_an_apply_of_wrong_types_or_another_version_is_refused(ask: Api, path: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": 1}}
    reply = ask("PATCH", path, body, kind=APPLY, fieldManager="m")
    assert reply.status == 500
    assert reply.body["message"].startswith("failed to create typed patch object (/c; /v1, Kind=ConfigMap): ")
    reply = ask("PATCH", path, {**body, "apiVersion": "v2"}, kind=APPLY, fieldManager="m")
    assert reply.body["message"] == "invalid object type: /v2, Kind=ConfigMap"
    assert reply.status == 400


def test_an_apply_that_names_a_uid_makes_nothing(ask: Api, path: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "uid": "u"}}
    reply = ask("PATCH", path.removesuffix("c") + "new", body, kind=APPLY, fieldManager="m")
    assert (reply.status, reply.body["reason"]) == (409, "Conflict")
    assert reply.body["message"].endswith(
        "uid mismatch: the provided object specified uid u, and no existing object was found"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uid": "u"}, "metadata.uid"),
        ({"deletionTimestamp": "2020-01-01T00:00:00Z"}, "metadata.deletionTimestamp"),
        ({"finalizers": ["bare"]}, "metadata.finalizers[0]"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a"}]}, "metadata.ownerReferences.uid"),
    ],
)
def test_metadata_that_is_refused_names_its_field(ask: Api, path: str, change: dict, field: str) -> None:
    reply = ask("PATCH", path, {"metadata": change}, kind=MERGE)
    assert reply.status == 422
    # rest.BeforeUpdate and the kind's own validation both find most of it.
    assert {c["field"] for c in reply.body["details"]["causes"]} == {field}


def test_a_creation_time_is_nobodys_to_change(ask: Api, path: str) -> None:
    before = ask.good("GET", path)["metadata"]
    after = ask.merge(path, {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})["metadata"]
    assert after["creationTimestamp"] == before["creationTimestamp"]


def test_a_put_with_another_uid_is_a_conflict_though(ask: Api, path: str) -> None:
    assert ask("PUT", path, {"metadata": {"name": "c", "uid": "u"}}).status == 409


def test_an_owner_given_twice_is_kept_once_with_a_warning(ask: Api, path: str) -> None:
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "u"}
    body = {"metadata": {"name": "c", "ownerReferences": [owner, dict(owner)]}}
    reply = ask("PUT", path, body, dryRun="All")
    assert reply.body["metadata"]["ownerReferences"] == [owner]
    assert "duplicate UID(s) observed: u" in reply.headers["Warning"][0]


def test_a_collection_has_no_put_and_no_patch(ask: Api, path: str) -> None:
    collection = path.removesuffix("/c")
    assert ask("PUT", collection, {}).status == 405
    assert ask("PATCH", collection, {}, kind=MERGE).status == 405


def test_a_get_waits_for_no_revision_that_is_yet_to_come(ask: Api, path: str) -> None:
    assert ask("GET", path, resourceVersion="999999999").status == 504
    assert ask("GET", path, resourceVersion="x").body["message"] == (
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
    )


def test_a_write_that_only_moves_a_managers_time_is_none(ask: Api, path: str) -> None:
    before = ask.good("GET", path)
    moved = [{**entry, "time": "2020-01-01T00:00:00Z"} for entry in before["metadata"]["managedFields"]]
    body = {**before, "metadata": {**before["metadata"], "managedFields": moved}}
    after = ask.good("PUT", path, body)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["metadata"]["managedFields"] == before["metadata"]["managedFields"]


def test_a_cluster_scoped_resource_is_in_no_namespace(ask: Api, space: str) -> None:
    assert ask("GET", f"/api/v1/namespaces/{space}/nodes").status == 404
    assert ask("GET", f"/api/v1/namespaces/{space}/namespaces").status == 404
    assert ask("GET", f"/api/v1/namespaces/{space}").status == 200


def test_health_is_told_check_by_check_where_asked(ask: Api) -> None:
    assert ask("GET", "/readyz").body == "ok"
    assert ask("GET", "/readyz", verbose="true").body.splitlines()[-1] == "readyz check passed"
