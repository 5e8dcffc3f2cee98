"""How large a value can be: by its schema, within a request of three megabytes.

As apiserver's `cel/common.SchemaDeclType`: what a schema does not bound, the size of a request does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubesandbox.schema.cel.values import escape

Raw = Mapping[str, Any]

#: apis/cel MaxRequestSizeBytes
REQUEST = 3 * 1024 * 1024
MOST = 2**64 - 1
#: Shortest and longest texts of formats that expressions do not see as strings, in characters of JSON.
_FORMATS = {"duration": (3, 32), "date": (12, 12), "date-time": (21, 32)}
_SCALARS = {"boolean": 4, "number": 1, "integer": 1}
_STRING = {"type": "string"}
_META = {"kind": _STRING, "apiVersion": _STRING}


def bounded(amount: int) -> int:
    """An amount as Go's uint64 holds it, cut off where it would run over."""
    return min(amount, MOST)


def scaled(amount: int, factor: float) -> int:
    """An amount times a factor, rounded up."""
    product = float(amount) * factor
    return MOST if product >= MOST else math.ceil(product)


class Size(NamedTuple):
    """How many characters, bytes or elements, at least and at most."""

    least: int
    most: int

    def plus(self, other: Size) -> Size:
        return Size(bounded(self.least + other.least), bounded(self.most + other.most))

    def times(self, other: Size) -> Size:
        return Size(bounded(self.least * other.least), bounded(self.most * other.most))

    def union(self, other: Size) -> Size:
        return Size(min(self.least, other.least), max(self.most, other.most))


UNKNOWN, ONE = Size(0, MOST), Size(1, 1)


@dataclass(slots=True)
class Declared:
    """A schema's values: the most elements or characters, and the fewest bytes of JSON."""

    most: int = 0
    least_bytes: int = 2
    fields: dict[str, Declared] = field(default_factory=dict)
    item: Declared | None = None
    key: Declared | None = None

    def at(self, path: tuple[str, ...]) -> Declared | None:
        """What stands at a path of fields, `@items`, `@values` and `@keys`."""
        found: Declared | None = self
        for name in path:
            if found is None:
                return None
            if name in {"@items", "@values"}:
                found = found.item
            elif name == "@keys":
                found = found.key
            else:
                found = found.fields.get(name)
        return found

    @property
    def cardinality(self) -> int:
        """How many of them a request can hold."""
        return REQUEST // (self.least_bytes + 1)


def declared(schema: Raw, *, root: bool = False) -> Declared | None:
    """The sizes of a structural schema's values; None for what expressions cannot see."""
    most = schema.get("maxLength")
    if schema.get("x-kubernetes-int-or-string"):
        return Declared(REQUEST - 2 if most is None else max(most, 0) * 4, 1)
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = _with_meta(schema)
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            return _map(schema) if isinstance(schema.get("additionalProperties"), dict) else _object(schema)
        case "string":
            return _string(schema, most)
        case other:
            return Declared(0, _SCALARS[other]) if other in _SCALARS else None


def _list(schema: Raw) -> Declared | None:
    item = declared(schema["items"]) if isinstance(schema.get("items"), dict) else None
    if item is None:
        return None
    most = schema.get("maxItems")
    return Declared((REQUEST - 2) // (item.least_bytes + 1) if most is None else max(most, 0), item=item)


def _map(schema: Raw) -> Declared | None:
    value = declared(schema["additionalProperties"])
    if value is None:
        return None
    most = schema.get("maxProperties")
    # apiserver declares keys as strings without a bound of their own, which it takes for no characters
    return Declared(
        (REQUEST - 2) // (value.least_bytes + 6) if most is None else max(most, 0), item=value, key=Declared()
    )


def _object(schema: Raw) -> Declared:
    made = Declared()
    for name, sub in (schema.get("properties") or {}).items():
        found = declared(sub)
        if found is None:
            continue
        escaped = escape(name)
        if escaped is not None:
            made.fields[escaped] = found
        if name in (schema.get("required") or ()) and sub.get("default") is None:
            made.least_bytes += len(name.encode()) + found.least_bytes + 4
    return made


def _string(schema: Raw, most: int | None) -> Declared:
    shape = schema.get("format")
    if shape in _FORMATS:
        least, longest = _FORMATS[shape]
        return Declared(longest, least)
    if most is not None:
        return Declared(max(most, 0) * (1 if shape == "byte" else 4))
    if shape != "byte" and schema.get("enum"):
        return Declared(max(len(value.encode()) for value in schema["enum"] if isinstance(value, str)))
    return Declared(REQUEST - 2)


def _with_meta(schema: Raw) -> Raw:
    """A resource's schema with what expressions may always speak of."""
    properties = schema.get("properties") or {}
    names = (properties.get("metadata") or {}).get("properties") or {}
    wanted = [(properties, "kind"), (properties, "apiVersion"), (names, "name"), (names, "generateName")]
    if all((held.get(name) or {}).get("type") == "string" for held, name in wanted):
        return schema
    metadata = {"type": "object", "properties": {"name": _STRING, "generateName": _STRING}}
    return {**schema, "properties": {**properties, **_META, "metadata": metadata}}
