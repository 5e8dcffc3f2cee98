"""One turn: what waits in a conversation is handed to the engine, and what comes back is made into replies."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from switchboard.api.agent import Turn as TurnBounds
from switchboard.api.conversation import ExecutionError, Step
from switchboard.engines.base import (
    Engine,
    EngineError,
    EngineUnavailable,
    Said,
    TurnInput,
)
from switchboard.engines.history import bound
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Message, Outcome, Reply, Turn
from switchboard.providers.twilio.outbound import MAX_BODY, split_text
from switchboard.webhook import metrics
from switchboard.webhook.access import Verdict
from switchboard.webhook.connectors import ELSEWHERE_SECONDS, Connector, Connectors
from switchboard.webhook.lease import persist
from switchboard.webhook.media import Bounds, Fetcher
from switchboard.webhook.requests import Decisions
from switchboard.webhook.said import dialogue, said
from switchboard.webhook.sending import WINDOW_CLOSED, window_closed

log = logging.getLogger(__name__)

CUT = " …"
"""Ends the last part of an answer that was cut."""
_ERROR_MAX = 1000
_GRACE = 1.0
"""Seconds that an engine has to end by itself after its time, so that it can say how far it came."""
_State = Literal["Failed", "Cancelled"]
_Unfit = tuple[str, str, _State]
"""Why a turn is not handed to the engine: one word, a sentence, and how the execution ends."""
_NO_CONNECTOR: _Unfit = (
    "ConnectorUnavailable",
    "The agent does not use this connector any more, or it cannot be served.",
    "Cancelled",
)
_REFUSED: _Unfit = ("AccessDenied", "The contact was turned away after it wrote.", "Cancelled")
_NOT_LET_IN: _Unfit = ("AccessDenied", "The contact is not let in any more: it waits for approval.", "Cancelled")
_MAY_BE_LATE = (_REFUSED, _NOT_LET_IN)
LATE = timedelta(seconds=30)
"""How long after a turn began a pod may not have heard yet who was let in."""
_EXHAUSTED: _Unfit = ("AttemptsExhausted", "Every attempt ended with the death of the pod that made it.", "Failed")
_UNANSWERED = frozenset({"Received", "Held", "Waiting", "Working"})


@dataclass(frozen=True, slots=True)
class Ended:
    """The execution is over."""

    outcome: Outcome
    replies: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class Again:
    """This attempt gave nothing; the next one may."""

    outcome: Outcome
    at: datetime
    counts: bool = True
    """Whether it was an attempt: False where it was left to others."""


@dataclass(slots=True)
class Runner:
    """Runs turns of one revision."""

    engine: Engine
    kind: str
    """model, endpoint or script."""
    revision: str
    bounds: TurnBounds
    media: Bounds
    replies_per_hour: int
    conversations: ConversationLog
    connectors: Connectors
    decisions: Decisions

    async def run(self, turn: Turn, trace: str | None) -> Ended | Again:
        """What one attempt at a turn gave. Raises LogUnavailable."""
        connector = self.connectors.by_name.get(turn.conversation.connector)
        if connector is None:
            wait = self.connectors.awaited(turn.conversation.connector, turn.execution.start_time)
            if wait is not None:
                return self._elsewhere(turn, trace, _NO_CONNECTOR, wait)
            return self._unanswered(turn, trace, _NO_CONNECTOR)
        unfit = await self._unfit(turn, connector)
        if unfit is None:
            return await self._asked(turn, connector, trace)
        if unfit in _MAY_BE_LATE and datetime.now(UTC) - turn.execution.start_time < LATE:
            return self._elsewhere(turn, trace, unfit, ELSEWHERE_SECONDS)
        text = self.bounds.fallback_reply if unfit is _EXHAUSTED else ""
        return self._unanswered(turn, trace, unfit, self._texts(connector, turn, text))

    async def _asked(self, turn: Turn, connector: Connector, trace: str | None) -> Ended | Again:
        """What the engine gave."""
        began = time.perf_counter()
        try:
            given = await self._input(turn, connector, trace)
            async with asyncio.timeout(self.bounds.timeout_seconds + _GRACE):
                answer = await self.engine.answer(given)
        except TimeoutError:
            why = f"The engine gave no answer within {self.bounds.timeout_seconds} seconds."
            return self._failed(turn, connector, trace, EngineUnavailable("Timeout", why))
        except EngineError as error:
            return self._failed(turn, connector, trace, error)
        except Exception as error:
            log.exception("an engine failed in a way that it should not", extra={"execution": turn.execution.name})
            why = f"{type(error).__name__}: see the pod's log, where this trace id stands."
            return self._failed(turn, connector, trace, EngineError("InternalError", why))
        finally:
            metrics.TURN_SECONDS.labels(self.kind).observe(time.perf_counter() - began)
        metrics.TURNS.labels("Succeeded").inc()
        outcome = Outcome("Succeeded", self.kind, answer.model, answer.usage, list(answer.steps)[:100], trace_id=trace)
        return Ended(outcome, self._texts(connector, turn, answer.text))

    def _unanswered(self, turn: Turn, trace: str | None, unfit: _Unfit, replies: Sequence[Reply] = ()) -> Ended:
        kind, why, state = unfit
        metrics.TURNS.labels(kind).inc()
        log.info("a turn is not answered", extra={"execution": turn.execution.name, "why": kind})
        return Ended(self._outcome(turn, trace, kind, why, state), replies)

    def _elsewhere(self, turn: Turn, trace: str | None, unfit: _Unfit, wait: float) -> Again:
        """Another pod recorded the message to be answered, so it had the connector, and the contact was let in: this
        one has not heard of it yet, or is of a rollout's old ones, without the credentials. It is left to others, and
        to itself, for a while."""
        kind, why, _ = unfit
        log.info("a turn is left for later", extra={"execution": turn.execution.name, "why": kind, "seconds": wait})
        at = datetime.now(UTC) + timedelta(seconds=wait)
        return Again(self._outcome(turn, trace, kind, why, "Failed"), at, counts=False)

    async def _unfit(self, turn: Turn, connector: Connector) -> _Unfit | None:
        """Why a turn is not handed to the engine."""
        contact, now = turn.conversation.contact, datetime.now(UTC)
        if turn.execution.attempts > self.bounds.max_attempts:
            return _EXHAUSTED
        verdict = connector.door.decide(contact, self.decisions.decision(connector.name, contact))
        if verdict is not Verdict.ADMIT:
            return _REFUSED if verdict is Verdict.REFUSE else _NOT_LET_IN
        if window_closed(turn, now):
            return "WindowClosed", WINDOW_CLOSED, "Failed"
        hour = now - timedelta(hours=1)
        replies = await persist("read", lambda: self.conversations.replies_since(turn.conversation.name, hour))
        if replies >= self.replies_per_hour:
            why = f"{replies} replies went to this contact within an hour, and {self.replies_per_hour} are allowed."
            return "ReplyLimit", why, "Cancelled"
        return None

    def _failed(self, turn: Turn, connector: Connector, trace: str | None, error: EngineError) -> Ended | Again:
        attempts, most = turn.execution.attempts, self.bounds.max_attempts
        outcome = self._outcome(turn, trace, error.kind, str(error), "Failed")
        outcome.model, outcome.usage, outcome.steps = error.model, error.usage, list(error.steps)[:100]
        fields = {"execution": turn.execution.name, "attempt": attempts, "kind": error.kind, "error": str(error)}
        if isinstance(error, EngineUnavailable) and attempts < most:
            wait = error.retry_after if error.retry_after is not None else pause(attempts)
            metrics.TURN_RETRIES.labels(error.kind).inc()
            log.warning("an engine gave no answer: it is asked again", extra={**fields, "seconds": round(wait, 1)})
            return Again(outcome, datetime.now(UTC) + timedelta(seconds=min(wait, 300)))
        metrics.TURNS.labels(error.kind).inc()
        log.error("a turn failed", extra=fields)
        return Ended(outcome, self._texts(connector, turn, self.bounds.fallback_reply))

    def _outcome(self, turn: Turn, trace: str | None, kind: str, why: str, state: _State) -> Outcome:
        error = ExecutionError(kind=kind[:100], message=why[:_ERROR_MAX])
        return Outcome(state, self.kind, error=error, trace_id=trace or turn.execution.trace_id)

    async def _input(self, turn: Turn, connector: Connector, trace: str | None) -> TurnInput:
        fetcher = Fetcher(connector.client, self.media)
        messages = [said(message, await fetcher.fetch(message.media)) for message in turn.messages]
        return TurnInput(
            execution=turn.execution.name,
            attempt=turn.execution.attempts,
            conversation=turn.conversation.name,
            agent=turn.conversation.agent,
            revision=self.revision,
            connector=connector.name,
            channel=turn.conversation.channel,
            contact=turn.conversation.contact,
            contact_name=turn.conversation.contact_name,
            now=datetime.now(UTC),
            messages=messages,
            history=await self._history(turn),
            trace_id=trace,
            timeout_seconds=self.bounds.timeout_seconds,
        )

    async def _history(self, turn: Turn) -> list[Said]:
        """What was said before. A reply may have a higher place than a message of this turn, which came while the
        one before it ran: so the latest are read, and what is to be answered is left out."""
        most = self.bounds.history_messages
        if not most:
            return []
        limit = most + len(turn.messages)
        kept = await persist("read", lambda: self.conversations.history(turn.conversation.name, limit=limit))
        taken = {message.name for message in turn.messages}
        before = [message for message in kept if message.name not in taken and message.state not in _UNANSWERED]
        told = dialogue(before, await self._steps(before))
        return bound(told, messages=most, characters=self.bounds.history_characters)

    async def _steps(self, messages: Sequence[Message]) -> dict[str, Sequence[Step]]:
        """What the engine did to make each earlier answer: models are told of their own tool calls, and A2A agents go
        on with the context and the task that they named."""
        if self.kind == "script":
            return {}
        names = {one.execution for one in messages if one.direction == "Outbound" and one.execution}
        found = await persist("read", lambda: asyncio.gather(*map(self.conversations.execution, names)))
        return {execution.name: execution.steps for execution in found if execution is not None}

    def _texts(self, connector: Connector, turn: Turn, text: str) -> list[Reply]:
        recipient = connector.line.receiver(turn.conversation.contact)
        sender = connector.number or turn.messages[-1].recipient
        parts = split_text(text, limit=MAX_BODY, max_parts=self.bounds.max_reply_parts, note=CUT)
        return [Reply(sender, recipient, part) for part in parts]


def pause(attempts: int) -> float:
    """Seconds before an engine is asked again: doubling to a minute, with jitter."""
    longest = min(60.0, 1.0 * 2.0 ** min(attempts - 1, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter
