"""Durations as kubectl's tables show them (k8s.io/apimachinery/pkg/util/duration)."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time, or None."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def since(text: object) -> str:
    """How long ago a time was, `<unknown>` without one."""
    at = parse_time(text) if isinstance(text, str) else None
    if at is None:
        return "<unknown>"
    return human((datetime.now(UTC) - at).total_seconds())


def human(seconds: float) -> str:
    """A duration in at most two units, coarser as it grows."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    for below, size, unit, rest, small in _STEPS:
        if whole < below:
            least = whole % size // rest if rest else 0
            return f"{max(whole, 0) // size}{unit}" + (f"{least}{small}" if least > 0 else "")
    return f"{whole // _YEAR}y"


_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
# Below this many seconds: the unit and its size, and the smaller unit that is shown beside it.
_STEPS = (
    (120, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)
