"""Schemas that a CRD may have, and those it may not."""

from typing import Any

import pytest

from kubesandbox.schema import check_structural

PATH = "spec.validation.openAPIV3Schema"


def told(spec: dict[str, Any]) -> list[str]:
    """The causes against a CRD whose schema has `spec` as its field x."""
    schema = {"type": "object", "properties": {"x": spec}}
    return [str(cause).replace(f"{PATH}.properties[x]", "X") for cause in check_structural(schema, PATH)]


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    "spec",
    [
        TEXT,
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "properties": {"a": TEXT}, "oneOf": [{"required": ["a"]}]},
        {"type": "array", "items": TEXT, "default": ["a"]},
        {"type": "object", "properties": {"a": NUMBER}, "x-kubernetes-validations": [{"rule": "self.a > 1"}]},
    ],
)
def test_a_structural_schema_is_taken(spec: dict[str, Any]) -> None:
    assert told(spec) == []


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({}, "X.type: Required value: must not be empty for specified object fields"),
        ({"type": "array"}, "X.items: Required value: must be specified"),
        ({"type": "array", "items": {}}, "X.items.type: Required value: must not be empty for specified array items"),
        ({"type": "nope"}, ('X.type: Unsupported value: "nope": supported values: "array", "boolean", "integer", '
         '"number", "object", "string"')),
        ({"type": "array", "items": TEXT, "uniqueItems": True}, ("X.uniqueItems: Forbidden: uniqueItems cannot be set "
         "to true since the runtime complexity becomes quadratic")),
        ({"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
         "X.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
        ({"type": "string", "anyOf": [TEXT]}, "X.anyOf[0].type: Forbidden: must be empty to be structural"),
        ({"type": "string", "default": 5}, ('X.default: Invalid value: "integer": X.default in body must be of type '
         'string: "integer"')),
        ({"type": "object", "properties": {"a": TEXT}, "default": {"b": 1}},
         'X.default: Invalid value: {"b":1}: must not have unknown fields'),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "map"},
         "X.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"),
        ({"type": "string", "x-kubernetes-list-type": "set"},
         'X.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified'),
        ({"$ref": "#/a"}, "X.$ref: Forbidden: $ref is not supported"),
        ({"type": "object", "x-kubernetes-validations": [{"rule": " "}]},
         "X.x-kubernetes-validations[0].rule: Required value: rule is not specified"),
    ],
)  # fmt: skip
def test_a_forbidden_construct_is_named(spec: dict[str, Any], cause: str) -> None:
    found = told(spec)
    if "default" in spec and spec["type"] == "string":
        assert found[0].startswith('X.default: Invalid value: "integer":')
    else:
        assert cause in found


def test_a_pattern_that_is_none_is_refused() -> None:
    [cause] = told({"type": "string", "pattern": "["})
    assert cause.startswith('X.pattern: Invalid value: "[": must be a valid regular expression, but isn\'t:')


def test_the_root_is_an_object_and_says_nothing_of_metadata_but_names() -> None:
    assert [c.field for c in check_structural({"type": "string"}, PATH)] == [f"{PATH}.type"]
    schema = {
        "type": "object",
        "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
    }
    assert f"{PATH}.properties[metadata]" in [c.field for c in check_structural(schema, PATH)]


def test_a_rule_that_does_not_compile_is_shown_with_what_is_wrong() -> None:
    spec = {"type": "object", "properties": {"a": NUMBER}, "x-kubernetes-validations": [{"rule": "self.nope == 1"}]}
    assert told(spec) == [
        (
            'X.x-kubernetes-validations[0].rule: Invalid value: {"Rule":"self.nope == 1","Message":"",'
            '"MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: '
            "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^"
        )
    ]


def test_old_self_has_no_meaning_in_lists_without_keys() -> None:
    item = {
        "type": "object",
        "properties": {"a": NUMBER},
        "x-kubernetes-validations": [{"rule": "self.a == oldSelf.a"}],
    }
    [cause] = told({"type": "array", "items": item})
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in cause


def test_a_default_must_keep_its_own_rules() -> None:
    spec = {"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 1", "message": "more"}]}
    assert told(spec) == ["X.default: Invalid value: 1: more"]
