"""Makes way for a newer revision: says in this one's status how many of its conversations are still worked on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from switchboard.api.agent import Drain as Report
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import KubeError, NotFound
from switchboard.kube.resources import AGENT_REVISIONS, Object
from switchboard.log.errors import LogUnavailable
from switchboard.log.protocol import ConversationLog

log = logging.getLogger(__name__)

MANAGER = "switchboard-webhook"
_INTERVAL = 1.0


@dataclass(slots=True)
class Drain:
    """Reports for one revision; several pods of it say the same."""

    kube: KubeApi
    conversations: ConversationLog
    namespace: str
    revision: str
    live: Callable[[], str | None]
    """The revision that is live."""
    running: Callable[[], int]
    """Turns that this pod runs."""
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _told: Report | None = None
    _was_live: bool = False

    def look(self) -> None:
        """Another revision became live."""
        self._wanted.set()

    async def run(self) -> None:
        """Reports while this revision is superseded; never ends."""
        while True:
            again = True
            self._wanted.clear()
            try:
                again = await self._tell()
            except NotFound:
                again = False
            except (KubeError, LogUnavailable) as error:
                log.warning("the revision's drain could not be told", extra={"error": str(error)})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL if again else None):
                    await self._wanted.wait()

    async def _tell(self) -> bool:
        """Writes what is new; whether there will be more to say by itself."""
        live = self.live()
        if live is None:
            return False
        if live == self.revision:
            if not self._was_live or self._told is not None:
                await self._write(None)  # what an earlier pod of this revision said when it was superseded is over
                self._was_live, self._told = True, None
            return False
        self._was_live = False
        working = max(self.running(), await self.conversations.working(self.revision))
        report = Report(revision=live, working=working)
        if report != self._told:
            await self._write(report)
            self._told = report
            log.info("this revision is superseded", extra={"live": live, "working": working})
        return working > 0

    async def _write(self, report: Report | None) -> None:
        status: Object = {"drain": report.manifest()} if report is not None else {}
        await self.kube.apply(
            AGENT_REVISIONS,
            {"metadata": {"name": self.revision, "namespace": self.namespace}, "status": status},
            manager=MANAGER,
            subresource="status",
        )
