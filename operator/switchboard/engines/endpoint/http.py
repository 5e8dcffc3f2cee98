"""`engine.endpoint` with protocol HTTP: one signed JSON POST a turn. docs/engines/http.md is the contract."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from switchboard.api.conversation import BODY_MAX, Usage
from switchboard.api.engine import EndpointEngine
from switchboard.api.meta import Channel, Model
from switchboard.api.runtime import SecretFiles
from switchboard.engines import tracing
from switchboard.engines.base import Answer, EngineError, EngineRefused, EngineUnavailable, Said, TurnInput
from switchboard.engines.endpoint import signing
from switchboard.engines.endpoint.transport import FIELD, Reply, SessionFactory, Transport, parse_json
from switchboard.engines.secrets import SecretFile
from switchboard.engines.steps import Stopwatch
from switchboard.engines.texts import count, sayable, shown

MEDIA_BYTES = 5 << 20
"""Bytes of media that one request carries in all; what is beyond is named only."""


class ContractMedia(Model):
    """A picture, sound or document."""

    content_type: str
    url: str
    data: str | None = None


class ContractMessage(Model):
    """One message."""

    role: Literal["contact", "agent"]
    text: str
    time: datetime
    media: list[ContractMedia] = []


class ContractConversation(Model):
    """Where the turn belongs."""

    id: str
    connector: str
    channel: Channel


class ContractContact(Model):
    """Who writes."""

    number: str
    name: str | None = None


class TurnRequest(Model):
    """What is posted: version v1."""

    version: Literal["v1"] = "v1"
    execution: str
    attempt: int
    agent: str
    revision: str
    time: datetime
    conversation: ContractConversation
    contact: ContractContact
    messages: list[ContractMessage]
    history: list[ContractMessage]


class ContractUsage(Model):
    """What the endpoint spent, if it says."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class TurnReply(Model):
    """What is expected back: version v1."""

    reply: str = Field(max_length=BODY_MAX)
    model: str | None = Field(default=None, max_length=200)
    usage: ContractUsage = ContractUsage()


class HttpEngine:
    """Posts each turn to a URL and answers with what comes back."""

    def __init__(
        self,
        endpoint: EndpointEngine,
        secrets: Path,
        session_factory: SessionFactory | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = Transport(endpoint, secrets, session_factory)
        self._clock = clock
        self._secret = (
            SecretFile(secrets / SecretFiles.ENGINE_SIGNING_SECRET, f"{FIELD}.signingSecret")
            if endpoint.signing_secret is not None
            else None
        )

    async def answer(self, turn: TurnInput) -> Answer:
        """What the endpoint replies."""
        with tracing.endpoint_turn(turn, self._transport.url):
            return await self._answer(turn)

    async def _answer(self, turn: TurnInput) -> Answer:
        url = self._transport.url
        watch, name = Stopwatch(), f"POST {shown(url)}"
        try:
            async with asyncio.timeout(turn.timeout_seconds):
                reply = await self._post(turn)
            parsed = _parse(reply, url)
        except TimeoutError:
            step = watch.step("EndpointRequest", name, error=f"no answer within {turn.timeout_seconds:g} seconds")
            raise EngineUnavailable("Timeout", f"{shown(url)}: {step.error}", usage=_spent(), steps=[step]) from None
        except EngineError as error:
            error.steps = [watch.step("EndpointRequest", name, error=str(error))]
            error.usage = _spent()
            raise
        usage = _spent(parsed.usage)
        step = watch.step("EndpointRequest", name, result=str(reply.status))
        return Answer(sayable(parsed.reply, BODY_MAX), model=parsed.model, usage=usage, steps=[step])

    async def _post(self, turn: TurnInput) -> Reply:
        body = request(turn).model_dump_json(by_alias=True, exclude_none=True).encode()
        headers = {"Idempotency-Key": turn.execution}
        if self._secret is not None:
            key = signing.key(self._secret.read(), self._secret.field)
            headers |= signing.headers(key, turn.execution, int(self._clock()), body)
        return await self._transport.request("POST", self._transport.url, turn=turn, body=body, headers=headers)

    async def check(self) -> None:
        """Reads headers and signing secret."""
        self._transport.headers()
        if self._secret is not None:
            signing.key(self._secret.read(), self._secret.field)

    async def close(self) -> None:
        """Closes connections."""
        await self._transport.close()


def request(turn: TurnInput) -> TurnRequest:
    """The body of a turn's request."""
    room = MEDIA_BYTES

    def message(said: Said, *, inline: bool) -> ContractMessage:
        nonlocal room
        media: list[ContractMedia] = []
        for item in said.media:
            data = None
            if inline and item.data is not None and len(item.data) <= room:
                room -= len(item.data)
                data = base64.b64encode(item.data).decode()
            media.append(ContractMedia(content_type=item.content_type, url=item.url, data=data))
        role: Literal["contact", "agent"] = "contact" if said.by_contact else "agent"
        return ContractMessage(role=role, text=said.text, time=said.time, media=media)

    return TurnRequest(
        execution=turn.execution,
        attempt=turn.attempt,
        agent=turn.agent,
        revision=turn.revision,
        time=turn.now,
        conversation=ContractConversation(id=turn.conversation, connector=turn.connector, channel=turn.channel),
        contact=ContractContact(number=turn.contact, name=turn.contact_name),
        messages=[message(said, inline=True) for said in turn.messages],
        history=[message(said, inline=False) for said in turn.history],
    )


def _parse(reply: Reply, url: str) -> TurnReply:
    if reply.status == 204:
        return TurnReply(reply="")
    try:
        return TurnReply.model_validate(parse_json(reply, url))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise EngineRefused(
            "EndpointAnswerInvalid",
            f'{shown(url)} answered with JSON that is not {{"reply": "…"}}: {place}: {first["msg"]}',
        ) from None


def _spent(usage: ContractUsage | None = None) -> Usage:
    told = usage or ContractUsage()
    return Usage(requests=1, input_tokens=count(told.input_tokens), output_tokens=count(told.output_tokens))
