"""What decides about custom resources: the schema of the version they are sent in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from kubesandbox.jsonpath import compile_path
from kubesandbox.objects import Json, Object
from kubesandbox.patch.types import KindSchema, from_crd
from kubesandbox.schema import compile_schema
from kubesandbox.schema.causes import Cause, go_float
from kubesandbox.strategy import Request, Strategy
from kubesandbox.tables import AGE, NAME, Columns, custom_column

if TYPE_CHECKING:
    from kubesandbox.schema.compiled import Schema


class CustomStrategy(Strategy):
    """The rules of one version of a CustomResourceDefinition."""

    custom = True
    counts_generations = True
    unconditional_update = False

    def __init__(self, version: Object) -> None:
        self.definition = version
        self.has_status = "status" in (version.get("subresources") or {})
        self.scale: Object | None = (version.get("subresources") or {}).get("scale")
        self.resets = ("status",) if self.has_status else ()
        self._paths = {
            entry["jsonPath"].removeprefix("."): compile_path(entry["jsonPath"])
            for entry in version.get("selectableFields") or ()
        }
        self.selectable = frozenset(self._paths)

    @cached_property
    def schema(self) -> Schema:
        """The compiled schema; compiled when the first object comes."""
        return compile_schema((self.definition.get("schema") or {}).get("openAPIV3Schema") or {})

    def decode(self, obj: Object, request: Request) -> list[str]:
        return self.schema.prune(obj)

    def mistyped(self, config: Json) -> list[tuple[str, str]]:
        from kubesandbox.builtin.mistyped import mistyped
        from kubesandbox.builtin.types import OBJECT_META

        given = config.get("metadata")
        if given is not None and not isinstance(given, dict):
            return [("metadata", "map")]
        return [(f"metadata.{path}", wanted) for path, wanted in mistyped(OBJECT_META, given)]

    def nulls(self, obj: Object) -> list[Cause]:
        return self.schema.nulls(obj)

    def default(self, obj: Object) -> None:
        self.schema.default(obj)

    def validate_with(self, found: list[Cause], obj: Object, request: Request) -> list[Cause]:
        return self.schema.validate(obj, scale=self.scale, also=found)

    def validate_update_with(self, found: list[Cause], obj: Object, old: Object, request: Request) -> list[Cause]:
        return self.schema.validate(obj, old, scale=self.scale, also=found)

    def validate_status_with(self, found: list[Cause], obj: Object, old: Object, request: Request) -> list[Cause]:
        return self.schema.validate(obj, old, subresource="status", scale=self.scale, also=found)

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {path: _text(find(obj)) for path, find in self._paths.items()}

    def unsupported_field(self, key: str) -> str:
        """The refusal of a field selector on anything else."""
        return f"field label not supported: {key}"

    @cached_property
    def _columns(self) -> Columns:
        columns = self.definition.get("additionalPrinterColumns")
        if not columns:
            return (NAME, AGE_COLUMN)
        return (NAME, *(custom_column(column) for column in columns))

    def columns(self) -> Columns:
        return self._columns

    def patch_schema(self) -> KindSchema:
        return from_crd(self.schema.root, has_status=self.has_status)


def _text(values: list[object]) -> str:
    value = values[0] if values else None
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return go_float(value)
        case _:
            return str(value)


AGE_COLUMN = custom_column(
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE.description}
)
