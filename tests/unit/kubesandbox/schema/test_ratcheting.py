"""An update is not refused for what was wrong before in a part that it leaves alone."""

from typing import Any

from kubesandbox.schema import compile_schema

SCHEMA = compile_schema({
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "maxLength": 2},
                "note": {"type": "string"},
                "steps": {"type": "array", "items": {"type": "string", "maxLength": 2}},
                "routes": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "to": {"type": "string", "maxLength": 2}},
                    },
                },
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "limit": {
                    "type": "integer",
                    "x-kubernetes-validations": [{"rule": "self < 5", "message": "too high"}],
                },
                "owner": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
            },
        }
    },
})  # fmt: skip


def fields(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    return [cause.field for cause in SCHEMA.validate({"spec": new}, {"spec": old})]


def test_an_unchanged_field_is_let_pass_and_a_changed_one_is_not() -> None:
    assert fields({"code": "long", "note": "new"}, {"code": "long", "note": "old"}) == []
    assert "spec.code" in fields({"code": "longer"}, {"code": "long"})


def test_a_create_is_not_let_pass() -> None:
    assert SCHEMA.validate({"spec": {"code": "long"}})


def test_items_of_a_map_list_are_compared_by_key_wherever_they_are() -> None:
    old = {"routes": [{"name": "a", "to": "long"}, {"name": "b"}]}
    assert fields({"routes": [{"name": "b"}, {"name": "a", "to": "long"}, {"name": "c"}]}, old) == []
    assert "spec.routes[0].to" in fields({"routes": [{"name": "b", "to": "long"}]}, old)


def test_items_of_a_plain_list_are_compared_only_all_together() -> None:
    assert fields({"steps": ["long"]}, {"steps": ["long"]}) == []
    assert "spec.steps[0]" in fields({"steps": ["long", "x"]}, {"steps": ["long"]})


def test_duplicates_that_were_there_before_do_not_stop_an_update() -> None:
    assert fields({"tags": ["a", "a", "b"]}, {"tags": ["a", "a"]}) == []
    assert fields({"tags": ["a", "a"]}, {"tags": ["a"]}) == ["spec.tags[1]"]


def test_rules_of_unchanged_values_are_let_pass_but_transition_rules_are_not() -> None:
    assert fields({"limit": 9, "note": "new"}, {"limit": 9}) == []
    assert fields({"limit": 8}, {"limit": 9}) == ["spec.limit"]
    assert fields({"owner": "b"}, {"owner": "a"}) == ["spec.owner"]
