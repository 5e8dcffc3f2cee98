"""Twilio's OpenAPI documents, to hold answers against."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

SPECS = Path(__file__).parent / "specs"
_LEFT_OUT = {"compliance"}
"""Fields that Twilio gives only for RCS senders."""


@dataclass
class Operation:
    """What the documents say about one request."""

    document: str
    path: str
    method: str
    body: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.method.upper()} {self.path}"


class Documents:
    """Finds the operation of a request and validates its answer."""

    def __init__(self) -> None:
        self._documents = {path.name: json.loads(path.read_text()) for path in SPECS.glob("*.json")}
        self._registry: Any = Registry().with_resources(
            (name, Resource.from_contents(document, default_specification=DRAFT4))
            for name, document in self._documents.items()
        )

    def operations(self) -> list[Operation]:
        return [
            Operation(name, path, method, operation)
            for name, document in self._documents.items()
            for path, item in document["paths"].items()
            for method, operation in item.items()
        ]

    def find(self, method: str, path: str) -> Operation:
        for operation in self.operations():
            pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path.replace(".", r"\."))
            if operation.method == method.lower() and re.fullmatch(pattern, path):
                return operation
        raise AssertionError(f"Twilio's documents have no {method} {path}")

    def check(self, method: str, path: str, status: int, answer: object) -> Operation:
        """Raises AssertionError unless the answer is one that the documents allow, no field too many or too few."""
        operation = self.find(method, path)
        responses = operation.body["responses"]
        assert str(status) in responses, f"{operation.key} answers {status}, the documents have {sorted(responses)}"
        content = responses[str(status)].get("content")
        if content is None:
            assert answer is None
            return operation
        place = ["paths", operation.path, operation.method, "responses", str(status), "content", "application/json"]
        pointer = "".join(f"/{_escape(part)}" for part in [*place, "schema"])
        schema = {"$ref": f"{operation.document}#{pointer}"}
        validator = OAS30Validator(schema, registry=self._registry, format_checker=oas30_format_checker)
        errors = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(answer)]
        assert not errors, f"{operation.key}: {errors}"
        self._check_fields(operation.document, content["application/json"]["schema"], answer, operation.key)
        return operation

    def _check_fields(self, document: str, schema: dict[str, Any], answer: Any, where: str) -> None:
        """The documents require nothing and allow anything; Twilio gives what is there, and so must we."""
        if "$ref" in schema:
            schema = self._documents[document]["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if isinstance(answer, dict) and schema.get("properties"):
            properties = schema["properties"]
            unknown, missing = set(answer) - set(properties), set(properties) - set(answer) - _LEFT_OUT
            assert not unknown, f"{where}: fields that the documents do not have: {unknown}"
            resource = "sid" in properties
            assert not (missing and resource), f"{where}: fields that are missing: {missing}"
            for name, value in answer.items():
                self._check_fields(document, properties[name], value, f"{where} {name}")
        if isinstance(answer, list):
            for item in answer:
                self._check_fields(document, schema.get("items", {}), item, where)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
