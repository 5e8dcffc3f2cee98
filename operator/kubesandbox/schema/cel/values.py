"""Objects as CEL sees them: fields under names that are CEL identifiers, typed as their schema says."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from kubesandbox.schema.causes import JSON
from kubesandbox.schema.node import Node

_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_UNITS = {"ns": 1e-3, "us": 1, "µs": 1, "μs": 1, "ms": 1e3, "s": 1e6, "m": 6e7, "h": 3.6e9}


@lru_cache(maxsize=4096)
def escape(name: str) -> str | None:
    """A property's name in CEL; None for one that CEL cannot name, and so does not show."""
    if not re.fullmatch(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", name):
        return None
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[-./]", lambda m: _ESCAPES[m[0]], name)


def bind(node: Node, value: JSON, *, root: bool = False) -> JSON:
    """A JSON value for CEL. Fields that the schema does not name are not there for an expression."""
    if isinstance(value, dict):
        if node.values is not None:
            return {name: bind(node.values, part) for name, part in value.items()}
        bound = _fields(node, value)
        if root or node.embedded:
            bound |= {name: value[name] for name in ("apiVersion", "kind") if name in value}
            metadata = value.get("metadata")
            if isinstance(metadata, dict):
                shown = {name: metadata[name] for name in ("name", "generateName") if name in metadata}
                bound["metadata"] = {**bound.get("metadata", {}), **shown}
        return bound
    if isinstance(value, list):
        return [bind(node.items, item) for item in value] if node.items is not None else value
    return _scalar(node, value)


def _fields(node: Node, value: dict[str, JSON]) -> dict[str, JSON]:
    bound = {}
    for name, known in node.properties.items():
        if name in value and (escaped := escape(name)) is not None:
            bound[escaped] = bind(known, value[name])
    return bound


def _scalar(node: Node, value: JSON) -> JSON:
    if node.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if node.type == "integer" and isinstance(value, float):
        return int(value)
    if node.type == "string" and isinstance(value, str):
        match node.format:
            case "date-time" | "date":
                return timestamp(value)
            case "duration":
                return duration(value)
            case "byte":
                return _bytes(value)
    return value


def timestamp(text: str) -> datetime:
    """An RFC 3339 time or date. `ValueError` for anything else."""
    found = datetime.fromisoformat(text.upper())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def duration(text: str) -> timedelta:
    """Go's duration syntax (`1h30m`), to the microsecond. `ValueError` for anything else."""
    sign, parts = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    found = re.findall(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", parts)
    if parts != "0" and (not found or "".join(n + u for n, u in found) != parts):
        raise ValueError(f'time: invalid duration "{text}"')
    return timedelta(microseconds=sign * sum(float(n) * _UNITS[u] for n, u in found))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()
