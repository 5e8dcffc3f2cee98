"""`x-kubernetes-validations` on objects."""

from typing import Any

from kubesandbox.schema import compile_schema


def messages(rules: list[dict[str, Any]], new: Any, old: Any = None, **spec: Any) -> list[str]:
    """What is told of an object whose spec is `new`, under these rules of its spec."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec, "x-kubernetes-validations": rules}}}
    found = compile_schema(schema).validate({"spec": new}, None if old is None else {"spec": old})
    return [str(cause) for cause in found]


def number(**more: Any) -> dict[str, Any]:
    return {"n": {"type": "integer"}, **more}


def test_a_broken_rule_is_told_by_its_message_and_without_the_object() -> None:
    told = messages([{"rule": "self.n < 5", "message": " too high "}], {"n": 6}, properties=number())
    assert told == ["spec: Invalid value: too high"]


def test_a_broken_rule_without_a_message_is_told_by_itself() -> None:
    assert messages([{"rule": "self.n < 5"}], {"n": 6}, properties=number()) == [
        "spec: Invalid value: failed rule: self.n < 5"
    ]


def test_a_scalar_is_shown() -> None:
    spec = number(s={"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('a')"}]})
    assert messages([], {"s": "b"}, properties=spec) == [
        "spec.s: Invalid value: \"b\": failed rule: self.startsWith('a')"
    ]


def test_message_expression_reason_and_field_path_are_heeded() -> None:
    rule = {
        "rule": "self.n < 5",
        "messageExpression": "'n is ' + string(self.n)",
        "reason": "FieldValueForbidden",
        "fieldPath": ".n",
    }
    assert messages([rule], {"n": 6}, properties=number()) == ["spec.n: Forbidden: n is 6"]


def test_a_message_expression_that_fails_gives_way_to_the_message() -> None:
    rule = {"rule": "self.n < 5", "messageExpression": "string(self.n / 0)", "message": "too high"}
    assert messages([rule], {"n": 6}, properties=number()) == ["spec: Invalid value: too high"]


def test_a_rule_that_fails_on_the_value_says_why() -> None:
    spec = number(m={"type": "object", "additionalProperties": {"type": "string"}})
    assert messages([{"rule": "self.m['k'] == 'v'"}], {"m": {}}, properties=spec) == [
        "spec: Invalid value: \"object\": no such key: k evaluating rule: self.m['k'] == 'v'"
    ]
    told = messages([{"rule": "10 / self.n > 1"}], {"n": 0}, properties=number())
    assert told == ['spec: Invalid value: "object": division by zero evaluating rule: 10 / self.n > 1']
    wrong_kind = messages([{"rule": "self.p > 5"}], {"p": "x"}, properties={"p": {"x-kubernetes-int-or-string": True}})
    assert wrong_kind == [
        (
            "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
            "function or macro signature for rule: self.p > 5"
        )
    ]


def test_transition_rules_run_only_where_there_is_an_old_value() -> None:
    rules = [{"rule": "self.n >= oldSelf.n", "message": "only up"}]
    assert messages(rules, {"n": 1}, properties=number()) == []
    assert messages(rules, {"n": 1}, {"n": 2}, properties=number()) == ["spec: Invalid value: only up"]


def test_an_optional_old_self_is_there_on_creation_too() -> None:
    rules = [{"rule": "oldSelf.hasValue() || self.n == 0", "optionalOldSelf": True, "message": "begin at 0"}]
    assert messages(rules, {"n": 1}, properties=number()) == ["spec: Invalid value: begin at 0"]
    assert messages(rules, {"n": 1}, {"n": 0}, properties=number()) == []


def test_rules_run_for_each_item_and_each_value_of_a_map() -> None:
    item = {
        "type": "object",
        "properties": number(),
        "x-kubernetes-validations": [{"rule": "self.n > 0", "message": "m"}],
    }
    spec = {
        "items": {"type": "array", "items": item},
        "named": {"type": "object", "additionalProperties": item},
    }
    value = {"items": [{"n": 1}, {"n": 0}], "named": {"a": {"n": 0}}}
    assert messages([], value, properties=spec) == [
        "spec.items[1]: Invalid value: m",
        "spec.named[a]: Invalid value: m",
    ]


def test_no_rule_runs_on_an_object_that_is_wrong_otherwise() -> None:
    told = messages([{"rule": "self.n < 5"}], {"n": "x"}, properties=number())
    assert len(told) == 2
    assert told[1].startswith("<nil>: Invalid value: null: some validation rules were not checked")


def test_values_have_the_types_of_their_formats() -> None:
    spec = {
        "t": {"type": "string", "format": "date-time"},
        "d": {"type": "string", "format": "duration"},
        "r": {"type": "number"},
        "x-y": {"type": "integer"},
        "namespace": {"type": "string"},
    }
    rule = (
        "self.t > timestamp('2020-01-01T00:00:00Z') && self.d < duration('2h') && self.r == 2.0 "
        "&& self.x__dash__y == 1 && self.__namespace__ == 'n'"
    )
    value = {"t": "2021-01-01T00:00:00Z", "d": "1h30m", "r": 2, "x-y": 1, "namespace": "n"}
    assert messages([{"rule": rule}], value, properties=spec) == []


def test_the_root_shows_its_name() -> None:
    schema = compile_schema({
        "type": "object",
        "x-kubernetes-validations": [{"rule": "self.metadata.name.size() <= 3", "message": "short names"}],
    })  # fmt: skip
    assert schema.validate({"metadata": {"name": "abc"}}) == []
    assert [str(c) for c in schema.validate({"metadata": {"name": "abcd"}})] == ["<nil>: Invalid value: short names"]


def test_sets_are_equal_in_any_order() -> None:
    spec = {"tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}
    rules = [{"rule": "self.tags == oldSelf.tags", "message": "immutable"}]
    assert messages(rules, {"tags": ["a", "b"]}, {"tags": ["b", "a"]}, properties=spec) == []
    assert messages(rules, {"tags": ["a"]}, {"tags": ["b"]}, properties=spec) == ["spec: Invalid value: immutable"]
