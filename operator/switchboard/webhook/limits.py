"""A token bucket for each contact, so that one phone cannot keep an engine busy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class RateLimiter:
    """`burst` at once and `per_second` on average for each key; the `keys` that came last are remembered."""

    __slots__ = ("_buckets", "_burst", "_keys", "_per_second")

    def __init__(self, *, burst: int, per_second: float, keys: int = 20_000) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._keys = keys
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Whether `key` may do one more at `now` (seconds of a monotonic clock). What is refused costs nothing."""
        left, since = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - since) * self._per_second)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        return len(self._buckets)
