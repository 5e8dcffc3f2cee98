"""The CustomResourceDefinitions that the models make."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchboard.api import crd
from switchboard.api.meta import Resource

ROOT = Path(__file__).parents[3]
KINDS = pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.names.kind)


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _fields(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _fields(schema[key], f"{path}[]")


@KINDS
def test_the_committed_definition_is_the_generated_one(kind: type[Resource]) -> None:
    file = ROOT / "crds" / f"switchboard.dev_{kind.names.plural}.yaml"
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == crd.definition(kind)


@KINDS
def test_every_field_is_described_and_every_list_and_string_of_the_spec_is_bounded(kind: type[Resource]) -> None:
    spec = crd.schema(kind)["properties"]["spec"]
    for path, field in _fields(spec, "spec"):
        if not path.endswith("[]"):
            assert field.get("description"), f"{path} has no description"
        if field.get("type") == "array":
            assert "maxItems" in field, f"{path} has no maxItems"
        if field.get("type") == "string" and "enum" not in field and "format" not in field:
            assert "maxLength" in field, f"{path} has no maxLength"
        if isinstance(field.get("additionalProperties"), dict):
            assert "maxProperties" in field, f"{path} has no maxProperties"


@KINDS
def test_every_column_reads_a_field_that_the_schema_has(kind: type[Resource]) -> None:
    schema = crd.schema(kind)
    for column in kind.names.columns:
        steps = column.path.replace(r"switchboard\.dev/agent", "x").split("[")[0].strip(".").split(".")
        if steps[0] == "metadata":
            continue
        field = schema
        for step in steps:
            assert step in field["properties"], f"{kind.names.kind}: {column.path}"
            field = field["properties"][step]


@KINDS
def test_defaults_hold_no_null_because_the_api_server_refuses_them(kind: type[Resource]) -> None:
    assert "null" not in (ROOT / "crds" / f"switchboard.dev_{kind.names.plural}.yaml").read_text(encoding="utf-8")


def test_short_names_are_used_once() -> None:
    short = [name for kind in crd.KINDS for name in kind.names.short]
    assert len(short) == len(set(short)) == 7
