"""From a provider's message to a record: whether it is answered, held, refused or kept unanswered is decided here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal, NamedTuple

from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Attachment, Inbound, Intake, Recorded
from switchboard.providers.base import InboundMessage, Keyword
from switchboard.webhook import metrics
from switchboard.webhook.access import Verdict
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.limits import RateLimiter
from switchboard.webhook.requests import Asker, Decisions

BOT = "The sender is itself a connector's number: two agents do not talk to each other."
RATE = "The contact wrote faster than its rate allows."
MISSED = "It was found at Twilio too long after it was sent."

_STORED_APART = frozenset({"AccountSid", "MessageSid", "SmsSid", "SmsMessageSid", "From", "To", "Body", "ProfileName"})


class Taken(NamedTuple):
    """A message that was recorded, and what is still to be done for it."""

    recorded: Recorded
    asks: Asker | None
    """Who is to be let in by a person, if that is so."""


Asking = Callable[[Connector, InboundMessage, Taken], Awaitable[None]]
"""Has a person asked whether the sender may be let in. Raises KubeError, LogError or TimeoutError where it is not."""


class Desk:
    """Decides what becomes of each message, and has it recorded."""

    def __init__(
        self,
        log: ConversationLog,
        connectors: Connectors,
        decisions: Decisions,
        limiter: RateLimiter,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._connectors = connectors
        self._decisions = decisions
        self._limiter = limiter
        self._clock = clock

    async def take(
        self,
        connector: Connector,
        message: InboundMessage,
        *,
        received: datetime | None = None,
        missed: bool = False,
    ) -> Taken:
        """Records a message that the connector's route takes; durable when this returns.

        Raises:
            LogError: it is not recorded.
        """
        contact = message.sender
        state, why = self._state(connector, message, missed=missed)
        keyword = message.keyword
        recorded = await self._log.record(
            Inbound(
                provider=message.provider,
                account=message.account,
                message_id=message.message_id,
                connector=connector.name,
                channel=message.channel.value,
                contact=contact,
                sender=contact,
                recipient=message.recipient,
                body=message.body,
                state=state,
                time=received,
                media=[Attachment(file.url, file.content_type) for file in message.media],
                attributes=attributes(message.parameters),
                contact_name=message.contact_name[:200] or None,
                keyword=_KEYWORDS.get(keyword) if keyword is not None else None,
                keyword_confirmed=message.keyword_confirmed,
                error=why,
            )
        )
        found_before = received is not None and not recorded.stored
        if not recorded.duplicate and not found_before:
            metrics.message(connector.label, recorded.state).inc()
        asks = Asker(connector.name, contact) if recorded.state == "Held" else None
        return Taken(recorded, asks)

    def _state(self, connector: Connector, message: InboundMessage, *, missed: bool) -> tuple[Intake, str | None]:
        contact = message.sender
        verdict = connector.door.decide(contact, self._decisions.decision(connector.name, contact))
        if verdict is Verdict.REFUSE:
            return "Refused", None
        if message.keyword is Keyword.STOP:
            return "Ignored", None
        if contact in self._connectors.numbers:
            return "Ignored", BOT
        if missed:
            return "Missed", MISSED
        return self._admitted(connector, contact, verdict)

    def _admitted(self, connector: Connector, contact: str, verdict: Verdict) -> tuple[Intake, str | None]:
        if verdict is Verdict.HOLD:
            return ("Refused" if self._too_many(connector, contact) else "Held"), None
        if not self._limiter.take((connector.name, contact), self._clock()):
            return "Ignored", RATE
        return "Waiting", None

    def _too_many(self, connector: Connector, contact: str) -> bool:
        """Whether nobody can be asked for one more stranger: what nobody could let in is counted, and not kept."""
        if self._decisions.may_ask(Asker(connector.name, contact), connector.max_pending, self._clock()):
            return False
        metrics.ACCESS_REQUESTS.labels(connector.label, "full").inc()
        return True


_KEYWORDS: dict[Keyword, Literal["Stop", "Start"]] = {Keyword.STOP: "Stop", Keyword.START: "Start"}


def attributes(parameters: list[tuple[str, str]]) -> dict[str, str]:
    """What a provider said of a message besides what is stored apart, known or not; the log keeps it within bounds."""
    return {name: value for name, value in parameters if value and name not in _STORED_APART}
