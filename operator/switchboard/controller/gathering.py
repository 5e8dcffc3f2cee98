"""What is applied together arrives piece by piece, an Agent before its connectors: it waits a moment for the last.

Pods that were made in between lack a connector's credentials: they are replaced at once, and meanwhile texts that reach
them have to be taken to the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from switchboard.controller.queue import Key

GATHER_SECONDS = 1.0
"""Far more than `kubectl apply` takes from one object to the next, and a watch to tell of it."""


class Gathering:
    """Since when revisions lack something before they run for the first time."""

    def __init__(self) -> None:
        self._since: dict[Key, dict[str, float]] = {}

    def left(self, agent: Key, revision: str, missing: Collection[str]) -> float | None:
        """Seconds for which a revision that does not run yet waits for what is missing; None: it waits no more."""
        since = self._since.setdefault(agent, {})
        now = asyncio.get_running_loop().time()
        if not missing:
            since.pop(revision, None)
            return None
        left = since.setdefault(revision, now) + GATHER_SECONDS - now
        return left if left > 0 else None

    def forget(self, agent: Key) -> None:
        """An Agent is gone."""
        self._since.pop(agent, None)
