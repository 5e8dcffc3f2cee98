"""Schemas within a CustomResourceDefinition's schema that its Go type does not reach by itself."""

from __future__ import annotations

from kubesandbox.builtin import types
from kubesandbox.objects import Json

_SCHEMA = types.type_name("apiextensions.k8s.io", "v1", "JSONSchemaProps")


def decode_below(schema: Json, path: str) -> None:
    """Decode the schemas that stand where a list or a boolean may: Go does so apart, and drops unknown fields there."""
    if not isinstance(schema, dict):
        return
    if schema.get("items") is not None and not isinstance(schema["items"], dict) and not _has_schemas(schema["items"]):
        del schema["items"]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = types.decoder(_SCHEMA)(schema[key], f"{path}.{key}", [])
            decode_below(schema[key], f"{path}.{key}")
    if not isinstance(schema.get("additionalProperties"), dict | bool | None):
        raise types.DecodeError("boolean or JSON schema expected")
    for key in ("properties", "patternProperties", "definitions"):
        for part in (schema.get(key) or {}).values():
            decode_below(part, f"{path}.{key}")
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key) or ():
            decode_below(part, f"{path}.{key}")
    decode_below(schema.get("not"), f"{path}.not")


def _has_schemas(items: Json) -> bool:
    return isinstance(items, list) and bool(items)
