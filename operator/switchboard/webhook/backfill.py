"""What Twilio took while nobody answered: found by listing, and recorded as if it came now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from switchboard.kube.errors import KubeError
from switchboard.log.errors import LogError, LogFull, LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Backfill as Lease
from switchboard.providers.base import Channel, InboundMessage
from switchboard.providers.errors import CredentialsError, ProviderError
from switchboard.providers.twilio.inbound import PROVIDER, format_address, parse_address
from switchboard.providers.twilio.opt_out import keyword
from switchboard.providers.twilio.resources import Message
from switchboard.webhook import metrics
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.deliveries import Deliveries
from switchboard.webhook.intake import Asking, Desk
from switchboard.webhook.journal import Journal

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=5)
"""How far behind the cursor is looked again: Twilio's listing is not in the order of arrival to the second."""
CLOCKS = timedelta(seconds=30)
"""What Twilio's clock may be ahead of ours."""
_LIMIT = 10_000


@dataclass(slots=True)
class Backfill:
    """Looks at Twilio for messages that no webhook brought."""

    conversations: ConversationLog
    connectors: Connectors
    desk: Desk
    holder: str
    lease_seconds: float
    """That one look may take; then another pod may look."""
    interval: float
    """Seconds between two looks."""
    settling: timedelta
    """Messages younger than this are left to their webhook."""
    missed: timedelta
    """Age beyond which a message is recorded and not answered."""
    retention: timedelta
    ask: Asking
    live: Callable[[], bool]
    """Whether this pod's revision is the one that looks."""
    deliveries: Deliveries
    """What is looked for under the same lease."""
    _journal: Journal = field(default_factory=Journal)
    _doubts: dict[str, float] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)
    _registered: dict[str, datetime] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def doubt(self, connector: str) -> None:
        """A message of this connector may have been missed."""
        self._doubts.setdefault(connector, asyncio.get_running_loop().time())
        self._wanted.set()

    def look(self) -> None:
        """Another revision became live, or connectors changed."""
        for name, connector in self.connectors.by_name.items():
            # An ingress controller may follow its Ingress by seconds: what Twilio sent meanwhile was answered 404.
            if connector.registered is not None and self._registered.get(name) != connector.registered:
                self._registered[name] = connector.registered
                self.doubt(name)
        self._wanted.set()

    async def run(self) -> None:
        """Looks at the start, when in doubt, and at the interval; never ends."""
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            now = loop.time()
            due = now + self.interval
            for name, connector in list(self.connectors.by_name.items()) if self.live() else ():
                at = self._due(name, now)
                if at <= now:
                    first = name not in self._looked
                    self._looked[name] = now
                    await self._look(connector, doubted=self._doubts.pop(name, None) is not None)
                    if first:  # what Twilio gave up on just before this process began has not settled yet
                        self._doubts.setdefault(name, now)
                    at = self._due(name, now)
                due = min(due, at)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, due - loop.time())):
                    await self._wanted.wait()

    def _due(self, name: str, now: float) -> float:
        """When to look for a connector: at once if never, after a doubt as soon as a webhook's time is over."""
        looked = self._looked.get(name)
        if looked is None:
            return now
        doubted = self._doubts.get(name)
        if doubted is None:
            return looked + self.interval
        settled = self.settling.total_seconds()
        return max(doubted + settled, looked + 1.5 * settled)

    async def _look(self, connector: Connector, *, doubted: bool) -> None:
        try:
            lease = await self.conversations.backfill(connector.name, self.holder, seconds=self.lease_seconds)
            if lease is None:  # another pod looks; if it dies meanwhile, it is for us to look again
                self.doubt(connector.name)
                return
            now = datetime.now(UTC)
            cursor = lease.cursor
            try:
                if doubted or cursor is None or now - cursor > timedelta(seconds=self.interval / 2) + self.settling:
                    async with asyncio.timeout(self.lease_seconds * 0.6):
                        await self._record(connector, self._since(connector, lease, now), now)
                    until = now - self.settling
                    since = cursor or max(connector.created, now - self.retention)
                    await self.deliveries.look(connector, since, until, seconds=self.lease_seconds * 0.3)
                    cursor = until
            finally:
                await self.conversations.backfilled(lease, cursor)
        except (ProviderError, LogError, KubeError, TimeoutError) as error:
            if isinstance(error, CredentialsError):
                self.connectors.refresh()
            log.warning("looking for missed messages failed", extra={"connector": connector.name, "error": str(error)})
            self.doubt(connector.name)

    def _since(self, connector: Connector, lease: Lease, now: datetime) -> datetime:
        """From when on is looked: never behind the retention's edge, nor from before there was the connector, nor where
        the log has forgotten what it recorded: it would be answered again."""
        since = max(now - self.retention, connector.created)
        if lease.cursor is not None:
            since = max(since, lease.cursor - OVERLAP)
        if lease.forgotten is None:
            return since
        if lease.cursor is not None and lease.cursor < lease.forgotten:
            log.warning(
                "a full log has forgotten messages of a time that was not looked at: what was missed then is not found",
                extra={"connector": connector.name, "since": lease.cursor, "until": lease.forgotten},
            )
        return max(since, lease.forgotten + CLOCKS)

    async def _record(self, connector: Connector, since: datetime, now: datetime) -> None:
        listed: list[Message] = []
        for address in addresses(connector):
            some = await connector.client.list_messages(to=address, sent_since=since.date(), limit=_LIMIT)
            if len(some) == _LIMIT:
                log.warning("there is more at Twilio than is looked at", extra={"connector": connector.name})
            listed += some
        until = now - self.settling
        found = [one for one in listed if one.inbound and (at := time_of(one)) is not None and since <= at <= until]
        if not connector.number:
            found = [one for one in found if one.messaging_service_sid == connector.messaging_service]
        account = connector.credentials.account_sid
        known = await self.conversations.known(PROVIDER, account, [one.sid for one in found])
        missing = [one for one in reversed(found) if one.sid not in known]  # the list begins with the newest
        missing.sort(key=lambda one: time_of(one) or now)  # to the second; what is equal keeps its order
        stored = 0
        for one in missing:
            try:
                stored += await self._take(connector, one, now)
            except (LogUnavailable, LogFull):
                raise
            except LogError as error:  # it can never be recorded, and must not hide those that came after it
                metrics.LOG_ERRORS.labels("record").inc()
                why = {"sid": one.sid, "error": str(error)}
                log.error("a message at Twilio cannot be recorded", extra=why)  # noqa: TRY400 - no bug of ours
        if stored:
            log.warning("messages were found at Twilio", extra={"connector": connector.name, "messages": stored})

    async def _take(self, connector: Connector, one: Message, now: datetime) -> bool:
        """Whether it had been missed. What no route takes, or is refused, is not kept, and is found again each time."""
        message = await inbound(connector, one)
        if message is None or connector.line.refuses(message) is not None:
            return False
        received = time_of(one) or now
        taken = await self.desk.take(connector, message, received=received, missed=now - received > self.missed)
        missed = taken.recorded.stored and not taken.recorded.duplicate
        if missed:
            metrics.BACKFILLED.labels(connector.label, taken.recorded.state).inc()
            self._journal.recorded(connector.name, message.message_id, taken.recorded)
        if taken.asks is not None:
            await self.ask(connector, message, taken)
        return missed


def addresses(connector: Connector) -> list[str]:
    """What is asked for: the number on each channel; everything where a messaging service holds the numbers."""
    if connector.number is None:
        return [""]
    return [format_address(Channel(channel), connector.number) for channel in sorted(connector.line.channels)]


def time_of(message: Message) -> datetime | None:
    """When Twilio received it."""
    return message.date_sent or message.date_created


async def inbound(connector: Connector, one: Message) -> InboundMessage | None:
    """A listed message as a webhook would have brought it; None on a channel that is not known."""
    try:
        channel, sender = parse_address(one.from_)
        _, recipient = parse_address(one.to)
    except ValueError:
        return None
    message = InboundMessage(
        PROVIDER, one.account_sid or connector.credentials.account_sid, one.sid, channel, sender, recipient, one.body
    )
    message.keyword = keyword(channel, one.body)
    message.received_at = time_of(one)
    if one.num_media:
        message.media = await connector.client.list_media(one.sid)
    return message
