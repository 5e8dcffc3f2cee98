"""A CEL rule's `fieldPath`: `.spec.names['a.b']`, from the rule's own place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubesandbox.schema.causes import child, key

_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def resolve(path: str, schema: Mapping[str, Any]) -> str | None:
    """The path as causes write it, without a dot in front; None where the schema has no such field."""
    where, position, here = "", 0, schema
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        position = step.end()
        name = step[1] if step[1] is not None else _unescaped(step[2])
        if name is None:
            return None
        properties, values = here.get("properties"), here.get("additionalProperties")
        if properties:
            if name not in properties:
                return None
            where, here = child(where, name), properties[name]
        elif isinstance(values, dict):
            where, here = key(where, name), values
        else:
            return None
    return where


def _unescaped(text: str) -> str | None:
    if any(m[1] not in _ESCAPES for m in re.finditer(r"\\(.)", text)):
        return None
    return re.sub(r"\\(.)", lambda m: _ESCAPES[m[1]], text)
