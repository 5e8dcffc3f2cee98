"""Schemas of kinds as OpenAPI v3 components: built-in ones from their Go types, custom ones from their definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubesandbox.builtin import types
from kubesandbox.builtin.types import OBJECT_META, FieldSpec
from kubesandbox.kinds import Kind
from kubesandbox.objects import Json, Object, dig
from kubesandbox.openapi import descriptions, enums, published, references
from kubesandbox.openapi.published import REF

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
            "description": references.QUANTITY,
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
_BY_NAME = dict(_SPECIAL.values())
_SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {},
}
_DEFINITION = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
#: What has a component of its own though it may be anything, by its field: that one's name, and what it is at least.
_OPAQUE = {
    "fieldsV1": (_META + "FieldsV1", {"type": "object"}),
    "additionalItems": (_DEFINITION + "JSONSchemaPropsOrBool", {}),
    "additionalProperties": (_DEFINITION + "JSONSchemaPropsOrBool", {}),
    "items": (_DEFINITION + "JSONSchemaPropsOrArray", {}),
    "dependencies": (_DEFINITION + "JSONSchemaPropsOrStringArray", {}),
    **dict.fromkeys(("default", "enum", "example"), (_DEFINITION + "JSON", {})),
}
#: What documents hold beside their kinds: what is sent and answered around objects.
_WATCHED = (_META + "WatchEvent",)
_SENT = tuple(_META + name for name in ("DeleteOptions", "Patch", "Status"))
_GVK = "x-kubernetes-group-version-kind"
_MARKS = {
    "lt": "x-kubernetes-list-type",
    "lk": "x-kubernetes-list-map-keys",
    "mt": "x-kubernetes-map-type",
    "ps": "x-kubernetes-patch-strategy",
    "pk": "x-kubernetes-patch-merge-key",
}
_ZERO = {"string": "", "boolean": False, "int32": 0, "int64": 0, "number": 0}


def component_name(kind: Kind) -> str:
    """The name of a kind's component."""
    if not kind.strategy.custom:
        return types.type_name(kind.group, kind.version, kind.kind)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


class Components:
    """The components of one document; what they refer to is added with them."""

    def __init__(self, known: Mapping[str, Object]) -> None:
        """`known` are the published schemas, or nothing."""
        self.schemas: dict[str, Object] = {}
        self._known = known

    def add_kind(self, kind: Kind) -> None:
        """A kind and its list, and what is sent and answered around them."""
        name = component_name(kind)
        schema = self._custom(kind) if kind.strategy.custom else self.struct(name)
        schema[_GVK] = [gvk(kind, kind.kind)]
        selectable = [it["jsonPath"].removeprefix(".") for it in _definition(kind).get("selectableFields") or ()]
        marks = {"x-kubernetes-selectable-fields": [{"fieldPath": path} for path in selectable]} if selectable else {}
        self.schemas[name] = schema | marks
        if "list" in kind.verbs:
            self._add_list(kind, name, marks)
        below = [types.type_name(it.group, it.version, it.kind) for it in kind.subresources.values() if it.kind]
        around = [*_SENT, *(() if kind.strategy.custom else _WATCHED)] if "list" in kind.verbs else []
        listed = [] if kind.strategy.custom else [_META + "APIResourceList"]
        for other in filter(self._known.__contains__, (*below, *listed, *around)):
            made = self.struct(other)
            if other in around and _GVK in made:
                made[_GVK] = [it for it in made[_GVK] if _is_of(it, kind)]

    def struct(self, name: str) -> Object:
        """A Go struct's component, made on first use."""
        if name in self.schemas:
            return self.schemas[name]
        schema: Object = {"type": "object"}
        self.schemas[name] = schema
        known = self._known.get(name, {})
        spec = types.specs().get(name)
        if spec is None:
            schema.clear()
            schema.update(published.component(known))
            for (struct, key), kind in enums.PUBLISHED.items():
                if struct == name:
                    field, allowed = schema["properties"][key], enums.values(kind)
                    field |= {"enum": allowed, "description": enums.told(field["description"], kind, allowed)}
            for other in published.referred(schema):
                self._refer(other)
            return schema
        own, texts = _texts(name, known)
        if own:
            schema["description"] = own
        required = [key for key, field in spec["f"].items() if field.get("r")]
        if required:
            schema["required"] = required
        if spec["f"]:
            schema["properties"] = {key: self._field(key, it, texts.get(key, "")) for key, it in spec["f"].items()}
        schema |= {key: value for key, value in known.items() if key.startswith("x-")}
        return schema

    def _refer(self, name: str) -> None:
        if name in _BY_NAME:
            self._special(name, _BY_NAME[name])
        else:
            self.struct(name)

    def _special(self, name: str, schema: Object) -> None:
        description = self._known.get(name, {}).get("description")
        self.schemas[name] = {"description": description, **schema} if description else dict(schema)

    def _field(self, key: str, field: FieldSpec, description: str) -> Object:
        kind, values = field["t"], field.get("e")
        schema = self._type(kind, key)
        if values and kind == "string":
            schema["enum"] = values
            description = enums.told(description, field.get("g", ""), values)
        elif values:
            schema["items" if kind.startswith("[]") else "additionalProperties"]["enum"] = values
        given: Object = {"description": description} if description else {}
        if "df" in field:
            given["default"] = field["df"]
        elif not field.get("p") and kind.startswith("#"):
            given["default"] = {}
        elif not field.get("o") and not field.get("p") and kind in _ZERO:
            given["default"] = _ZERO[kind]
        marks = {name: field[mark] for mark, name in _MARKS.items() if mark in field}  # type: ignore[literal-required]
        if (given or marks) and "$ref" in schema:
            schema = {"allOf": [schema]}
        return given | schema | marks

    def _type(self, kind: str, key: str = "") -> Object:
        if kind.startswith("#"):
            self.struct(kind[1:])
            return {"$ref": REF + kind[1:]}
        if kind.startswith("[]"):
            return {"type": "array", "items": self._type(kind[2:], key)}
        if kind.startswith("map:"):
            return {"type": "object", "additionalProperties": self._type(kind[4:], key)}
        name, schema = _OPAQUE[key] if kind == "any" else _SPECIAL.get(kind, ("", _SCALARS.get(kind, {})))
        if not name:
            return dict(schema)
        if name in self._known and kind == "any":
            self.struct(name)
        else:
            self._special(name, schema)
        return {"$ref": REF + name}

    def _add_list(self, kind: Kind, name: str, marks: Object) -> None:
        own = f"{name.removesuffix(kind.kind)}{kind.list_kind}"
        if own in self._known:
            self.struct(own)
        else:
            self.struct(LIST_META)
            self.schemas[own] = _list(kind, name)
        self.schemas[own] |= {_GVK: [gvk(kind, kind.list_kind)], **marks}

    def _custom(self, kind: Kind) -> Object:
        self.struct(OBJECT_META)
        schema: Object = _completed(dict(dig(_definition(kind), "schema", "openAPIV3Schema") or {}))
        schema["properties"] = {**(schema.get("properties") or {}), **_type_meta(), "metadata": METADATA}
        return schema


def _definition(kind: Kind) -> Object:
    """A custom kind's version, as its definition tells it."""
    found: Object = getattr(kind.strategy, "definition", None) or {}
    return found


def _texts(name: str, known: Object) -> tuple[str, dict[str, str]]:
    """What a struct and its fields mean, by their JSON names."""
    if known:
        fields = {key: field.get("description", "") for key, field in known.get("properties", {}).items()}
        return known.get("description", ""), fields
    own, texts = descriptions.of(name)
    return own, references.of(name) | texts


def _completed(schema: Object) -> Object:
    """A definition's schema with what its extensions imply: the shapes of a port and of an embedded object."""
    made = dict(schema)
    for keyword in ("properties", "patternProperties"):
        if isinstance(schema.get(keyword), dict):
            made[keyword] = {name: _completed(it) for name, it in schema[keyword].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            made[keyword] = _completed(schema[keyword])
    if schema.get("x-kubernetes-int-or-string") and not (schema.keys() & {"anyOf", "allOf"}):
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if schema.get("x-kubernetes-embedded-resource"):
        made["required"] = [*dict.fromkeys((*(schema.get("required") or ()), "kind", "apiVersion"))]
        made["properties"] = {**(made.get("properties") or {}), **_EMBEDDED_META, "metadata": METADATA}
    return made


def _list(kind: Kind, name: str) -> Object:
    return {
        "description": f"{kind.list_kind} is a list of {kind.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_type_meta(),
            "items": {
                "description": f"List of {kind.plural}. More info: {_CONVENTIONS}",
                "type": "array",
                "items": {"$ref": REF + name},
            },
            "metadata": {
                "description": f"Standard list metadata. More info: {_CONVENTIONS}#types-kinds",
                "allOf": [{"$ref": REF + LIST_META}],
            },
        },
    }


_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
#: An object's metadata, and what an object within an object has of an object's fields.
METADATA: Object = {
    "description": f"Standard object's metadata. More info: {_CONVENTIONS}#metadata",
    "allOf": [{"$ref": REF + OBJECT_META}],
}
_EMBEDDED_META: dict[str, Json] = {
    "apiVersion": {
        "type": "string",
        "description": "apiVersion defines the versioned schema of this representation of an object. More info: "
        f"{_CONVENTIONS}#resources",
    },
    "kind": {
        "type": "string",
        "description": "kind is a string value representing the type of this object. In CamelCase. More info: "
        f"{_CONVENTIONS}#types-kinds",
    },
}


def _type_meta() -> dict[str, Json]:
    return {
        "apiVersion": {
            "type": "string",
            "description": "APIVersion defines the versioned schema of this representation of an object. Servers "
            "should convert recognized schemas to the latest internal value, and may reject unrecognized values. More "
            f"info: {_CONVENTIONS}#resources",
        },
        "kind": {
            "type": "string",
            "description": "Kind is a string value representing the REST resource this object represents. Servers may "
            "infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
            f"{_CONVENTIONS}#types-kinds",
        },
    }


def _is_of(named: Object, kind: Kind) -> bool:
    return (named["group"], named["version"]) in {("", "v1"), (kind.group, kind.version)}


def gvk(kind: Kind, name: str) -> Object:
    """`x-kubernetes-group-version-kind` of a kind or its list."""
    return {"group": kind.group, "kind": name, "version": kind.version}


def components(kinds: Iterable[Kind]) -> dict[str, Object]:
    """The components of some kinds, by name."""
    made = Components(published.definitions())
    for kind in kinds:
        made.add_kind(kind)
    return {name: made.schemas[name] for name in sorted(made.schemas)}
