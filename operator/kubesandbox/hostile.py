"""A cluster at its worst, on purpose: what is late, lost or refused anywhere, happens here often.

Each concern draws from a generator of its own, so that the same seed and the same requests give the same failures.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

from kubesandbox import errors
from kubesandbox.watch import End

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo

Item = TypeVar("Item")
CONFLICT, THROTTLED, FAILED, LOST = 0.03, 0.02, 0.015, 0.005  # shares of the requests
WATCH_LAG = 2.0  # seconds, at most
MOUNT_LAG = 5.0
WATCH_LIFE = (3.0, 30.0)
_WRITES = frozenset({"update", "patch", "delete"})


class Hostility:
    """What goes wrong, and when."""

    def __init__(self, seed: int) -> None:
        self._requests = Random(f"{seed} requests")
        self._answers = Random(f"{seed} answers")
        self._watches = Random(f"{seed} watches")
        self._lags = Random(f"{seed} lags")
        self._mounts = Random(f"{seed} mounts")
        self._order = Random(f"{seed} order")

    def before(self, kind: Kind, info: RequestInfo) -> None:
        """Refuse a request now and then, before it has any effect."""
        draw = self._requests.random()
        if draw < FAILED:
            raise errors.internal_error("etcdserver: leader changed")
        if draw < FAILED + THROTTLED:
            raise errors.too_many_requests("too many requests, please try again later", 1)
        if draw < FAILED + THROTTLED + CONFLICT and info.verb in _WRITES and not info.subresource:
            raise errors.conflict(kind.group, kind.plural, info.name, errors.MODIFIED)

    def after(self, info: RequestInfo, status: int) -> None:
        """Lose an answer now and then: what was asked for has been done all the same. A refusal is not lost."""
        if info.verb in _WRITES and status < 400 and self._answers.random() < LOST:
            raise errors.internal_error("etcdserver: request timed out")

    def watch_end(self) -> End:
        """When a watch ends before its time, and how."""
        return End(self._watches.uniform(*WATCH_LIFE), breaks=self._watches.random() < 0.5)

    def watch_lag(self) -> float:
        """By how many seconds a watch event is late: mostly little, sometimes much."""
        return WATCH_LAG * self._lags.random() ** 4

    def mount_lag(self) -> float:
        """By how many seconds a mounted ConfigMap or Secret is late."""
        return MOUNT_LAG * self._mounts.random()

    def shuffle(self, items: list[Item]) -> None:
        """Put into any order."""
        self._order.shuffle(items)
