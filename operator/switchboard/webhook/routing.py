"""Which of a connector's messages reach the agent, and who gets the answer."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from switchboard.api.agent import ConnectorRoute
from switchboard.api.meta import E164
from switchboard.providers.base import Channel, InboundMessage

_PHONE_NUMBER = re.compile(E164)
_OF_A_SERVICE = re.compile(rf"{E164}|[0-9]{{3,8}}")
"""What a messaging service's numbers look like: E.164, or a short code."""


class Unrouted(StrEnum):
    """Why a verified message reaches no agent. It is counted, and Twilio is told that all is well."""

    ACCOUNT = "account"
    """Another account's: only a leaked token could have signed it, or a Secret that changed its account."""
    CHANNEL = "channel"
    """The connector does not take this channel."""
    NUMBER = "number"
    """Sent to another number than the connector's."""
    SENDER = "sender"
    """The sender is no phone number (a short code, a name), so nobody to talk to."""
    FROM = "from_filter"
    """The agent's route names another `fromNumber`."""
    TO = "to_filter"
    """The agent's route names another `toNumber`."""


@dataclass(frozen=True, slots=True)
class Line:
    """What of a connector decides on a message's way. `number` is None where a messaging service holds the numbers."""

    account: str
    number: str | None
    channels: Collection[str]
    by_service: bool
    """Whether SMS go through a messaging service, whose numbers are not named: any recipient is one of them."""
    from_filter: str | None
    to_filter: str | None
    reply_to: str | None
    """Every answer goes to this number instead of the sender's."""

    @classmethod
    def of(
        cls, route: ConnectorRoute, *, account: str, number: str | None, channels: Collection[str], by_service: bool
    ) -> Line:
        """A connector's line for an agent's `route`."""
        outbound = route.outbound
        return cls(
            account,
            number,
            frozenset(channels),
            by_service,
            route.inbound.from_number,
            route.inbound.to_number,
            None if outbound.use_sender_as_receiver else outbound.to_number,
        )

    def refuses(self, message: InboundMessage) -> Unrouted | None:
        """Why `message` is not for the agent; None if it is. The messaging service's SID has no say in it."""
        if message.account != self.account:
            return Unrouted.ACCOUNT
        if message.channel.value not in self.channels:
            return Unrouted.CHANNEL
        if message.recipient != self.number and not self._by_service(message):
            return Unrouted.NUMBER
        return self._filtered(message)

    def _by_service(self, message: InboundMessage) -> bool:
        return (
            self.by_service
            and message.channel is Channel.SMS
            and _OF_A_SERVICE.fullmatch(message.recipient) is not None
        )

    def _filtered(self, message: InboundMessage) -> Unrouted | None:
        if self.from_filter is not None and message.sender != self.from_filter:
            return Unrouted.FROM
        if self.to_filter is not None and message.recipient != self.to_filter:
            return Unrouted.TO
        return None if _PHONE_NUMBER.fullmatch(message.sender) else Unrouted.SENDER

    def receiver(self, contact: str) -> str:
        """Who gets the answer to `contact`."""
        return self.reply_to or contact
