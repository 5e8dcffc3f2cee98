"""Lists and sets: Kubernetes' own functions, and cel-go's extensions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from kubesandbox.schema.cel.engine import library
from kubesandbox.schema.cel.errors import EvaluationError


def _sum(items: list[Any]) -> Any:
    if not items:
        return 0
    return sum(items[1:], start=items[0]) if not isinstance(items[0], timedelta) else sum(items, timedelta())


def _least(items: list[Any]) -> Any:
    if not items:
        raise EvaluationError("min called on empty list")
    return min(items)


def _most(items: list[Any]) -> Any:
    if not items:
        raise EvaluationError("max called on empty list")
    return max(items)


def _distinct(items: list[Any]) -> list[Any]:
    return [item for n, item in enumerate(items) if item not in items[:n]]


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flatten(items: list[Any]) -> list[Any]:
    return [part for item in items for part in (item if isinstance(item, list) else [item])]


def _end(items: list[Any], index: int) -> Any:
    optional = library().OptionalValue
    return optional.of(items[index]) if items else optional.none()


def _sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    return [items[n] for n in sorted(range(len(items)), key=keys.__getitem__)]


def _contains(items: list[Any], others: list[Any]) -> bool:
    return all(other in items for other in others)


def _present(items: list[Any]) -> list[Any]:
    return [item.value() for item in items if item.has_value()]


def _merged(maps: list[dict[Any, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for entry in maps:
        for key, value in entry.items():
            if key in made:
                raise EvaluationError(f"insert failed: key {key} already exists")
            made[key] = value
    return made


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "distinct": _distinct,
    "first": lambda items: _end(items, 0),
    "flatten": _flatten,
    "isSorted": lambda items: all(a <= b for a, b in pairwise(items)),
    "keys": lambda held: list(held) if isinstance(held, dict) else list(range(len(held))),
    "last": lambda items: _end(items, -1),
    "lists.range": lambda size: list(range(size)),
    "max": _most,
    "merged": _merged,
    "min": _least,
    "optional.unwrap": _present,
    "pairs": dict,
    "reverse": lambda items: items[::-1],
    "sets.contains": _contains,
    "sets.equivalent": lambda one, other: _contains(one, other) and _contains(other, one),
    "sets.intersects": lambda one, other: any(item in other for item in one),
    "slice": _slice,
    "sort": sorted,
    "sortBy": _sort_by,
    "sum": _sum,
    "unwrapOpt": _present,
}
