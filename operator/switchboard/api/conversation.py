"""Conversation, Message and Execution: the conversation log as custom resources (backend `Resources`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from switchboard.api.meta import AGE, Channel, Column, Model, Names, ObjectName, Resource

BODY_MAX = 65_536
"""Characters of a message's text: Twilio takes 1,600; an engine's answer may be longer before it is split."""

Provider = Literal["twilio"]
Direction = Literal["Inbound", "Outbound"]
MessageState = Literal[
    "Received",  # inbound: durable, access not decided
    "Held",  # inbound: the contact waits for approval
    "Waiting",  # inbound: to be answered
    "Working",  # inbound: part of a running turn
    "Answered",  # inbound: its turn ended with a reply
    "Ignored",  # inbound: kept, never answered (STOP and the like, another connector's number, …)
    "Refused",  # inbound: the contact is not let in
    "Missed",  # inbound: found too late to be answered
    "Failed",  # inbound: its turn failed; outbound: Twilio refused it
    "Sending",  # outbound: recorded, not yet confirmed
    "Sent",  # outbound: Twilio took it
    "DeliveryUnknown",  # outbound: nobody confirmed it; not sent again
    "Cancelled",  # outbound: not sent (opted out, agent removed)
]
Delivery = Literal["Queued", "Sending", "Sent", "Delivered", "Undelivered", "Failed", "Canceled", "Read"]
Intake = Literal["Waiting", "Held", "Ignored", "Missed"]
ExecutionState = Literal["Running", "Retrying", "Succeeded", "Failed", "Cancelled"]


Address = Annotated[
    str, Field(max_length=64, description="A number in E.164; a short code or an alphanumeric sender as it is.")
]


class ConversationSpec(Model):
    """Between whom."""

    connector: ObjectName
    """The connector."""
    provider: Provider = "twilio"
    """Who carries the messages."""
    channel: Channel
    """SMS or WhatsApp."""
    contact: Address
    """The person."""
    agent: ObjectName
    """The Agent that answers."""


class Lease(Model):
    """Who works on an execution. A higher fence wins."""

    holder: str = Field(max_length=253)
    """The pod."""
    fence: int = Field(ge=0)
    """Raised each time the lease changes hands."""
    expires: datetime
    """When another may take it."""


class ConversationStatus(Model):
    """How far it is."""

    messages: int = Field(default=0, ge=0)
    """Messages in both directions."""
    last_message_time: datetime | None = None
    """When the last one was."""
    last_message: str | None = Field(default=None, max_length=100)
    """The beginning of the last one."""
    contact_name: str | None = Field(default=None, max_length=200)
    """The name that WhatsApp gives."""
    opted_out: bool = False
    """Whether the contact sent STOP."""
    revision: str | None = None
    """The AgentRevision whose pods take its turns."""


class Conversation(Resource):
    """All messages between one contact and one connector on one channel."""

    names: ClassVar[Names] = Names(
        kind="Conversation",
        plural="conversations",
        short=("conv",),
        columns=(
            Column("Contact", ".spec.contact", description="The person."),
            Column("Channel", ".spec.channel", description="SMS or WhatsApp."),
            Column("Agent", ".spec.agent", description="The Agent that answers."),
            Column("Messages", ".status.messages", "integer", description="In both directions."),
            Column("Last", ".status.lastMessageTime", "date", description="When the last one was."),
            AGE,
            Column("Connector", ".spec.connector", priority=1, description="The connector."),
            Column("Revision", ".status.revision", priority=1, description="Whose pods take its turns."),
            Column("Text", ".status.lastMessage", priority=1, description="The beginning of the last message."),
        ),
        selectable=(
            ".spec.agent",
            ".spec.connector",
            ".spec.contact",
            ".spec.channel",
            ".spec.provider",
            ".status.revision",
        ),
    )
    spec: ConversationSpec
    """Between whom."""
    status: ConversationStatus = ConversationStatus()
    """How far it is."""


class MediaItem(Model):
    """A picture, sound or document."""

    url: str = Field(max_length=2048)
    """Where it is."""
    content_type: str = Field(default="application/octet-stream", max_length=255)
    """Its media type."""
    size: int | None = Field(default=None, ge=0)
    """Its size in bytes, once known."""


class MessageSpec(Model):
    """What was said. Never changes."""

    conversation: ObjectName
    """Its Conversation."""
    direction: Direction
    """Inbound from the contact, Outbound to it."""
    connector: ObjectName
    """The connector that received it, or sends it."""
    channel: Channel
    """SMS or WhatsApp."""
    body: str = Field(default="", max_length=BODY_MAX)
    """The text."""
    media: Annotated[list[MediaItem], Field(max_length=10)] = []
    """Pictures and the like."""
    provider_message_id: str | None = Field(default=None, max_length=64)
    """Inbound: the provider's id."""
    from_: Address = Field(alias="from")
    """The sender's number."""
    to: Address
    """The receiver's number."""
    contact_name: str | None = Field(default=None, max_length=200)
    """Inbound: the name that WhatsApp gives."""
    intake: Intake | None = None
    """Inbound: what was decided when it came. What became of it since is `status.state`."""
    reason: str | None = Field(default=None, max_length=1024)
    """Inbound: why it is kept and not answered."""
    time: datetime
    """When it was received or made."""
    sequence: int = Field(default=0, ge=0)
    """Its place in the conversation: the order of durable receipt."""
    attributes: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=200)] = {}
    """All else that the provider said of it (location, button, profile name …)."""


class SendAttempt(Model):
    """An attempt to send, recorded before it is made."""

    id: str = Field(max_length=63)
    """Stands in its status callback's URL."""
    fence: int = Field(ge=0)
    """The lease it was made under."""
    deadline: datetime
    """When its request has ended at the latest."""
    unconfirmed_after: datetime
    """When it is `DeliveryUnknown`, if nobody has confirmed it."""


class MessageStatus(Model):
    """What became of it."""

    state: MessageState | None = None
    """Where it is on its way."""
    delivery: Delivery | None = None
    """Outbound: what the provider last said."""
    provider_message_id: str | None = Field(default=None, max_length=64)
    """Outbound: the provider's id."""
    error_code: int | None = None
    """The provider's error code."""
    error: str | None = Field(default=None, max_length=1024)
    """What that means, and what to do."""
    execution: str | None = None
    """The Execution that took or made it."""
    attempt: SendAttempt | None = None
    """Outbound: the last attempt to send."""
    attempts: int = Field(default=0, ge=0)
    """Outbound: how many there were."""
    not_before: datetime | None = None
    """Outbound: when the next attempt may be made."""
    fence: int = Field(default=0, ge=0)
    """Outbound: the lease it was last taken over under."""


class Message(Resource):
    """One message, in either direction."""

    names: ClassVar[Names] = Names(
        kind="Message",
        plural="messages",
        short=("msg",),
        columns=(
            Column("Direction", ".spec.direction", description="Inbound from the contact, Outbound to it."),
            Column("Channel", ".spec.channel", description="SMS or WhatsApp."),
            Column("From", ".spec.from", description="The sender."),
            Column("To", ".spec.to", description="The receiver."),
            Column("State", ".status.state", description="Where it is on its way."),
            Column("Delivery", ".status.delivery", description="What the provider last said."),
            Column("Execution", ".status.execution", description="The Execution that took or made it."),
            AGE,
            Column("Body", ".spec.body", priority=1, description="The text."),
            Column("Error", ".status.error", priority=1, description="What went wrong."),
        ),
        selectable=(".spec.conversation", ".spec.direction", ".status.state", ".status.execution"),
    )
    spec: MessageSpec
    """What was said."""
    status: MessageStatus = MessageStatus()
    """What became of it."""


COUNT_MAX = 2**53 - 1
"""The largest whole number that every reader of JSON keeps."""


class Usage(Model):
    """What an execution spent."""

    requests: int = Field(default=0, ge=0)
    """Requests to the model or endpoint."""
    tool_calls: int = Field(default=0, ge=0)
    """Calls of tools."""
    input_tokens: int = Field(default=0, ge=0)
    """Tokens in."""
    output_tokens: int = Field(default=0, ge=0)
    """Tokens out."""


class Step(Model):
    """One step of an execution."""

    kind: Literal["ModelRequest", "ToolCall", "EndpointRequest", "Rule"]
    """What it was."""
    name: str = Field(default="", max_length=200)
    """The model, tool, endpoint or rule."""
    start_time: datetime | None = None
    """When it began."""
    milliseconds: int | None = Field(default=None, ge=0)
    """How long it took."""
    arguments: str | None = Field(default=None, max_length=4096)
    """A tool's arguments, as JSON, cut at the bound."""
    result: str | None = Field(default=None, max_length=4096)
    """What came back, cut at the bound."""
    error: str | None = Field(default=None, max_length=1024)
    """What went wrong."""


class ExecutionError(Model):
    """Why an execution failed."""

    kind: str = Field(max_length=100)
    """One CamelCase word: Timeout, RateLimited, EngineUnavailable, UsageLimitExceeded, WindowClosed …"""
    message: str = Field(default="", max_length=4096)
    """What a person should know."""


class Reply(Model):
    """A part of an answer."""

    from_: Address = Field(alias="from")
    """The sender's number."""
    to: Address
    """The receiver's number."""
    body: str = Field(max_length=BODY_MAX)
    """The text."""


class ExecutionSpec(Model):
    """What was to be answered, and by what."""

    agent: ObjectName
    """The Agent."""
    revision: ObjectName
    """The AgentRevision that ran it."""
    conversation: ObjectName
    """The Conversation."""
    messages: Annotated[list[ObjectName], Field(max_length=1000)] = []
    """The inbound messages of the turn."""
    start_time: datetime | None = None
    """When it was begun, by the clock of who began it."""
    lease: Lease | None = None
    """Who began it. Who works on it since is `status.lease`."""
    announcement: Reply | None = None
    """A text that no engine made, to be sent as it is."""


class ExecutionStatus(Model):
    """How it went."""

    state: ExecutionState | None = None
    """Running, Retrying, Succeeded, Failed or Cancelled."""
    start_time: datetime | None = None
    """When the first attempt began."""
    end_time: datetime | None = None
    """When it ended."""
    duration: str | None = None
    """How long it took, for people: `1.2s`."""
    attempts: int = Field(default=0, ge=0)
    """How many attempts there were."""
    engine: str | None = None
    """model, endpoint or script."""
    model: str | None = None
    """The model that answered."""
    usage: Usage | None = None
    """What it spent."""
    steps: Annotated[list[Step], Field(max_length=100)] = []
    """What it did, in order."""
    error: ExecutionError | None = None
    """Why it failed."""
    trace_id: str | None = Field(default=None, max_length=64)
    """Finds it in logs and traces."""
    not_before: datetime | None = None
    """Retrying: when the next attempt may be made."""
    replies: Annotated[list[Reply], Field(max_length=100)] = []
    """The parts of the answer, of which the outbound messages are made."""
    parts: int = Field(default=0, ge=0)
    """How many outbound messages were made. One that is missing then was deleted, and is not made again."""
    lease: Lease | None = None
    """Who works on it now."""


class Execution(Resource):
    """One run of an agent: what it was asked, what it did, what that cost, and how it ended."""

    names: ClassVar[Names] = Names(
        kind="Execution",
        plural="executions",
        short=("exe",),
        columns=(
            Column("Agent", ".spec.agent", description="The Agent."),
            Column("Revision", ".spec.revision", description="The AgentRevision that ran it."),
            Column("State", ".status.state", description="Running, Retrying, Succeeded, Failed or Cancelled."),
            Column("Attempts", ".status.attempts", "integer", description="How many there were."),
            Column("Duration", ".status.duration", description="How long it took."),
            AGE,
            Column("Model", ".status.model", priority=1, description="The model that answered."),
            Column("In", ".status.usage.inputTokens", "integer", priority=1, description="Tokens in."),
            Column("Out", ".status.usage.outputTokens", "integer", priority=1, description="Tokens out."),
            Column("Error", ".status.error.kind", priority=1, description="Why it failed."),
        ),
        selectable=(".spec.conversation", ".spec.agent", ".spec.revision", ".status.state"),
    )
    spec: ExecutionSpec
    """What was to be answered, and by what."""
    status: ExecutionStatus = ExecutionStatus()
    """How it went."""
