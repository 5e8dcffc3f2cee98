"""`engine.endpoint` with protocol A2A: an agent that speaks https://a2a-protocol.org gets a phone number."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from pathlib import Path
from urllib.parse import urlsplit

from switchboard.api.conversation import BODY_MAX
from switchboard.api.engine import EndpointEngine
from switchboard.engines import tracing
from switchboard.engines.base import (
    Answer,
    EngineError,
    EngineMisconfigured,
    EngineRefused,
    EngineUnavailable,
    TurnInput,
)
from switchboard.engines.endpoint.a2a_exchange import Exchange, Peer, remembered
from switchboard.engines.endpoint.a2a_wire import (
    TASK_NOT_FOUND,
    AgentCard,
    Attachment,
    JsonObject,
    Message,
    State,
    Task,
    choose,
)
from switchboard.engines.endpoint.transport import SessionFactory, Transport
from switchboard.engines.steps import bounded
from switchboard.engines.texts import sayable, shown

CARD_SECONDS = 300.0
"""How long a card is believed."""
POLL_SECONDS = (0.2, 5.0)
"""The first and the longest pause between two looks at a task."""
CANCEL_SECONDS = 2.0
"""How long a cancelled turn may take to cancel its task: a pod that ends has little time."""
RUNNING_MAX = 1000
"""Unfinished tasks that are remembered, so that a further attempt looks at them instead of asking again."""


class A2AEngine:
    """Sends each turn as a message to an A2A agent and answers with what it says or what its task made."""

    def __init__(self, endpoint: EndpointEngine, secrets: Path, session_factory: SessionFactory | None = None) -> None:
        self._transport = Transport(endpoint, secrets, session_factory)
        self._peer: tuple[Peer, float] | None = None
        self._running: OrderedDict[str, str] = OrderedDict()
        """Unfinished tasks by execution."""

    async def answer(self, turn: TurnInput) -> Answer:
        """What the agent says."""
        with tracing.endpoint_turn(turn, self._transport.url):
            return await self._answer(turn)

    async def _answer(self, turn: TurnInput) -> Answer:
        exchange = Exchange(turn, self._transport)
        try:
            async with asyncio.timeout(turn.timeout_seconds):
                text = await self._turn(exchange)
        except TimeoutError:
            raise EngineUnavailable(
                "Timeout",
                f"{shown(self._transport.url)}: no answer within {turn.timeout_seconds:g} seconds",
                usage=exchange.usage,
                steps=bounded(exchange.steps),
            ) from None
        except asyncio.CancelledError:
            await self._cancel(exchange)
            raise
        except EngineError as error:
            self._peer = None  # The agent may have been replaced by one of another version: its card is read anew.
            error.usage, error.steps = exchange.usage, bounded(exchange.steps)
            raise
        return Answer(sayable(text, BODY_MAX), usage=exchange.usage, steps=bounded(exchange.steps))

    async def check(self) -> None:
        """Reads the headers. The card is read with the first message: the agent may start after us."""
        self._transport.headers()

    async def close(self) -> None:
        """Closes connections."""
        await self._transport.close()

    async def _turn(self, exchange: Exchange) -> str:
        peer = await self._find(exchange)
        outcome = await self._begin(exchange, peer)
        pause, longest = POLL_SECONDS
        while isinstance(outcome, Task) and outcome.state is State.RUNNING:
            await asyncio.sleep(pause)
            pause = min(pause * 1.6, longest)
            outcome = await self._look(exchange, peer, outcome.id)
        exchange.remember(outcome)
        if isinstance(outcome, Message) or outcome.state in (State.COMPLETED, State.INPUT_REQUIRED):
            return outcome.text
        raise _unanswered(outcome, exchange)

    async def _find(self, exchange: Exchange) -> Peer:
        if self._peer is not None and self._peer[1] > time.monotonic():
            return self._peer[0]
        card = await exchange.card()
        chosen = choose(card)
        if chosen is None:
            raise EngineMisconfigured(
                "A2AUnsupported",
                f"{shown(self._transport.url)}: its agent card offers no JSON-RPC interface of A2A 0.2, 0.3 or 1.0",
            )
        dialect, advertised = chosen
        # Headers hold credentials: they go nowhere but to the configured origin, whatever a card says. Agents
        # behind a gateway often advertise an address that only they know (kagent: http://127.0.0.1:8083).
        url = advertised if _origin(advertised) == _origin(self._transport.url) else self._transport.url
        peer = Peer(card, dialect, url)
        self._peer = peer, time.monotonic() + CARD_SECONDS
        return peer

    async def _begin(self, exchange: Exchange, peer: Peer) -> Message | Task:
        turn = exchange.turn
        if (task_id := self._running.get(turn.execution)) is not None:
            return await self._look(exchange, peer, task_id)
        before = remembered(turn)
        text, files = _content(peer.card, turn)
        params = peer.dialect.send_params(
            message_id=turn.execution,
            context_id=before.context_id if before is not None else turn.conversation,
            task_id=before.task_id if before is not None else None,
            text=text,
            files=files,
            metadata=_metadata(turn),
        )
        answer = await exchange.call(peer, peer.dialect.send, params)
        if answer.error is not None and answer.error.code == TASK_NOT_FOUND and before is not None and before.task_id:
            # The agent forgot the task that had asked for more.
            answer = await exchange.call(peer, peer.dialect.send, peer.dialect.without_task(params))
        return self._note(exchange.outcome(peer, answer), turn.execution)

    async def _cancel(self, exchange: Exchange) -> None:
        """Asks the agent to stop: whoever takes the turn over begins a task of its own."""
        task_id = self._running.pop(exchange.turn.execution, None)
        if task_id is None or self._peer is None:
            return
        peer = self._peer[0]
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await exchange.call(peer, peer.dialect.cancel, {"id": task_id})

    async def _look(self, exchange: Exchange, peer: Peer, task_id: str) -> Message | Task:
        answer = await exchange.call(peer, peer.dialect.get, {"id": task_id})
        if answer.error is not None and answer.error.code == TASK_NOT_FOUND:
            self._running.pop(exchange.turn.execution, None)
        outcome = exchange.outcome(peer, answer)
        if isinstance(outcome, Message):
            raise EngineRefused(
                "EndpointAnswerInvalid", f"{shown(peer.url)} answered {peer.dialect.get} without a task"
            )
        return self._note(outcome, exchange.turn.execution)

    def _note(self, outcome: Message | Task, execution: str) -> Message | Task:
        if isinstance(outcome, Task) and outcome.state is State.RUNNING:
            self._running[execution] = outcome.id
            while len(self._running) > RUNNING_MAX:
                self._running.popitem(last=False)
        else:
            self._running.pop(execution, None)
        return outcome


def _content(card: AgentCard, turn: TurnInput) -> tuple[str, list[Attachment]]:
    """The turn's words, and the files that the agent takes; the others are named."""
    texts: list[str] = []
    files: list[Attachment] = []
    for said in turn.messages:
        texts.append(said.text)
        for media in said.media:
            if media.data is not None and card.takes(media.content_type):
                files.append(Attachment(media.content_type, media.data))
            else:
                texts.append(f"[attachment: {media.content_type}, not shown]")
    return "\n".join(filter(None, texts)), files


def _metadata(turn: TurnInput) -> JsonObject:
    metadata: JsonObject = {
        "switchboard.dev/execution": turn.execution,
        "switchboard.dev/agent": turn.agent,
        "switchboard.dev/connector": turn.connector,
        "switchboard.dev/channel": turn.channel,
        "switchboard.dev/contact": turn.contact,
        "switchboard.dev/time": turn.now.isoformat(),
    }
    if turn.contact_name:
        metadata["switchboard.dev/contactName"] = turn.contact_name
    return metadata


def _unanswered(task: Task, exchange: Exchange) -> EngineError:
    words = exchange.clean(task.text)
    told = f"{shown(exchange.transport.url)}: its task ended as {task.state.value}" + (f": {words}" if words else "")
    if task.state is State.FAILED:
        return EngineUnavailable("TaskFailed", told)
    if task.state is State.AUTH_REQUIRED:
        return EngineRefused("TaskAuthRequired", f"{told}; Switchboard cannot sign in for a contact")
    return EngineRefused("TaskRejected" if task.state is State.REJECTED else "TaskCanceled", told)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    try:
        return parts.scheme, (parts.hostname or "").lower(), parts.port or default
    except ValueError:
        return parts.scheme, "", None
