"""Files that came with messages, fetched within bounds for one turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from switchboard.engines.base import Media
from switchboard.log.records import Attachment
from switchboard.providers.base import Media as Remote
from switchboard.providers.base import MediaSource
from switchboard.providers.errors import MediaRefusedError, ProviderError
from switchboard.webhook import metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is fetched at most."""

    file_bytes: int
    turn_bytes: int
    types: Sequence[str]
    """As `image/png` or `image/*`."""
    seconds: float


class Fetcher:
    """Fetches the files of one turn; what cannot be had is handed on without its bytes, and the turn goes on."""

    def __init__(self, source: MediaSource, bounds: Bounds) -> None:
        self._source = source
        self._bounds = bounds
        self._left = bounds.turn_bytes

    async def fetch(self, items: Sequence[Attachment]) -> list[Media]:
        """The files, in order."""
        return [await self._one(item) for item in items]

    async def _one(self, item: Attachment) -> Media:
        bounds = self._bounds
        try:
            async with asyncio.timeout(bounds.seconds):
                content = await self._source.download(
                    Remote(item.url, item.content_type),
                    max_bytes=min(bounds.file_bytes, self._left),
                    types=bounds.types,
                )
        except (ProviderError, TimeoutError) as error:
            outcome = "refused" if isinstance(error, MediaRefusedError) else "failed"
            metrics.MEDIA.labels(outcome).inc()
            log.info("a file is handed on without its bytes", extra={"error": str(error) or "no answer in time"})
            return Media(item.content_type, item.url)
        metrics.MEDIA.labels("fetched").inc()
        self._left -= len(content.content)
        return Media(content.content_type, item.url, content.content)
