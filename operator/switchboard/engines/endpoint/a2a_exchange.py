"""One turn's talk with an A2A agent: its requests, and the steps that are kept of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import ValidationError

from switchboard.api.conversation import Step, Usage
from switchboard.engines.base import EngineError, EngineMisconfigured, EngineRefused, EngineUnavailable, TurnInput
from switchboard.engines.endpoint.a2a_wire import (
    CARD_PATHS,
    TASK_NOT_FOUND,
    AgentCard,
    Dialect,
    JsonObject,
    Message,
    Remembered,
    RpcAnswer,
    Task,
)
from switchboard.engines.endpoint.transport import FIELD, Reply, Transport, parse_json
from switchboard.engines.steps import Stopwatch
from switchboard.engines.texts import ERROR_MAX, RESULT_MAX, Redactor, shown

_RETRYABLE = frozenset({-32603, -32000, TASK_NOT_FOUND})
"""Internal error, the server error that JSON-RPC leaves to implementations, and a task that is gone."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How to speak to an agent, as its card says."""

    card: AgentCard
    dialect: Dialect
    url: str


@dataclass(slots=True)
class Exchange:
    """What one turn did."""

    turn: TurnInput
    transport: Transport
    steps: list[Step] = field(default_factory=list)
    requests: int = 0

    @property
    def usage(self) -> Usage:
        """What was spent."""
        return Usage(requests=self.requests)

    async def card(self) -> AgentCard:
        """The agent's card.

        Raises:
            EngineError: it cannot be had, or is none.
        """
        base = self.transport.url.rstrip("/")
        for path in CARD_PATHS:
            reply = await self._get_card(base + path)
            if reply.status in (404, 405):
                continue
            try:
                return AgentCard.model_validate(parse_json(reply, base + path))
            except ValidationError:
                raise EngineMisconfigured("AgentCardInvalid", f"{shown(base + path)} is no A2A agent card") from None
        raise EngineMisconfigured(
            "AgentCardMissing",
            f"{shown(base)} has no A2A agent card at {CARD_PATHS[0]}; check {FIELD}.url, "
            "or set protocol: HTTP for an agent that takes a plain JSON POST",
        )

    async def _get_card(self, url: str) -> Reply:
        self.requests += 1
        watch = Stopwatch()
        try:
            return await self.transport.request("GET", url, turn=self.turn, allow=frozenset({404, 405}))
        except EngineError as error:
            self.steps.append(watch.step("EndpointRequest", f"GET {shown(url)}", error=str(error)))
            raise

    async def call(self, peer: Peer, method: str, params: JsonObject) -> RpcAnswer:
        """One JSON-RPC call. An error of JSON-RPC comes back as an answer.

        Raises:
            EngineError: there is no answer, or none of JSON-RPC.
        """
        self.requests += 1
        identifier = f"{self.turn.execution}-{self.turn.attempt}-{self.requests}"
        body = json.dumps({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}).encode()
        headers = {"Idempotency-Key": self.turn.execution} if method == peer.dialect.send else {}
        watch = Stopwatch()
        error: str | None = "broken off before it answered"
        try:
            reply = await self.transport.request(
                "POST", peer.url, turn=self.turn, body=body, headers=headers | peer.dialect.headers
            )
            answer = RpcAnswer.model_validate(parse_json(reply, peer.url))
            error = None if answer.error is None else f"{answer.error.code} {answer.error.message}"
        except ValidationError:
            error = "the answer is not JSON-RPC"
            raise EngineRefused("EndpointAnswerInvalid", f"{shown(peer.url)}: {error}") from None
        except EngineError as failed:
            error = str(failed)
            raise
        finally:
            self.steps.append(watch.step("EndpointRequest", method, error=self.clean(error) if error else None))
        return answer

    def outcome(self, peer: Peer, answer: RpcAnswer) -> Message | Task:
        """What an answer holds.

        Raises:
            EngineError: an error, or neither a message nor a task.
        """
        if answer.error is not None:
            told = f"{shown(peer.url)}: {self.clean(f'{answer.error.message} ({answer.error.code})')}"
            if answer.error.code in _RETRYABLE:
                raise EngineUnavailable("EndpointUnavailable", told)
            raise EngineRefused("EndpointRefused", told)
        try:
            outcome = peer.dialect.outcome(answer.result)
        except ValidationError:
            outcome = None
        if outcome is None:
            raise EngineRefused(
                "EndpointAnswerInvalid", f"{shown(peer.url)} answered with neither a message nor a task"
            )
        return outcome

    def remember(self, outcome: Message | Task) -> None:
        """Keeps with the last step what the turns after this one need, and what was said."""
        kept = Remembered.of(outcome, self.turn.conversation)
        self.steps[-1] = self.steps[-1].model_copy(
            update={
                "arguments": kept.model_dump_json(by_alias=True, exclude_none=True),
                "result": self.clean(outcome.text, RESULT_MAX),
            }
        )

    def clean(self, text: str, limit: int = ERROR_MAX) -> str:
        """A text without the values of the user's headers."""
        try:
            values = list(self.transport.headers().values())
        except EngineMisconfigured:
            values = []
        return Redactor(values).clean(text, limit)


def remembered(turn: TurnInput) -> Remembered | None:
    """What the last answer in the history remembers, if it came from an A2A agent."""
    for said in reversed(turn.history):
        for step in reversed(said.steps):
            if step.kind == "EndpointRequest" and step.arguments:
                try:
                    return Remembered.model_validate_json(step.arguments)
                except ValidationError:
                    continue
    return None
