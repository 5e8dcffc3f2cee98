"""What the tests know of a store: pods that open it, messages that arrive, time that goes by."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from switchboard.log.names import conversation_name
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Attempt, Inbound, Message, Outcome, Query, Reply, Turn

KEY = b"a key that only this test knows."
CONNECTOR = "production-sms"
CONTACT = "+15005550100"
NUMBER = "+15005550006"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
REVISION = "support-v1"
LEASE = 30.0


class Crashed(BaseException):
    """The process that wrote is gone."""


class Dying:
    """Lets a process die at its n-th write, before it or after it; from then on it does nothing any more."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left = step
        self._after = after
        self.died = False

    async def write(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """The n-th one is the last."""
        if self.died:
            raise Crashed
        self._left -= 1
        if self._left >= 0:
            return await call()
        self.died = True
        if self._after:
            await call()
        raise Crashed


class Backend(Protocol):
    """A store that tests open logs on."""

    async def open(self, agent: str, max_messages: int, dying: Dying | None = None) -> ConversationLog: ...

    async def advance(self, seconds: float) -> None: ...

    async def creep(self, seconds: float) -> None: ...

    async def now(self) -> datetime: ...

    async def seen(self) -> None: ...


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time


@dataclass
class World:
    """One store, and as many logs on it as a test wants: each is what one pod has."""

    backend: Backend
    log: ConversationLog
    """The first pod's."""
    exits: AsyncExitStack
    _ids: Any = field(default_factory=itertools.count)

    async def another(self, agent: str = "support", **options: Any) -> ConversationLog:
        """Another pod's log."""
        return await open_log(self.backend, self.exits, agent, **options)

    async def advance(self, seconds: float) -> None:
        """Time goes by."""
        await self.backend.advance(seconds)

    async def now(self) -> datetime:
        return await self.backend.now()

    async def seen(self) -> None:
        """Returns when every log knows what every other has written."""
        await self.backend.seen()

    async def expired(self, before: datetime, **limit: int) -> list[int]:
        """What ended before goes, as pods see to it again and again; how much went each time. What a pod writes to
        meanwhile goes the next time, so that only who finds nothing twice has found nothing."""
        steps: list[int] = []
        while steps[-2:] != [0, 0]:
            await self.seen()
            steps.append(await self.log.expire(before, **limit))
        await self.seen()
        return [gone for gone in steps if gone]

    def inbound(self, body: str = "hello", **fields: Any) -> Inbound:
        """A message that nobody sent before."""
        given: dict[str, Any] = {
            "provider": "twilio",
            "account": ACCOUNT,
            "message_id": f"SM{next(self._ids):032x}",
            "connector": CONNECTOR,
            "channel": "SMS",
            "contact": CONTACT,
            "recipient": NUMBER,
            "body": body,
            "state": "Waiting",
        } | fields
        return Inbound(**{"sender": given["contact"]} | given)

    async def told(self, body: str = "hello", **fields: Any) -> str:
        """Records a message; its conversation."""
        return (await self.log.record(self.inbound(body, **fields))).conversation

    async def claim(
        self, log: ConversationLog | None = None, holder: str = "pod-a", revision: str = REVISION, *, live: bool = True
    ) -> Turn | None:
        """The next turn."""
        return await (log or self.log).claim(holder, revision, seconds=LEASE, live=live)

    async def claimed(self, *arguments: Any, **options: Any) -> Turn:
        """The next turn, which there must be."""
        turn = await self.claim(*arguments, **options)
        assert turn is not None
        return turn

    async def answered(self, *texts: str) -> Turn:
        """A claimed turn that was run, with its parts still to send."""
        turn = await self.claimed()
        return await self.log.finish(turn, Outcome(engine="script"), replies(*texts))

    def outcome(self, state: str = "Succeeded") -> Outcome:
        """How an execution ended."""
        return Outcome(state, engine="script")  # type: ignore[arg-type]

    async def begun(self, body: str = "answer") -> tuple[Turn, Message, Attempt]:
        """A part whose request is under way."""
        turn = await self.answered(body)
        (part,) = turn.outbound
        return turn, part, await self.log.begin_attempt(turn, part, seconds=10)

    async def one(self, name: str, log: ConversationLog | None = None) -> Message:
        """One message as it stands."""
        page = await (log or self.log).messages(Query(), limit=1000)
        (found,) = (message for message in page.items if message.name == name)
        return found

    async def states(self, conversation: str) -> list[tuple[str, str]]:
        """A conversation's bodies and states, in order."""
        return [(message.body, message.state) for message in await self.log.history(conversation)]


def replies(*texts: str) -> Sequence[Reply]:
    return [Reply(NUMBER, CONTACT, text) for text in texts]


def soon(turn: Turn, seconds: float = 5) -> datetime:
    """So long after the turn was claimed, by the clock of who did."""
    return turn.expires - timedelta(seconds=LEASE - seconds)


async def open_log(
    backend: Backend, exits: AsyncExitStack, agent: str, max_messages: int = 10_000, dying: Dying | None = None
) -> ConversationLog:
    log = await backend.open(agent, max_messages, dying)
    exits.push_async_callback(log.close)
    await log.start()
    return log


def conversation(contact: str = CONTACT, *, connector: str = CONNECTOR, channel: str = "SMS") -> str:
    return conversation_name(KEY, agent="support", connector=connector, channel=channel, contact=contact)
