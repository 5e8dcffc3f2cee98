"""Durations as kubectl's tables show them (k8s.io/apimachinery/pkg/util/duration)."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time, or None."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
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
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(most: int, unit: str, least: int, small: str) -> str:
    return f"{most}{unit}{least}{small}" if least else f"{most}{unit}"
