"""Owners and dependents, finalizers, definitions and namespaces that go."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api, config_map, definition, version


def owned(ask: Api, path: str, *owners: dict, block: bool = True) -> dict:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return ask.good("POST", path, config_map("dependent", ownerReferences=references))


def options(policy: str) -> dict:
    return {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}


@pytest.fixture
def path(space: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps"


def test_in_the_background_the_dependent_goes_after_its_owner(ask: Api, path: str) -> None:
    owned(ask, path, ask.good("POST", path, config_map("owner")))
    body = ask.good("DELETE", f"{path}/owner", options("Background"))
    assert (body["kind"], body["status"]) == ("Status", "Success")
    ask.gone(f"{path}/dependent")


def test_in_the_foreground_the_owner_stays_until_its_dependents_are_gone(ask: Api, path: str) -> None:
    dependent = owned(ask, path, ask.good("POST", path, config_map("owner")))
    ask.merge(f"{path}/dependent", {"metadata": {"finalizers": ["example.com/hold"]}})
    body = ask.good("DELETE", f"{path}/owner", options("Foreground"))
    assert body["metadata"]["finalizers"] == ["foregroundDeletion"]
    ask.until(f"{path}/dependent", lambda reply: "deletionTimestamp" in reply.body["metadata"])
    assert ask("GET", f"{path}/owner").status == 200
    ask.merge(f"{path}/{dependent['metadata']['name']}", {"metadata": {"finalizers": None}})
    ask.gone(f"{path}/owner")


def test_an_orphan_loses_the_reference_and_stays(ask: Api, path: str) -> None:
    owned(ask, path, ask.good("POST", path, config_map("owner")))
    body = ask.good("DELETE", f"{path}/owner", options("Orphan"))
    assert body["metadata"]["finalizers"] == ["orphan"]
    ask.gone(f"{path}/owner")
    assert "ownerReferences" not in ask.good("GET", f"{path}/dependent")["metadata"]


def test_of_two_owners_one_keeps_the_dependent(ask: Api, path: str) -> None:
    one, other = ask.good("POST", path, config_map("one")), ask.good("POST", path, config_map("other"))
    owned(ask, path, one, other)
    ask.good("DELETE", f"{path}/one", options("Background"))
    reply = ask.until(f"{path}/dependent", lambda r: len(r.body["metadata"]["ownerReferences"]) == 1)
    assert reply.body["metadata"]["ownerReferences"][0]["name"] == "other"


def test_an_object_whose_owner_never_was_goes(ask: Api, path: str) -> None:
    owned(ask, path, {"metadata": {"name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"}})
    ask.gone(f"{path}/dependent")


def test_a_deletion_of_another_revision_is_409(ask: Api, path: str) -> None:
    ask.good("POST", path, config_map("c"))
    reply = ask("DELETE", f"{path}/c", {"preconditions": {"resourceVersion": "1"}})
    assert (reply.status, reply.body["reason"]) == (409, "Conflict")
    assert "the ResourceVersion in the precondition (1) does not match" in reply.body["message"]


def test_a_dry_deletion_deletes_nothing(ask: Api, path: str) -> None:
    ask.good("POST", path, config_map("c"))
    ask.good("DELETE", f"{path}/c", dryRun="All")
    assert ask("GET", f"{path}/c").status == 200


def test_what_is_going_takes_no_new_finalizer(ask: Api, path: str) -> None:
    ask.good("POST", path, config_map("c", finalizers=["example.com/a"]))
    ask.good("DELETE", f"{path}/c")
    body = {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}
    reply = ask("PATCH", f"{path}/c", body, kind="application/merge-patch+json")
    assert reply.status == 422
    assert 'found new finalizers []string{"example.com/b"}' in reply.body["message"]
    ask.merge(f"{path}/c", {"metadata": {"finalizers": None}})


def test_a_definition_goes_when_its_last_object_is_let_go(ask: Api, space: str) -> None:
    group = f"{space}.example.com"
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"
    path = f"/apis/{group}/v1/namespaces/{space}/things"
    ask.good("POST", crd.rpartition("/")[0], definition("things", group, version("v1", {})))
    body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "a", "finalizers": ["example.com/a"]}}
    ask.good("POST", path, body)
    ask.good("DELETE", crd)
    ask.until(crd, lambda r: any(c["type"] == "Terminating" for c in r.body["status"]["conditions"]))
    ask.until(f"{path}/a", lambda reply: "deletionTimestamp" in reply.body["metadata"])
    ask.merge(f"{path}/a", {"metadata": {"finalizers": None}})
    ask.gone(crd)
    assert ask("GET", path).status == 404


def test_a_namespace_that_is_going_takes_nothing_new_and_goes_when_it_is_empty(ask: Api) -> None:
    namespace = "/api/v1/namespaces/going"
    ask.good("POST", "/api/v1/namespaces", {"metadata": {"name": "going"}})
    ask.good("POST", f"{namespace}/configmaps", config_map("held", finalizers=["example.com/a"]))
    assert ask.good("DELETE", namespace)["status"]["phase"] == "Terminating"
    reply = ask("POST", f"{namespace}/configmaps", config_map("late"))
    assert (reply.status, reply.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    ask.until(f"{namespace}/configmaps/held", lambda r: "deletionTimestamp" in r.body["metadata"])
    ask.merge(f"{namespace}/configmaps/held", {"metadata": {"finalizers": None}})
    ask.gone(namespace)


def test_the_default_namespace_stays(ask: Api) -> None:
    assert ask("DELETE", "/api/v1/namespaces/default").status == 403
