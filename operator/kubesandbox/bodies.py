"""Request bodies: JSON or YAML to plain values, refused in apimachinery's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import orjson

from kubesandbox import errors
from kubesandbox.negotiation import PROTOBUF
from kubesandbox.objects import Json
from kubesandbox.wire.messages import HttpRequest

JSON = "application/json"
YAML = frozenset({"application/yaml", "text/yaml", "application/x-yaml"})
ACCEPTED = [JSON, "application/yaml"]


def media_type(request: HttpRequest) -> str:
    """The Content-Type without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def loads(data: bytes) -> Json:
    """JSON; raises ValueError in the words of Go's decoder."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(_as_go(data, error)) from None


def read_object(request: HttpRequest, kind: str, *, custom: bool = False) -> Json:
    """The body of a create, update or delete; custom resources have no protobuf."""
    media = media_type(request)
    if media == PROTOBUF and not custom:
        return _read_protobuf(request.body)
    if media in YAML:
        return read_yaml(request.body, kind)
    # kube-apiserver reads a body without a type, or with any wildcard, as JSON.
    if media and media != JSON:
        raise errors.unsupported_media_type([*ACCEPTED, PROTOBUF])
    return read_json(request.body, kind)


def _read_protobuf(data: bytes) -> Json:
    from kubesandbox.builtin import protobuf

    try:
        return protobuf.decode(data)
    except protobuf.ProtobufError as error:
        raise errors.bad_request(str(error)) from None


_MERGED = frozenset({"application/merge-patch+json", "application/strategic-merge-patch+json"})


class _Repeated(dict[str, Json]):
    """An object with keys that were given more than once."""

    keys_repeated: tuple[str, ...] = ()


def repeated(request: HttpRequest, patch: str = "") -> list[str]:
    """The fields that a JSON body gives more than once, in strict decoding's words: `duplicate field "data.a"`."""
    if media_type(request) in YAML:
        return _repeated_in_yaml(request.body)
    if media_type(request) not in {"", JSON} and patch not in _MERGED:
        return []
    found = False

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        nonlocal found
        made = dict(items)
        if len(made) == len(items):
            return made
        found = True
        marked = _Repeated(made)
        seen = [key for key, _ in items]
        marked.keys_repeated = tuple(key for key in made if seen.count(key) > 1)
        return marked

    tree = json.loads(request.body, object_pairs_hook=pairs)
    return [f'duplicate field "{path}"' for path in _repeated_paths(tree, "")] if found else []


def _repeated_paths(value: Json, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            if isinstance(value, _Repeated) and key in value.keys_repeated:
                yield below
            yield from _repeated_paths(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated_paths(item, f"{path}[{index}]")


def read_json(data: bytes, kind: str) -> Json:
    """A body of JSON; `kind` is what it should have been."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if not data.strip():
            why = "couldn't get version/kind; json parse error: unexpected end of JSON input"
            raise errors.bad_request(_unrecognized(kind, why, data)) from None
        raise errors.bad_request(
            _unrecognized(kind, f"couldn't get version/kind; json parse error: {_as_go(data, error)}", data)
        ) from None


def read_yaml(data: bytes, kind: str) -> Json:
    """A body of YAML, of which JSON is a part."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    import yaml

    try:
        return _json_keys(yaml.load(data, Loader=_loader()))  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise errors.bad_request(_unrecognized(kind, f"error converting YAML to JSON: {error}", data)) from None


_BOOLEAN = "tag:yaml.org,2002:bool"


def _loader() -> type:
    """YAML as sigs.k8s.io/yaml reads it: no times, booleans only as YAML 1.2's and 1.1's words have them."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers = {
            sign: [(tag, expression) for tag, expression in found if tag != "tag:yaml.org,2002:timestamp"]
            for sign, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    for sign in "yYnN":  # booleans of YAML 1.1 that PyYAML leaves out
        Loader.yaml_implicit_resolvers.setdefault(sign, []).append((_BOOLEAN, re.compile("^[yYnN]$")))
    Loader.add_constructor(_BOOLEAN, lambda loader, node: node.value.lower() in {"y", "yes", "true", "on"})

    return Loader


_SUMMARY = 30


def summarised(data: bytes) -> str:
    """A body as errors show it (apiserver's summarizeData): JSON objects as they are, anything else in hex."""
    if not data:
        return "<empty>"
    head = data[:_SUMMARY]
    shown = head.decode(errors="replace") if data.startswith(b"{") else head.hex()
    return f"{shown} ..." if len(data) > _SUMMARY else shown


def _json_keys(value: Json) -> Json:
    """YAML's mappings as JSON's: a key that YAML reads as a boolean or a number is its text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else orjson.dumps(key).decode(): _json_keys(v) for key, v in value.items()}
    return [_json_keys(item) for item in value] if isinstance(value, list) else value


def _repeated_in_yaml(data: bytes) -> list[str]:
    """What sigs.k8s.io/yaml says of keys that a mapping has twice."""
    import yaml

    found: list[str] = []

    def visit(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                seen.add(key.value)
                visit(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                visit(item)

    visit(yaml.compose(data, Loader=_loader()))
    return ["yaml: unmarshal errors:\n  " + "\n  ".join(found)] if found else []


def _unrecognized(kind: str, why: str, data: bytes) -> str:
    summary = summarised(data)
    return f"the object provided is unrecognized (must be of type {kind}): {why} ({summary})"


_LITERALS = {"n": "null", "t": "true", "f": "false"}


def _in_literal(text: str, at: int) -> str | None:
    """What is wrong with `nul` or `not`: Go reads a literal letter by letter."""
    literal = _LITERALS.get(text[at], "")
    for offset, letter in enumerate(literal):
        found = text[at + offset : at + offset + 1] or " "  # Go's scanner reads a blank at the end
        if found != letter:
            return f"invalid character {_sign(found)} in literal {literal} (expecting '{letter}')"
    return None


def _sign(character: str) -> str:
    if character == "'":
        return "'\\''"
    if character.isprintable() or not character:
        return f"'{character}'"
    return {"\n": "'\\n'", "\r": "'\\r'", "\t": "'\\t'"}.get(character, _escaped(character))


def _escaped(character: str) -> str:
    """A sign that cannot be shown, as Go's strconv.Quote writes it."""
    point = ord(character)
    return f"'\\x{point:02x}'" if point < 0x80 else f"'\\u{point:04x}'"


def json_error(data: bytes) -> str:
    """What Go's decoder says of bytes that are no JSON; nothing of those that are."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _as_go(data, error)
    return ""


_KEY = "Expecting property name enclosed in double quotes"


def _as_go(data: bytes, error: orjson.JSONDecodeError) -> str:
    """The complaint of Go's decoder about the first wrong character."""
    try:
        json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError) as found:
        text = data.decode(errors="replace")
        at = found.pos if isinstance(found, json.JSONDecodeError) else error.pos
        message = found.msg if isinstance(found, json.JSONDecodeError) else str(found)
        if message.startswith("Illegal trailing comma"):  # since Python 3.13, and where the comma is
            at = len(text) - len(text[at + 1 :].lstrip())
            message = _KEY if text[at] == "}" else "Expecting value"
        if at >= len(text) or message.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        if message.startswith("Invalid \\escape"):
            return f"invalid character {_sign(text[at + 1 : at + 2])} in string escape code"
        where = {
            _KEY: "looking for beginning of object key string",
            "Expecting ':' delimiter": "after object key",
            "Expecting ',' delimiter": "after object key:value pair" if "{" in text[:at] else "after array element",
            "Extra data": "after top-level value",
        }.get(message, "looking for beginning of value")
        if where == "looking for beginning of value" and (said := _in_literal(text, at)):
            return said
        return f"invalid character {_sign(text[at])} {where}"
    return str(error)
