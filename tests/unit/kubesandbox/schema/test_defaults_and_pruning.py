"""What a schema fills in, and what it takes out."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubesandbox.schema import compile_schema

TEXT = {"type": "string"}
LIMITS = {"rate": {"type": "integer", "default": 5}, "note": {"type": "string", "nullable": True}}
ROUTE = {"name": TEXT, "weight": {"type": "integer", "default": 1}}
SPEC = {
    "mode": {"type": "string", "default": "Open"},
    "limits": {"type": "object", "properties": LIMITS},
    "routes": {"type": "array", "items": {"type": "object", "properties": ROUTE}},
    "labels": {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"v": {"type": "string", "default": "x"}}},
    },
    "extra": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"known": {"type": "object", "properties": {"a": TEXT}}},
    },
    "pod": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"spec": {"type": "object", "properties": {"image": TEXT}}},
    },
}
SCHEMA = compile_schema({
    "type": "object",
    "properties": {"spec": {"type": "object", "default": {}, "properties": SPEC}},
})  # fmt: skip


def defaulted(obj: dict[str, Any]) -> dict[str, Any]:
    SCHEMA.default(obj)
    return obj


def test_a_default_brings_the_defaults_within_it() -> None:
    assert defaulted({}) == {"spec": {"mode": "Open"}}


def test_objects_that_have_no_default_are_not_made() -> None:
    assert "limits" not in defaulted({"spec": {}})["spec"]
    assert defaulted({"spec": {"limits": {}}})["spec"]["limits"] == {"rate": 5}


def test_items_and_map_values_are_filled_in() -> None:
    spec = defaulted({"spec": {"routes": [{"name": "a"}, {"weight": 2}], "labels": {"k": {}}}})["spec"]
    assert spec["routes"] == [{"name": "a", "weight": 1}, {"weight": 2}]
    assert spec["labels"] == {"k": {"v": "x"}}


def test_null_becomes_the_default_goes_or_stays_where_it_is_a_value() -> None:
    spec = defaulted({"spec": {"mode": None, "limits": {"note": None, "rate": None}, "routes": None}})["spec"]
    assert spec == {"mode": "Open", "limits": {"note": None, "rate": 5}}


def test_objects_do_not_share_a_default() -> None:
    one, other = defaulted({}), defaulted({})
    one["spec"]["mode"] = "Shut"
    assert other["spec"]["mode"] == "Open"


def test_unknown_fields_go_and_are_named_as_strict_decoding_names_them() -> None:
    obj = {
        "apiVersion": "x/v1",
        "kind": "X",
        "metadata": {"name": "a", "bogus": 1, "ownerReferences": [{"uid": "u", "odd": 1}]},
        "bogus": {},
        "spec": {"routes": [{}, {"to": 1}], "limits": {"burst": 1}},
    }
    assert SCHEMA.prune(obj) == [
        'unknown field "bogus"',
        'unknown field "metadata.bogus"',
        'unknown field "metadata.ownerReferences[0].odd"',
        'unknown field "spec.limits.burst"',
        'unknown field "spec.routes[1].to"',
    ]
    assert obj == {
        "apiVersion": "x/v1",
        "kind": "X",
        "metadata": {"name": "a", "ownerReferences": [{"uid": "u"}]},
        "spec": {"routes": [{}, {}], "limits": {}},
    }


def test_what_is_preserved_stays_but_for_what_is_specified_below() -> None:
    obj = {"spec": {"extra": {"any": {"deep": [1]}, "known": {"a": "", "b": ""}}}}
    assert SCHEMA.prune(obj) == ['unknown field "spec.extra.known.b"']
    assert obj == {"spec": {"extra": {"any": {"deep": [1]}, "known": {"a": ""}}}}


def test_an_embedded_resource_keeps_its_type_and_metadata() -> None:
    obj = {
        "spec": {"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "odd": 1}, "spec": {}, "more": 1}}
    }
    assert SCHEMA.prune(obj) == ['unknown field "spec.pod.metadata.odd"', 'unknown field "spec.pod.more"']


names = st.sampled_from(
    ["spec", "mode", "limits", "rate", "note", "routes", "name", "weight", "labels", "extra", "known", "odd"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(names, values, max_size=4)


@given(objects)
def test_pruning_twice_is_pruning_once(obj: dict[str, Any]) -> None:
    SCHEMA.prune(obj)
    once = copy.deepcopy(obj)
    assert SCHEMA.prune(obj) == []
    assert obj == once


@given(objects)
def test_defaulting_twice_is_defaulting_once(obj: dict[str, Any]) -> None:
    SCHEMA.default(obj)
    once = copy.deepcopy(obj)
    SCHEMA.default(obj)
    assert obj == once


@given(objects)
def test_validation_never_fails_on_what_it_is_given_and_changes_nothing(obj: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    assert all(cause.message for cause in SCHEMA.validate(obj, copy.deepcopy(obj)))
    assert obj == before
