"""Waking workers: by a bell that whoever brings work rings, and by the clock when something falls due. No polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable


class Bell:
    """Rung once or many times, each listener hears it once, and none that rang while it was busy is missed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Wakes all listeners."""
        for listener in self._listeners:
            listener.set()

    async def rings(self, due: Callable[[], Awaitable[float | None]]) -> AsyncIterator[None]:
        """Yields at the start, after each ring, and when the seconds are over that `due` gave; None: only rings."""
        rung = asyncio.Event()
        self._listeners.add(rung)
        try:
            while True:
                rung.clear()
                yield
                if rung.is_set():
                    continue
                seconds = await due()
                try:
                    async with asyncio.timeout(None if seconds is None else max(seconds, 0.0)):
                        await rung.wait()
                except TimeoutError:
                    continue
        finally:
            self._listeners.discard(rung)
