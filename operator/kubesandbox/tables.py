"""`Table` and `PartialObjectMetadata`: other shapes of the same objects, for kubectl and metadata informers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubesandbox import errors
from kubesandbox.ages import since
from kubesandbox.jsonpath import compile_path
from kubesandbox.objects import Json, Object
from kubesandbox.schema.causes import go_float, go_json, quote

Cell = Json


@dataclass(frozen=True)
class Column:
    """One column: its definition, and what it shows of an object."""

    name: str
    show: Callable[[Object], Cell]
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""

    @property
    def definition(self) -> Object:
        """As `columnDefinitions` has it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


Columns = Sequence[Column]

_NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
NAME = Column("Name", lambda obj: obj["metadata"]["name"], format="name", description=_NAME_TEXT)
AGE = Column("Age", lambda obj: since(obj["metadata"].get("creationTimestamp")), description=_AGE_TEXT)
CREATED_AT = Column(
    "Created At", lambda obj: obj["metadata"].get("creationTimestamp"), type="date", description=_AGE_TEXT
)
DEFAULT: Columns = (NAME, CREATED_AT)


def custom_column(definition: Object) -> Column:
    """A column of `additionalPrinterColumns`."""
    kind, path = definition["type"], definition["jsonPath"]
    find = compile_path(path)

    def show(obj: Object) -> Cell:
        values = find(obj)
        return _cell(values[0], kind) if values and values[0] is not None else None

    return Column(
        definition["name"],
        show,
        kind,
        definition.get("priority", 0),
        definition.get("format", ""),
        definition.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
    )


def _cell(value: Json, kind: str) -> Cell:
    """A value as the column's type has it; what is of another type is left out."""
    match kind:
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return int(value)
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return since(value) if isinstance(value, str) else None
        case _:
            return _text(value)


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    return go_json(value)


def partial(obj: Object, version: str = "v1") -> Object:
    """The object's metadata and nothing else, in a version of meta.k8s.io."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def row(obj: Object, columns: Columns, include: str, version: str = "v1") -> Object:
    """One object's row; `include` is the request's includeObject."""
    body: Object = {"cells": [column.show(obj) for column in columns]}
    if include == "Object":
        body["object"] = obj
    else:
        body["object"] = None if include == "None" else partial(obj, version)
    return body


def table(
    objects: Sequence[Object],
    columns: Columns,
    include: str,
    metadata: Object,
    *,
    headers: bool = True,
    version: str = "v1",
) -> Object:
    """Objects as a Table, in a version of meta.k8s.io."""
    if include not in {"", "None", "Metadata", "Object"}:
        said = f"includeObject: Invalid value: {quote(include)}: must be 'Metadata', 'Object', 'None', or empty"
        raise errors.bad_request(f"Unable to convert to Table as requested: {said}")
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": [column.definition for column in columns] if headers else None,
        "rows": [row(obj, columns, include, version) for obj in objects],
    }
