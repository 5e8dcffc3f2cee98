"""What apiextensions forbids in a schema, or asks of it, beyond being structural."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause, child, key
from kubesandbox.schema.fieldpaths import resolve

Raw = Mapping[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_META = frozenset({"metadata", "kind", "apiVersion"})
_LINES = re.compile(r"[\n\r]")


def unsupported(cause: Cause) -> bool:
    """Whether it tells of a construct that no structural schema can even hold."""
    return cause.message.endswith(" is not supported") or "items must be a schema object" in cause.message


@dataclass(frozen=True, slots=True)
class _Place:
    """What holds at a place of the schema because of what stands above it."""

    no_default: str | None = None
    inside_metadata: bool = False


def constructs(schema: Raw, path: str) -> list[Cause]:
    """A cause for every construct that a CRD's schema may not have, or has wrong."""
    return list(_walk(schema, path, _Place(), root=True))


def _walk(schema: Raw, path: str, place: _Place, *, root: bool = False) -> Iterator[Cause]:
    yield from _forbidden(schema, path, place)
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    if additional is not None:
        if properties and additional is not True:
            detail = "additionalProperties and properties are mutual exclusive"
            yield causes.forbidden(child(path, "additionalProperties"), detail)
        if isinstance(additional, dict):
            below = place
            if place.inside_metadata:
                below = replace(place, no_default="inside additionalProperties applying to object metadata")
            yield from _walk(additional, child(path, "additionalProperties"), below)
    for name, sub in properties.items():
        below = place
        if (root or schema.get("x-kubernetes-embedded-resource")) and name in _META:
            below = _Place(f"in top-level {name}" if root else place.no_default, inside_metadata=True)
        yield from _walk(sub, key(child(path, "properties"), name), below)
    if isinstance(schema.get("not"), dict):
        yield from _walk(schema["not"], child(path, "not"), place)
    for junctor in ("allOf", "oneOf", "anyOf"):
        for index, sub in enumerate(schema.get(junctor) or ()):
            yield from _walk(sub, f"{path}.{junctor}[{index}]", place)
    if isinstance(schema.get("items"), dict):
        yield from _walk(schema["items"], child(path, "items"), place)
    yield from _extensions(schema, path)
    yield from _list_map(schema, path)
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield from _rule(schema, rule, f"{path}.x-kubernetes-validations[{index}]")


_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")


def _forbidden(schema: Raw, path: str, place: _Place) -> Iterator[Cause]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        yield causes.not_supported(child(path, "type"), kind, _TYPES)
    if schema.get("default") is not None and place.no_default is not None:
        yield causes.forbidden(child(path, "default"), f"must not be set {place.no_default}")
    for name in _UNSUPPORTED:
        if schema.get(name) not in (None, "", {}):
            yield causes.forbidden(child(path, name), f"{name} is not supported")
    if kind == "null":
        yield causes.forbidden(child(path, "type"), "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield causes.forbidden(child(path, "items"), "items must be a schema object and not an array")
    if place.inside_metadata and schema.get("x-kubernetes-embedded-resource"):
        where = child(path, "x-kubernetes-embedded-resource")
        yield causes.forbidden(where, "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield causes.forbidden(child(path, "uniqueItems"), detail)


def _typed(schema: Raw, path: str, extension: str, wanted: str) -> Iterator[Cause]:
    kind, where = schema.get("type") or "", child(path, "type")
    if kind != wanted:
        detail = f"must be {wanted} if {extension} is specified"
        yield causes.invalid(where, kind, detail) if kind else causes.required(where, detail)


def _extensions(schema: Raw, path: str) -> Iterator[Cause]:
    preserve = "x-kubernetes-preserve-unknown-fields"
    if schema.get(preserve) is False:
        yield causes.invalid(child(path, preserve), False, "must be true or undefined")
    map_type, list_type = schema.get("x-kubernetes-map-type"), schema.get("x-kubernetes-list-type")
    if map_type is not None:
        yield from _typed(schema, path, "x-kubernetes-map-type", "object")
        if map_type not in {"atomic", "granular"}:
            yield causes.not_supported(child(path, "x-kubernetes-map-type"), map_type, ("atomic", "granular"))
    if list_type is not None:
        yield from _typed(schema, path, "x-kubernetes-list-type", "array")
        items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
        if schema.get("type") == "array" and list_type == "set" and isinstance(items, dict):
            yield from _set_items(items, child(path, "items"))
        if list_type not in {"atomic", "set", "map"}:
            yield causes.not_supported(child(path, "x-kubernetes-list-type"), list_type, ("atomic", "set", "map"))


def _set_items(items: Raw, path: str) -> Iterator[Cause]:
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    list_type = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and list_type not in {None, "atomic"}:
        yield causes.invalid(child(path, "x-kubernetes-list-type"), list_type, detail)
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield causes.invalid(child(path, "x-kubernetes-map-type"), list_type, detail)


def _list_map(schema: Raw, path: str) -> Iterator[Cause]:
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    where_type, where_keys = child(path, "x-kubernetes-list-type"), child(path, "x-kubernetes-list-map-keys")
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield (
            causes.required(where_type, detail) if list_type is None else causes.invalid(where_type, list_type, detail)
        )
    items, where = schema.get("items"), child(path, "items")
    if list_type == "map":
        if not keys:
            yield causes.required(where_keys, "must not be empty if x-kubernetes-list-type is map")
        if items is None:
            yield causes.required(where, "must have a schema if x-kubernetes-list-type is map")
        elif isinstance(items, dict):
            if items.get("type") != "object":
                detail = "must be object if parent array's x-kubernetes-list-type is map"
                yield causes.invalid(child(where, "type"), items.get("type") or "", detail)
            else:
                yield from _keys(items, keys, where, where_keys)
    if list_type in {"set", "map"} and isinstance(items, dict):
        if items.get("nullable"):
            detail = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
            yield causes.forbidden(child(where, "nullable"), detail)
        if list_type == "map":
            yield from _key_properties(items, keys, where)


def _keys(items: Raw, keys: list[str], path: str, where_keys: str) -> Iterator[Cause]:
    properties = items.get("properties") or {}
    for index, name in enumerate(keys):
        if name not in properties:
            yield causes.invalid(where_keys, list(keys), "entries must all be names of item properties")
        elif properties[name].get("type") in {"array", "object"}:
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield causes.invalid(child(key(child(path, "properties"), name), "type"), items.get("type"), detail)
        if name in keys[:index]:
            yield causes.invalid(where_keys, list(keys), "must not contain duplicate entries")


def _key_properties(items: Raw, keys: list[str], path: str) -> Iterator[Cause]:
    properties = items.get("properties") or {}
    for name in keys:
        if name not in properties:
            continue
        where = key(child(path, "properties"), name)
        if name not in (items.get("required") or ()) and properties[name].get("default") is None:
            yield causes.required(
                child(where, "default"),
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            )
        if properties[name].get("nullable"):
            detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            yield causes.forbidden(child(where, "nullable"), detail)


def _rule(schema: Raw, rule: Raw, path: str) -> Iterator[Cause]:
    text, message = (str(rule.get(name) or "") for name in ("rule", "message"))
    where = child(path, "message")
    if not text.strip():
        yield causes.required(child(path, "rule"), "rule is not specified")
    elif message and not message.strip():
        yield causes.invalid(where, message, "must be non-empty if specified")
    elif _LINES.search(message.strip()):
        yield causes.invalid(where, message, "must not contain line breaks")
    elif _LINES.search(text.strip()) and not message.strip():
        yield causes.required(where, "message must be specified if rule contains line breaks")
    expression = str(rule.get("messageExpression") or "")
    if expression and not expression.strip():
        detail = "messageExpression must be non-empty if specified"
        yield causes.required(child(path, "messageExpression"), detail)
    reason: JSON = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        yield causes.not_supported(child(path, "reason"), reason, _REASONS)
    field, where = str(rule.get("fieldPath") or ""), child(path, "fieldPath")
    if field and not field.strip():
        yield causes.invalid(where, field, "must be non-empty if specified")
    if _LINES.search(field):
        yield causes.invalid(where, field, "must not contain line breaks")
    if field and resolve(field, schema) is None:
        yield causes.invalid(where, field, "must be a valid path")
