"""Strategic merge patches of built-in kinds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesandbox.patch.builtin_types import of as builtin_kind
from kubesandbox.patch.strategic import StrategicPatchError, strategic_merge
from kubesandbox.patch.types import from_crd
from kubesandbox.schema import compile_schema

POD = builtin_kind("", "Pod")


def containers(live: list[dict[str, Any]], patch: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    merged = strategic_merge({"spec": {"containers": live}}, {"spec": {"containers": patch, **more}}, POD)
    found: list[dict[str, Any]] = merged["spec"]["containers"]
    return found


def test_items_merge_by_key_and_new_ones_come_first() -> None:
    live = [{"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}]}]
    patch = [{"name": "a", "env": [{"name": "B", "value": "2"}]}]
    assert containers(live, patch) == [
        {"name": "a", "image": "x", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}
    ]


def test_an_item_is_deleted_by_its_key() -> None:
    assert containers([{"name": "a"}, {"name": "b"}], [{"name": "a", "$patch": "delete"}]) == [{"name": "b"}]


def test_a_list_is_replaced_where_that_is_asked_for() -> None:
    assert containers([{"name": "a"}], [{"$patch": "replace"}, {"name": "b"}]) == [{"name": "b"}]


def test_the_order_is_set_where_that_is_asked_for() -> None:
    live = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    order = {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}
    assert [c["name"] for c in containers(live, [{"name": "a", "image": "x"}], **order)] == ["b", "c", "a"]


def test_a_map_is_replaced_or_emptied_where_that_is_asked_for() -> None:
    live = {"spec": {"securityContext": {"a": 1, "b": 2}}}
    replaced = strategic_merge(live, {"spec": {"securityContext": {"$patch": "replace", "c": 3}}}, POD)
    assert replaced["spec"]["securityContext"] == {"c": 3}
    assert strategic_merge(live, {"spec": {"securityContext": {"$patch": "delete"}}}, POD)["spec"] == {
        "securityContext": {}
    }


def test_only_the_kept_keys_stay() -> None:
    deployment = builtin_kind("apps", "Deployment")
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(live, patch, deployment)["spec"]["strategy"] == {"type": "Recreate"}


def test_values_are_taken_from_a_list_of_plain_values_and_merged_into_one() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge(live, patch, POD) == {"metadata": {"finalizers": ["b"]}}
    assert set(strategic_merge(live, {"metadata": {"finalizers": ["c", "a"]}}, POD)["metadata"]["finalizers"]) == {
        "a",
        "b",
        "c",
    }


def test_lists_without_a_key_are_replaced() -> None:
    live = {"spec": {"tolerations": [{"key": "a"}]}}
    assert strategic_merge(live, {"spec": {"tolerations": [{"key": "b"}]}}, POD)["spec"]["tolerations"] == [
        {"key": "b"}
    ]


def test_null_removes() -> None:
    assert strategic_merge({"data": {"a": "1"}}, {"data": {"a": None}}, builtin_kind("", "ConfigMap")) == {"data": {}}


def test_volumes_keep_only_the_source_that_is_named() -> None:
    live = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {"spec": {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}}
    assert strategic_merge(live, patch, POD)["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"containers": [{"image": "x"}]}},
        {"spec": {"containers": ["x"]}},
        {"spec": {"$patch": "dance"}},
        {"spec": {"$retainKeys": ["a"], "b": 1}},
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(StrategicPatchError):
        strategic_merge({"spec": {"containers": [{"name": "a"}]}}, patch, POD)


def test_custom_resources_have_none() -> None:
    kind = from_crd(compile_schema({"type": "object"}).root, has_status=False)
    with pytest.raises(StrategicPatchError):
        strategic_merge({}, {}, kind)


named = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"image": st.sampled_from("xy")}),
    max_size=3,
    unique_by=lambda item: item["name"],
)


@given(named, named)
def test_a_strategic_patch_twice_is_once_and_loses_no_item(
    live: list[dict[str, Any]], patch: list[dict[str, Any]]
) -> None:
    once = containers(live, patch)
    assert containers(once, patch) == once
    assert {c["name"] for c in once} == {c["name"] for c in (*live, *patch)}
