"""The Swagger 2.0 document in protobuf, the only form of it that kubectl and client-go take.

Definitions alone: what clients read of it to know a kind's fields. Numbers are those of `openapi.v2.Document`.
https://github.com/google/gnostic-models/blob/main/openapiv2/OpenAPIv2.proto
"""

from __future__ import annotations

from collections.abc import Mapping

from kubesandbox.objects import Json, Object
from kubesandbox.schema.causes import go_json

MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#: What it is asked for as: client-go keeps the name that is no media type by RFC 2045.
ASKED = frozenset({MEDIA, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"})

_TEXTS = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}


def document(swagger: Object) -> bytes:
    """A Swagger document's head and definitions."""
    info = swagger["info"]
    definitions = b"".join(_message(1, _named(name, _schema(it))) for name, it in swagger["definitions"].items())
    return b"".join(
        [
            _text(1, swagger["swagger"]),
            _message(2, _text(1, info["title"]) + _text(2, info["version"])),
            _message(8, b""),
            _message(9, definitions),
        ]
    )


def _schema(schema: Mapping[str, Json]) -> bytes:
    made = [_text(number, schema[key]) for key, number in _TEXTS.items() if isinstance(schema.get(key), str)]
    if "default" in schema:
        made.append(_message(5, _any(schema["default"])))
    made += [_text(19, name) for name in schema.get("required") or ()]
    made += [_message(20, _any(value)) for value in schema.get("enum") or ()]
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        made.append(_message(21, _message(1, _schema(more))))
    elif more is not None:
        made.append(_message(21, _varint(2 << 3) + _varint(int(bool(more)))))
    if isinstance(schema.get("type"), str):
        made.append(_message(22, _text(1, schema["type"])))
    if isinstance(schema.get("items"), dict):
        made.append(_message(23, _message(1, _schema(schema["items"]))))
    made += [_message(24, _schema(part)) for part in schema.get("allOf") or ()]
    if isinstance(schema.get("properties"), dict):
        named = (_named(name, _schema(part)) for name, part in schema["properties"].items())
        made.append(_message(25, b"".join(_message(1, part) for part in named)))
    made += [_message(31, _named(key, _any(value))) for key, value in schema.items() if key.startswith("x-")]
    return b"".join(made)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _message(2, value)


def _any(value: Json) -> bytes:
    """A value as YAML, of which JSON is a part."""
    return _text(2, go_json(value) + "\n")


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
