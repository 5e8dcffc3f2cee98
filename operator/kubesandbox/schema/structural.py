"""May a CRD version have this schema: is it structural, are its defaults values of it, do its rules compile."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from kubesandbox.schema import causes, openapi, pruning, rules
from kubesandbox.schema.causes import JSON, Cause, child, key
from kubesandbox.schema.constructs import constructs, unsupported
from kubesandbox.schema.node import compile_pattern, read

Raw = Mapping[str, Any]

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]

#: What a nested schema (allOf, anyOf, oneOf, not) must leave to the schema around it, and how that is said.
_NOT_NESTED = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
_AT_ROOT = frozenset({"description", "type", "format", "title", "maximum", "exclusiveMaximum", "minimum",
    "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "multipleOf",
    "required", "items", "properties", "externalDocs", "example", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations"})  # fmt: skip


def check_structural(schema: Raw, path: str, *, status: bool = False) -> list[Cause]:
    """Every cause for which kube-apiserver refuses a CRD with this schema.

    `path` is where the schema sits, `openAPIV3Schema` included; `status` says whether the version has the status
    subresource, under which little may stand at the root.
    """
    found = list(_at_root(schema, path)) if status else []
    if schema.get("nullable"):
        found.append(causes.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    shape = list(constructs(schema, path))
    structural: list[Cause] = []
    if not any(unsupported(cause) for cause in shape):
        # What has such constructs is not even read as a structural schema.
        structural = sorted({*_invariants(schema, "root", path), *_complete(schema, schema, path, path)}, key=str)
        structural = structural or list(_defaults(schema, path, root=True))
    found += structural
    found += shape
    if not structural and not shape:
        from kubesandbox.schema.cel.admission import rule_causes

        found += rule_causes(schema, path)
    return found


def _at_root(schema: Raw, path: str) -> Iterator[Cause]:
    if schema.get("type", "object") != "object":
        yield causes.invalid(
            f"{path}.type",
            schema["type"],
            'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
        )
    elif unfit := [name for name in schema if name not in _AT_ROOT and schema[name]]:
        del unfit
        allowed = (
            "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength "
            "Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
            "XPreserveUnknownFields XValidations]"
        )
        detail = f"only {allowed} fields are allowed at the root of the schema if the status subresource is enabled"
        yield causes.invalid(path, dict(schema), detail)


def _below(schema: Raw, path: str) -> Iterator[tuple[Raw, str, str]]:
    """The schemas of what a value holds, with their places."""
    if isinstance(schema.get("items"), dict):
        yield schema["items"], "item", child(path, "items")
    for name, sub in (schema.get("properties") or {}).items():
        yield sub, "field", key(child(path, "properties"), name)
    if isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"], "field", child(path, "additionalProperties")


def _nested(schema: Raw, path: str) -> Iterator[tuple[Raw, str]]:
    """The schemas that say more of the same value."""
    for junctor in ("anyOf", "allOf", "oneOf"):
        for index, sub in enumerate(schema.get(junctor) or ()):
            yield sub, f"{path}.{junctor}[{index}]"
    if isinstance(schema.get("not"), dict):
        yield schema["not"], child(path, "not")


_NO_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _invariants(schema: Raw, level: str, path: str) -> Iterator[Cause]:
    kind, embedded = schema.get("type") or "", bool(schema.get("x-kubernetes-embedded-resource"))
    preserve, either = (
        bool(schema.get(f"x-kubernetes-{name}")) for name in ("preserve-unknown-fields", "int-or-string")
    )
    if kind == "array" and schema.get("items") is None:
        yield causes.required(child(path, "items"), "must be specified")
    if level == "root" and "additionalProperties" in schema:
        yield causes.forbidden(child(path, "additionalProperties"), "must not be used at the root")
    for sub, sub_level, where in _below(schema, path):
        yield from _invariants(sub, sub_level, where)
    if either:
        for name, value in (("preserve-unknown-fields", preserve), ("embedded-resource", embedded)):
            if value:
                where = child(path, f"x-kubernetes-{name}")
                yield causes.invalid(where, True, "must be false if x-kubernetes-int-or-string is true")
    yield from _values(schema, path)
    if embedded and kind != "object":
        detail = "must be object if x-kubernetes-embedded-resource is true"
        where = child(path, "type")
        yield causes.invalid(where, kind, detail) if kind else causes.required(where, detail)
    elif not kind and not either and not preserve:
        yield causes.required(child(path, "type"), _NO_TYPE[level])
    if level == "root" and kind not in {"", "object"}:
        yield causes.invalid(child(path, "type"), kind, "must be object at the root")
    yield from _meta_invariants(schema, level, path, embedded=embedded)


def _meta_invariants(schema: Raw, level: str, path: str, *, embedded: bool) -> Iterator[Cause]:
    properties = schema.get("properties") or {}
    checked = level == "root" or embedded
    for name in ("kind", "apiVersion"):
        if checked and name in properties and properties[name].get("type") != "string":
            where = child(key(child(path, "properties"), name), "type")
            yield causes.invalid(where, properties[name].get("type") or "", "must be string")
    metadata = properties.get("metadata")
    if checked and metadata is not None:
        where = key(child(path, "properties"), "metadata")
        if metadata.get("type") != "object":
            yield causes.invalid(child(where, "type"), metadata.get("type") or "", "must be object")
        known = set(metadata.get("properties") or ()) <= {"name", "generateName"}
        rest = {name for name, value in metadata.items() if value and name not in {"type", "properties", "default"}}
        if level == "root" and (not known or rest):
            yield causes.forbidden(
                where,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            )
    if embedded:
        if "additionalProperties" in schema:
            detail = "must not be used if x-kubernetes-embedded-resource is set"
            yield causes.forbidden(child(path, "additionalProperties"), detail)
        if not properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield causes.required(
                child(path, "properties"),
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields",
            )


def _values(schema: Raw, path: str) -> Iterator[Cause]:
    """Value validations: patterns compile, and what is nested only validates."""
    exempt: tuple[str, ...] = ()
    if schema.get("anyOf") == _INT_OR_STRING:
        exempt = (f"{path}.anyOf[",)
    elif (schema.get("allOf") or [{}])[0].get("anyOf") == _INT_OR_STRING:
        exempt = (f"{path}.allOf[0].anyOf[",)
    yield from _value_validations(schema, path, exempt)


def _value_validations(schema: Raw, path: str, exempt: tuple[str, ...] = ()) -> Iterator[Cause]:
    for sub, where in _nested(schema, path):
        if not where.startswith(exempt or ("\0",)):
            yield from _only_validates(sub, where, exempt)
    if pattern := schema.get("pattern"):
        try:
            compile_pattern(pattern)
        except ValueError as wrong:
            detail = f"must be a valid regular expression, but isn't: error parsing regexp: {wrong}"
            yield causes.invalid(child(path, "pattern"), pattern, detail)


def _only_validates(schema: Raw, path: str, exempt: tuple[str, ...] = ()) -> Iterator[Cause]:
    yield from _value_validations(schema, path, exempt)
    if isinstance(schema.get("items"), dict):
        yield from _only_validates(schema["items"], child(path, "items"))
    for name, sub in (schema.get("properties") or {}).items():
        yield from _only_validates(sub, key(child(path, "properties"), name))
    for name, detail in _NOT_NESTED.items():
        if schema.get(name) not in (None, "", False, []) and not (name == "default" and schema[name] is None):
            yield causes.forbidden(child(path, name), detail)
    if "metadata" in (schema.get("properties") or {}):
        where = key(child(path, "properties"), "metadata")
        yield causes.forbidden(where, "must not be specified in a nested context")


def _complete(schema: Raw, spine: Raw, path: str, told: str) -> Iterator[Cause]:
    """Whatever a nested schema speaks of, the schema around it must define."""
    for sub, where in _nested(schema, told):
        yield from _complete_nested(sub, spine, path, where)


def _complete_nested(schema: Raw, spine: Raw | None, path: str, told: str) -> Iterator[Cause]:
    if spine is None:
        yield causes.required(path, f"because it is defined in {told}")
        return
    yield from _complete(schema, spine, path, told)
    if isinstance(schema.get("items"), dict):
        yield from _complete_nested(schema["items"], spine.get("items"), child(path, "items"), child(told, "items"))
    for name, sub in (schema.get("properties") or {}).items():
        where, why = key(child(path, "properties"), name), key(child(told, "properties"), name)
        yield from _complete_nested(sub, (spine.get("properties") or {}).get(name), where, why)


def _defaults(schema: Raw, path: str, *, root: bool = False) -> Iterator[Cause]:
    """Every default is a value of its schema, with nothing in it that would be pruned."""
    default = schema.get("default")
    if default is not None and not root:
        yield from _default(schema, default, child(path, "default"))
    for sub, _, where in _below(schema, path):
        if not where.endswith(".additionalProperties"):
            yield from _defaults(sub, where)


def _default(schema: Raw, default: JSON, path: str) -> Iterator[Cause]:
    node = read(schema)
    pruned = copy.deepcopy(default)
    if pruning.prune_value(node, pruned):
        yield causes.invalid(path, default, "must not have unknown fields")
    wrong = openapi.validate(node, default, base=path)
    yield from wrong
    if not wrong and node.rules_below:
        yield from rules.broken(node, default, default, path=path) or rules.broken(node, default, path=path)
