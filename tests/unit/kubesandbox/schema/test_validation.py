"""Values against schemas: kube-apiserver's causes, word for word."""

from typing import Any

import pytest

from kubesandbox.schema import compile_schema
from kubesandbox.schema.causes import Cause


def causes_of(spec: dict[str, Any], value: Any, **more: Any) -> list[Cause]:
    """What is wrong with an object whose `spec.x` is `value`, under the schema `spec`."""
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"x": spec}, **more}},
    }
    return compile_schema(schema).validate({"spec": {"x": value}})


def only(spec: dict[str, Any], value: Any) -> tuple[str, str, str]:
    found = causes_of(spec, value)
    assert len(found) == 1, found
    return found[0].field, found[0].reason, found[0].message


@pytest.mark.parametrize(
    ("spec", "value", "reason", "message"),
    [
        ({"type": "string"}, 5, "FieldValueTypeInvalid",
         'Invalid value: "integer": spec.x in body must be of type string: "integer"'),
        ({"type": "array", "items": {"type": "string"}}, {}, "FieldValueTypeInvalid",
         'Invalid value: "object": spec.x in body must be of type array: "object"'),
        ({"x-kubernetes-int-or-string": True}, True, "FieldValueTypeInvalid",
         'Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean"'),
        ({"type": "string"}, None, "FieldValueTypeInvalid",
         'Invalid value: "null": spec.x in body must be of type string: "null"'),
        ({"type": "string", "enum": ["A", "B"]}, "C", "FieldValueNotSupported",
         'Unsupported value: "C": supported values: "A", "B"'),
        ({"type": "integer", "enum": [1, 2]}, 3, "FieldValueNotSupported",
         'Unsupported value: 3: supported values: "1", "2"'),
        ({"type": "integer", "maximum": 10}, 11, "FieldValueInvalid",
         "Invalid value: 11: spec.x in body should be less than or equal to 10"),
        ({"type": "integer", "maximum": 10, "exclusiveMaximum": True}, 10, "FieldValueInvalid",
         "Invalid value: 10: spec.x in body should be less than 10"),
        ({"type": "integer", "minimum": 1}, 0, "FieldValueInvalid",
         "Invalid value: 0: spec.x in body should be greater than or equal to 1"),
        ({"type": "number", "minimum": 0.5, "exclusiveMinimum": True}, 0.5, "FieldValueInvalid",
         "Invalid value: 0.5: spec.x in body should be greater than 0.5"),
        ({"type": "number", "maximum": 1}, 1.25, "FieldValueInvalid",
         "Invalid value: 1.25: spec.x in body should be less than or equal to 1"),
        ({"type": "integer", "multipleOf": 5}, 7, "FieldValueInvalid",
         "Invalid value: 7: spec.x in body should be a multiple of 5"),
        ({"type": "string", "maxLength": 3}, "four", "FieldValueTooLong", "Too long: may not be more than 3 bytes"),
        ({"type": "string", "maxLength": 1}, "ab", "FieldValueTooLong", "Too long: may not be more than 1 byte"),
        ({"type": "string", "minLength": 2}, "é", "FieldValueInvalid",
         'Invalid value: "é": spec.x in body should be at least 2 chars long'),
        ({"type": "string", "pattern": "^a+$"}, "b", "FieldValueInvalid",
         "Invalid value: \"b\": spec.x in body should match '^a+$'"),
        ({"type": "string", "format": "date-time"}, "yesterday", "FieldValueTypeInvalid",
         'Invalid value: "yesterday": spec.x in body must be of type date-time: "yesterday"'),
        ({"type": "array", "maxItems": 1, "items": {"type": "integer"}}, [1, 2], "FieldValueTooMany",
         "Too many: 2: must have at most 1 item"),
        ({"type": "array", "minItems": 1, "items": {"type": "integer"}}, [], "FieldValueInvalid",
         "Invalid value: 0: spec.x in body should have at least 1 items"),
        ({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}, {"a": "", "b": ""},
         "FieldValueTooMany", "Too many: 2: must have at most 1 item"),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}, {},
         "FieldValueInvalid", "Invalid value: 0: spec.x in body should have at least 1 properties"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_kube_apiservers_words(
    spec: dict[str, Any], value: Any, reason: str, message: str
) -> None:
    assert only(spec, value) == ("spec.x", reason, message)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"type": "integer"}, 2.0),
        ({"type": "number"}, 2),
        ({"type": "integer", "enum": [1]}, 1.0),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        ({"x-kubernetes-int-or-string": True}, 50),
        ({"type": "string", "nullable": True}, None),
        ({"type": "string", "format": "made-up"}, "anything"),
        ({"type": "number", "multipleOf": 0.1}, 0.3),
        ({"type": "string", "maxLength": 2}, "éé"),
    ],
)
def test_a_right_value_is_taken(spec: dict[str, Any], value: Any) -> None:
    assert causes_of(spec, value) == []


def test_a_fraction_is_no_integer_and_out_of_its_range() -> None:
    assert [str(cause) for cause in causes_of({"type": "integer"}, 1.5)] == [
        'spec.x: Invalid value: "number": spec.x in body must be of type integer: "number"',
        '<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.x',
    ]


def test_true_is_no_integer() -> None:
    assert only({"type": "integer"}, True)[1] == "FieldValueTypeInvalid"


def test_null_is_in_no_enum_even_where_it_is_allowed() -> None:
    field, reason, message = only({"type": "string", "nullable": True, "enum": ["a"]}, None)
    assert (field, reason, message) == (
        "spec.x", "FieldValueNotSupported", 'Unsupported value: null: supported values: "a"',
    )  # fmt: skip


def test_a_number_outside_its_format_is_told_without_a_field() -> None:
    field, reason, message = only({"type": "integer", "format": "int32"}, 2**31)
    assert (field, reason) == ("<nil>", "FieldValueInvalid")
    assert message == 'Invalid value: "": Checked value must be of type integer with format int32 in spec.x'


def test_items_and_map_values_are_named_by_where_they_are() -> None:
    routes = {"type": "array", "items": {"type": "object", "properties": {"to": {"type": "string"}}}}
    assert only(routes, [{"to": "a"}, {"to": 1}])[0] == "spec.x[1].to"
    labels = {"type": "object", "additionalProperties": {"type": "string"}}
    assert only(labels, {"a": 1})[0] == "spec.x.a"


def test_one_of_several_alternatives_that_does_not_hold_is_told_with_the_nearest_failures() -> None:
    spec = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    none = [str(cause) for cause in causes_of(spec, {})]
    assert none == [
        '<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found none valid',
        "spec.x.a: Required value",
    ]
    both = [str(cause) for cause in causes_of(spec, {"a": "", "b": ""})]
    assert both == [
        '<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    ]


def test_any_all_and_not_have_their_own_sentences() -> None:
    low, high = {"maximum": 1}, {"minimum": 5}
    assert '"spec.x" must validate at least one schema (anyOf)' in str(
        causes_of({"type": "integer", "anyOf": [low, high]}, 3)[0]
    )
    told = [cause.message for cause in causes_of({"type": "integer", "allOf": [low, high]}, 3)]
    assert told[-1] == 'Invalid value: "": "spec.x" must validate all the schemas (allOf). None validated'
    assert "must not validate the schema (not)" in causes_of({"type": "integer", "not": low}, 1)[0].message


def test_the_status_is_validated_by_itself_and_named_from_the_root() -> None:
    schema = compile_schema({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "required": ["a"]},
            "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
        },
    })  # fmt: skip
    obj = {"spec": {}, "status": {"count": "four"}}
    [cause] = schema.validate(obj, {"spec": {}}, subresource="status")
    assert cause.field == "status.count"
    assert cause.message == 'Invalid value: "string": count in body must be of type integer: "string"'


def test_a_set_and_a_map_list_have_nothing_twice() -> None:
    tags = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    assert only(tags, ["a", "b", "a", "a"]) == ("spec.x[2]", "FieldValueDuplicate", 'Duplicate value: "a"')
    ports = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": {"type": "string"}}},
    }
    tcp = {"port": 1, "protocol": "TCP"}
    assert causes_of(ports, [tcp, {"port": 1, "protocol": "UDP"}]) == []
    assert only(ports, [tcp, tcp])[2] == 'Duplicate value: {"port":1,"protocol":"TCP"}'


def test_an_embedded_resource_names_its_kind() -> None:
    spec = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    assert [cause.field for cause in causes_of(spec, {"metadata": {}})] == ["spec.x.apiVersion", "spec.x.kind"]
    assert causes_of(spec, {"apiVersion": "v1", "kind": "Pod"}) == []
