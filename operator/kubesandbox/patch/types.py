"""What a kind's fields are to a patch: structs, maps, and lists that are merged by key, as sets, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kubesandbox.schema.causes import JSON

if TYPE_CHECKING:
    from kubesandbox.schema.node import Node

Strategy = Literal["", "merge", "replace", "retainKeys", "merge,retainKeys"]


@dataclass(slots=True)
class Type:
    """One level of a kind. An untold one takes any value: objects field by field, lists as a whole.

    `open` fields are fields of a struct whose table does not list them; the keys of a map are not fields, and are
    owned each with a path of its own.
    """

    fields: dict[str, Type] = field(default_factory=dict)
    #: Every key is a field: built-in kinds, whose table names only what is special.
    open: bool = False
    #: What the values of a map, or the items of a list, are. None: what is no field is not allowed.
    element: Type | None = None
    #: An object that has one owner as a whole.
    atomic: bool = False
    list_kind: Literal["atomic", "set", "map"] = "atomic"
    keys: tuple[str, ...] = ()
    #: Values that stand for absent keys of a map list's items: a port's protocol is TCP.
    key_defaults: dict[str, JSON] = field(default_factory=dict)
    #: What a scalar must be, for server-side apply: string, numeric, boolean; empty: any.
    scalar: str = ""
    #: Which shapes a value may have; empty: any.
    shape: Literal["", "map", "list", "scalar"] = ""
    #: Strategic merge: the patchMergeKey and patchStrategy of a built-in kind's field.
    merge_key: str = ""
    strategy: Strategy = ""

    def named(self, name: str) -> bool:
        """Whether a key is a field of a struct, and not a key of a map."""
        return self.open or name in self.fields

    def of(self, name: str) -> Type | None:
        """The type under a key; None for one that the kind does not know."""
        return self.fields.get(name) or (ANY if self.open else self.element)


#: Whatever comes, deduced from the value: `x-kubernetes-preserve-unknown-fields`.
ANY = Type()
ANY.element = ANY

#: A built-in kind's object or scalar about which nothing special is known.
PLAIN = Type(open=True)


@dataclass(frozen=True, slots=True)
class KindSchema:
    """A kind, for patches: its type, and the fields that one of its endpoints leaves alone."""

    root: Type
    #: Per subresource ("" is the resource itself) the top-level fields that a request through it cannot change.
    reset: Mapping[str, tuple[tuple[str, ...], ...]]
    #: Whether it has a strategic merge patch: custom resources have none.
    strategic: bool = False
    #: What an object of the kind has before anybody fills it in: the structs that Go cannot leave out.
    zero: Mapping[str, JSON] = field(default_factory=dict)


def _metadata() -> Type:
    text = Type(scalar="string", shape="scalar")
    owner = Type(open=True, atomic=True, shape="map")
    entry = Type(open=True, shape="map")
    number = Type(scalar="numeric", shape="scalar")
    texts = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion")
    times = ("creationTimestamp", "deletionTimestamp")
    return Type(
        shape="map",
        fields={
            **dict.fromkeys(texts + times, text),
            "generation": number,
            "deletionGracePeriodSeconds": number,
            "labels": Type(element=text, shape="map"),
            "annotations": Type(element=text, shape="map"),
            "finalizers": Type(element=text, list_kind="set", shape="list", strategy="merge"),
            "ownerReferences": Type(
                element=owner, list_kind="map", keys=("uid",), shape="list", strategy="merge", merge_key="uid"
            ),
            "managedFields": Type(element=entry, shape="list"),
        },
    )


METADATA = _metadata()


def from_crd(root: Node, *, has_status: bool) -> KindSchema:
    """A custom resource's kind, from its version's schema; `has_status` where it has the status subresource."""
    converted = _convert(root, top=True)
    text = Type(scalar="string", shape="scalar")
    converted.fields |= {"apiVersion": text, "kind": text, "metadata": METADATA}
    reset: dict[str, tuple[tuple[str, ...], ...]] = {}
    if has_status:
        reset = {"": (("f:status",),), "status": (("f:metadata",), ("f:spec",))}
    return KindSchema(converted, reset)


_SCALARS = {"string": "string", "integer": "numeric", "number": "numeric", "boolean": "boolean"}


def _convert(node: Node, *, top: bool = False) -> Type:
    """As kube-openapi's schemaconv: lists are atomic and maps granular where the schema does not say."""
    if node.int_or_string:
        return Type(shape="scalar")
    if node.type == "array":
        items = _convert(node.items) if node.items else ANY
        kind = node.list_type or "atomic"
        defaults = {
            key: sub.default
            for key, sub in (node.items.properties if node.items else {}).items()
            if key in node.map_keys
        }
        return Type(
            shape="list",
            element=items,
            list_kind="map" if kind == "map" else "set" if kind == "set" else "atomic",
            keys=node.map_keys,
            key_defaults={key: value for key, value in defaults.items() if value is not None},
        )
    if node.type == "object" or top or node.properties:
        return _convert_object(node)
    if node.type in _SCALARS:
        return Type(shape="scalar", scalar=_SCALARS[node.type])
    return ANY


def _convert_object(node: Node) -> Type:
    fields = {name: _convert(sub) for name, sub in node.properties.items()}
    if node.embedded:
        text = Type(scalar="string", shape="scalar")
        fields |= {"apiVersion": text, "kind": text, "metadata": METADATA}
    element: Type | None = None
    if node.values is not None:
        element = _convert(node.values)
    elif node.preserve or node.additional is True or not node.properties:
        element = ANY
    return Type(shape="map", fields=fields, element=element, atomic=node.map_type == "atomic")
