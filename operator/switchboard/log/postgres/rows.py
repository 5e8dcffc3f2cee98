"""Records as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

import asyncpg
import orjson
from pydantic import TypeAdapter

from switchboard.api.conversation import ExecutionError, ExecutionState, MessageState, Step, Usage
from switchboard.api.meta import Channel
from switchboard.log import bounds
from switchboard.log.names import attempt_id
from switchboard.log.records import Attachment, Attempt, Conversation, Execution, Message, Outcome
from switchboard.log.transitions import answered_state
from switchboard.providers.base import DeliveryState

CONVERSATION = (
    "c.name, c.connector, c.provider, c.channel, c.contact, c.contact_name, c.opted_out, c.revision, c.created,"
    " c.messages, c.last_message_time, c.last_message"
)
MINUTE = "date_trunc('minute', {}::timestamptz AT TIME ZONE 'UTC')"
"""Of a moment, as `last_message_minute` has it."""
MESSAGE = (
    "m.id, m.name, m.conversation, m.outbound, m.open, m.sender, m.recipient, m.body, m.media, m.attributes, m.time,"
    " m.state, m.error_code, m.error, m.provider_message_id, m.delivery, m.execution, m.attempts, m.attempt_fence,"
    " m.attempt_deadline, m.unconfirmed_after, m.not_before"
)
MESSAGES = (
    f"SELECT {MESSAGE}, e.state AS execution_state FROM switchboard_messages m"
    " LEFT JOIN switchboard_executions e ON e.agent = m.agent AND e.name = m.execution AND NOT m.outbound"
)
EXECUTION = (
    "e.name, e.conversation, e.revision, e.messages, e.state, e.start_time, e.end_time, e.attempts, e.not_before,"
    " e.engine, e.model, e.usage, e.steps, e.error, e.trace_id"
)

_STEPS = TypeAdapter(tuple[Step, ...])
NO_SKEW = timedelta(0)


def conversation(row: asyncpg.Record, agent: str) -> Conversation:
    """From the columns of CONVERSATION."""
    return Conversation(
        name=row["name"],
        agent=agent,
        connector=row["connector"],
        provider=row["provider"],
        channel=cast("Channel", row["channel"]),
        contact=row["contact"],
        created=row["created"],
        revision=row["revision"],
        contact_name=row["contact_name"],
        opted_out=row["opted_out"],
        messages=row["messages"],
        last_message_time=row["last_message_time"],
        last_message=row["last_message"],
    )


def message(row: asyncpg.Record, *, skew: timedelta = NO_SKEW) -> Message:
    """From MESSAGES. `skew` is by how much this machine's clock is before the database's: an attempt's times are told
    by ours, because it is compared with that."""
    outbound, taken_by = row["outbound"], row["execution"]
    state: MessageState = row["state"]
    if not outbound and taken_by is not None:
        # An execution that is deleted had ended.
        state = answered_state(row["execution_state"]) if row["execution_state"] else "Answered"
    attempt = None
    if row["attempt_fence"] is not None:
        attempt = Attempt(
            id=attempt_id(row["name"], row["attempts"]),
            message=row["name"],
            number=row["attempts"],
            fence=row["attempt_fence"],
            deadline=row["attempt_deadline"] + skew,
            unconfirmed_after=row["unconfirmed_after"] + skew,
        )
    return Message(
        name=row["name"],
        conversation=row["conversation"],
        direction="Outbound" if outbound else "Inbound",
        sender=row["sender"],
        recipient=row["recipient"],
        body=row["body"],
        time=row["time"],
        sequence=row["id"],
        state=state,
        media=[Attachment(*item) for item in json.loads(row["media"])] if row["media"] else (),
        attributes=json.loads(row["attributes"]) if row["attributes"] else {},
        provider_message_id=row["provider_message_id"],
        delivery=DeliveryState(row["delivery"]) if row["delivery"] else None,
        error_code=row["error_code"],
        error=row["error"],
        execution=taken_by,
        attempt=attempt,
        attempts=row["attempts"],
        not_before=row["not_before"] + skew if row["not_before"] else None,
    )


def execution(row: asyncpg.Record, agent: str) -> Execution:
    """From the columns of EXECUTION."""
    return Execution(
        name=row["name"],
        conversation=row["conversation"],
        agent=agent,
        revision=row["revision"],
        messages=tuple(row["messages"]),
        state=cast("ExecutionState", row["state"]),
        start_time=row["start_time"],
        attempts=row["attempts"],
        end_time=row["end_time"],
        not_before=row["not_before"],
        engine=row["engine"],
        model=row["model"],
        usage=Usage.model_validate_json(row["usage"]) if row["usage"] else None,
        steps=_STEPS.validate_json(row["steps"]) if row["steps"] else (),
        error=ExecutionError.model_validate_json(row["error"]) if row["error"] else None,
        trace_id=row["trace_id"],
    )


def media(items: Sequence[Attachment]) -> str | None:
    """JSON of an inbound message's media."""
    if not items:
        return None
    kept = [(bounds.clean(item.url, bounds.URL_MAX), bounds.clean(item.content_type, 255), item.size) for item in items]
    return json.dumps(kept)


def attributes(given: Mapping[str, str]) -> str | None:
    """JSON of an inbound message's attributes."""
    if not given:
        return None
    try:
        text = orjson.dumps(given).decode()
    except orjson.JSONEncodeError:  # a lone surrogate
        return json.dumps(bounds.attributes(given))
    # Most are small, and hold nothing that `bounds` would cut or replace.
    small = len(text) <= bounds.ATTRIBUTE_MAX and len(given) <= bounds.ATTRIBUTES_MAX
    return (
        text
        if small and max(map(len, given)) <= bounds.NAME_MAX and "\\u0000" not in text
        else json.dumps(bounds.attributes(given))
    )


def outcome(given: Outcome) -> tuple[str | None, str | None, str | None, str | None, str | None, str | None]:
    """engine, model, usage, steps, error, trace_id."""
    return (
        given.engine,
        given.model and bounds.clean(given.model, bounds.NAME_MAX),
        _text(given.usage.model_dump_json(by_alias=True, exclude_none=True)) if given.usage else None,
        _text(_STEPS.dump_json(tuple(given.steps)[:100], by_alias=True, exclude_none=True).decode())
        if given.steps
        else None,
        _text(given.error.model_dump_json(by_alias=True, exclude_none=True)) if given.error else None,
        given.trace_id,
    )


def _text(text: str) -> str:
    """PostgreSQL takes no NUL, not even escaped in what it may be asked to read as JSON."""
    return text.replace("\\u0000", "\\ufffd").replace("\0", "\N{REPLACEMENT CHARACTER}")
