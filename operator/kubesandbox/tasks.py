"""Work that follows from a write but not within it: done on the event loop's next turns, each key once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
_log = logging.getLogger(__name__)
SLICE_SECONDS = 0.01  # requests are answered between slices, however much there is to do


class Soon(Generic[Key]):
    """A queue of keys without duplicates; where no loop runs (a cluster being made), keys are worked at once."""

    def __init__(self, work: Callable[[Key], None]) -> None:
        self._work = work
        self._keys: dict[Key, None] = {}
        self._scheduled = False

    def add(self, key: Key) -> None:
        """Work on `key` soon."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._work(key)
            return
        self._keys[key] = None
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + SLICE_SECONDS
        while self._keys and time.monotonic() < end:
            key = next(iter(self._keys))
            del self._keys[key]
            try:
                self._work(key)
            except Exception:  # noqa: BLE001 - one key's bug is not the others' end
                _log.exception("control loop failed on %s", key)
        self._scheduled = bool(self._keys)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._run)
