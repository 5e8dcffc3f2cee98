"""TwilioConnector: a phone number, its channels, and who may write to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from switchboard.api.meta import (
    AGE,
    BaseUrl,
    Channel,
    Column,
    Conditions,
    Model,
    Names,
    PhoneNumber,
    Resource,
    SecretReference,
    condition_path,
)

CONNECTOR_NAME = r"^[a-z][a-z0-9_]{0,62}$"


class Credentials(Model):
    """Where the Twilio account's credentials are."""

    secret_ref: SecretReference
    """A Secret with `accountSid` and `authToken`; optionally `previousAuthToken` (accepted on webhooks during a
    rotation), and `apiKeySid` with `apiKeySecret` (used for API calls instead of the token)."""


class Access(Model):
    """Who may write to the agent. Order: deny, then allow, then approved, then pending."""

    policy: Literal["Open", "Onboarding", "AllowList"]
    """Open: everybody. Onboarding: strangers wait for approval (AccessRequest). AllowList: only `allow`. It has no
    default: a line that is lost must not open an agent."""
    onboarding_message: str = Field(default="Thanks! A colleague will let you in shortly.", max_length=1600)
    """Sent once to a stranger who waits for approval. Empty: nothing."""
    allow: Annotated[
        list[PhoneNumber], Field(max_length=1000, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = []
    """Always let in, with policy Onboarding or AllowList."""
    deny: Annotated[list[PhoneNumber], Field(max_length=1000, json_schema_extra={"x-kubernetes-list-type": "set"})] = []
    """Never let in, whatever else is said."""
    max_pending: int = Field(default=1000, ge=1, le=10_000)
    """The most AccessRequests that wait at once, so that strangers cannot fill the cluster."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "self.policy != 'Open' || self.allow.size() == 0",
                    "message": "policy Open lets everybody in: remove allow, or set policy AllowList or Onboarding",
                }
            ]
        }
    }


class TwilioApi(Model):
    """How Twilio's API is reached."""

    base_url: BaseUrl = Field(alias="baseURL")
    """An egress gateway or a simulator, instead of Twilio's own hosts. It must be on the operator's allow-list."""


class TwilioConnectorSpec(Model):
    """What is wanted of a connector."""

    connector_name: str | None = Field(default=None, pattern=CONNECTOR_NAME, max_length=63)
    """Name in conversations and metrics: lowercase with underscores. Default: `metadata.name` with `-` as `_`."""
    credentials: Credentials
    """The Twilio account's credentials."""
    webhook_scope: Literal["Number", "Service"] = "Number"
    """Service: a messaging service's or application's webhook may be written too, if all its numbers are ours."""
    from_number: PhoneNumber | None = None
    """The number that people text and that answers come from."""
    channels: Annotated[
        list[Channel], Field(min_length=1, max_length=2, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ["SMS"]
    """What the number is used for."""
    messaging_service_sid: str | None = Field(default=None, pattern=r"^MG[0-9a-fA-F]{32}$", max_length=34)
    """Send SMS through this messaging service; `fromNumber` may then be unset."""
    access: Access | None = None
    """Who may write. Without it: everybody. Once it is closed, opening it again must be said: `{policy: Open}`."""
    public_url: BaseUrl | None = Field(default=None, alias="publicURL")
    """Where Twilio reaches this cluster. Default: the operator's. Its host must be on the operator's allow-list."""
    api: TwilioApi | None = None
    """How Twilio's API is reached. Default: Twilio's own hosts."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.fromNumber) || has(self.messagingServiceSid)",
                    "message": "set fromNumber, or messagingServiceSid to send through a messaging service",
                },
                {
                    "rule": "!has(oldSelf.access) || oldSelf.access.policy == 'Open' || has(self.access)",
                    "message": "access was closed: to open the connector to everybody, say access: {policy: Open}",
                },
                {
                    "rule": "!('WhatsApp' in self.channels) || has(self.fromNumber)",
                    "message": "the channel WhatsApp needs fromNumber",
                },
            ]
        }
    }


OPEN = Access(policy="Open")
"""What holds for a connector that says nothing of access."""


class AccountStatus(Model):
    """The Twilio account."""

    sid: str
    """Its SID."""
    name: str | None = None
    """Its friendly name."""
    status: str | None = None
    """active, suspended or closed."""


class PhoneNumberStatus(Model):
    """The number as Twilio has it."""

    sid: str
    """Its SID."""
    capabilities: Annotated[list[str], Field(max_length=10)] = []
    """What it can do: SMS, MMS, voice …"""


class ChannelStatus(Model):
    """One channel of the connector."""

    channel: Channel
    """Which."""
    sid: str | None = None
    """SID of what carries its webhook: the number, application, messaging service or WhatsApp sender."""
    webhook_url: str | None = Field(default=None, alias="webhookURL")
    """What is registered at Twilio, without credentials."""
    reason: str
    """`Connected`, or why not."""


REQUESTED_MAX = 256
"""Characters that a status has room for."""


class LastTest(Model):
    """The answer to the annotation `switchboard.dev/test`."""

    time: datetime
    """When it ran."""
    requested: str = Field(max_length=REQUESTED_MAX)
    """The annotation's value; of a longer one its beginning, and 16 digits of its SHA-256."""
    succeeded: bool
    """Whether the connector is connected."""
    message: str = ""
    """What was found."""


class TwilioConnectorStatus(Model):
    """What is known of a connector."""

    observed_generation: int | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """CredentialsValid, AgentBound, WebhookRegistered, Ready."""
    account: AccountStatus | None = None
    """The Twilio account."""
    phone_number: PhoneNumberStatus | None = None
    """The number."""
    channels: Annotated[list[ChannelStatus], Field(max_length=2)] = []
    """Each channel."""
    agent: str | None = None
    """The Agent that holds this connector."""
    revision: str | None = None
    """Its live revision."""
    webhook_url: str | None = Field(default=None, alias="webhookURL")
    """Where Twilio sends messages."""
    credentials_version: str | None = None
    """Version of the credentials' Secret that all webhook pods run with."""
    last_test: LastTest | None = None
    """The last requested check."""


class TwilioConnector(Resource):
    """A phone number at Twilio. Its webhook is registered and kept registered."""

    names: ClassVar[Names] = Names(
        kind="TwilioConnector",
        plural="twilioconnectors",
        short=("twc",),
        columns=(
            Column("Number", ".spec.fromNumber", description="The number that people text."),
            Column("Status", condition_path("Ready", "reason"), description="Connected, or why not."),
            Column("Agent", ".status.agent", description="The Agent that answers."),
            AGE,
            Column("Channels", ".spec.channels", priority=1, description="What the number is used for."),
            Column("Webhook", ".status.webhookURL", priority=1, description="Where Twilio sends messages."),
            Column("Message", condition_path("Ready", "message"), priority=1, description="What to know and do."),
        ),
    )
    spec: TwilioConnectorSpec
    """What is wanted."""
    status: TwilioConnectorStatus = TwilioConnectorStatus()
    """What is known."""

    @property
    def connector_name(self) -> str:
        """The name in conversations and metrics."""
        return self.spec.connector_name or self.metadata.name.replace("-", "_").replace(".", "_")
