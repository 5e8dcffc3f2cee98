"""A schema as a tree of nodes: read once from a CRD's `openAPIV3Schema`, walked for every object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from kubesandbox.schema import formats
from kubesandbox.schema.causes import JSON

if TYPE_CHECKING:
    from kubesandbox.schema.rules import Rule


@dataclass(slots=True)
class Node:
    """One level of a schema. None and empty mean that the schema does not say."""

    types: tuple[str, ...] = ()
    nullable: bool = False
    format: str = ""
    check_format: Callable[[str], bool] | None = None
    enum: tuple[JSON, ...] = ()
    minimum: float | int | None = None
    maximum: float | int | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    multiple_of: float | int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    matches: Callable[[str], object] | None = None
    min_items: int | None = None
    max_items: int | None = None
    min_properties: int | None = None
    max_properties: int | None = None
    required: tuple[str, ...] = ()
    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | bool | None = None
    items: Node | None = None
    all_of: tuple[Node, ...] = ()
    any_of: tuple[Node, ...] = ()
    one_of: tuple[Node, ...] = ()
    not_: Node | None = None
    default: JSON = None
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    rules: tuple[Rule, ...] = ()
    #: Compiled CEL expressions of this node, by text: filled when they are first needed.
    programs: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    #: Whether here or below are defaults, rules, embedded resources, set or map lists: walks skip what has none.
    defaults_below: bool = False
    rules_below: bool = False
    embedded_below: bool = False
    unique_below: bool = False

    @property
    def type(self) -> str:
        """The one type that the schema names, or nothing (int-or-string, preserved, nested)."""
        return self.types[0] if len(self.types) == 1 else ""

    @property
    def values(self) -> Node | None:
        """What the values of a map must be."""
        return self.additional if isinstance(self.additional, Node) else None

    def child(self, name: str) -> Node | None:
        """The schema of an object's field."""
        return self.properties.get(name) or self.values


@cache
def compile_pattern(pattern: str) -> Callable[[str], object]:
    """An unanchored RE2 search. `ValueError` for what is no RE2 expression, as Go's regexp words it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        search: Callable[[str], object] = re2.compile(pattern, options).search
    except re2.error as wrong:
        detail = wrong.args[0] if wrong.args else "invalid"
        raise ValueError(_as_go(detail.decode() if isinstance(detail, bytes) else str(detail), pattern)) from None
    if _ANY_BYTE.search(pattern):
        raise ValueError("invalid escape sequence: `\\C`")
    return search


#: What RE2 knows and Go does not.
_ANY_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}


def _as_go(detail: str, pattern: str) -> str:
    """RE2's message in the words of its Go port."""
    if detail.startswith("trailing \\"):
        return "trailing backslash at end of expression: ``"
    what, colon, part = detail.partition(": ")
    if part in {"(?<=", "(?<!"}:  # to Go the beginning of a name
        what, part = "invalid named capture group", pattern[pattern.find(part) :]
    return f"{_GO_WORDS.get(what, what)}{colon}" + (f"`{part}`" if colon else "")


def read(schema: Mapping[str, Any]) -> Node:
    """The node of a JSON schema as CRDs have them, with everything below."""
    node = Node(
        types=_types(schema),
        nullable=bool(schema.get("nullable")),
        enum=tuple(schema.get("enum") or ()),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        exclusive_minimum=bool(schema.get("exclusiveMinimum")),
        exclusive_maximum=bool(schema.get("exclusiveMaximum")),
        multiple_of=schema.get("multipleOf"),
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        pattern=schema.get("pattern") or "",
        min_items=schema.get("minItems"),
        max_items=schema.get("maxItems"),
        min_properties=schema.get("minProperties"),
        max_properties=schema.get("maxProperties"),
        required=tuple(schema.get("required") or ()),
        properties={name: read(sub) for name, sub in (schema.get("properties") or {}).items()},
        additional=_additional(schema.get("additionalProperties")),
        items=read(schema["items"]) if isinstance(schema.get("items"), dict) else None,
        all_of=tuple(read(sub) for sub in schema.get("allOf") or ()),
        any_of=tuple(read(sub) for sub in schema.get("anyOf") or ()),
        one_of=tuple(read(sub) for sub in schema.get("oneOf") or ()),
        not_=read(schema["not"]) if isinstance(schema.get("not"), dict) else None,
        default=schema.get("default"),
        preserve=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        int_or_string=bool(schema.get("x-kubernetes-int-or-string")),
        list_type=schema.get("x-kubernetes-list-type") or "",
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=schema.get("x-kubernetes-map-type") or "",
    )
    node.format = _format(node.types, schema.get("format") or "")
    node.check_format = formats.check(node.format) if node.format else None
    if node.pattern:
        node.matches = compile_pattern(node.pattern)
    if schema.get("x-kubernetes-validations"):
        from kubesandbox.schema.rules import Rule

        node.rules = tuple(Rule.read(rule, schema) for rule in schema["x-kubernetes-validations"])
    below = [*node.properties.values(), *(n for n in (node.items, node.values) if n)]
    node.defaults_below = any(n.default is not None or n.defaults_below for n in below)
    node.rules_below = bool(node.rules) or any(n.rules_below for n in below)
    node.embedded_below = any(n.embedded or n.embedded_below for n in below)
    node.unique_below = node.list_type in {"set", "map"} or any(n.unique_below for n in below)
    return node


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    named = schema.get("type")
    return (named,) if named else ()


def _additional(schema: object) -> Node | bool | None:
    return read(schema) if isinstance(schema, dict) else bool(schema) if schema is not None else None


def _format(types: tuple[str, ...], named: str) -> str:
    """The format that kube-apiserver heeds; it drops those that it does not know, or not for this type."""
    match types:
        case () | ("string",):
            return named if formats.check(named) else ""
        case ("integer",):
            return named if named in {"int32", "int64"} else ""
        case ("number",):
            return named if named in {"float", "double"} else ""
        case _:
            return ""
