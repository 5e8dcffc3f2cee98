"""Server-side apply: owners, conflicts, removals."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesandbox.patch.apply import ApplyConflictError, ApplyInvalidError, ManagedFieldsGivenError, apply
from kubesandbox.patch.builtin_types import of as builtin_kind
from kubesandbox.patch.fieldset import decode, show
from kubesandbox.patch.tracking import track_update
from kubesandbox.patch.types import from_crd
from kubesandbox.schema import compile_schema

V = "t.example.com/v1"
TEXT = {"type": "string"}
LINE = from_crd(
    compile_schema({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "number": TEXT,
                    "note": TEXT,
                    "count": {"type": "integer"},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
                    "steps": {"type": "array", "items": TEXT},
                    "labels": {"type": "object", "additionalProperties": TEXT},
                    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": TEXT},
                    "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "routes": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "properties": {"name": TEXT, "to": TEXT, "weight": {"type": "integer"}},
                        },
                    },
                },
            },
            "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
        },
    }).root,
    has_status=True,
)  # fmt: skip


def config(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": V, "kind": "Line", "metadata": {"name": "a", "namespace": "n"}, "spec": spec}


def applied(
    live: dict[str, Any] | None, manager: str, *, force: bool = False, now: str = "2026-01-01T00:00:00Z", **spec: Any
) -> dict[str, Any]:
    return apply(live, config(**spec), manager=manager, force=force, kind_schema=LINE, api_version=V, now=now)


def owned(obj: dict[str, Any], manager: str) -> Any:
    found = [e["fieldsV1"] for e in obj["metadata"].get("managedFields", []) if e["manager"] == manager]
    return found[0].get("f:spec") if found else None


def test_who_applies_owns_what_it_names() -> None:
    obj = applied(
        None,
        "one",
        number="1",
        tags=["x"],
        steps=["s"],
        labels={"k": "v"},
        whole={"k": "v"},
        routes=[{"name": "r", "to": "t"}],
    )
    [entry] = obj["metadata"]["managedFields"]
    assert entry == {
        "manager": "one",
        "operation": "Apply",
        "apiVersion": V,
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:spec": {
                "f:number": {},
                "f:tags": {'v:"x"': {}},
                "f:steps": {},
                "f:labels": {"f:k": {}},
                "f:whole": {},
                "f:routes": {'k:{"name":"r"}': {".": {}, "f:name": {}, "f:to": {}}},
            }
        },
    }


def test_what_another_owns_with_another_value_is_a_conflict() -> None:
    live = applied(None, "one", number="1")
    with pytest.raises(ApplyConflictError) as raised:
        applied(live, "two", number="2")
    assert str(raised.value) == 'Apply failed with 1 conflict: conflict with "one": .spec.number'
    assert raised.value.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.number"}
    ]


def test_several_conflicts_are_listed_by_manager() -> None:
    live = applied(applied(None, "b", number="1"), "a", note="x", routes=[{"name": "r", "to": "t"}])
    with pytest.raises(ApplyConflictError) as raised:
        applied(live, "c", number="2", note="y", routes=[{"name": "r", "to": "u"}])
    assert str(raised.value) == (
        'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.note\n- .spec.routes[name="r"].to\n'
        'conflicts with "b":\n- .spec.number'
    )


def test_a_conflict_names_the_version_that_an_updater_used() -> None:
    live = applied(None, "one", note="x")
    changed = copy.deepcopy(live)
    changed["spec"]["number"] = "9"
    changed["metadata"]["managedFields"] = track_update(
        live, changed, manager="edit", kind_schema=LINE, api_version=V, now="2026-01-02T00:00:00Z"
    )
    with pytest.raises(ApplyConflictError, match=f'conflict with "edit" using {V}: .spec.number'):
        applied(changed, "two", number="2")


def test_force_takes_the_field_over() -> None:
    obj = applied(applied(None, "one", number="1", note="x"), "two", force=True, number="2")
    assert obj["spec"] == {"number": "2", "note": "x"}
    assert owned(obj, "one") == {"f:note": {}}
    assert owned(obj, "two") == {"f:number": {}}


def test_equal_values_are_owned_together_and_go_with_the_last_owner() -> None:
    both = applied(applied(None, "one", number="1"), "two", number="1", note="x")
    one_left = applied(both, "two", note="x")
    assert one_left["spec"] == {"number": "1", "note": "x"}
    assert "number" not in applied(one_left, "one")["spec"]


def test_what_is_no_longer_named_goes_and_what_nobody_applied_stays() -> None:
    live = applied(None, "one", number="1", note="x", labels={"a": "", "b": ""}, routes=[{"name": "r"}, {"name": "s"}])
    live["spec"]["count"] = 5
    obj = applied(live, "one", number="1", labels={"a": ""}, routes=[{"name": "s"}])
    assert obj["spec"] == {"number": "1", "count": 5, "labels": {"a": ""}, "routes": [{"name": "s"}]}


def test_an_item_that_another_owns_stays_with_what_the_other_named() -> None:
    live = applied(None, "one", routes=[{"name": "r", "to": "t"}])
    live = applied(live, "two", routes=[{"name": "r", "weight": 1}])
    obj = applied(live, "one")
    assert obj["spec"] == {"routes": [{"name": "r", "weight": 1}]}


def test_lists_merge_by_kind() -> None:
    live = applied(None, "one", tags=["a", "b"], steps=["a", "b"], routes=[{"name": "r"}, {"name": "s"}])
    obj = applied(
        live, "two", force=True, tags=["c", "a"], steps=["c"], routes=[{"name": "t"}, {"name": "s", "to": "x"}]
    )
    assert obj["spec"]["steps"] == ["c"]
    assert set(obj["spec"]["tags"]) == {"a", "b", "c"}
    assert obj["spec"]["routes"] == [{"name": "r"}, {"name": "t"}, {"name": "s", "to": "x"}]


def test_times_move_only_when_the_object_changes() -> None:
    live = applied(None, "one", number="1")
    same = applied(live, "one", number="1", now="2027-01-01T00:00:00Z")
    assert same == live
    other = applied(live, "one", number="2", now="2027-01-01T00:00:00Z")
    assert other["metadata"]["managedFields"][0]["time"] == "2027-01-01T00:00:00Z"


def test_the_status_is_owned_only_through_the_status() -> None:
    body = {**config(number="1"), "status": {"count": 1}}
    main = apply(None, body, manager="one", force=False, kind_schema=LINE, api_version=V, now="t")
    assert "f:status" not in main["metadata"]["managedFields"][0]["fieldsV1"]
    status = apply(
        main, body, manager="two", force=False, kind_schema=LINE, api_version=V, subresource="status", now="t"
    )
    entry = next(e for e in status["metadata"]["managedFields"] if e["manager"] == "two")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:count": {}}}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"number": 5}, ".spec.number: expected string, got &value.valueUnstructured{Value:5}"),
        ({"count": "x"}, ".spec.count: expected numeric (int or float), got string"),
        ({"routes": [{"to": "x"}]}, ('.spec.routes: element 0: associative list with keys has an element that omits '
         'all key fields ["name"] (and doesn\'t have default values for any key fields)')),
        ({"routes": [{"name": "r"}, {"name": "r"}]}, '.spec.routes: duplicate entries for key [name="r"]'),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_of_its_kind_is_refused(spec: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ApplyInvalidError) as raised:
        applied(None, "one", **spec)
    assert str(raised.value) == f"failed to create typed patch object (n/a; t.example.com/v1, Kind=Line): {wrong}"


def test_fields_that_a_built_in_kind_has_not_are_named_by_key() -> None:
    spec = {"bogus": 1, "containers": [{"name": "main", "odd": 1}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    with pytest.raises(ApplyInvalidError) as raised:
        apply(
            None,
            body,
            manager="one",
            force=False,
            kind_schema=builtin_kind("", "Pod"),
            api_version="v1",
            now="t",
            undeclared=["spec.bogus", "spec.containers[0].odd"],
        )
    assert str(raised.value) == (
        "failed to create typed patch object (/p; /v1, Kind=Pod): errors:\n"
        "  .spec.bogus: field not declared in schema\n"
        '  .spec.containers[name="main"].odd: field not declared in schema'
    )


def test_a_configuration_carries_no_managed_fields() -> None:
    body = config(number="1")
    body["metadata"]["managedFields"] = []
    with pytest.raises(ManagedFieldsGivenError, match=r"metadata\.managedFields must be nil"):
        apply(None, body, manager="one", force=False, kind_schema=LINE, api_version=V, now="t")


def test_kubectl_takes_over_what_its_client_side_apply_left() -> None:
    live = config(number="1", note="x")
    live["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(config(number="1")),
    }
    live["metadata"]["managedFields"] = track_update(
        None, live, manager="kubectl-client-side-apply", kind_schema=LINE, api_version=V, now="t"
    )
    assert applied(live, "kubectl", number="2")["spec"]["number"] == "2"
    with pytest.raises(ApplyConflictError):
        applied(live, "kubectl", note="y")
    with pytest.raises(ApplyConflictError):
        applied(live, "helm", number="2")


def test_a_deployments_containers_and_ports_merge_by_their_keys() -> None:
    def deployment(container: dict[str, Any]) -> dict[str, Any]:
        spec = {"template": {"spec": {"containers": [{"name": "main", **container}]}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}

    kind = builtin_kind("apps", "Deployment")
    live = apply(
        None, deployment({"image": "x:1", "ports": [{"containerPort": 80}]}), manager="helm", force=False,
        kind_schema=kind, api_version="apps/v1", now="t",
    )  # fmt: skip
    obj = apply(
        live, deployment({"env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 81}]}), manager="team",
        force=False, kind_schema=kind, api_version="apps/v1", now="t",
    )  # fmt: skip
    [container] = obj["spec"]["template"]["spec"]["containers"]
    assert container == {
        "name": "main",
        "image": "x:1",
        "ports": [{"containerPort": 80}, {"containerPort": 81}],
        "env": [{"name": "A", "value": "1"}],
    }
    helm = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "helm")
    ports = helm["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']["f:ports"]
    assert ports == {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}


texts = st.sampled_from(["", "x", "y"])
# A set or a map list without items has no field of its own, in Kubernetes either: only filled ones are drawn.
routes = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["r", "s", "t"])}, optional={"to": texts, "weight": st.integers(0, 2)}
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda route: route["name"],
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "number": texts,
        "note": texts,
        "count": st.integers(0, 2),
        "tags": st.lists(texts, min_size=1, max_size=3, unique=True),
        "steps": st.lists(texts, max_size=3),
        "labels": st.dictionaries(texts, texts, max_size=2),
        "whole": st.dictionaries(texts, texts, max_size=2),
        "extra": st.dictionaries(st.sampled_from(["a", "b"]), texts | st.lists(texts, max_size=2), max_size=2),
        "routes": routes,
    },
)


@given(specs, specs)
def test_applying_the_same_again_changes_nothing(first: dict[str, Any], second: dict[str, Any]) -> None:
    live = applied(applied(None, "one", **first), "two", force=True, **second)
    again = applied(live, "two", now="2027-01-01T00:00:00Z", **second)
    assert again == live


@given(specs)
def test_a_second_manager_of_the_same_shares_without_conflict(spec: dict[str, Any]) -> None:
    live = applied(None, "one", **spec)
    shared = applied(live, "two", **spec)
    assert shared["spec"] == live["spec"]
    assert owned(shared, "one") == owned(shared, "two")


@given(specs, specs)
def test_a_sole_manager_gets_what_it_named_last_and_nothing_else(first: dict[str, Any], second: dict[str, Any]) -> None:
    obj = applied(applied(None, "one", **first), "one", **second)

    def bare(value: Any) -> Any:
        """Without the empty containers that emptied lists and maps leave, and with sets and keyed lists in no order."""
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if v not in ({}, [])}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return {item["name"]: bare(item) for item in value}
        return value

    wanted, got = bare(second), bare(obj.get("spec", {}))
    for spec in (wanted, got):
        if "tags" in spec:
            spec["tags"] = sorted(spec["tags"])
    assert got == wanted


def held(value: Any, path: tuple[str, ...]) -> bool:
    """Whether an object has what a path of a field set leads to."""
    if not path:
        return True
    kind, _, rest = path[0].partition(":")
    if kind == "f":
        return isinstance(value, dict) and rest in value and held(value[rest], path[1:])
    wanted = json.loads(rest)
    items = value if isinstance(value, list) else []
    if kind == "v":
        return wanted in items
    return any(wanted.items() <= item.items() and held(item, path[1:]) for item in items)


@given(specs, specs, specs)
def test_no_field_is_owned_that_the_object_does_not_have(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    obj = applied(applied(applied(None, "one", **first), "two", force=True, **second), "one", force=True, **third)
    for entry in obj["metadata"].get("managedFields", []):
        for path in decode(entry["fieldsV1"]):
            assert held(obj, path), show(path)
