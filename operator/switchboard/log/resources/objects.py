"""Records as Kubernetes objects, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from switchboard.api import conversation as api
from switchboard.api.conversation import BODY_MAX, Lease, MessageState
from switchboard.api.meta import (
    LABEL_AGENT,
    LABEL_CONNECTOR,
    LABEL_CONVERSATION,
    LABEL_PROVIDER,
    LABEL_REVISION,
    Channel,
)
from switchboard.kube.resources import Object
from switchboard.log import bounds
from switchboard.log.names import turn_number
from switchboard.log.records import (
    Attachment,
    Attempt,
    Conversation,
    Execution,
    Inbound,
    Intake,
    Message,
    Outcome,
    Reply,
)
from switchboard.providers.base import DeliveryState

LABEL_MAX = 63
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """A Conversation as it stands."""

    uid: str
    version: int
    record: Conversation


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A Message as it stands. `record.state` is what its status says, or else its intake."""

    uid: str
    version: int
    record: Message
    shown: MessageState | None
    """`status.state`, if it was written."""
    shown_error: str | None
    agent: str
    connector: str
    provider: str
    channel: Channel
    contact_name: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class KeptExecution:
    """An Execution as it stands."""

    uid: str
    version: int
    record: Execution
    lease: Lease | None
    replies: Sequence[Reply]
    made: int
    """How many of the replies are known to have been made Messages."""
    shown: api.ExecutionState | None

    @property
    def fence(self) -> int:
        """Of the last lease."""
        return self.lease.fence if self.lease else 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to run."""
        return self.record.state not in {"Running", "Retrying"}

    @property
    def number(self) -> int:
        """Which turn it is."""
        return turn_number(self.record.name)

    def held(self, now: datetime) -> bool:
        """Whether somebody's lease on it runs."""
        return self.lease is not None and bool(self.lease.holder) and self.lease.expires > now


def stamp(time: datetime) -> str:
    """RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _metadata(obj: Object) -> tuple[str, str, int]:
    metadata = obj["metadata"]
    return str(metadata["name"]), str(metadata.get("uid", "")), int(metadata["resourceVersion"])


def labels(*, agent: str, provider: str, connector: str, conversation: str, revision: str | None = None) -> Object:
    """What lists select by. A connector's name that is no label value is left out."""
    wanted = {
        LABEL_AGENT: agent,
        LABEL_PROVIDER: provider,
        LABEL_CONNECTOR: connector,
        LABEL_CONVERSATION: conversation,
        LABEL_REVISION: revision,
    }
    return {key: value for key, value in wanted.items() if value and len(value) <= LABEL_MAX}


def read_conversation(obj: Object) -> KeptConversation:
    """Raises ValueError (pydantic's) if somebody wrote what no version of this program does."""
    name, uid, version = _metadata(obj)
    model = api.Conversation.model_validate(obj)
    spec, status = model.spec, model.status
    return KeptConversation(
        uid,
        version,
        Conversation(
            name=name,
            agent=spec.agent,
            connector=spec.connector,
            provider=spec.provider,
            channel=spec.channel,
            contact=spec.contact,
            created=model.metadata.creation_timestamp or _BEGINNING,
            revision=status.revision,
            contact_name=status.contact_name,
            opted_out=status.opted_out,
            messages=status.messages,
            last_message_time=status.last_message_time,
            last_message=status.last_message,
        ),
    )


def read_message(obj: Object) -> KeptMessage:
    """Raises ValueError (pydantic's) if somebody wrote what no version of this program does."""
    name, uid, version = _metadata(obj)
    model = api.Message.model_validate(obj)
    spec, status = model.spec, model.status
    inbound = spec.direction == "Inbound"
    state: MessageState = status.state or ((spec.intake or "Waiting") if inbound else "Sending")
    attempt = None
    if status.attempt is not None:
        attempt = Attempt(
            id=status.attempt.id,
            message=name,
            number=status.attempts,
            fence=status.attempt.fence,
            deadline=status.attempt.deadline,
            unconfirmed_after=status.attempt.unconfirmed_after,
        )
    record = Message(
        name=name,
        conversation=spec.conversation,
        direction=spec.direction,
        sender=spec.from_,
        recipient=spec.to,
        body=spec.body,
        time=spec.time,
        sequence=spec.sequence,
        state=state,
        media=tuple(Attachment(item.url, item.content_type, item.size) for item in spec.media),
        attributes=spec.attributes,
        provider_message_id=spec.provider_message_id if inbound else status.provider_message_id,
        delivery=DeliveryState(status.delivery) if status.delivery else None,
        error_code=status.error_code,
        error=status.error or spec.reason,
        execution=status.execution or (None if inbound else name.rpartition("-")[0]),
        attempt=attempt,
        attempts=status.attempts,
        not_before=status.not_before,
    )
    tags = model.metadata.labels
    return KeptMessage(
        uid,
        version,
        record,
        shown=status.state,
        shown_error=status.error,
        agent=tags.get(LABEL_AGENT, ""),
        connector=spec.connector,
        provider=tags.get(LABEL_PROVIDER, "twilio"),
        channel=spec.channel,
        contact_name=spec.contact_name,
        fence=status.fence,
    )


def read_execution(obj: Object) -> KeptExecution:
    """Raises ValueError (pydantic's) if somebody wrote what no version of this program does."""
    name, uid, version = _metadata(obj)
    model = api.Execution.model_validate(obj)
    spec, status = model.spec, model.status
    created = spec.start_time or model.metadata.creation_timestamp or _BEGINNING
    replies = status.replies or ([spec.announcement] if spec.announcement else [])
    record = Execution(
        name=name,
        conversation=spec.conversation,
        agent=spec.agent,
        revision=spec.revision,
        messages=tuple(spec.messages),
        state=status.state or ("Succeeded" if spec.announcement else "Running"),
        start_time=status.start_time or created,
        attempts=max(status.attempts, 0 if status.state == "Retrying" else 1),
        end_time=status.end_time or (created if spec.announcement else None),
        not_before=status.not_before,
        engine=status.engine,
        model=status.model,
        usage=status.usage,
        steps=tuple(status.steps),
        error=status.error,
        trace_id=status.trace_id,
    )
    return KeptExecution(
        uid,
        version,
        record,
        lease=status.lease or spec.lease,
        replies=tuple(Reply(reply.from_, reply.to, reply.body) for reply in replies),
        made=status.parts,
        shown=status.state,
    )


def new_conversation(namespace: str, agent: str, name: str, inbound: Inbound) -> Object:
    """The Conversation that a first message opens."""
    spec = api.ConversationSpec(
        connector=inbound.connector,
        provider="twilio",
        channel=inbound.channel,
        contact=inbound.contact,
        agent=agent,
    )
    tags = labels(agent=agent, provider=inbound.provider, connector=inbound.connector, conversation=name)
    return {"metadata": {"name": name, "namespace": namespace, "labels": tags}, "spec": spec.manifest()}


def revived_conversation(namespace: str, message: KeptMessage) -> Object:
    """The Conversation of an inbound message whose own was deleted."""
    spec = api.ConversationSpec(
        connector=message.connector,
        provider="twilio",
        channel=message.channel,
        contact=message.record.sender,
        agent=message.agent,
    )
    name = message.record.conversation
    tags = labels(agent=message.agent, provider=message.provider, connector=message.connector, conversation=name)
    return {"metadata": {"name": name, "namespace": namespace, "labels": tags}, "spec": spec.manifest()}


def new_inbound(
    namespace: str,
    agent: str,
    *,
    name: str,
    conversation: str,
    inbound: Inbound,
    state: Intake,
    now: datetime,
    sequence: int,
) -> Object:
    """The Message that arrived."""
    spec: Object = {
        "conversation": conversation,
        "connector": inbound.connector,
        "channel": inbound.channel,
        "direction": "Inbound",
        "body": bounds.body(inbound),
        "providerMessageId": inbound.message_id,
        "from": inbound.sender,
        "to": inbound.recipient,
        "intake": state,
        "time": stamp(inbound.time or now),
        "sequence": sequence,
    }
    if inbound.media:
        spec["media"] = [
            {"url": bounds.clean(item.url, bounds.URL_MAX), "contentType": bounds.clean(item.content_type, 255)}
            for item in inbound.media[: bounds.MEDIA_MAX]
            if len(item.url) <= bounds.URL_MAX
        ]
    if inbound.attributes:
        spec["attributes"] = bounds.attributes(inbound.attributes)
    if inbound.error:
        spec["reason"] = bounds.clean(inbound.error, bounds.REASON_MAX)
    if inbound.contact_name:
        spec["contactName"] = bounds.clean(inbound.contact_name, bounds.NAME_MAX)
    tags = labels(agent=agent, provider=inbound.provider, connector=inbound.connector, conversation=conversation)
    return {"metadata": {"name": name, "namespace": namespace, "labels": tags}, "spec": spec}


def new_outbound(
    namespace: str, conversation: Conversation, *, name: str, reply: Reply, now: datetime, sequence: int
) -> Object:
    """The Message that is to be sent."""
    spec = {
        "conversation": conversation.name,
        "connector": conversation.connector,
        "channel": conversation.channel,
        "direction": "Outbound",
        "body": bounds.clean(reply.body, BODY_MAX),
        "from": reply.sender,
        "to": reply.recipient,
        "time": stamp(now),
        "sequence": sequence,
    }
    return {"metadata": {"name": name, "namespace": namespace, "labels": _of(conversation)}, "spec": spec}


def new_execution(
    namespace: str,
    conversation: Conversation,
    *,
    name: str,
    revision: str,
    now: datetime,
    messages: Sequence[str] = (),
    lease: Lease | None = None,
    announcement: Reply | None = None,
) -> Object:
    """The Execution that begins a turn, or says something once."""
    spec = api.ExecutionSpec(
        agent=conversation.agent,
        revision=revision,
        conversation=conversation.name,
        messages=list(messages),
        start_time=now,
        lease=lease,
        announcement=announcement and _reply(announcement),
    )
    tags = _of(conversation, revision)
    return {"metadata": {"name": name, "namespace": namespace, "labels": tags}, "spec": spec.manifest()}


def _of(conversation: Conversation, revision: str | None = None) -> Object:
    return labels(
        agent=conversation.agent,
        provider=conversation.provider,
        connector=conversation.connector,
        conversation=conversation.name,
        revision=revision,
    )


def _reply(reply: Reply) -> api.Reply:
    return api.Reply(from_=reply.sender, to=reply.recipient, body=bounds.clean(reply.body, BODY_MAX))


def outcome_status(outcome: Outcome) -> Object:
    """What an outcome says in an Execution's status; what it does not know is removed."""
    status: Object = {
        "engine": outcome.engine,
        "model": outcome.model and bounds.clean(outcome.model, bounds.NAME_MAX),
        "usage": outcome.usage.manifest() if outcome.usage else None,
        "steps": [step.manifest() for step in outcome.steps[:100]],
        "error": outcome.error.manifest() if outcome.error else None,
        "traceId": outcome.trace_id,
    }
    return status


def ending(outcome: Outcome, replies: Sequence[Reply], *, started: datetime, now: datetime) -> Object:
    """The status of an execution that has ended."""
    return {
        **outcome_status(outcome),
        "state": outcome.state,
        "startTime": stamp(started),
        "endTime": stamp(now),
        "duration": f"{max((now - started).total_seconds(), 0):.1f}s",
        "notBefore": None,
        "replies": [_reply(reply).manifest() for reply in replies],
    }


def shown_as(message: KeptMessage, state: MessageState, execution: str | None) -> KeptMessage:
    """The message as its execution makes it."""
    return replace(message, record=replace(message.record, state=state, execution=execution))
