"""CustomResourceDefinitions from the models: structural schemas, printer columns, CEL rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from switchboard.api.access import AccessRequest
from switchboard.api.agent import Agent, AgentRevision
from switchboard.api.connector import TwilioConnector
from switchboard.api.conversation import Conversation, Execution, Message
from switchboard.api.meta import CATEGORY, GROUP, VERSION, Column, Resource

KINDS: tuple[type[Resource], ...] = (
    Agent,
    AgentRevision,
    TwilioConnector,
    AccessRequest,
    Conversation,
    Message,
    Execution,
)

_KEPT = (
    "type",
    "description",
    "format",
    "pattern",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "nullable",
)
Json = dict[str, Any]


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Json:
    """Pydantic's JSON Schema as a structural schema: references inlined, `anyOf: [X, null]` as an optional X.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
    """
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        # What stands beside a reference (description, default, rules) is said of this use, and wins.
        rules = [*target.get("x-kubernetes-validations", []), *schema.get("x-kubernetes-validations", [])]
        merged = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        return _structural({**merged, **({"x-kubernetes-validations": rules} if rules else {})}, definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"not structural: {schema}")
        rest = {k: v for k, v in schema.items() if k not in ("anyOf", "default")}
        return _structural({**options[0], **rest}, definitions)
    result: Json = {key: schema[key] for key in _KEPT if key in schema and schema[key] is not None}
    result.update({key: value for key, value in schema.items() if key.startswith("x-kubernetes-")})
    if "const" in schema:
        result.update(type="string", enum=[schema["const"]])
    if "exclusiveMinimum" in schema:
        result.update(minimum=schema["exclusiveMinimum"], exclusiveMinimum=True)
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
    if "properties" in schema:
        result["properties"] = {name: _structural(value, definitions) for name, value in schema["properties"].items()}
        if required := schema.get("required"):
            result["required"] = list(required)
    elif isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(schema["additionalProperties"], definitions)
    if isinstance(result.get("default"), dict):
        result["default"] = _beyond_defaults(result["default"], result)
    if "description" in result:
        result["description"] = " ".join(str(result["description"]).split())
    return result


def _beyond_defaults(value: Any, field: Mapping[str, Any]) -> Any:
    """What of a default is not filled in anyhow: the API server gives an empty object its fields' own defaults."""
    if not isinstance(value, dict):
        return value
    fields = field.get("properties", {})
    reduced = {
        name: _beyond_defaults(inner, fields.get(name, {})) for name, inner in value.items() if inner is not None
    }
    return {
        name: inner
        for name, inner in reduced.items()
        if "default" not in fields.get(name, {}) or inner != fields[name]["default"]
    }


def _column(column: Column) -> Json:
    return {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        **({"description": column.description} if column.description else {}),
        **({"priority": column.priority} if column.priority else {}),
    }


def schema(kind: type[Resource]) -> Json:
    """The kind's structural OpenAPI v3 schema."""
    document = kind.model_json_schema(by_alias=True, mode="validation")
    definitions = document.get("$defs", {})
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": _structural(document["properties"]["spec"], definitions),
        "status": _structural(document["properties"]["status"], definitions),
    }
    properties["status"].pop("default", None)  # status belongs to its writers: never defaulted into being
    result: Json = {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "required": ["spec"],
        "properties": properties,
    }
    if kind.names.rules:
        result["x-kubernetes-validations"] = [dict(rule) for rule in kind.names.rules]
    return result


def definition(kind: type[Resource]) -> Json:
    """The kind's CustomResourceDefinition."""
    names = kind.names
    version: Json = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in names.columns],
    }
    if names.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in names.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "switchboard"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": f"{names.kind}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": list(names.short),
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, so that each file reads on its own."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def manifests() -> Iterator[tuple[str, str]]:
    """File name and YAML text of each CustomResourceDefinition."""
    for kind in KINDS:
        text = yaml.dump(definition(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
        yield f"{GROUP}_{kind.names.plural}.yaml", f"# Generated by `make crds` from the models. Do not edit.\n{text}"
