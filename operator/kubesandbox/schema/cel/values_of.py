"""What the library's operators cannot do: optional selection, and lists that are sets or maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kubesandbox.schema.cel.engine import library
from kubesandbox.schema.cel.errors import EvaluationError


def _select(value: Any, name: Any) -> Any:
    """`value.?name` and `value[?name]`; an optional is looked into."""
    optional = library().OptionalValue
    if isinstance(value, optional):
        if not value.has_value():
            return value
        value = value.value()
    if isinstance(value, dict):
        return optional.of(value[name]) if name in value else optional.none()
    if isinstance(value, list):
        return optional.of(value[name]) if 0 <= name < len(value) else optional.none()
    raise EvaluationError("no such overload")


def _non_zero(value: Any) -> Any:
    optional = library().OptionalValue
    return optional.of(value) if value else optional.none()


def _keyed(item: Any, kind: str, keys: list[str]) -> str:
    return json.dumps({k: item.get(k) for k in keys} if kind == "map" else item, sort_keys=True, default=str)


def _same(one: Any, other: Any, kind: str, keys: list[str]) -> bool:
    """Equality where order does not count: of sets as sets, of map lists by their keys."""
    if kind not in {"set", "map"} or not isinstance(one, list) or not isinstance(other, list):
        return bool(one == other)
    if len(one) != len(other):
        return False
    others = {_keyed(item, kind, keys): item for item in other}
    return all(_keyed(item, kind, keys) in others and others[_keyed(item, kind, keys)] == item for item in one)


def _merge(one: list[Any], other: list[Any], kind: str, keys: list[str]) -> list[Any]:
    """`+`: what is in either; of a map list, the right one's item where both have its keys."""
    if kind not in {"set", "map"}:
        return one + other
    merged = {_keyed(item, kind, keys): item for item in one}
    merged |= {_keyed(item, kind, keys): item for item in other}
    return list(merged.values())


def _in(item: Any, items: Any) -> bool:
    return item in items


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "in": _in,
    "merge": _merge,
    "optional.ofNonZeroValue": _non_zero,
    "same": _same,
    "select": _select,
}
