"""Statuses that may wait: what is only waited for differently is written at leisure, and often not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from switchboard.controller.queue import Key
from switchboard.kube.resources import Object
from switchboard.reconcile.conditions import still_waits

LULL_SECONDS = 1.0
"""How long an object that waits may say what it waited for before."""
BUSY_SECONDS = 20.0
"""The same while many objects wait to be reconciled: what ends the waiting goes first."""


class Lull:
    """Holds back statuses that say another thing to wait for. When the wait ends meanwhile, they are never written."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._since: dict[Key, float] = {}

    def left(self, key: Key, observed: Object, wanted: Mapping[str, object]) -> float | None:
        """Seconds until the status is due; None: it is due now, or says what stands there already."""
        before = observed.get("status") or {}
        if not still_waits(before, wanted) or all(before.get(name) == value for name, value in wanted.items()):
            self._since.pop(key, None)
            return None
        now = asyncio.get_running_loop().time()
        longest = BUSY_SECONDS if self._busy() else LULL_SECONDS
        left = self._since.setdefault(key, now) + longest - now
        if left > 0:
            return left
        del self._since[key]
        return None

    def forget(self, key: Key) -> None:
        """An object is gone."""
        self._since.pop(key, None)
