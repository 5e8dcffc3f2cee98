"""The log in one object."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from switchboard.log.clock import Clock, SystemClock
from switchboard.log.errors import LogUnavailable
from switchboard.log.postgres.connection import Connection, Database, speaking
from switchboard.log.postgres.keeping import Keeping
from switchboard.log.postgres.listening import Listener
from switchboard.log.postgres.reading import Reading
from switchboard.log.postgres.receiving import Receiving
from switchboard.log.postgres.recording import Recording
from switchboard.log.postgres.schema import check_schema
from switchboard.log.postgres.sending import Sending
from switchboard.log.postgres.turns import Turns
from switchboard.log.records import (
    Attempt,
    Backfill,
    Conversation,
    DeliveryNews,
    DeliveryResult,
    Execution,
    Inbound,
    Message,
    Outcome,
    Page,
    Query,
    Recorded,
    Reply,
    Turn,
)
from switchboard.log.wakeups import Bell
from switchboard.providers.base import DeliveryState

LOOK_SECONDS = 30.0
"""A worker looks by itself this often: for messages whose recorder died before it rang."""


class PostgresLog:
    """A `ConversationLog` of one Agent."""

    def __init__(
        self, dsn: str, *, namespace: str, agent: str, connections: int = 10, clock: Clock | None = None
    ) -> None:
        """`connections`: the most that this pod opens, besides those that record and one that listens.

        Contacts are made unrecognizable in names by a key that the database keeps for the namespace.
        """
        self._dsn = dsn
        self._namespace = namespace
        self._name = agent
        self._clock = clock or SystemClock()
        self._database = Database(dsn, connections=connections)
        self._bell = Bell()
        self._listening: asyncio.Task[None] | None = None
        self._agent = 0
        self._parts: _Parts | None = None

    async def start(self) -> None:
        """As the protocol says."""
        await self._database.open()
        try:
            with speaking():
                async with self._database.connection() as connection:
                    await check_schema(connection)
            self._agent, key = await self._database.transaction(self._register)
        except BaseException:
            await self._database.close()
            raise
        listener = Listener(self._dsn, str(self._agent), self._bell.ring)

        def ring() -> None:
            self._bell.ring()
            listener.notify()

        self._parts = _Parts(self._database, self._clock, agent=self._agent, agent_name=self._name, key=key, ring=ring)
        self._listening = asyncio.create_task(listener.run())

    async def _register(self, connection: Connection) -> tuple[int, bytes]:
        """This Agent's number, and its namespace's key."""
        await connection.execute(
            "INSERT INTO switchboard_namespaces (name, contact_key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            *(self._namespace, secrets.token_bytes(32)),
        )
        await connection.execute(
            "INSERT INTO switchboard_agents (namespace, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            *(self._namespace, self._name),
        )
        row = await connection.fetchrow(
            "SELECT a.id, n.contact_key FROM switchboard_agents a JOIN switchboard_namespaces n ON n.name = a.namespace"
            " WHERE a.namespace = $1 AND a.name = $2",
            *(self._namespace, self._name),
        )
        if row is None:
            raise LogUnavailable("the Agent was removed from the database while it was registered")
        return row["id"], row["contact_key"]

    async def close(self) -> None:
        """As the protocol says."""
        if self._parts is not None:
            await self._parts.recording.commits.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None
        self._parts = None
        await self._database.close()

    @property
    def ready(self) -> bool:
        """As the protocol says."""
        return self._parts is not None and self._database.answers

    @property
    def _open(self) -> _Parts:
        if self._parts is None:
            raise LogUnavailable("the conversation log is closed")
        return self._parts

    async def record(self, inbound: Inbound) -> Recorded:
        """As the protocol says."""
        return await self._open.recording.record(inbound)

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        """As the protocol says."""
        return await self._open.receiving.deliver(news)

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        """As the protocol says."""
        return await self._open.receiving.release_held(connector, contact)

    async def refuse_held(self, connector: str, contact: str) -> int:
        """As the protocol says."""
        return await self._open.receiving.refuse_held(connector, contact)

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        """As the protocol says."""
        return await self._open.receiving.announce(conversation, kind, reply, revision=revision)

    async def wakeups(self) -> AsyncIterator[None]:
        """As the protocol says."""
        looked: datetime | None = None

        async def due() -> float:
            nonlocal looked
            try:
                seconds, looked = await self._open.turns.next_due(looked)
            except LogUnavailable:
                return LOOK_SECONDS  # and earlier: the listener rings when the database is back
            return min(seconds, LOOK_SECONDS)

        await due()  # what falls due between the first look and the first question for it is not missed
        async for _ in self._bell.rings(due):
            yield

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        """As the protocol says."""
        return await self._open.turns.claim(holder, revision, seconds=seconds, live=live)

    async def renew(self, turn: Turn, *, seconds: float) -> Turn:
        """As the protocol says."""
        return await self._open.turns.renew(turn, seconds=seconds)

    async def retry(self, turn: Turn, outcome: Outcome, *, at: datetime, counts: bool = True) -> None:
        """As the protocol says."""
        await self._open.turns.retry(turn, outcome, at=at, counts=counts)

    async def finish(self, turn: Turn, outcome: Outcome, replies: Sequence[Reply]) -> Turn:
        """As the protocol says."""
        return await self._open.turns.finish(turn, outcome, replies)

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        """As the protocol says."""
        return await self._open.sending.begin_attempt(turn, message, seconds=seconds)

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        """As the protocol says."""
        await self._open.sending.confirm(turn, attempt, message_id, state)

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None = None
    ) -> None:
        """As the protocol says."""
        await self._open.sending.refuse(turn, attempt, code=code, error=error, retry_at=retry_at)

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool = False) -> None:
        """As the protocol says."""
        await self._open.sending.unknown(turn, attempt, error=error, again=again)

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        """As the protocol says."""
        await self._open.sending.postpone(turn, message, error=error, at=at)

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        """As the protocol says."""
        await self._open.sending.cancel(turn, message, error=error)

    async def release(self, turn: Turn) -> None:
        """As the protocol says."""
        await self._open.turns.release(turn)

    async def working(self, revision: str) -> int:
        """As the protocol says."""
        return await self._open.turns.working(revision)

    async def undelivered(
        self, connector: str, *, since: datetime, until: datetime, limit: int = 50
    ) -> Sequence[Message]:
        """As the protocol says."""
        return await self._open.reading.undelivered(connector, since=since, until=until, limit=limit)

    async def in_doubt(self, recipient: str, *, since: datetime) -> Sequence[Message]:
        """As the protocol says."""
        return await self._open.reading.in_doubt(recipient, since=since)

    async def sent(self, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        return await self._open.reading.sent(message_ids)

    async def replies_since(self, conversation: str, since: datetime) -> int:
        """As the protocol says."""
        return await self._open.keeping.replies_since(conversation, since)

    async def known(self, provider: str, account: str, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        return await self._open.keeping.known(provider, account, message_ids)

    async def backfill(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """As the protocol says."""
        return await self._open.keeping.backfill(connector, holder, seconds=seconds)

    async def backfilled(self, backfill: Backfill, cursor: datetime | None) -> None:
        """As the protocol says."""
        await self._open.keeping.backfilled(backfill, cursor)

    async def expire(self, before: datetime, *, limit: int = 200) -> int:
        """As the protocol says."""
        return await self._open.keeping.expire(before, limit=limit)

    async def conversation(self, name: str) -> Conversation | None:
        """As the protocol says."""
        return await self._open.reading.conversation(name)

    async def execution(self, name: str) -> Execution | None:
        """As the protocol says."""
        return await self._open.reading.execution(name)

    async def history(self, conversation: str, *, before: int | None = None, limit: int = 50) -> Sequence[Message]:
        """As the protocol says."""
        return await self._open.reading.history(conversation, before=before, limit=limit)

    async def conversations(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        """As the protocol says."""
        return await self._open.reading.conversations(query, cursor=cursor, limit=limit)

    async def messages(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Message]:
        """As the protocol says."""
        return await self._open.reading.messages(query, cursor=cursor, limit=limit)

    async def executions(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Execution]:
        """As the protocol says."""
        return await self._open.reading.executions(query, cursor=cursor, limit=limit)


class _Parts:
    """What there is once the Agent's number in the database is known."""

    def __init__(
        self, database: Database, clock: Clock, *, agent: int, agent_name: str, key: bytes, ring: Callable[[], None]
    ) -> None:
        self.recording = Recording(database, agent=agent, agent_name=agent_name, key=key, ring=ring)
        of = self.recording.conversation_of
        self.receiving = Receiving(database, agent=agent, conversation_of=of, ring=ring)
        self.turns = Turns(database, clock, agent=agent, agent_name=agent_name, ring=ring)
        self.sending = Sending(database, self.turns, clock, agent=agent, ring=ring)
        self.reading = Reading(database, agent=agent, agent_name=agent_name)
        self.keeping = Keeping(database, clock, agent=agent, ring=ring)
