"""OpenAPI documents where the published schemas are installed, and where they are not."""

from __future__ import annotations

from typing import Any

import pytest

from kubesandbox.assembly import new_cluster
from kubesandbox.kinds import Kinds
from kubesandbox.openapi import published
from kubesandbox.openapi.documents import documented
from kubesandbox.openapi.schemas import components


@pytest.fixture
def kinds() -> Kinds:
    return new_cluster().kinds


@pytest.fixture
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_file", lambda: None)


def bare(schema: Any) -> Any:
    """A schema without its words, and without what only who has read the published ones can say."""
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.keys() <= {"description", "$ref", "allOf"} and "allOf" in schema:
        return schema["allOf"][0]
    left = {"description", "x-kubernetes-unions", "x-kubernetes-map-type"} - ({"properties"} & schema.keys())
    return {key: bare(value) for key, value in schema.items() if key not in left or not isinstance(value, str | list)}


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: bare(field) for name, field in schema.get("properties", {}).items()}


def test_kinds_have_the_same_fields_without_the_published_schemas(kinds: Kinds, request: pytest.FixtureRequest) -> None:
    assert published.available(), "kubernetes-validate is one of the packages that tests need"
    whole = components(documented(kinds))
    request.getfixturevalue("unpublished")
    least = components(documented(kinds))
    assert len(least) > 200
    assert least.keys() < whole.keys()
    told = [name for name in least if not name.endswith("List") and "JSON" not in name and "FieldsV1" not in name]
    assert {name: fields(least[name]) for name in told} == {name: fields(whole[name]) for name in told}


def test_kinds_that_are_only_read_are_explained_where_their_types_are_published(
    kinds: Kinds, request: pytest.FixtureRequest
) -> None:
    name = "io.k8s.api.batch.v1.CronJobSpec"
    policy = components(documented(kinds))[name]["properties"]["concurrencyPolicy"]
    assert policy["enum"] == ["Allow", "Forbid", "Replace"]
    assert "Possible enum values:" in policy["description"]
    request.getfixturevalue("unpublished")
    assert name not in components(documented(kinds))


@pytest.mark.usefixtures("unpublished")
def test_values_are_told_without_the_published_schemas(kinds: Kinds) -> None:
    strategy = components(documented(kinds))["io.k8s.api.apps.v1.DeploymentStrategy"]["properties"]["type"]
    assert strategy["enum"] == ["Recreate", "RollingUpdate"]
    assert "Kill all existing pods before creating new ones." in strategy["description"]
