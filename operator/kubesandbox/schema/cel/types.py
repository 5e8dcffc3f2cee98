"""CEL's types, as the checker sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubesandbox.schema.cel.values import escape
from kubesandbox.schema.node import Node

_SHOWN = {
    "optional": "optional_type",
    "quantity": "kubernetes.Quantity",
    "semver": "kubernetes.Semver",
    "url": "kubernetes.URL",
    "ip": "net.IP",
    "cidr": "net.CIDR",
}


@dataclass(frozen=True, slots=True)
class CelType:
    """A type by name; lists, maps and optionals with what they hold, objects with their fields."""

    name: str
    of: tuple[CelType, ...] = ()
    fields: dict[str, CelType] | None = field(default=None, compare=False, hash=False)
    #: A set or map list: equal whatever the order, and `+` merges.
    unordered: str = ""
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "type":
            return "type"
        shown = _SHOWN.get(self.name, self.name)
        return f"{shown}({', '.join(map(str, self.of))})" if self.of else shown


DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION, TYPE = (
    CelType(name)
    for name in (
        "dyn", "null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "type",
    )
)  # fmt: skip


def list_of(item: CelType) -> CelType:
    return CelType("list", (item,))


def map_of(key: CelType, value: CelType) -> CelType:
    return CelType("map", (key, value))


def optional_of(value: CelType) -> CelType:
    return CelType("optional", (value,))


def accepts(wanted: CelType, given: CelType) -> bool:
    """Whether a value of one type may stand where the other is asked for; dyn goes with anything."""
    if wanted.name == "dyn" or given.name == "dyn":
        return True
    if wanted.name != given.name:
        return given.name == "null" and wanted.name not in {
            "bool",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "list",
            "map",
        }
    if wanted.fields is not None and given.fields is not None and wanted.fields is not given.fields:
        return wanted.fields == given.fields
    return all(accepts(w, g) for w, g in zip(wanted.of, given.of, strict=False))


_STRINGS = {"byte": BYTES, "duration": DURATION, "date": TIMESTAMP, "date-time": TIMESTAMP}
_SCALARS = {"boolean": BOOL, "number": DOUBLE, "integer": INT}


def of_node(node: Node, *, root: bool = False) -> CelType | None:
    """The type of a schema's values; None for what expressions cannot see."""
    if node.int_or_string:
        return DYN
    match node.type:
        case "array":
            item = of_node(node.items, root=node.items.embedded) if node.items else None
            kind = node.list_type if node.list_type in {"set", "map"} else ""
            return None if item is None else CelType("list", (item,), unordered=kind, keys=node.map_keys)
        case "object":
            return _object(node, root=root)
        case "string":
            return _STRINGS.get(node.format, STRING)
        case other:
            return _SCALARS.get(other)


def _object(node: Node, *, root: bool) -> CelType | None:
    if node.values is not None:
        value = of_node(node.values, root=node.values.embedded)
        return None if value is None else map_of(STRING, value)
    fields: dict[str, CelType] = {}
    for name, sub in node.properties.items():
        escaped, type_ = escape(name), of_node(sub, root=sub.embedded)
        if escaped is not None and type_ is not None:
            fields[escaped] = type_
    if root or node.embedded:
        fields |= {
            "apiVersion": STRING,
            "kind": STRING,
            "metadata": CelType("object", fields={"name": STRING, "generateName": STRING}),
        }
    return CelType("object", fields=fields)
