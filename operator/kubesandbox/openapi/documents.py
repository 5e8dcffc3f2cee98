"""The documents at /openapi/v3 and /openapi/v2: paths with the parameters that clients look for, and components."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import orjson

from kubesandbox.kinds import Kind, Kinds
from kubesandbox.negotiation import accepted, clauses
from kubesandbox.objects import Json, Object
from kubesandbox.openapi import protobuf, published
from kubesandbox.openapi.published import REF
from kubesandbox.openapi.schemas import component_name, components, gvk
from kubesandbox.wire.messages import Answer, HttpRequest, json_answer

INFO = {"title": "Kubernetes", "version": "1.36"}
#: Moves when the same kinds are told otherwise: clients keep documents by a hash that they know it by.
_FORM = 2
_BEARER = {
    "type": "apiKey",
    "description": "Bearer Token authentication",
    "name": "authorization",
    "in": "header",
}
_WRITES = ("pretty", "dryRun", "fieldManager", "fieldValidation")
_LISTS = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_DELETES = ("pretty", "dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_NUMBERS = {"limit", "timeoutSeconds", "gracePeriodSeconds"}
_FLAGS = {"allowWatchBookmarks", "watch", "sendInitialEvents", "orphanDependents", "force"}


def documented(kinds: Iterable[Kind]) -> Iterator[Kind]:
    """The kinds whose types are known: those that can be written, and those that are published."""
    return (kind for kind in kinds if "create" in kind.verbs or published.available())


class OpenApi:
    """Builds documents when they are asked for, and keeps them until the kinds change."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._generation = -1
        self._documents: dict[str, bytes] = {}
        self._hashes: dict[str, str] = {}

    def handle(self, request: HttpRequest) -> Answer | None:
        """The answer to a GET below /openapi, or None."""
        path = request.path.rstrip("/")
        if request.method not in {"GET", "HEAD"} or not path.startswith("/openapi/"):
            return None
        if self._generation != self._kinds.generation:
            hashes = {path: self._hash(kinds) for path, kinds in self._by_path().items()}
            same = hashes.items() & self._hashes.items()
            self._documents = {path: self._documents[path] for path, _ in same if path in self._documents}
            self._hashes = hashes
            self._generation = self._kinds.generation
        if path == "/openapi/v2":
            return self._v2(request)
        if path == "/openapi/v3":
            return json_answer(200, {"paths": {p: self._entry(p) for p in sorted(self._hashes)}})
        found = path.removeprefix("/openapi/v3/")
        if found not in self._hashes:
            return None
        return self._answer(request, found, lambda: self._document(found))

    def _v2(self, request: HttpRequest) -> Answer:
        wanted = {clause.media for clause in clauses(request.headers.get("accept") or "*/*")}
        if not wanted & protobuf.ASKED:
            accepted(request.headers.get("accept"))
            return self._answer(request, "v2", self._swagger)
        answer = self._answer(request, "v2+protobuf", self._swagger, protobuf.document)
        answer.content_type = protobuf.MEDIA
        return answer

    def _answer(
        self, request: HttpRequest, key: str, make: Json, encode: Callable[[Object], bytes] = orjson.dumps
    ) -> Answer:
        if key not in self._documents:
            self._documents[key] = encode(make())
        body = self._documents[key]
        tag = f'"{hashlib.sha256(body).hexdigest().upper()}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(304, headers=[("Etag", tag)])
        return Answer(200, body, headers=[("Etag", tag), ("Vary", "Accept")])

    def _by_path(self) -> dict[str, list[Kind]]:
        found: dict[str, list[Kind]] = {}
        for kind in documented(self._kinds):
            prefix = f"apis/{kind.group}" if kind.group else "api"
            found.setdefault(f"{prefix}/{kind.version}", []).append(kind)
        return found

    @staticmethod
    def _hash(kinds: list[Kind]) -> str:
        """Changes with what the document says; clients keep documents by it for good."""
        seed = [[k.kind, k.plural, sorted(k.subresources), getattr(k.strategy, "definition", None)] for k in kinds]
        text = orjson.dumps([_FORM, published.available(), seed], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest().upper()

    def _entry(self, path: str) -> Object:
        return {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hashes[path]}"}

    def _document(self, path: str) -> Object:
        kinds = self._by_path()[path]
        return {
            "openapi": "3.0.0",
            "info": INFO,
            "paths": {key: value for kind in kinds for key, value in paths(kind, "/" + path).items()},
            "components": {"schemas": components(kinds), "securitySchemes": {"BearerToken": _BEARER}},
        }

    def _swagger(self) -> Object:
        by_path = self._by_path()
        schemas = components(documented(self._kinds))
        return {
            "swagger": "2.0",
            "info": INFO,
            "paths": {
                key: _operations_as_v2(value)
                for path, kinds in by_path.items()
                for kind in kinds
                for key, value in paths(kind, "/" + path).items()
            },
            "definitions": {name: _definition_as_v2(schema) for name, schema in schemas.items()},
        }


#: What Swagger 2.0 cannot say, or its clients do not understand: apiextensions-apiserver's ToStructuralOpenAPIV2.
_NOT_IN_V2 = frozenset({"oneOf", "anyOf", "allOf", "not", "nullable", "default"})
_SHAPE = frozenset({"type", "items", "properties", "additionalProperties", "required"})


def _schema_as_v2(schema: Json) -> Json:
    """A v3 schema as Swagger 2.0 writes it. What stands in it as a value, such as an enum, stays as it is, and a
    property may have any name, also a keyword's."""
    if not isinstance(schema, dict):
        return schema  # `additionalProperties: true`
    left = _NOT_IN_V2
    if schema.get("nullable") or schema.get("x-kubernetes-preserve-unknown-fields"):
        left |= _SHAPE
    made = {key: _below(key, value) for key, value in schema.items() if key not in left}
    if isinstance(schema.get("oneOf"), list) and "type" not in schema:
        made["type"] = "string"
    whole = schema.get("allOf") or []
    target = whole[0].get("$ref") if len(whole) == 1 else schema.get("$ref")
    if isinstance(target, str):
        made["$ref"] = target.replace(REF, "#/definitions/")
    return made


def _definition_as_v2(schema: Object) -> Json:
    """A component as a definition: an object that keeps what is unknown is told to be an object, and no more."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {"type": "object", **{key: schema[key] for key in schema.keys() & {"x-kubernetes-group-version-kind"}}}
    return _schema_as_v2(schema)


def _below(keyword: str, value: Json) -> Json:
    if keyword == "properties" and isinstance(value, dict):
        return {name: _schema_as_v2(schema) for name, schema in value.items()}
    return _schema_as_v2(value) if keyword in {"items", "additionalProperties"} else value


def _operations_as_v2(value: Json) -> Json:
    """A path's operations and their parameters as Swagger 2.0 writes them."""
    if isinstance(value, list):
        return [_operations_as_v2(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("in") in {"query", "path"} and "schema" in value:
        return {**{key: item for key, item in value.items() if key != "schema"}, **value["schema"]}
    made = {key: _operations_as_v2(item) for key, item in value.items() if key != "content"}
    if isinstance(made.get("schema"), dict):
        made["schema"] = _schema_as_v2(made["schema"])
    return made


def paths(kind: Kind, prefix: str) -> dict[str, Object]:
    """A kind's paths with its operations."""
    root = f"{prefix}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{prefix}/{kind.plural}"
    found: dict[str, Object] = {}
    collection = _operations(kind, {"list": "get", "create": "post", "deletecollection": "delete"})
    if collection:
        found[root] = {**collection, "parameters": _path_parameters(kind, named=False)}
    if kind.namespaced and "list" in kind.verbs:
        found[f"{prefix}/{kind.plural}"] = _operations(kind, {"list": "get"})
    single = _operations(kind, {"get": "get", "update": "put", "patch": "patch", "delete": "delete"})
    if single:
        found[f"{root}/{{name}}"] = {**single, "parameters": _path_parameters(kind, named=True)}
    for name, subresource in kind.subresources.items():
        verbs = {v: m for v, m in _METHODS.items() if v in subresource.verbs}
        operations = {method: _operation(kind, verb, subresource.kind) for verb, method in verbs.items()}
        found[f"{root}/{{name}}/{name}"] = {**operations, "parameters": _path_parameters(kind, named=True)}
    return found


_METHODS = {"get": "get", "update": "put", "patch": "patch", "create": "post"}
_ACTIONS = {"create": "post", "update": "put"}


def _operations(kind: Kind, verbs: dict[str, str]) -> Object:
    return {method: _operation(kind, verb, "") for verb, method in verbs.items() if verb in kind.verbs}


def _operation(kind: Kind, verb: str, own: str) -> Object:
    names = {"list": _LISTS, "get": ("pretty",), "delete": _DELETES, "deletecollection": (*_LISTS, *_DELETES)}
    wanted = names.get(verb, (*_WRITES, "force") if verb == "patch" else _WRITES)
    schema = {"$ref": REF + component_name(kind)}
    body: Object = {
        "description": f"{verb} {kind.kind}",
        "operationId": f"{verb}{kind.group.replace('.', '')}{kind.version}{kind.kind}{own}",
        "tags": [f"{kind.group or 'core'}_{kind.version}"],
        "parameters": [_parameter(name) for name in dict.fromkeys(wanted)],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": gvk(kind, kind.kind),
    }
    if verb in {"create", "update"}:
        body["requestBody"] = {"required": True, "content": {"*/*": {"schema": schema}}}
    return body


def _parameter(name: str) -> Object:
    kind = "integer" if name in _NUMBERS else "boolean" if name in _FLAGS else "string"
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


def _path_parameters(kind: Kind, *, named: bool) -> list[Object]:
    names = [*(["name"] if named else []), *(["namespace"] if kind.namespaced else [])]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
        for name in names
    ]
