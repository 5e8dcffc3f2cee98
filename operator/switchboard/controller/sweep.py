"""Deletions that wait for nobody: our finalizer in namespaces that this operator does not watch (any more)."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from switchboard.api.meta import FINALIZER
from switchboard.controller.context import Context
from switchboard.kube import resources
from switchboard.kube.errors import KubeError
from switchboard.kube.resources import Object

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0


class Sweep:
    """Lets go of deleted connectors elsewhere, after the time that an operator of theirs would have had.

    Their webhook at Twilio stays as it is: their credentials are not ours to read.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Looks again and again; never ends."""
        pause = min(LONGEST_PAUSE, self._context.settings.release_seconds)
        while True:
            try:
                await self._look()
            except KubeError as error:
                log.warning("other namespaces' deletions cannot be looked at", extra={"error": str(error)})
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        for obj in (await self._context.api.list(resources.TWILIO_CONNECTORS)).items:
            if self._left_behind(obj):
                metadata = obj["metadata"]
                wanted = [it for it in metadata["finalizers"] if it != FINALIZER]
                patch = {"metadata": {"finalizers": wanted, "resourceVersion": metadata["resourceVersion"]}}
                self._context.leadership.check()
                await self._context.api.merge_patch(
                    resources.TWILIO_CONNECTORS, metadata["name"], metadata["namespace"], patch
                )
                log.warning(
                    "a connector that no operator watches was let go; its webhook at Twilio stays as it is",
                    extra={"connector": f"{metadata['namespace']}/{metadata['name']}"},
                )

    def _left_behind(self, obj: Object) -> bool:
        metadata, settings = obj["metadata"], self._context.settings
        since = metadata.get("deletionTimestamp")
        if not since or metadata["namespace"] in settings.namespaces:
            return False
        # An operator of that namespace would have needed `release_seconds` at the most.
        waited = (self._context.now() - datetime.fromisoformat(since)).total_seconds()
        return FINALIZER in (metadata.get("finalizers") or ()) and waited > 2 * settings.release_seconds
