"""The API's published JSON schemas: what every struct and field means, where a package that holds them is installed.

`kubernetes-validate` keeps them as files, which are read when a document is made; nothing of it is imported. 108 MB for
what `kubectl explain` says is too much to ask for: without it the texts are those of the official client's models.
https://pypi.org/project/kubernetes-validate/ (Apache-2.0)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import orjson

from kubesandbox.objects import Json, Object

_REFERENCE = "#/$defs/"
REF = "#/components/schemas/"


@cache
def _file() -> Path | None:
    found = importlib.util.find_spec("kubernetes_validate")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "kubernetes-json-schema"
    return max(folder.glob("v1.36.*-local/_definitions.json"), default=None)


def available() -> bool:
    """Whether there are any."""
    return _file() is not None


def definitions() -> Mapping[str, Object]:
    """All of them by struct; empty where no package holds them. 20 ms and 8 MB, which nobody keeps."""
    path = _file()
    if path is None:
        return {}
    found: Mapping[str, Object] = orjson.loads(path.read_bytes())["$defs"]
    return found


_ZERO: dict[Json, Json] = {"string": "", "boolean": False, "integer": 0, "number": 0}
#: Fields that Go writes though they are empty.
_ALWAYS = frozenset({"metadata", "spec", "status"})


def component(schema: Json) -> Json:
    """A published schema as a component of an OpenAPI v3 document."""
    if not isinstance(schema, dict):
        return schema
    made = {key: _within(key, value) for key, value in schema.items() if key not in {"$ref", "enum"}}
    for name, field in made.get("properties", {}).items():
        if name in _ALWAYS and "allOf" in field:
            field["default"] = {}
        elif name in schema.get("required", ()) and field.get("type") in _ZERO:
            field["default"] = _ZERO[field["type"]]
    if "$ref" in schema:
        target = {"$ref": schema["$ref"].replace(_REFERENCE, REF)}
        return {**made, "allOf": [target]} if made else target
    return made


def _within(keyword: str, value: Json) -> Json:
    if keyword == "type" and isinstance(value, list):
        return next(name for name in value if name != "null")
    if keyword == "properties" and isinstance(value, dict):
        return {name: component(schema) for name, schema in value.items()}
    return component(value) if keyword in {"items", "additionalProperties"} else value


def referred(schema: Json) -> set[str]:
    """The components that one refers to."""
    if isinstance(schema, list):
        return set().union(*map(referred, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("$ref")
    found = {own.removeprefix(REF)} if isinstance(own, str) else set()
    return found.union(*(referred(value) for value in schema.values()))
