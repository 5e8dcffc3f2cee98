"""Waking workers: by a bell that whoever brings work rings, and by the clock when something falls due. No polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

ASK_SECONDS = 0.1
"""The least time between two questions for what falls due. Where messages never cease, each of them rings, and for each
a store would be asked that has better things to do; what falls due is late by this at the most."""


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
        clock = asyncio.get_running_loop().time
        may_ask = clock()
        self._listeners.add(rung)
        try:
            while True:
                rung.clear()
                yield
                if await _rings(rung, may_ask - clock()):
                    continue
                seconds = await due()
                may_ask = clock() + ASK_SECONDS
                await _rings(rung, seconds)
        finally:
            self._listeners.discard(rung)


async def _rings(rung: asyncio.Event, seconds: float | None) -> bool:
    """Whether it rings within that time; None: it waits until it does."""
    if seconds is not None and seconds <= 0:
        return rung.is_set()
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        return False
    return True
