"""The Go types of built-in kinds: what comes of an object when it is decoded into one and encoded again.

`types.json` is the wire format of Kubernetes' API as facts: fields in Go's order, with their types, flags and protobuf
numbers. Decoding drops and reports unknown fields and refuses wrong types as Go's decoder does; encoding leaves out
what `omitempty` leaves out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict

import orjson

from kubesandbox import times
from kubesandbox.builtin import amounts
from kubesandbox.metadata import json_type
from kubesandbox.objects import Json, Object

PREFIXES = {
    "meta.k8s.io": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

FieldSpec = TypedDict(  # noqa: UP013 - the comments stand beside short keys
    "FieldSpec",
    {
        "t": str,  # type: a scalar's name, `[]…`, `map:…` or `#` and another type's name
        "o": int,  # omitempty
        "z": int,  # omitzero
        "n": int,  # the field's number in protobuf
        "p": int,  # a pointer: zero values are values
        "r": int,  # required
        "df": Json,  # default
        "e": list[str],  # enum
        "g": str,  # the Go name of a named scalar
        "lt": str,  # list type
        "lk": list[str],  # list map keys
        "mt": str,  # map or struct type
        "ps": str,  # patch strategy
        "pk": str,  # patch merge key
    },
    total=False,
)


class TypeSpec(TypedDict):
    """One struct."""

    f: dict[str, FieldSpec]
    i: NotRequired[dict[str, str]]  # embedded structs by their protobuf number


class DecodeError(ValueError):
    """A value that is not of its Go type; the text is the decoder's."""


@cache
def specs() -> dict[str, TypeSpec]:
    """All structs by their OpenAPI names."""
    found: dict[str, TypeSpec] = orjson.loads(Path(__file__).with_name("types.json").read_bytes())
    return found


def type_name(group: str, version: str, kind: str) -> str:
    """The OpenAPI name of a kind's type."""
    prefix = (
        PREFIXES.get(group) or f"io.k8s.api.{(group or 'core').removesuffix('.k8s.io').removesuffix('.authorization')}"
    )
    if group == "authorization.k8s.io":
        prefix = "io.k8s.api.authorization"
    return f"{prefix}.{version}.{kind}"


Decode = Callable[[Json, str, list[str]], Json]


@cache
def decoder(name: str) -> Decode:
    """The decoder of a struct: object, path and the list that unknown paths are added to; gives the new value."""
    fields = specs()[name]["f"]
    struct = name.rsplit(".", 1)[1]
    prepared: list[tuple[str, str, FieldSpec, Decode]] | None = None

    def decode(value: Json, path: str, unknown: list[str]) -> Json:
        nonlocal prepared
        if prepared is None:
            within = _embedded(name)
            prepared = [
                (f"{within.get(key, '')}{key}", key, spec, _decoder(spec, struct)) for key, spec in fields.items()
            ]
        if len(value.keys() - fields.keys()):
            place = _KEY.sub(r".\1", _EMBEDDED.sub("", path))
            unknown.extend(_join(place, key) for key in value if key not in fields)
        result: Object = {}
        for where, key, spec, inner in prepared:
            given = value.get(key)
            if given is None:
                if (not spec.get("o") and not spec.get("z")) or (
                    spec["t"].startswith("#") and not spec.get("p") and not spec.get("z")
                ):
                    result[key] = zero(spec)
                elif spec["t"] in {"time", "microtime"} and not spec.get("p") and not spec.get("z"):
                    result[key] = None
                continue
            made = inner(given, _join(path, where), unknown)
            if spec.get("p") or not (spec.get("o") or spec.get("z")) or not _is_zero(made, spec):
                result[key] = made
        return result

    return decode


#: A map's key in a path: told where a field is unknown, left out where Go names the field of a wrong type.
_KEY = re.compile(r"\[\0(.*?)\0\]")
#: An embedded struct in a path: told where Go names a field of a wrong type, left out elsewhere.
_EMBEDDED = re.compile("\1[^\1]*\1")


def _embedded(name: str) -> dict[str, str]:
    """The fields that a struct has from others that it embeds, with what a path tells of those."""
    found: dict[str, str] = {}
    for inner in specs()[name].get("i", {}).values():
        below = _embedded(inner)
        found |= {key: f"\1{inner.rsplit('.', 1)[1]}\1{below.get(key, '')}" for key in specs()[inner]["f"]}
    return found


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_zero(value: Json, spec: FieldSpec) -> bool:
    if spec["t"].startswith("#") or spec["t"] in {"time", "microtime", "quantity", "int-or-string"}:
        return bool(spec.get("z")) and not value
    return not value


def zero(spec: FieldSpec) -> Json:
    """A field's zero value as Go encodes it."""
    kind = spec["t"]
    if spec.get("p") or kind.startswith(("[]", "map:")) or kind in {"time", "microtime", "any", "bytes"}:
        return None
    if kind.startswith("#"):
        return zero_struct(kind[1:])
    return {"string": "", "boolean": False, "quantity": "0"}.get(kind, 0)


@cache
def _structs() -> frozenset[str]:
    return frozenset(".".join(name.rsplit(".", 2)[1:]) for name in specs())


def is_struct(name: str) -> bool:
    """Whether a Go name, `v1.ServiceSpec`, is a struct's."""
    return name in _structs()


def object_meta(kind: str, value: Json, unknown: list[str]) -> Object:
    """A `metadata` as ObjectMeta keeps it; `kind` is whose it is, or nothing where it is decoded by itself."""
    if not isinstance(value, dict):
        where = f"Go struct field {kind}.metadata of type v1.ObjectMeta" if kind else "Go value of type v1.ObjectMeta"
        raise DecodeError(f"json: cannot unmarshal {json_type(value)} into {where}")
    made: Object = decoder(OBJECT_META)(value, "metadata" if kind else "", unknown)
    made.pop("selfLink", None)
    return made


def zero_struct(name: str) -> Object:
    """A struct's zero value as Go encodes it."""
    made: Object = decoder(name)({}, "", [])
    return made


_MARK = re.compile("\1([^\1]*)\1")


def _wrong(value: Json, path: str, struct: str, wanted: str) -> DecodeError:
    match value:
        case bool():
            shown = "bool"
        case float():
            shown = f"number {value}" if wanted.startswith(("int", "uint")) else "number"
        case int():
            shown = "number" if not wanted.startswith("int") else f"number {value}"
        case str():
            shown = "string"
        case list():
            shown = "array"
        case _:
            shown = "object"
    where = _MARK.sub(r"\1.", re.sub(r"\[[^\]]*\]", "", path))
    return DecodeError(f"json: cannot unmarshal {shown} into Go struct field {struct}.{where} of type {wanted}")


def _decoder(spec: FieldSpec, struct: str) -> Decode:
    return _decoder_of(spec["t"], struct, spec.get("g", ""))


def _decoder_of(kind: str, struct: str, go: str) -> Decode:
    if kind.startswith("#"):
        name, wanted = kind[1:], _go(kind)

        def decode_struct(value: Json, path: str, unknown: list[str]) -> Json:
            if not isinstance(value, dict):
                raise _wrong(value, path, struct, wanted)
            return decoder(name)(value, path, unknown)  # looked up late: types refer to themselves

        return decode_struct
    if kind.startswith("[]"):
        return _list_decoder(kind, struct, go)
    if kind.startswith("map:"):
        return _map_decoder(kind, struct)
    return _scalar_decoder(kind, struct, go)


_GO_NAMES = {
    "boolean": "bool",
    "number": "float64",
    "bytes": "[]uint8",
    "quantity": "resource.Quantity",
    "int-or-string": "int32",
    "time": "string",
    "microtime": "string",
    "any": "v1.JSON",
}


def _go(kind: str) -> str:
    """A type's Go name, for errors."""
    if kind.startswith("[]"):
        return f"[]{_go(kind[2:])}"
    if kind == "map:quantity":
        return "v1.ResourceList"
    if kind.startswith("map:"):
        return f"map[string]{_go(kind[4:])}"
    if kind.startswith("#"):
        return ".".join(kind.rsplit(".", 2)[1:])
    return _GO_NAMES.get(kind, kind)


def _list_decoder(kind: str, struct: str, go: str) -> Decode:
    inner, wanted = _decoder_of(kind[2:], struct, go), f"[]{go}" if go else _go(kind)

    def decode(value: Json, path: str, unknown: list[str]) -> Json:
        if not isinstance(value, list):
            raise _wrong(value, path, struct, wanted)
        return [
            inner(item, f"{path}[{index}]", unknown) if item is not None else zero({"t": kind[2:]})
            for index, item in enumerate(value)
        ]

    return decode


def _map_decoder(kind: str, struct: str) -> Decode:
    inner, wanted = _decoder_of(kind[4:], struct, ""), _go(kind)
    empty = {"string": "", "bytes": "", "quantity": "0"}.get(kind[4:])

    def decode(value: Json, path: str, unknown: list[str]) -> Json:
        if not isinstance(value, dict):
            raise _wrong(value, path, struct, wanted)
        return {key: inner(item, path, unknown) if item is not None else empty for key, item in sorted(value.items())}

    def decode_structs(value: Json, path: str, unknown: list[str]) -> Json:
        if not isinstance(value, dict):
            raise _wrong(value, path, struct, wanted)
        return {
            key: inner({} if item is None else item, f"{path}[\0{key}\0]", unknown)
            for key, item in sorted(value.items())
        }

    return decode_structs if kind.startswith("map:#") else decode


_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_QUANTITY = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")


def _scalar_decoder(kind: str, struct: str, go: str) -> Decode:
    wanted = go or _go(kind)

    def decode(value: Json, path: str, unknown: list[str]) -> Json:
        if kind == "bytes" and isinstance(value, list):
            return _bytes_of_list(value, path, struct)
        good = _scalar(kind, value)
        if good is None:
            raise _wrong(value, path, struct, wanted)
        return good

    return decode if kind != "any" else lambda value, path, unknown: value


def _scalar(kind: str, value: Json) -> Json:
    """The value as its Go type keeps it; None for one of another type."""
    special = {"bytes": _bytes, "quantity": _quantity}.get(kind)
    if special is not None:
        return special(value)
    if kind in _INTEGERS:
        return _integer(kind, value)
    if kind in {"time", "microtime"}:
        return _time(kind, value)
    if kind == "int-or-string" and not isinstance(value, str):
        return _integer("int32", value)
    wanted = {"string": str, "boolean": bool, "number": int | float}.get(kind, str)
    is_good = isinstance(value, wanted) and (kind == "boolean" or not isinstance(value, bool))
    return value if is_good else None


def _integer(kind: str, value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    low, high = _INTEGERS[kind]
    return int(value) if low <= value <= high else None


def _bytes(value: Json) -> str | None:
    if not isinstance(value, str):
        return None
    stripped = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64encode(base64.b64decode(stripped, validate=True)).decode()
    except (binascii.Error, ValueError):
        raise DecodeError(f"illegal base64 data at input byte {_corrupt_at(stripped)}") from None


_BASE64 = re.compile("[A-Za-z0-9+/]*")


def _corrupt_at(text: str) -> int:
    """Where Go's base64 decoder stops."""
    match = _BASE64.match(text)
    good = match.end() if match else 0
    rest, left = text[good:], good % 4
    if not rest:  # a last quantum without its padding is told by where it begins
        return good - left
    if rest[0] != "=" or left < 2:
        return good
    if left == 3 or len(rest) == 1:
        return good + 1
    return good if rest[1] != "=" else good + 2


def _bytes_of_list(value: list[Json], path: str, struct: str) -> str:
    """A `[]byte` that is given as numbers."""
    for item in value:
        if item is not None and not (isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 256):
            raise _wrong(item, path, struct, "uint8")
    return base64.b64encode(bytes(item or 0 for item in value)).decode()


def _time(kind: str, value: Json) -> str | None:
    if not isinstance(value, str):
        return None
    wrong = times.unparsed(value, micro=kind == "microtime")
    if wrong:
        raise DecodeError(wrong)
    if kind == "time" and "." in value and value.endswith("Z"):
        return value.split(".")[0] + "Z"
    return value


def _quantity(value: Json) -> str:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _QUANTITY.match(text):
        raise DecodeError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return amounts.canonical(text)
