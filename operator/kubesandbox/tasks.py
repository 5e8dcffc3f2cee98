"""Work that follows from a write but not within it: done on the event loop's next turn, each key once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
_log = logging.getLogger(__name__)


class Soon(Generic[Key]):
    """A queue of keys without duplicates; where no loop runs (a cluster being made), keys are worked at once."""

    def __init__(self, work: Callable[[Key], None]) -> None:
        self._work = work
        self._keys: dict[Key, None] = {}
        self._scheduled = False

    def add(self, key: Key, after: float = 0.0) -> None:
        """Work on `key` soon, or after some seconds."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._work(key)
            return
        if after:
            loop.call_later(after, self.add, key)
            return
        self._keys[key] = None
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        keys, self._keys = self._keys, {}
        for key in keys:
            try:
                self._work(key)
            except Exception:
                _log.exception("control loop failed on %s", key)
