"""What a messaging provider takes and gives, with nothing of any provider in it.

Plain slotted dataclasses: one is made for every text that arrives, and a frozen one costs four times as much to make.
They are handed on, never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Channel(StrEnum):
    """How a message travels; the values are those of `TwilioConnector.spec.channels`."""

    SMS = "SMS"
    WHATSAPP = "WhatsApp"


class Keyword(StrEnum):
    """The family of a single-word text that the carrier rules give a meaning to."""

    STOP = "Stop"
    START = "Start"
    HELP = "Help"


class DeliveryState(StrEnum):
    """Where an outbound message is. `rank` orders them: a callback is applied only if its rank is higher."""

    QUEUED = "Queued"
    SENDING = "Sending"
    SENT = "Sent"
    DELIVERED = "Delivered"
    UNDELIVERED = "Undelivered"
    FAILED = "Failed"
    CANCELED = "Canceled"
    READ = "Read"

    @property
    def rank(self) -> int:
        """0 queued, 1 sending, 2 sent, 3 delivered or any failure, 4 read."""
        return _RANKS[self]

    @property
    def final(self) -> bool:
        """Whether the provider has said all there is to say about delivery (a `Read` may still follow `Delivered`)."""
        return self.rank >= 3

    @property
    def failed(self) -> bool:
        return self in {DeliveryState.UNDELIVERED, DeliveryState.FAILED, DeliveryState.CANCELED}

    def supersedes(self, known: "DeliveryState | None") -> bool:
        """Whether this news is newer than what is `known`: by rank, never backwards, first failure kept."""
        return known is None or self.rank > known.rank


_RANKS = {
    DeliveryState.QUEUED: 0,
    DeliveryState.SENDING: 1,
    DeliveryState.SENT: 2,
    DeliveryState.DELIVERED: 3,
    DeliveryState.UNDELIVERED: 3,
    DeliveryState.FAILED: 3,
    DeliveryState.CANCELED: 3,
    DeliveryState.READ: 4,
}


@dataclass(slots=True)
class Media:
    """A file that came with a message. `url` needs the account's credentials; fetch it with `MediaSource`."""

    url: str
    content_type: str


@dataclass(slots=True)
class Location:
    """A place that a WhatsApp user shared; degrees."""

    latitude: float
    longitude: float
    address: str = ""
    label: str = ""


@dataclass(slots=True)
class Button:
    """The quick reply that a WhatsApp user pressed."""

    text: str
    payload: str = ""


@dataclass(slots=True)
class Quote:
    """The earlier message that this one answers."""

    message_id: str
    sender: str = ""


@dataclass(slots=True)
class InboundMessage:
    """A text as it arrived. `sender` and `recipient` are E.164, without a channel prefix; or a short code."""

    provider: str
    account: str
    message_id: str
    channel: Channel
    sender: str
    recipient: str
    body: str
    media: list[Media] = field(default_factory=list)
    contact_name: str = ""
    keyword: Keyword | None = None
    keyword_confirmed: bool = False
    """The provider itself said that it acted on the keyword (Twilio's `OptOutType`)."""
    location: Location | None = None
    button: Button | None = None
    reply_to: Quote | None = None
    forwarded: bool = False
    received_at: datetime | None = None
    """Only when it was found by a listing; a webhook does not say."""
    parameters: list[tuple[str, str]] = field(default_factory=list)
    """Everything the provider sent, in its order, known or not."""


@dataclass(slots=True)
class OutboundMessage:
    """A text to send. One of `sender` (E.164) and `service` (the provider's id of a pool of senders) is needed."""

    channel: Channel
    recipient: str
    body: str
    sender: str = ""
    service: str = ""
    media_urls: Sequence[str] = ()
    status_callback: str = ""


@dataclass(slots=True)
class SendResult:
    """The provider took the message over under `message_id`; whether it arrives is for a `DeliveryUpdate` to say."""

    message_id: str
    state: DeliveryState
    segments: int = 0


@dataclass(slots=True)
class DeliveryUpdate:
    """News of an outbound message. `error_code` and `error` (a sentence, with the mend) only on failure."""

    message_id: str
    state: DeliveryState
    error_code: int | None = None
    error: str = ""


@dataclass(slots=True)
class MediaContent:
    """A downloaded file: its bytes and the type that the server gave it."""

    content: bytes
    content_type: str


class MediaSource(Protocol):
    """Fetches what came with a text, with the account's credentials and within bounds."""

    async def download(self, media: Media, *, max_bytes: int, types: Sequence[str] = ()) -> MediaContent: ...
