"""Deletes what is older than the Agent wants kept, a little at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from switchboard.log.errors import LogUnavailable
from switchboard.log.protocol import ConversationLog

log = logging.getLogger(__name__)

INTERVAL = 600.0
_BETWEEN_STEPS = 0.05
_FIRST = 30.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeps house in the live revision's pods."""

    conversations: ConversationLog
    keep: timedelta
    live: Callable[[], bool]

    async def run(self) -> None:
        """Deletes at an interval; never ends."""
        await asyncio.sleep(_FIRST)
        while True:
            if self.live():
                await self._expire()
            await asyncio.sleep(INTERVAL)

    async def _expire(self) -> None:
        gone = 0
        try:
            while count := await self.conversations.expire(datetime.now(UTC) - self.keep):
                gone += count
                await asyncio.sleep(_BETWEEN_STEPS)
        except LogUnavailable as error:
            log.warning("expired conversations are not deleted yet", extra={"error": str(error)})
        if gone:
            log.info("expired conversations were deleted", extra={"records": gone})
