"""The OpenAPI documents, in the forms that clients take them in."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

from tests.conformance.kubesandbox.http import Api, definition, version

PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """A message's fields that have a length, by their numbers."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        size = varint()
        if key & 7 == 2:
            yield key >> 3, message[at : at + size]
            at += size


def test_swagger_in_protobuf_defines_what_it_defines_in_json(ask: Api) -> None:
    # kubectl validates by it what it finds in no OpenAPI v3 document, and says that there is no such kind.
    request = urllib.request.Request(f"{ask.url}/openapi/v2", headers={"Accept": PROTOBUF})
    with urllib.request.urlopen(request) as response:
        assert response.headers["Content-Type"] == PROTOBUF.replace("@", ".")
        document = dict(fields(response.read()))
    named = [dict(fields(value)) for _, value in fields(document[9])]
    swagger = ask.good("GET", "/openapi/v2")
    assert document[1] == b"2.0"
    assert [it[1].decode() for it in named] == list(swagger["definitions"])
    secret = next(it[2] for it in named if it[1] == b"io.k8s.api.core.v1.Secret")
    held = [dict(fields(value))[1].decode() for _, value in fields(dict(fields(secret))[25])]
    assert held == list(swagger["definitions"]["io.k8s.api.core.v1.Secret"]["properties"])


def test_a_field_that_is_an_object_says_what_it_is_for(ask: Api) -> None:
    schemas = ask.good("GET", "/openapi/v3/apis/apps/v1")["components"]["schemas"]
    spec = schemas["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["description"] == "Specification of the desired behavior of the Deployment."


def test_properties_may_be_named_as_keywords_are(ask: Api) -> None:
    keywords = ("in", "schema", "content", "oneOf", "nullable", "allOf", "items", "default", "properties", "$ref")
    properties = {name: {"type": "object", "description": f"the {name}"} for name in keywords}
    made = definition("keywords", "openapi.example.com", version("v1", properties))
    ask.good("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
    ask.until("/apis/openapi.example.com/v1/keywords", lambda reply: reply.status == 200)
    swagger = ask.good("GET", "/openapi/v2")["definitions"]
    found = swagger["com.example.openapi.v1.Keyword"]["properties"]["spec"]["properties"]
    assert found == properties


def test_swagger_leaves_out_what_its_clients_do_not_understand(ask: Api) -> None:
    # What a real server says of these: apiextensions-apiserver's ToStructuralOpenAPIV2.
    properties = {
        "choice": {"type": "string", "enum": ["A"], "default": "A"},
        "port": {"x-kubernetes-int-or-string": True, "description": "a port"},
        "perhaps": {"type": "integer", "format": "int64", "nullable": True},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "string"}},
        },
    }
    made = definition("shapes", "openapi.example.com", version("v1", properties))
    ask.good("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
    ask.until("/apis/openapi.example.com/v1/shapes", lambda reply: reply.status == 200)
    swagger = ask.good("GET", "/openapi/v2")["definitions"]
    found = swagger["com.example.openapi.v1.Shape"]["properties"]["spec"]["properties"]
    assert found == {
        "choice": {"type": "string", "enum": ["A"]},
        "port": {"x-kubernetes-int-or-string": True, "description": "a port"},
        "perhaps": {"format": "int64"},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
    }


def test_a_document_says_what_a_definition_means_by_its_extensions(ask: Api) -> None:
    properties = {
        "port": {"x-kubernetes-int-or-string": True},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    }
    made = definition("wholes", "openapi.example.com", version("v1", properties))
    ask.good("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
    ask.until("/apis/openapi.example.com/v1/wholes", lambda reply: reply.status == 200)
    schemas = ask.good("GET", "/openapi/v3/apis/openapi.example.com/v1")["components"]["schemas"]
    found = schemas["com.example.openapi.v1.Whole"]["properties"]["spec"]["properties"]
    assert found["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert found["template"]["required"] == ["kind", "apiVersion"]
    assert list(found["template"]["properties"]) == ["apiVersion", "kind", "metadata"]
