"""What an engine is: it is given a turn and gives an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from switchboard.api.conversation import Step, Usage
from switchboard.api.meta import Channel


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound or document that came with a message."""

    content_type: str
    url: str
    data: bytes | None = None
    """Its bytes, or None where it could not be had or was too large."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation, as an engine sees it."""

    by_contact: bool
    text: str
    time: datetime
    media: Sequence[Media] = ()
    steps: Sequence[Step] = ()
    """What the engine did to make it, for an answer of its own."""


@dataclass(frozen=True, slots=True)
class TurnInput:
    """All that an engine is told of a turn."""

    execution: str
    """Name of the Execution: the idempotency key of all that the engine does in this turn."""
    attempt: int
    """From 1."""
    conversation: str
    """Name of the Conversation: the context id for engines that keep one."""
    agent: str
    revision: str
    connector: str
    channel: Channel
    contact: str
    """The person's number in E.164."""
    contact_name: str | None
    now: datetime
    messages: Sequence[Said]
    """What waits to be answered, in order; at least one."""
    history: Sequence[Said] = ()
    """What was said before, oldest first, already within the turn's bounds."""
    trace_id: str | None = None
    timeout_seconds: float | None = None
    """Seconds that `answer` may take. The engine then raises `EngineUnavailable` of kind `Timeout`, with the steps it
    came to; who calls it still bounds it from outside. None: unbounded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine gave. An empty text means that nothing is sent."""

    text: str
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    steps: Sequence[Step] = ()


class EngineError(Exception):
    """An engine gave no answer.

    `kind` is one CamelCase word for `Execution.status.error.kind`; the message is for a person and holds no secret.
    `usage`, `steps` and `model` say how far it came.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        usage: Usage | None = None,
        steps: Sequence[Step] = (),
        model: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.usage = usage
        self.steps = steps
        self.model = model


class EngineMisconfigured(EngineError):
    """It can never work as it is set up: the user mends the Agent."""


class EngineRefused(EngineError):
    """This turn can never work: trying again gives the same."""


class EngineUnavailable(EngineError):
    """It may work later. `retry_after` is in seconds where the other side named it."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        retry_after: float | None = None,
        usage: Usage | None = None,
        steps: Sequence[Step] = (),
        model: str | None = None,
    ) -> None:
        super().__init__(kind, message, usage=usage, steps=steps, model=model)
        self.retry_after = retry_after


class Engine(Protocol):
    """Answers turns. Safe to be called for several conversations at once; `answer` can be cancelled."""

    async def answer(self, turn: TurnInput) -> Answer:
        """The answer to a turn. At least once: the same execution may be asked for again.

        Raises:
            EngineError: no answer.
        """
        ...

    async def check(self) -> None:
        """Proves without asking anybody that the engine can be built: what `switchboard webhook check` runs.

        Raises:
            EngineMisconfigured: it cannot work as it is set up.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...
