"""Replies whose delivery nobody told to its end: looked up at Twilio, a few times in all.

A status callback that finds no pod is lost. So each reply is looked at when it has a certain age, and once more at each
of the ages that follow; a carrier that reports no delivery at all costs no more than that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.log.errors import LogError
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import DeliveryNews
from switchboard.providers.errors import NotFoundError, ProviderError
from switchboard.providers.twilio.codes import describe
from switchboard.providers.twilio.inbound import delivery_state
from switchboard.webhook import metrics
from switchboard.webhook.connectors import Connector

log = logging.getLogger(__name__)

LOOKS_MAX = 50
"""Requests of one look, one after the other; replies beyond them are left to their next age. Twilio bounds an account's
requests at a time, and answers 429 (20429) over that: the look ends there."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Looks replies up by their SID."""

    conversations: ConversationLog
    ages: Sequence[timedelta]
    """At each of which a reply is looked up."""

    async def look(self, connector: Connector, since: datetime, until: datetime, *, seconds: float) -> None:
        """Looks up the replies that came to one of the ages between these times, for at most `seconds`."""
        looked = 0
        try:
            async with asyncio.timeout(seconds):
                for begin, end in windows(self.ages, since, until):
                    kept = await self.conversations.undelivered(
                        connector.name, since=begin, until=end, limit=LOOKS_MAX - looked
                    )
                    for message in kept:
                        if message.provider_message_id is not None:
                            looked += 1
                            await self._settle(connector, message.provider_message_id)
        except (ProviderError, LogError, TimeoutError) as error:
            log.info(
                "looking up deliveries ended early",
                extra={"connector": connector.name, "looked": looked, "error": str(error)},
            )

    async def _settle(self, connector: Connector, sid: str) -> None:
        try:
            found = await connector.client.read_message(sid)
        except NotFoundError:  # somebody deleted it there: no reason to leave the others alone
            metrics.LOOKS.labels(connector.label, "not_found").inc()
            return
        state = delivery_state(found.status)
        if state is None:
            return
        code = found.error_code or None
        result = await self.conversations.deliver(
            DeliveryNews(sid, state, None, code, describe(code) if code is not None else None)
        )
        metrics.LOOKS.labels(connector.label, result.lower()).inc()
        if result == "Applied":
            metrics.DELIVERIES.labels(connector.label, state.value).inc()


def windows(ages: Sequence[timedelta], since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When the replies were made that came to each of the ages after `since` and up to `until`, none of them twice."""
    before = until
    for age in sorted(ages):
        end = min(until - age, before)
        begin = since - age
        if begin < end:
            yield begin, end
            before = begin
