"""What the library's operators cannot do: optional selection, and lists that are sets or maps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

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


def _part_of(part: str) -> Callable[..., int]:
    """A timestamp's part in a time zone: a name of the tz database, or an offset such as `-08:00`."""

    def read(time: datetime, zone: str) -> int:
        return _PARTS[part](time.astimezone(_zone(zone)))

    return read


def _zone(name: str) -> tzinfo:
    offset = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name)
    if offset is not None:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-ahead if offset[1] == "-" else ahead)
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


_PARTS: dict[str, Callable[[datetime], int]] = {
    "getDate": lambda it: it.day,
    "getDayOfMonth": lambda it: it.day - 1,
    "getDayOfWeek": lambda it: it.isoweekday() % 7,
    "getDayOfYear": lambda it: it.timetuple().tm_yday - 1,
    "getFullYear": lambda it: it.year,
    "getHours": lambda it: it.hour,
    "getMilliseconds": lambda it: it.microsecond // 1000,
    "getMinutes": lambda it: it.minute,
    "getMonth": lambda it: it.month - 1,
    "getSeconds": lambda it: it.second,
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _part_of(name) for name in _PARTS},
    "in": _in,
    "merge": _merge,
    "optional.ofNonZeroValue": _non_zero,
    "same": _same,
    "select": _select,
}
