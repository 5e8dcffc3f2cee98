"""What the conversation log keeps, with nothing of any store in it.

Plain slotted dataclasses. They are handed on, never changed. All times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar

from switchboard.api.conversation import (
    Direction,
    ExecutionError,
    ExecutionState,
    MessageState,
    Step,
    Usage,
)
from switchboard.api.meta import Channel
from switchboard.providers.base import DeliveryState

Intake = Literal["Waiting", "Held", "Refused", "Ignored", "Missed"]
"""What the receiver decided of an inbound message: answer it, keep it for approval, do not let it in, keep it
unanswered, or found too late."""


@dataclass(slots=True)
class Attachment:
    """A picture, sound or document. `size` is in bytes, once known."""

    url: str
    content_type: str
    size: int | None = None


@dataclass(slots=True)
class Inbound:
    """A message that arrived and is to be recorded."""

    provider: str
    account: str
    message_id: str
    """The provider's id. With provider and account it is the key: recorded twice, it is there once."""
    connector: str
    channel: Channel
    contact: str
    """The person's number, in E.164 (a short code stays as it is)."""
    sender: str
    recipient: str
    body: str
    state: Intake
    time: datetime | None = None
    """When the provider received it, if it says so. Default: now."""
    media: Sequence[Attachment] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """All else that the provider said of it."""
    contact_name: str | None = None
    keyword: Literal["Stop", "Start"] | None = None
    """STOP marks the contact opted out and cancels what waits. START clears that, and is itself unanswered only if it
    was set, or is `keyword_confirmed`."""
    keyword_confirmed: bool = False
    error: str | None = None
    """Why it is kept and not answered (`Ignored`, `Missed`), for a person: the message's `error`."""


@dataclass(slots=True)
class Recorded:
    """The message is durable, unless it was refused."""

    conversation: str
    """Name of its Conversation."""
    message: str
    """Its name: `in-<32 hex>`."""
    state: MessageState
    """Where it stands: what the receiver decided, or `Ignored` if the contact is opted out. Of a duplicate: where the
    first one stands now."""
    duplicate: bool = False
    stored: bool = True
    """False: the contact is refused, and what it writes is counted and not kept."""


@dataclass(slots=True)
class Conversation:
    """All messages between one contact and one connector on one channel."""

    name: str
    agent: str
    connector: str
    provider: str
    channel: Channel
    contact: str
    created: datetime
    revision: str | None = None
    """The AgentRevision whose workers take its turns."""
    contact_name: str | None = None
    opted_out: bool = False
    messages: int = 0
    """In both directions."""
    last_message_time: datetime | None = None
    last_message: str | None = None
    """The beginning of the last one, at most 100 characters."""


@dataclass(slots=True)
class Attempt:
    """An attempt to send, recorded before it is made."""

    id: str
    """`<message>.<n>`: stands in the status callback's URL, and finds the message again."""
    message: str
    number: int
    """From 1."""
    fence: int
    """The lease it was made under."""
    deadline: datetime
    """When its request has ended at the latest, one way or the other."""
    unconfirmed_after: datetime
    """Whoever holds the conversation then, and finds it neither confirmed nor refused, calls it `unknown`."""


@dataclass(slots=True)
class Message:
    """One message, in either direction."""

    name: str
    conversation: str
    direction: Direction
    sender: str
    recipient: str
    body: str
    time: datetime
    """When it was received or made."""
    sequence: int
    """Orders a conversation's messages: the order of durable receipt. Unique within it, not without gaps."""
    state: MessageState
    media: Sequence[Attachment] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    provider_message_id: str | None = None
    delivery: DeliveryState | None = None
    error_code: int | None = None
    error: str | None = None
    execution: str | None = None
    """The Execution that took it (inbound) or made it (outbound)."""
    attempt: Attempt | None = None
    """Outbound: the last attempt to send, until it is confirmed or refused."""
    attempts: int = 0
    not_before: datetime | None = None
    """Outbound: when the next attempt may be made."""


@dataclass(slots=True)
class Execution:
    """One run of an agent."""

    name: str
    """Idempotency key of all that the engine does: it stays the same over retries and workers."""
    conversation: str
    agent: str
    revision: str
    messages: Sequence[str]
    """Names of the inbound messages that it answers, in order."""
    state: ExecutionState
    start_time: datetime
    attempts: int = 1
    """Which attempt runs, from 1; raised whenever a worker takes it up again."""
    end_time: datetime | None = None
    not_before: datetime | None = None
    """Retrying: when the next attempt may be made."""
    engine: str | None = None
    model: str | None = None
    usage: Usage | None = None
    steps: Sequence[Step] = ()
    error: ExecutionError | None = None
    trace_id: str | None = None


@dataclass(slots=True)
class Turn:
    """A conversation's turn under a lease. Exactly one of two things is to be done: run it, or send what it made.

    `execution` is Running: run the engine on `messages`, then `finish`, or `retry`, and send what `finish` gives.
    `execution` has ended: send `outbound`, in order; the sender of a part with an `attempt` died or got no answer.
    """

    conversation: Conversation
    execution: Execution
    messages: Sequence[Message]
    """The inbound messages that the execution answers, in order."""
    outbound: Sequence[Message]
    """Parts in state Sending, in order."""
    holder: str
    fence: int
    """Raised each time the lease changes hands; a write with a lower one is refused."""
    expires: datetime
    """When another worker may take it."""

    @property
    def runs(self) -> bool:
        """Whether the engine is to be run, rather than parts to be sent."""
        return self.execution.state in {"Running", "Retrying"}


@dataclass(slots=True)
class Reply:
    """A part of an answer that is to be sent."""

    sender: str
    recipient: str
    body: str


@dataclass(slots=True)
class Outcome:
    """How an execution ended (or, for `retry`, how this attempt did)."""

    state: Literal["Succeeded", "Failed", "Cancelled"] = "Succeeded"
    """Its messages become Answered, Failed or Ignored."""
    engine: str | None = None
    model: str | None = None
    usage: Usage | None = None
    steps: Sequence[Step] = ()
    error: ExecutionError | None = None
    trace_id: str | None = None


@dataclass(slots=True)
class DeliveryNews:
    """What the provider says of a message that was sent, by callback or by look-up.

    `attempt` is what stands in the callback's URL; without it the message is found by `message_id`.
    """

    message_id: str
    state: DeliveryState
    attempt: str | None = None
    error_code: int | None = None
    error: str | None = None
    connector: str | None = None
    """Whose news it is: it changes no message of another connector, whose account may be another's. None: not asked."""


DeliveryResult = Literal["Adopted", "Applied", "Stale", "Contradicted", "Unknown"]
"""Adopted: the id was not known, now it is. Applied: newer news. Stale: older than what is known. Contradicted: the
message was sent under another id already (tell somebody). Unknown: no such message or attempt is kept."""


@dataclass(slots=True)
class Query:
    """What to list. What is None does not restrict."""

    agent: str | None = None
    """Default: the agent that the log was opened for."""
    provider: str | None = None
    connector: str | None = None
    channel: Channel | None = None
    contact: str | None = None
    conversation: str | None = None
    since: datetime | None = None
    """This time and later: a message's `time`, an execution's `start_time`, a conversation's `last_message_time`."""
    until: datetime | None = None
    """Earlier than this time."""


T = TypeVar("T")


@dataclass(slots=True)
class Page(Generic[T]):
    """A part of a list, newest first."""

    items: Sequence[T]
    next: str | None = None
    """Give it back as `cursor` for what follows. None: this was the last page."""


@dataclass(slots=True)
class Backfill:
    """The lease on looking for what a connector received and the log does not know."""

    connector: str
    holder: str
    fence: int
    expires: datetime
    cursor: datetime | None
    """All that the provider received before is known to be recorded. None: never looked."""
    forgotten: datetime | None = None
    """Of what was received until then, some was recorded, and deleted for want of room: what is not known need not have
    been missed. None: nothing was."""
