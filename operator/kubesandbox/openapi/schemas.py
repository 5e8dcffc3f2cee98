"""Schemas of kinds as OpenAPI v3 components: built-in ones from their Go types, custom ones from their definitions."""

from __future__ import annotations

from collections.abc import Iterable

from kubesandbox.builtin import types
from kubesandbox.builtin.types import OBJECT_META, FieldSpec
from kubesandbox.kinds import Kind
from kubesandbox.objects import Json, Object, dig
from kubesandbox.openapi import descriptions, references

REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
LIST_META = _META + "ListMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_SPECIAL: dict[str, tuple[str, Object]] = {
    "time": (
        _META + "Time",
        {
            "description": "Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.  "
            "Wrappers are provided for many of the factory methods that the time package offers.",
            "type": "string",
            "format": "date-time",
        },
    ),
    "microtime": (
        _META + "MicroTime",
        {
            "description": "MicroTime is version of Time with microsecond level precision.",
            "type": "string",
            "format": "date-time",
        },
    ),
    "quantity": (
        QUANTITY,
        {
            "description": "Quantity is a fixed-point representation of a number. It provides convenient "
            "marshaling/unmarshaling in JSON and YAML, in addition to String() and AsInt64() accessors.",
            "oneOf": [{"type": "string"}, {"type": "number"}],
        },
    ),
    "int-or-string": (
        INT_OR_STRING,
        {
            "description": "IntOrString is a type that can hold an int32 or a string.  When used in JSON or YAML "
            "marshalling and unmarshalling, it produces or consumes the inner type.  This allows you to have, for "
            "example, a JSON field that can accept a name or number.",
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
    ),
}
_SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
_ZERO = {"string": "", "boolean": False, "int32": 0, "int64": 0, "number": 0}


def component_name(kind: Kind) -> str:
    """The name of a kind's component."""
    if not kind.strategy.custom:
        return types.type_name(kind.group, kind.version, kind.kind)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


class Components:
    """The components of one document; what they refer to is added with them."""

    def __init__(self) -> None:
        self.schemas: dict[str, Object] = {}

    def add_kind(self, kind: Kind) -> None:
        """A kind and its list."""
        name = component_name(kind)
        schema = self._custom(kind) if kind.strategy.custom else self.struct(name)
        schema["x-kubernetes-group-version-kind"] = [gvk(kind, kind.kind)]
        self.schemas[name] = schema
        if "list" in kind.verbs:
            self.schemas[f"{name.removesuffix(kind.kind)}{kind.list_kind}"] = self._list(kind, name)

    def struct(self, name: str) -> Object:
        """A Go struct's component, made on first use."""
        if name in self.schemas:
            return self.schemas[name]
        schema: Object = {"type": "object"}
        self.schemas[name] = schema
        spec = types.specs()[name]
        own, texts = descriptions.of(name)
        texts = references.of(name) | texts
        if own:
            schema["description"] = own
        schema["properties"] = {key: self._field(field, texts.get(key, "")) for key, field in spec["f"].items()}
        required = [key for key, field in spec["f"].items() if field.get("r")]
        if required:
            schema["required"] = required
        return schema

    def _field(self, field: FieldSpec, description: str) -> Object:
        schema = self._type(field["t"])
        if "$ref" in schema:
            schema = {"allOf": [schema]}
            if field["t"].startswith("#") and not field.get("p"):
                schema["default"] = {}
        if description:
            schema["description"] = description
        if "df" in field:
            schema["default"] = field["df"]
        elif field.get("r") and field["t"] in _ZERO and not field.get("p"):
            schema["default"] = _ZERO[field["t"]]
        if field.get("e"):
            schema["enum"] = field["e"]
        for key, name in (
            ("lt", "x-kubernetes-list-type"),
            ("lk", "x-kubernetes-list-map-keys"),
            ("mt", "x-kubernetes-map-type"),
            ("ps", "x-kubernetes-patch-strategy"),
            ("pk", "x-kubernetes-patch-merge-key"),
        ):
            if key in field:
                schema[name] = field[key]  # type: ignore[literal-required]
        return schema

    def _type(self, kind: str) -> Object:
        if kind.startswith("#"):
            self.struct(kind[1:])
            return {"$ref": REF + kind[1:]}
        if kind.startswith("[]"):
            return {"type": "array", "items": self._element(kind[2:])}
        if kind.startswith("map:"):
            return {"type": "object", "additionalProperties": self._element(kind[4:])}
        if kind in _SPECIAL:
            name, schema = _SPECIAL[kind]
            self.schemas[name] = dict(schema)
            return {"$ref": REF + name}
        return dict(_SCALARS[kind])

    def _element(self, kind: str) -> Object:
        schema = self._type(kind)
        if "$ref" in schema:
            return {"allOf": [schema], **({"default": {}} if kind.startswith("#") else {})}
        if kind in _ZERO:
            schema["default"] = _ZERO[kind]
        return schema

    def _list(self, kind: Kind, name: str) -> Object:
        self.struct(LIST_META)
        return {
            "description": f"{kind.list_kind} is a list of {kind.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {
                **_type_meta(),
                "items": {
                    "description": f"List of {kind.plural}. More info: "
                    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                    "type": "array",
                    "items": {"allOf": [{"$ref": REF + name}], "default": {}},
                },
                "metadata": {
                    "description": "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/"
                    "sig-architecture/api-conventions.md#types-kinds",
                    "allOf": [{"$ref": REF + LIST_META}],
                    "default": {},
                },
            },
            "x-kubernetes-group-version-kind": [gvk(kind, kind.list_kind)],
        }

    def _custom(self, kind: Kind) -> Object:
        self.struct(OBJECT_META)
        definition = getattr(kind.strategy, "definition", {})
        schema: Object = dict(dig(definition, "schema", "openAPIV3Schema") or {})
        properties = dict(schema.get("properties") or {})
        properties.update(_type_meta())
        properties["metadata"] = {
            "description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/"
            "sig-architecture/api-conventions.md#metadata",
            "allOf": [{"$ref": REF + OBJECT_META}],
            "default": {},
        }
        schema["properties"] = properties
        return schema


def _type_meta() -> dict[str, Json]:
    return {
        "apiVersion": {
            "type": "string",
            "description": "APIVersion defines the versioned schema of this representation of an object. Servers "
            "should convert recognized schemas to the latest internal value, and may reject unrecognized values. More "
            "info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
        },
        "kind": {
            "type": "string",
            "description": "Kind is a string value representing the REST resource this object represents. Servers may "
            "infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
            "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
        },
    }


def gvk(kind: Kind, name: str) -> Object:
    """`x-kubernetes-group-version-kind` of a kind or its list."""
    return {"group": kind.group, "kind": name, "version": kind.version}


def components(kinds: Iterable[Kind]) -> dict[str, Object]:
    """The components of some kinds, by name."""
    made = Components()
    for kind in kinds:
        made.add_kind(kind)
    return {name: made.schemas[name] for name in sorted(made.schemas)}
