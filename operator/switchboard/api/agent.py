"""Agent and AgentRevision: what is wanted, and each saved version of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from switchboard.api.engine import Engine
from switchboard.api.meta import (
    AGE,
    DNS1123_LABEL,
    Column,
    Conditions,
    Model,
    Names,
    ObjectName,
    PhoneNumber,
    Resource,
    SecretKeyReference,
    condition_path,
)

NAME_MAX = 40
"""Characters of an Agent's name: revisions, workloads and pods append to it, and all are labels of at most 63."""


def _quantity(value: object) -> object:
    """A manifest may say `cpu: 1`: the API server keeps the number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    BeforeValidator(_quantity),
    Field(
        json_schema_extra={
            "type": None,
            "x-kubernetes-int-or-string": True,
            "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$",
        }
    ),
]


class Inbound(Model):
    """Which messages reach the agent. Both empty: all that the connector receives."""

    from_number: PhoneNumber | None = None
    """Only messages from this number."""
    to_number: PhoneNumber | None = None
    """Only messages to this number."""


class Outbound(Model):
    """Who gets the answer."""

    use_sender_as_receiver: bool = True
    """Answer whoever wrote."""
    to_number: PhoneNumber | None = None
    """Send every answer to this number instead."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "(!has(self.useSenderAsReceiver) || self.useSenderAsReceiver) != has(self.toNumber)",
                    "message": "set either useSenderAsReceiver: true, or useSenderAsReceiver: false and toNumber",
                }
            ]
        }
    }


class ConnectorRoute(Model):
    """A connector that the agent uses, and what of its traffic."""

    name: ObjectName
    """Name of a TwilioConnector of the same namespace."""
    inbound: Inbound = Inbound()
    """Which messages reach the agent."""
    outbound: Outbound = Outbound()
    """Who gets the answer."""


class Turn(Model):
    """How one turn of a conversation is run."""

    history_messages: int = Field(default=40, ge=0, le=1000)
    """The most earlier messages that the engine sees."""
    history_characters: int = Field(default=24_000, ge=0, le=1_000_000)
    """The most characters of earlier messages that the engine sees."""
    timeout_seconds: int = Field(default=60, ge=1, le=600)
    """Seconds that one attempt may take."""
    max_attempts: int = Field(default=3, ge=1, le=10)
    """Attempts before the fallback reply goes out."""
    max_reply_parts: int = Field(default=5, ge=1, le=20)
    """The most messages that one answer is split into; what is beyond is cut with a note."""
    fallback_reply: str = Field(default="Sorry, something went wrong. Please try again later.", max_length=1600)
    """What is sent when every attempt failed. Empty: nothing."""
    resend_unknown: bool = False
    """Whether a reply is sent again (in at most three attempts in all) of which nobody confirmed within 120 seconds
    that Twilio took it: the contact may then get it twice. Otherwise it is told as DeliveryUnknown and not sent again.
    """


class Autoscaling(Model):
    """Bounds of a HorizontalPodAutoscaler."""

    min_replicas: int = Field(default=2, ge=1, le=100)
    """The fewest pods."""
    max_replicas: int = Field(default=10, ge=1, le=100)
    """The most pods."""
    target_cpu: int = Field(default=70, ge=1, le=100, alias="targetCPU")
    """Mean CPU in percent of what was requested."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "self.minReplicas <= self.maxReplicas",
                    "message": "minReplicas must not be above maxReplicas",
                }
            ]
        }
    }


class Resources(Model):
    """Requests and limits of the webhook's container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=10)] = {}
    """What is reserved, for example `{cpu: 100m, memory: 128Mi}`."""
    limits: Annotated[dict[str, Quantity], Field(max_length=10)] = {}
    """What must not be exceeded."""


class Toleration(Model):
    """A core/v1 Toleration."""

    key: str | None = Field(default=None, max_length=316)
    """The taint's key; empty with operator Exists matches all."""
    operator: Literal["Exists", "Equal"] | None = None
    """How key and value are compared."""
    value: str | None = Field(default=None, max_length=63)
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; empty matches all."""
    toleration_seconds: int | None = None
    """How long NoExecute is tolerated, in seconds."""


class Webhook(Model):
    """The Deployment that receives and answers for a revision."""

    replicas: int = Field(default=2, ge=0, le=100)
    """Pods, unless autoscaling is set."""
    autoscaling: Autoscaling | None = None
    """Let a HorizontalPodAutoscaler choose the number of pods."""
    concurrency: int = Field(default=10, ge=1, le=1000)
    """Turns that one pod runs at once."""
    resources: Resources = Resources()
    """Requests and limits of the container."""
    node_selector: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=20)] = {}
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=20)] = []
    """Taints that are tolerated."""
    priority_class_name: str | None = Field(default=None, max_length=253)
    """Priority class of the pods."""


class AgentTemplate(Model):
    """What an Agent does. Each version of it is kept as an AgentRevision."""

    name: str | None = Field(default=None, pattern=DNS1123_LABEL, max_length=20)
    """The revision is then `<agent>-<name>`; without it `<agent>-<10 hex digits of the content>`."""
    engine: Engine
    """What answers."""
    connectors: Annotated[
        list[ConnectorRoute],
        Field(
            max_length=20,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """The connectors whose messages the agent answers."""
    turn: Turn = Turn()
    """How a turn is run."""
    webhook: Webhook = Webhook()
    """The Deployment that receives and answers."""


class Retention(Model):
    """How long conversations are kept."""

    days: int = Field(default=30, ge=1, le=3650)
    """Days after its last message that a conversation is kept."""


class PostgresLog(Model):
    """A PostgreSQL database."""

    secret_ref: SecretKeyReference
    """The Secret and key that hold the connection string: `postgresql://user:password@host/database`."""


class ConversationLogSpec(Model):
    """Where conversations are kept."""

    backend: Literal["Resources", "Postgres"] = "Resources"
    """Custom resources, or a PostgreSQL database."""
    retention: Retention = Retention()
    """How long."""
    max_messages: int = Field(default=10_000, ge=100, le=100_000)
    """Backend Resources: the most messages that are kept; finished ones go oldest first."""
    postgres: PostgresLog | None = None
    """The database, with backend Postgres."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "(self.backend == 'Postgres') == has(self.postgres)",
                    "message": "postgres goes with backend: Postgres, and only with it",
                }
            ]
        }
    }


class AgentSpec(Model):
    """What is wanted of an Agent."""

    revision: ObjectName | None = None
    """The AgentRevision to serve. Without it: the newest one that becomes ready."""
    revision_history_limit: int = Field(default=10, ge=0, le=100)
    """Superseded revisions that are kept for going back."""
    conversation_log: ConversationLogSpec | None = None
    """Where conversations are kept. Without it: the operator's default."""
    template: AgentTemplate
    """What the agent does."""


class ConnectorSummary(Model):
    """How one connector of the agent is doing."""

    name: str
    """Name of the TwilioConnector."""
    status: str
    """Reason of its `Ready` condition, or why there is none."""


class AgentStatus(Model):
    """What is known of an Agent."""

    observed_generation: int | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """Ready, Reconciling and Stalled (kstatus), RevisionReady, ConnectorsReady."""
    desired_revision: str | None = None
    """The AgentRevision that should serve."""
    live_revision: str | None = None
    """The AgentRevision that serves."""
    url: str | None = None
    """Where the agent receives, below which each connector has its path."""
    connectors: Annotated[list[ConnectorSummary], Field(max_length=20)] = []
    """How each connector is doing."""
    connectors_ready: str | None = None
    """Connected ones of all, for example `1/1`."""


def _name_rule(limit: int, what: str) -> dict[str, str]:
    return {
        "rule": f"self.metadata.name.size() <= {limit} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "message": f"{what} name must be a DNS label of at most {limit} characters that begins with a letter",
    }


class Agent(Resource):
    """An AI agent that answers on phone numbers. Saving the template makes an AgentRevision; `revision` deploys one."""

    names: ClassVar[Names] = Names(
        kind="Agent",
        plural="agents",
        short=("ag",),
        columns=(
            Column("Ready", condition_path("Ready", "status"), description="Whether the agent serves as wanted."),
            Column("Live", ".status.liveRevision", description="The revision that serves."),
            Column("Desired", ".status.desiredRevision", description="The revision that should serve."),
            Column("Connectors", ".status.connectorsReady", description="Connected ones of all."),
            AGE,
            Column("Reason", condition_path("Ready", "reason"), priority=1, description="Why."),
            Column("URL", ".status.url", priority=1, description="Where it receives."),
        ),
        rules=(_name_rule(NAME_MAX, "an Agent's"),),
    )
    spec: AgentSpec
    """What is wanted."""
    status: AgentStatus = AgentStatus()
    """What is known."""


class Drain(Model):
    """Said by a superseded revision's pods."""

    revision: str
    """The revision to which the conversations were handed over."""
    working: int = Field(ge=0)
    """Conversations that this revision still works on."""


RevisionState = Literal["Starting", "Serving", "Standby", "Draining", "Failed"]


class AgentRevisionStatus(Model):
    """What is known of an AgentRevision."""

    observed_generation: int | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """Available, and Failed with the pods' own reason."""
    state: RevisionState | None = None
    """Starting, Serving, Standby (kept, no pods), Draining, or Failed."""
    ready: str | None = None
    """Ready pods of all wanted, for example `2/2`."""
    promoted_time: datetime | None = None
    """When it last became the live one. Unset: it never was, and so holds no conversation."""
    drain: Drain | None = None
    """Written by the revision's own pods once it is superseded."""


class AgentRevision(Resource):
    """One saved version of an Agent's template. Immutable."""

    names: ClassVar[Names] = Names(
        kind="AgentRevision",
        plural="agentrevisions",
        short=("agr",),
        columns=(
            Column("Agent", r".metadata.labels.switchboard\.dev/agent", description="The Agent it belongs to."),
            Column("State", ".status.state", description="Starting, Serving, Standby, Draining or Failed."),
            Column("Ready", ".status.ready", description="Ready pods of all wanted."),
            AGE,
            Column("Reason", condition_path("Available", "reason"), priority=1, description="Why."),
        ),
    )
    spec: AgentTemplate = Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "a revision is immutable: change the Agent's template instead"}
            ]
        }
    )
    """The Agent's template."""
    status: AgentRevisionStatus = AgentRevisionStatus()
    """What is known."""


def template_content(template: AgentTemplate) -> dict[str, Any]:
    """The template's JSON form without its name: what two revisions are compared by."""
    content = template.manifest()
    content.pop("name", None)
    return content
