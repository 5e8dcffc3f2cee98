"""Replies on their way: each attempt recorded before it is made, and none repeated whose outcome is not known."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from switchboard.log.errors import LogUnavailable, OptedOut
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Attempt, DeliveryNews, Message, Turn
from switchboard.providers.base import Channel
from switchboard.providers.errors import (
    CredentialsError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from switchboard.providers.twilio.inbound import delivery_state, format_address
from switchboard.providers.twilio.resources import Message as Listed
from switchboard.telemetry import traces
from switchboard.webhook import metrics
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.lease import Held

log = logging.getLogger(__name__)

WINDOW = timedelta(hours=24)
"""How long after a person wrote WhatsApp takes free text: https://www.twilio.com/docs/whatsapp/key-concepts"""
WINDOW_CLOSED = "WindowClosed: WhatsApp takes free text only within 24 hours after the person wrote."
_MARGIN = 2.0
"""Seconds between the end of a request and the deadline that a successor waits for."""
SENDS_MAX = 3
"""Attempts to send a reply, whatever became of them, after which one in doubt is not sent again."""
_LOOK_UP = 50
_CLOCKS = timedelta(seconds=30)
_OTHERS = timedelta(minutes=10)
"""How much earlier than an attempt one may have been made that was put off, and made at about the same time."""

Telling = Callable[[Connector | None, Message], Awaitable[None]]
"""Tells people of a reply that nobody confirmed."""


def window_closed(turn: Turn, now: datetime) -> bool:
    """Whether a reply to `turn` comes too late for WhatsApp."""
    if turn.conversation.channel != "WhatsApp" or not turn.messages:
        return False
    return now - max(message.time for message in turn.messages) >= WINDOW


def pause(attempts: int, retry_after: float | None) -> float:
    """Seconds before the next attempt: doubling to a minute, with jitter, and never sooner than Twilio asks."""
    longest = min(60.0, 0.5 * 2.0 ** min(attempts - 1, 10))
    return max(retry_after or 0.0, random.uniform(longest / 2, longest))  # noqa: S311 - jitter


@dataclass(slots=True)
class Sender:
    """Sends the parts of a turn, in order."""

    conversations: ConversationLog
    connectors: Connectors
    seconds: float
    """That one request may take."""
    most_attempts: int
    tell: Telling
    resend: bool = False
    """Whether what nobody confirmed is sent again, and may thereby come twice."""

    async def send(self, held: Held) -> None:
        """Sends what the turn made, until all is settled or something has to wait. Raises LeaseLost."""
        for message in list(held.turn.outbound):
            connector = self.connectors.by_name.get(held.turn.conversation.connector)
            settled = self._without(held, message) if connector is None else self._settle(held, connector, message)
            if not await settled:
                return

    async def _without(self, held: Held, message: Message) -> bool:
        """As `_settle`, where this pod does not know the connector."""
        now = datetime.now(UTC)
        due = message.not_before if message.attempt is None else message.attempt.unconfirmed_after
        if due is not None and due > now:
            return False
        wait = self.connectors.awaited(held.turn.conversation.connector, message.time)
        if wait is not None:
            return await self._elsewhere(held, message, now + timedelta(seconds=wait))
        if message.attempt is not None:
            return await self._doubt(held, None, message, message.attempt, ended=True)
        return await self._cancel(held, message, "", _NO_CONNECTOR)

    async def _settle(self, held: Held, connector: Connector, message: Message) -> bool:
        """Whether the next part may be seen to."""
        now = datetime.now(UTC)
        if message.attempt is not None:
            ended = now >= message.attempt.deadline
            return await self._doubt(held, connector, message, message.attempt, ended=ended)
        if message.not_before is not None and message.not_before > now:
            return False
        if window_closed(held.turn, now):
            return await self._cancel(held, message, connector.label, WINDOW_CLOSED)
        try:
            attempt = await held.write(
                "begin_attempt",
                lambda turn: self.conversations.begin_attempt(turn, message, seconds=self.seconds + _MARGIN),
            )
        except OptedOut:
            metrics.SENDS.labels(connector.label, "opted_out").inc()
            return True
        posting = asyncio.ensure_future(self._post(held, connector, message, attempt))
        try:
            return await asyncio.shield(posting)
        except asyncio.CancelledError:
            await asyncio.wait({posting})  # it ends by its deadline, and what Twilio said must not be lost
            raise

    async def _elsewhere(self, held: Held, message: Message, at: datetime) -> bool:
        """Another pod made it, so it had the connector; no attempt is made here."""
        metrics.SENDS.labels("", "elsewhere").inc()
        log.info("a reply is left for later", extra={"message_name": message.name, "why": _ELSEWHERE})
        await held.write("postpone", lambda turn: self.conversations.postpone(turn, message, error=_ELSEWHERE, at=at))
        return False

    async def _cancel(self, held: Held, message: Message, label: str, why: str) -> bool:
        """Not to be sent at all."""
        await held.write("cancel", lambda turn: self.conversations.cancel(turn, message, error=why))
        metrics.SENDS.labels(label, "window_closed" if why is WINDOW_CLOSED else "no_connector").inc()
        return True

    async def _post(self, held: Held, connector: Connector, message: Message, attempt: Attempt) -> bool:
        conversation = held.turn.conversation
        within = (attempt.deadline - datetime.now(UTC)).total_seconds() - _MARGIN
        if within <= 0:  # this process stood still; it surely sent nothing, if a successor still wants to hear of it
            late = UnavailableError("The attempt's time was over before it began.", reason="TooLate")
            return await self._put_off(held, connector, attempt, late)
        text = connector.outbound(Channel(conversation.channel), message, attempt.id)
        fields = {"connector": connector.name, "attempt": attempt.id}
        try:
            with traces.span(
                "send", None, {"switchboard.attempt": attempt.id, "switchboard.connector": connector.name}
            ):
                result = await connector.client.send(text, within=min(within, self.seconds))
        except RejectedError as error:
            if isinstance(error, CredentialsError) and attempt.number < self.most_attempts:
                self.connectors.refresh()  # a token may just have been rotated
                return await self._put_off(held, connector, attempt, error)
            log.warning("Twilio refused a reply", extra={**fields, "code": error.code, "error": str(error)})
            metrics.SENDS.labels(connector.label, "refused").inc()
            await self._refuse(held, attempt, error)
            return True
        except UnavailableError as error:
            return await self._put_off(held, connector, attempt, error)
        except OutcomeUnknownError as error:
            log.warning("nobody knows whether a reply was sent", extra={**fields, "error": str(error)})
            metrics.SENDS.labels(connector.label, "in_doubt").inc()
            return await self._doubt(held, connector, message, attempt, ended=True)
        log.info("reply sent", extra={**fields, "sid": result.message_id, "segments": result.segments})
        metrics.SENDS.labels(connector.label, "sent").inc()
        if held.turn.messages:
            waited = datetime.now(UTC) - held.turn.messages[-1].time
            metrics.REPLY_SECONDS.observe(max(0.0, waited.total_seconds()))
        await held.write(
            "confirm", lambda turn: self.conversations.confirm(turn, attempt, result.message_id, result.state)
        )
        return True

    async def _put_off(
        self, held: Held, connector: Connector, attempt: Attempt, error: UnavailableError | CredentialsError
    ) -> bool:
        """Twilio surely did not take it: again later, or, after too many attempts, not at all."""
        over = attempt.number >= self.most_attempts
        wait = pause(attempt.number, error.retry_after)
        retry_at = None if over else datetime.now(UTC) + timedelta(seconds=wait)
        metrics.SENDS.labels(connector.label, "given_up" if over else "put_off").inc()
        log.warning(
            "a reply is given up" if over else "a reply is put off",
            extra={
                "connector": connector.name,
                "attempt": attempt.id,
                "seconds": round(wait, 1),
                "error": str(error),
            },
        )
        await self._refuse(held, attempt, error, retry_at)
        return over

    async def _refuse(
        self, held: Held, attempt: Attempt, error: ProviderError, retry_at: datetime | None = None
    ) -> None:
        said = f"{error.reason}: {error}"
        await held.write(
            "refuse",
            lambda turn: self.conversations.refuse(turn, attempt, code=error.code, error=said, retry_at=retry_at),
        )

    async def _doubt(
        self, held: Held, connector: Connector | None, message: Message, attempt: Attempt, *, ended: bool
    ) -> bool:
        """An attempt that nobody confirmed: found at Twilio, or waited for, or told. Made again only if that was asked.

        `ended`: its request is surely over.
        """
        if ended and connector is not None:
            found = await self._look_up(held.turn, connector, message, attempt)
            if found is not None:
                await held.write("deliver", lambda _turn: self.conversations.deliver(found))
                log.info("a reply was found at Twilio", extra={"attempt": attempt.id, "sid": found.message_id})
                metrics.SENDS.labels(connector.label, "found").inc()
                return True
        if datetime.now(UTC) < attempt.unconfirmed_after:
            return False
        if self.resend and connector is not None and attempt.number < SENDS_MAX:
            return await self._send_again(held, connector, message, attempt)
        said = "DeliveryUnknown: nobody confirmed that Twilio took it. It was not sent again."
        await held.write("unknown", lambda turn: self.conversations.unknown(turn, attempt, error=said))
        label = connector.label if connector else ""
        metrics.DELIVERY_UNKNOWN.labels(label).inc()
        metrics.SENDS.labels(label, "unknown").inc()
        log.error("a reply may not have been sent", extra={"attempt": attempt.id, "message_name": message.name})
        await self.tell(connector, message)
        return True

    async def _send_again(self, held: Held, connector: Connector, message: Message, attempt: Attempt) -> bool:
        said = "DeliveryUnknown: nobody confirmed that Twilio took it. It is sent again, as turn.resendUnknown asks."
        await held.write("unknown", lambda turn: self.conversations.unknown(turn, attempt, error=said, again=True))
        metrics.SENDS.labels(connector.label, "sent_again").inc()
        log.warning("a reply that may have been sent is sent again", extra={"attempt": attempt.id})
        return await self._settle(held, connector, replace(message, attempt=None, attempts=attempt.number))

    async def _look_up(
        self, turn: Turn, connector: Connector, message: Message, attempt: Attempt
    ) -> DeliveryNews | None:
        """The message at Twilio that this attempt made, if it can be told. That there is none proves nothing.

        Where another message of the same words, to the same number, is in doubt too, nobody can tell whose it is: only
        callbacks can, which name the attempt.
        """
        channel = Channel(turn.conversation.channel)
        earliest = attempt.deadline - timedelta(seconds=self.seconds + _MARGIN) - _CLOCKS
        until = attempt.deadline + _CLOCKS
        try:
            listed = await connector.client.list_messages(to=format_address(channel, message.recipient), limit=_LOOK_UP)
            sender = connector.sender(channel)
            found = [one for one in listed if _fits(one, message.body, sender) and _between(one, earliest, until)]
            if not found:
                return None
            # In this order: what is confirmed between the two questions is in one of the answers.
            others = await self.conversations.in_doubt(message.recipient, since=earliest - _OTHERS)
            recorded = await self.conversations.sent([one.sid for one in found])
        except (ProviderError, LogUnavailable) as error:
            log.info("a look-up at Twilio failed", extra={"error": str(error)})
            return None
        left = [one for one in reversed(found) if one.sid not in recorded]  # attempts were made in order
        rivals = [other for other in others if other.name != message.name]
        if any(_ends(one.body, other.body) for one in left for other in rivals):
            log.info("what is at Twilio may be one of several replies", extra={"attempt": attempt.id})
            return None
        for one in left:
            state = delivery_state(one.status)
            if state is not None:
                return DeliveryNews(one.sid, state, attempt.id, one.error_code)
        return None


def _fits(listed: Listed, body: str, sender: str | None) -> bool:
    return not listed.inbound and (not sender or listed.from_ in {"", sender}) and _ends(listed.body, body)


def _ends(text: str, body: str) -> bool:
    """A trial account's texts begin with a sentence of Twilio's."""
    return text.rstrip().endswith(body.rstrip())


def _between(listed: Listed, earliest: datetime, until: datetime) -> bool:
    return listed.date_created is not None and earliest <= listed.date_created <= until


_NO_CONNECTOR = "ConnectorUnavailable: the agent does not use this connector any more."
_ELSEWHERE = "ConnectorUnavailable: left to pods that know the connector."
