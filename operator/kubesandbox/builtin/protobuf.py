"""Protobuf bodies of built-in kinds: what kubectl's and other Go clients' typed calls send.

Only reading: every such client also takes JSON answers. The envelope and the wire types are those of
k8s.io/apimachinery/pkg/runtime/serializer/protobuf and of gogo/protobuf's generated code.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache

import orjson

from kubesandbox.builtin import types
from kubesandbox.builtin.types import FieldSpec
from kubesandbox.objects import Json, Object

MAGIC = b"k8s\x00"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """Bytes that are no message of the type."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _wire(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """A message's fields: number, wire type, value."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        size = 8 if wire == FIXED64 else 4
        if wire == BYTES:
            size, at = _varint(data, at)
        elif wire not in {FIXED64, FIXED32}:
            raise ProtobufError(f"illegal wireType {wire}")
        if at + size > len(data):
            raise ProtobufError("unexpected EOF")
        yield number, wire, data[at : at + size]
        at += size


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ProtobufError("wrong wireType")
    return value


def decode(data: bytes) -> Object:
    """The object in an envelope, as JSON has it; raises ProtobufError."""
    if not data.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    type_meta, raw = b"", b""
    for number, _, value in _wire(data[len(MAGIC) :]):
        if number == 1:
            type_meta = _bytes(value)
        elif number == 2:
            raw = _bytes(value)
    found = {number: _bytes(value).decode() for number, _, value in _wire(type_meta)}
    api_version, kind = found.get(1, ""), found.get(2, "")
    group, _, version = api_version.rpartition("/")
    name = types.type_name(group, version, kind)
    if kind == "DeleteOptions":  # sent under the version of what is deleted
        name = types.type_name("meta.k8s.io", "v1", kind)
    if name not in types.specs():
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"kind": kind, "apiVersion": api_version, **_struct(name, raw)}


@cache
def _numbers(name: str) -> dict[int, tuple[str, FieldSpec]]:
    return {spec["n"]: (key, spec) for key, spec in types.specs()[name]["f"].items() if "n" in spec}


def _struct(name: str, data: bytes) -> Object:
    spec = types.specs()[name]
    inline = spec.get("i") or {}
    numbers = _numbers(name)
    result: Object = {}
    for number, wire, value in _wire(data):
        if str(number) in inline:
            result.update(_struct(inline[str(number)], _bytes(value)))
            continue
        entry = numbers.get(number)
        if entry is None:
            continue
        key, field = entry
        kind = field["t"]
        if kind.startswith("[]"):
            result.setdefault(key, []).extend(_repeated(kind[2:], wire, value))
        elif kind.startswith("map:"):
            result.setdefault(key, {}).update([_entry(kind[4:], _bytes(value))])
        else:
            result[key] = _value(kind, value)
    return result


def _repeated(kind: str, wire: int, value: int | bytes) -> list[Json]:
    if kind in {"int32", "int64", "boolean"} and wire == BYTES:
        data, at, found = _bytes(value), 0, []
        while at < len(data):
            number, at = _varint(data, at)
            found.append(_value(kind, number))
        return found
    return [_value(kind, value)]


def _entry(kind: str, data: bytes) -> tuple[str, Json]:
    key, value = "", None
    for number, _, part in _wire(data):
        if number == 1:
            key = _bytes(part).decode()
        elif kind.startswith("[]"):  # a map of lists holds messages with the list as their only field
            value = [_value(kind[2:], item) for _, _, item in _wire(_bytes(part))]
        else:
            value = _value(kind, part)
    return key, value


def _value(kind: str, value: int | bytes) -> Json:
    if kind.startswith("#"):
        return _struct(kind[1:], _bytes(value))
    return _READERS.get(kind, _raw)(value)


def _raw(value: int | bytes) -> Json:
    found = next((_bytes(part) for number, _, part in _wire(_bytes(value)) if number == 1), b"null")
    return orjson.loads(found)


def _quantity(value: int | bytes) -> str:
    return "".join(_bytes(part).decode() for number, _, part in _wire(_bytes(value)) if number == 1)


def _text(value: int | bytes) -> str:
    # metav1.Duration is a string in JSON, and nanoseconds in protobuf.
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ProtobufError(str(error)) from None
    raise ProtobufError("wrong wireType")


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ProtobufError("wrong wireType")
    return value - (1 << 64) if value >= 1 << 63 else value


def _time(value: int | bytes, *, micro: bool = False) -> str | None:
    parts = {number: _signed(part) for number, _, part in _wire(_bytes(value))}
    if not parts:
        return None
    at = datetime.fromtimestamp(parts.get(1, 0), UTC)
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{parts.get(2, 0) // 1000:06d}Z" if micro else f"{text}Z"


def _int_or_string(value: int | bytes) -> Json:
    parts = {number: part for number, _, part in _wire(_bytes(value))}
    if parts.get(1):
        return _text(parts.get(3, b""))
    return _signed(parts.get(2, 0))


_READERS: dict[str, Callable[[int | bytes], Json]] = {
    "string": _text,
    "boolean": bool,
    "int32": _signed,
    "int64": _signed,
    "number": lambda value: struct.unpack("<d", _bytes(value))[0],
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "time": _time,
    "microtime": lambda value: _time(value, micro=True),
    "quantity": _quantity,
    "int-or-string": _int_or_string,
}
