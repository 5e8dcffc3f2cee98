"""What the control API under `/_sim/` takes and gives, shared by the simulator and its client."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ChannelName = Literal["SMS", "WhatsApp"]
Signature = Literal["good", "bad", "old", "missing"]


class Model(BaseModel):
    """Refuses what it does not know, so that a mistyped order is no order."""

    model_config = ConfigDict(extra="forbid")


class Settings(Model):
    """How this Twilio behaves where the real one is documented either way."""

    window_errors: Literal["callback", "answer"] = "callback"
    """Whether a WhatsApp text outside the 24 hours fails by callback (63016) or in the answer."""
    slow_senders: bool = False
    """A sender's update shows only at the second reading after its 202."""
    sender_clears_with: Literal["both", "empty", "null"] = "both"
    """Which value clears a sender's webhook."""
    sender_update: Literal["merge", "replace"] = "merge"
    """Whether a sender's `webhook` is merged with what was there."""
    routes: dict[str, str] = Field(default_factory=dict)
    """Public origin → where it is served, as a TLS-terminating proxy: `https://hooks.example.com` → `http://127.0.0.1:1`."""
    webhook_seconds: float = 15.0
    """How long a webhook may take in all."""


class ApiKeySpec(Model):
    sid: str = ""
    secret: str = ""
    main: bool = False


class NumberSpec(Model):
    """A phone number; what is empty is made up."""

    phone_number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    sid: str = ""
    friendly_name: str = ""
    sms: bool = True
    mms: bool = True
    voice: bool = True
    sms_url: str = ""
    sms_method: Literal["GET", "POST"] = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: Literal["GET", "POST"] = "POST"
    sms_application_sid: str = ""


class ApplicationSpec(Model):
    sid: str = ""
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: Literal["GET", "POST"] = "POST"
    sms_fallback_url: str = ""


class ServiceSpec(Model):
    """A messaging service. `numbers`: E.164, of the same account."""

    sid: str = ""
    friendly_name: str = "service"
    inbound_request_url: str = ""
    inbound_method: Literal["GET", "POST"] = "POST"
    fallback_url: str = ""
    status_callback: str = ""
    use_inbound_webhook_on_number: bool = False
    advanced_opt_out: bool = False
    numbers: list[str] = Field(default_factory=list)


class SenderSpec(Model):
    """A WhatsApp sender."""

    phone_number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    sid: str = ""
    status: str = "ONLINE"
    callback_url: str = ""
    fallback_url: str = ""
    status_callback_url: str = ""


class AccountSpec(Model):
    """An account with all it holds; what is empty is made up. The answer to its creation is the same, filled in."""

    sid: str = ""
    auth_token: str = ""
    friendly_name: str = "Simulated"
    status: Literal["active", "suspended", "closed"] = "active"
    type: Literal["Trial", "Full"] = "Full"
    owner_sid: str = ""
    suspended_code: Literal[0, 20003, 20005, 20403, 90010] = 20003
    verified: list[str] = Field(default_factory=list)
    keys: list[ApiKeySpec] = Field(default_factory=list)
    applications: list[ApplicationSpec] = Field(default_factory=list)
    numbers: list[NumberSpec] = Field(default_factory=list)
    services: list[ServiceSpec] = Field(default_factory=list)
    senders: list[SenderSpec] = Field(default_factory=list)


class AccountChange(Model):
    """What is absent stays. A new `auth_token` makes the one before it the old one."""

    auth_token: str | None = None
    status: Literal["active", "suspended", "closed"] | None = None
    suspended_code: Literal[0, 20003, 20005, 20403, 90010] | None = None
    type: Literal["Trial", "Full"] | None = None


class Config(Model):
    """The file that `--config` names (YAML or JSON)."""

    settings: Settings = Field(default_factory=Settings)
    accounts: list[AccountSpec] = Field(default_factory=list)


class MediaSpec(Model):
    content_type: str = "image/png"
    content: str = ""
    """Base64."""


class TextSpec(Model):
    """A text that a person's phone sends."""

    sender: str
    """The person's number, E.164."""
    to: str
    body: str = ""
    channel: ChannelName = "SMS"
    profile_name: str = ""
    media: list[MediaSpec] = Field(default_factory=list, max_length=10)
    parameters: dict[str, str] = Field(default_factory=dict)
    """More parameters, or others in the place of those made: ButtonText, Latitude, OptOutType, …"""
    signature: Signature = "good"
    times: int = Field(default=1, ge=0, le=100)
    """How often the webhook is called: 2 is a duplicate, 0 keeps it for `deliver` (or a backfill) to find."""
    wait: bool = False
    """Answer only when the webhook has been called and has answered."""


class DeliverSpec(Model):
    """Calls the webhook of a message that came before: later, again, or in another order."""

    signature: Signature = "good"
    times: int = Field(default=1, ge=1, le=100)


class WebhookCall(Model):
    """A request that the simulator sent: an inbound message, a fallback or a status callback."""

    kind: Literal["message", "fallback", "status"]
    account: str
    message_sid: str
    url: str
    attempt: int
    status: int | None
    """The answer's, or None without one."""
    failure: str = ""
    """ct, rt, 4xx, 5xx, or empty."""
    seconds: float
    message_status: str = ""


class TextResult(Model):
    message_sid: str
    calls: list[WebhookCall] = Field(default_factory=list)


class InboxItem(Model):
    """A message on a person's phone. `index` counts from 0 over both channels; addresses are E.164."""

    index: int
    message_sid: str
    channel: ChannelName
    sender: str
    to: str
    body: str
    media: list[str]
    time: float


class Inbox(Model):
    items: list[InboxItem]
    next: int
    """The `after` for what comes next."""


class Step(Model):
    status: Literal["sending", "sent", "delivered", "undelivered", "failed", "read", "canceled"]
    error_code: int | None = None


class DeliveryPlan(Model):
    """What becomes of messages that are sent from now on. The latest plan that fits counts."""

    account: str = ""
    to: str = ""
    """With the channel's prefix. Empty fits all."""
    times: int | None = None
    """For how many messages; None for all."""
    steps: list[Step] = Field(
        default_factory=lambda: [Step(status="sending"), Step(status="sent"), Step(status="delivered")]
    )
    callbacks: list[str] | None = None
    """The statuses that are called back, in this order; None: each step's. Out of order, duplicated or missing ones."""
    hold: bool = False
    """Nothing happens until `advance`."""
    refuse: int | None = None
    """Answer the POST with this code (21211, 21614, …) instead."""


class Advance(Step):
    """Moves one message on."""

    callback: bool = True


class FaultSpec(Model):
    """A fault to order. It strikes requests that fit `account`, `method` and `path`."""

    account: str = ""
    method: str = ""
    path: str = ""
    """A glob over the path: `*/Messages.json`."""
    times: int | None = 1
    """How often; None for ever."""
    probability: float = Field(default=1.0, ge=0, le=1)
    status: int | None = None
    """Answer this: 429, 500, 503, …"""
    code: int | None = None
    retry_after: float | None = None
    delay: float = 0.0
    """Seconds before anything else."""
    drop: bool = False
    """Close the connection instead of answering."""
    after: bool = False
    """Process the request first: it has happened, and the answer does not say so."""


class Fault(FaultSpec):
    id: str
    struck: int = 0


class RequestEntry(Model):
    """A request that came to the API. No header, parameter or body."""

    method: str
    path: str
    account: str
    status: int | None
    """None if the connection was dropped."""
    fault: str = ""


class Alert(Model):
    """An entry of the debugger: 11200 retrieval failure, 12100 no XML, 12300 wrong content type, …"""

    account: str
    code: int
    url: str
    text: str
    message_sid: str
    time: float


class Offence(Model):
    """What nobody may do: releasing a number or a sender, or taking credentials to where media are kept."""

    method: str
    path: str
    account: str
    what: str


class ClockSpec(Model):
    advance: float
    """Seconds, added to the simulator's clock."""


class MessageView(Model):
    """A message as the account's list has it."""

    sid: str
    account: str
    sender: str
    to: str
    body: str
    direction: str
    status: str
    error_code: int | None
    arrived: bool
    status_callback: str
