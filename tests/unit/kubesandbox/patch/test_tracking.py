"""Who owns what after ordinary writes."""

import copy
from typing import Any

from kubesandbox.patch.builtin_types import of as builtin_kind
from kubesandbox.patch.tracking import settle_times, track_update

MAP = builtin_kind("", "ConfigMap")


def obj(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def written(
    old: dict[str, Any] | None, new: dict[str, Any], manager: str, now: str = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    new = copy.deepcopy(new)
    if old is not None:
        new["metadata"].setdefault("managedFields", copy.deepcopy(old["metadata"]["managedFields"]))
    new["metadata"]["managedFields"] = track_update(
        old, new, manager=manager, kind_schema=MAP, api_version="v1", now=now
    )
    return new


def fields(of: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in of["metadata"]["managedFields"]}


def test_who_creates_owns_everything_but_what_names_the_object() -> None:
    assert fields(written(None, obj(a="1"), "maker")) == {"maker": {"f:data": {".": {}, "f:a": {}}}}


def test_who_changes_a_field_owns_it_alone() -> None:
    first = written(None, obj(a="1", b="1"), "maker")
    second = written(first, obj(a="2", b="1"), "editor")
    assert fields(second) == {"maker": {"f:data": {".": {}, "f:b": {}}}, "editor": {"f:data": {"f:a": {}}}}


def test_who_changes_nothing_owns_nothing_and_no_time_moves() -> None:
    first = written(None, obj(a="1"), "maker")
    assert written(first, obj(a="1"), "editor", "2027-01-01T00:00:00Z") == first


def test_a_removed_field_is_nobodys() -> None:
    first = written(None, obj(a="1", b="1"), "maker")
    assert fields(written(first, obj(a="1"), "editor")) == {"maker": {"f:data": {".": {}, "f:a": {}}}}


def test_an_empty_list_resets_the_owners() -> None:
    first = written(None, obj(a="1"), "maker")
    new = obj(a="1", b="2")
    new["metadata"]["managedFields"] = []
    assert fields(written(first, new, "editor")) == {"editor": {"f:data": {"f:b": {}}}}


def test_entries_stand_by_time_and_name() -> None:
    state = written(None, obj(a="1"), "z", "2026-01-01T00:00:00Z")
    state = written(state, obj(a="1", b="1"), "y", "2026-01-02T00:00:00Z")
    state = written(state, obj(a="1", b="1", c="1"), "x", "2026-01-02T00:00:00Z")
    assert [entry["manager"] for entry in state["metadata"]["managedFields"]] == ["z", "x", "y"]


def test_more_than_ten_updaters_are_folded_together() -> None:
    state = written(None, obj(k0="1"), "m0")
    for n in range(1, 14):
        data = {f"k{i}": "1" for i in range(n + 1)}
        state = written(state, obj(**data), f"m{n}", f"2026-01-{n + 1:02}T00:00:00Z")
    names = [entry["manager"] for entry in state["metadata"]["managedFields"]]
    assert len(names) == 10
    assert names[0] == "ancient-changes"
    assert names[-1] == "m13"


def test_a_write_through_the_status_owns_only_the_status() -> None:
    pod = builtin_kind("", "Pod")
    old = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n"}}
    new = {**old, "spec": {"nodeName": "m"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    [entry] = track_update(
        old, new, manager="kubelet", kind_schema=pod, api_version="v1", subresource="status", now="t"
    )
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {
        "f:status": {".": {}, "f:conditions": {".": {}, 'k:{"type":"Ready"}': {".": {}, "f:status": {}, "f:type": {}}}}
    }


def test_structs_that_are_always_there_are_nobodys() -> None:
    deployment = builtin_kind("apps", "Deployment")
    container = {"name": "main", "image": "x"}
    spec = {"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}}
    new = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    [entry] = track_update(None, new, manager="m", kind_schema=deployment, api_version="apps/v1", now="t")
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:replicas": {},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {"f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:name": {}}}},
            },
        }
    }


def test_times_alone_are_no_change() -> None:
    first = written(None, obj(a="1"), "maker", "2026-01-01T00:00:00Z")
    second = written(None, obj(a="1"), "maker", "2026-01-02T00:00:00Z")
    settle_times(first, second)
    assert second == first
    third = written(first, obj(a="2"), "maker", "2026-01-03T00:00:00Z")
    settle_times(first, third)
    assert third["metadata"]["managedFields"][0]["time"] == "2026-01-03T00:00:00Z"
