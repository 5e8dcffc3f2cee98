"""A turn that is worked on: its lease renewed meanwhile, its work stopped when the lease is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from switchboard.log.errors import LeaseLost, LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Turn
from switchboard.webhook import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 600.0
"""Seconds that a turn waits for a log that is away; its fence says afterwards whether it may still write."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


async def persist(operation: str, call: Callable[[], Awaitable[T]], *, patience: float = PATIENCE) -> T:
    """What `call` gives, tried again while the log is away.

    Raises:
        LogUnavailable: it was away for longer than `patience` seconds.
        LogError: whatever else the log says.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except LogUnavailable as error:
            metrics.LOG_ERRORS.labels(operation).inc()
            if loop.time() + pause > until:
                raise
            log.warning("the log is away, trying again", extra={"operation": operation, "error": str(error)})
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


class Held:
    """A claimed turn. All its writes go through `write`, one at a time, so that a renewal never crosses another."""

    def __init__(self, conversations: ConversationLog, turn: Turn) -> None:
        self._log = conversations
        self._lock = asyncio.Lock()
        self.turn = turn
        self.over = False
        """The log has let go of it already."""

    async def write(self, operation: str, call: Callable[[Turn], Awaitable[T]]) -> T:
        """What `call` gives for the turn as it now is. Raises LogError."""
        async with self._lock:
            return await persist(operation, lambda: call(self.turn))

    async def advance(self, operation: str, call: Callable[[Turn], Awaitable[Turn]]) -> Turn:
        """As `write`; what it gives is the turn from now on."""
        async with self._lock:
            self.turn = await persist(operation, lambda: call(self.turn))
            return self.turn

    async def renew(self, seconds: float) -> None:
        """Renews the lease three times before it would run out; ends when it is lost."""
        while True:
            await asyncio.sleep(seconds / 3)
            async with self._lock:
                if self.over:
                    return
                try:
                    renewed = await self._log.renew(self.turn, seconds=seconds)
                except LeaseLost:
                    return
                except LogUnavailable:
                    continue  # whether it is lost meanwhile is for the next write to find out
                self.turn.expires = renewed.expires


async def work(
    conversations: ConversationLog, turn: Turn, seconds: float, run: Callable[[Held], Awaitable[None]]
) -> None:
    """Runs `run` on a turn under its lease, then lets go of it. A lost lease stops the work where it is."""
    held = Held(conversations, turn)
    running = asyncio.ensure_future(run(held))
    renewing = asyncio.ensure_future(held.renew(seconds))
    try:
        await asyncio.wait({running, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            log.warning("another pod has taken over a turn", extra={"conversation": turn.conversation.name})
            held.over = True
        elif not running.cancelled():
            running.result()
    except LeaseLost:
        held.over = True
        log.warning("another pod has taken over a turn", extra={"conversation": turn.conversation.name})
    finally:
        for task in (running, renewing):
            task.cancel()
        await asyncio.gather(running, renewing, return_exceptions=True)
        if not held.over:
            await _release(conversations, held)


async def _release(conversations: ConversationLog, held: Held) -> None:
    try:
        await persist("release", lambda: conversations.release(held.turn), patience=5)
    except LogUnavailable:
        log.warning("a turn could not be let go of: its lease will run out")
