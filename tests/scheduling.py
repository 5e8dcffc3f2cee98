"""Which worker begins with which test: the long ones first, so that none of them is what all others wait for."""

from __future__ import annotations

import pytest

MARKER = "long"


def spread(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The same tests, in an order whose even parts, which xdist hands out, begin with some of the long ones each."""
    long = [item for item in items if item.get_closest_marker(MARKER)]
    short = iter([item for item in items if not item.get_closest_marker(MARKER)])
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        size = (len(items) - len(ordered)) // (workers - worker)
        part = long[worker::workers]
        ordered += part + [next(short) for _ in range(size - len(part))]
    return ordered
