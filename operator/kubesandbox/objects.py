"""The shape that every Kubernetes object has here: JSON as nested dicts and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

# An object is JSON of a shape that only its schema knows; Any is confined to this alias.
Object = dict[str, Any]
Json = Any


def clone(value: Json) -> Json:
    """A deep copy of JSON: stored objects are never changed, so whoever wants to write takes one."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def same(one: Json, other: Json) -> bool:
    """Whether two values are one in JSON: to Python, 1 is True and 1.0."""
    return bool(one == other) and (
        one is other
        or orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    )


def dig(value: Json, *path: str | int) -> Json:
    """The value at a path, or None where any step is missing."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
        elif isinstance(value, Mapping):
            value = value.get(step)
        else:
            return None
    return value


def child(value: Object, *path: str) -> Object:
    """The object at a path, made where it is missing or null."""
    for step in path:
        below = value.get(step)
        if not isinstance(below, dict):
            below = value[step] = {}
        value = below
    return value
