"""What follows from what: the pure heart of the log, the same for every store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from switchboard.api.conversation import ExecutionState, MessageState
from switchboard.log.names import attempt_id, parse_attempt
from switchboard.log.protocol import HELD_MAX
from switchboard.log.records import DeliveryNews, DeliveryResult, Inbound, Intake, Message, Outcome
from switchboard.providers.base import DeliveryState

LAST_MESSAGE_MAX = 100
"""Characters of a conversation's last message that stand in its status."""

OPEN_STATES: frozenset[MessageState] = frozenset({"Waiting", "Working", "Sending", "Received"})
"""States of messages that are in work: they are never deleted. What is held waits for a person, who may never come: it
goes with its time, and before strangers' messages leave no room for others'."""

_ENDED: dict[str, MessageState] = {"Succeeded": "Answered", "Failed": "Failed", "Cancelled": "Ignored"}


@dataclass(frozen=True, slots=True)
class Settled:
    """What an inbound message becomes."""

    state: Intake
    opted_out: bool
    """The contact's opt-out from then on."""


def settle(inbound: Inbound, *, opted_out: bool) -> Settled:
    """Where an inbound message stands, given whether its contact had opted out."""
    if inbound.state == "Refused":
        return Settled("Refused", opted_out)
    if inbound.keyword == "Stop":
        return Settled("Ignored", opted_out=True)
    if inbound.keyword == "Start" and (opted_out or inbound.keyword_confirmed):
        return Settled("Ignored", opted_out=False)
    if opted_out and inbound.state in {"Waiting", "Held"}:
        return Settled("Ignored", opted_out=True)
    return Settled(inbound.state, opted_out)


def surplus(inbound: Inbound, held: Sequence[datetime]) -> bool:
    """Whether a message that is to be held came before all that may be held of its contact, who wrote those then: it
    was held, and had to go, or would have to."""
    return inbound.time is not None and len(held) >= HELD_MAX and inbound.time < min(held)


def answered_state(outcome: Outcome | ExecutionState) -> MessageState:
    """What an execution's inbound messages become when it ends so; `Working` while it has not."""
    return _ENDED.get(outcome if isinstance(outcome, str) else outcome.state, "Working")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the provider's news changes in a message. Only with `Adopted` and `Applied` anything does."""

    result: DeliveryResult
    state: MessageState = "Sent"
    provider_message_id: str | None = None
    delivery: DeliveryState | None = None
    error_code: int | None = None
    error: str | None = None


def apply_news(message: Message, news: DeliveryNews) -> Delivered:
    """The news applied by rank, never backwards.

    An id that was not known yet is adopted, also by a message that was given up as `DeliveryUnknown` or thought
    refused: that the provider has it is a fact.
    """
    if message.direction != "Outbound" or not _attempted(message, news.attempt):
        return Delivered("Unknown")
    known = message.provider_message_id
    if known is not None and known != news.message_id:
        return Delivered("Contradicted")
    if known is not None and not news.state.supersedes(message.delivery):
        return Delivered("Stale")
    newer = news.state.supersedes(message.delivery)
    delivery = news.state if newer else message.delivery
    failed = delivery is not None and delivery.failed
    return Delivered(
        "Applied" if known is not None else "Adopted",
        state="Failed" if failed else "Sent",
        provider_message_id=news.message_id,
        delivery=delivery,
        error_code=news.error_code if failed else None,
        error=news.error if failed else None,
    )


def _attempted(message: Message, attempt: str | None) -> bool:
    """Whether this attempt was ever begun: nobody can adopt an id for one that is yet to come."""
    if attempt is None:
        return message.provider_message_id is not None
    parsed = parse_attempt(attempt)
    return parsed is not None and parsed[0] == message.name and parsed[1] <= message.attempts


def is_current(message: Message, attempt: str) -> bool:
    """Whether this is the attempt whose end the message waits for."""
    return message.attempt is not None and message.attempt.id == attempt


def next_attempt_id(message: Message) -> str:
    """The id of the attempt that comes next."""
    return attempt_id(message.name, message.attempts + 1)


def beginning(body: str, attachments: int) -> str:
    """The beginning of a message, for a conversation's status."""
    text = " ".join(body.split()) or (
        f"[{attachments} attachment{'s' if attachments > 1 else ''}]" if attachments else ""
    )
    return text if len(text) <= LAST_MESSAGE_MAX else text[: LAST_MESSAGE_MAX - 1] + "…"
