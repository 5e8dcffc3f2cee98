"""The log in one object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime

from switchboard.api.meta import LABEL_AGENT
from switchboard.kube.client import KubeApi, Synced
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, ResourceType
from switchboard.log.clock import Clock, SystemClock
from switchboard.log.names import inbound_name
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
from switchboard.log.resources.backfill import Backfills
from switchboard.log.resources.index import Index
from switchboard.log.resources.projection import Projection
from switchboard.log.resources.reading import Reading
from switchboard.log.resources.receiving import Receiving
from switchboard.log.resources.room import Room
from switchboard.log.resources.sending import Sending
from switchboard.log.resources.store import Store
from switchboard.log.resources.turns import Turns
from switchboard.log.wakeups import Bell
from switchboard.providers.base import DeliveryState

log = logging.getLogger(__name__)

WATCHED = (CONVERSATIONS, EXECUTIONS, MESSAGES)


class ResourcesLog:
    """A `ConversationLog` of one Agent."""

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        agent: str,
        key: bytes,
        max_messages: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        """`key` is what contacts are made unrecognizable with in names: the same for all pods of the namespace."""
        clock = clock or SystemClock()
        self._api = api
        self._clock = clock
        self._agent = agent
        self._namespace = namespace
        self._bell = Bell()
        self._index = Index()
        self._index.changed = self._bell.ring
        self._store = Store(api, namespace, self._index)
        self._projection = Projection(self._store)
        self._backfills = Backfills(self._store, clock, agent)
        self._room = Room(self._store, max_messages, self._backfills.forget)
        self._receiving = Receiving(self._store, self._room, self._projection, clock, agent=agent, key=key)
        self._turns = Turns(self._store, self._room, self._projection, clock)
        self._sending = Sending(self._store, self._turns, self._projection, clock)
        self._reading = Reading(self._index, agent)
        self._synced = {resource: asyncio.Event() for resource in WATCHED}
        self._tasks: list[asyncio.Task[None]] = []
        self._projecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As the protocol says."""
        self._tasks = [asyncio.create_task(self._follow(resource)) for resource in WATCHED]
        self._projecting = asyncio.create_task(self._projection.run())
        self._tasks += [self._projecting, asyncio.create_task(self._store.ask_again())]
        for synced in self._synced.values():
            await synced.wait()
        for name in self._index.threads:
            self._projection.soon(name)

    async def _follow(self, resource: ResourceType) -> None:
        watch = self._api.watch(resource, self._namespace, label_selector=f"{LABEL_AGENT}={self._agent}")
        async with aclosing(watch) as events:
            async for event in events:
                if isinstance(event, Synced):
                    self._index.sync(resource, event.items, int(event.version))
                    self._index.hear(resource, event.items)
                    self._synced[resource].set()
                elif event.kind == "DELETED":
                    metadata = event.object["metadata"]
                    uid, version = str(metadata.get("uid", "")), int(metadata["resourceVersion"])
                    self._index.gone(resource, str(metadata["name"]), uid, version)
                    if resource is EXECUTIONS:
                        self._deleted(str(event.object["spec"]["conversation"]))
                else:
                    self._index.put(resource, event.object)
                    self._index.hear(resource, [event.object])

    def _deleted(self, conversation: str) -> None:
        """An execution is gone, and perhaps nobody has written yet what became of its messages."""
        thread = self._index.threads.get(conversation)
        if thread is not None and thread.orphans():
            self._projection.soon(conversation)

    async def close(self) -> None:
        """As the protocol says."""
        if self._projecting is not None:
            await self._flush(self._projecting)
            self._projecting = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _flush(self, projecting: asyncio.Task[None], seconds: float = 2.0) -> None:
        """Lets the statuses be written that are late, if the API server still answers."""
        settled = asyncio.create_task(self._projection.settled())
        await asyncio.wait({settled, projecting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not settled.done():
            settled.cancel()
            log.info("some statuses are left to other pods")

    async def settled(self) -> None:
        """Returns when the statuses that people see say all that is known here."""
        await self._projection.settled()

    @property
    def ready(self) -> bool:
        """As the protocol says."""
        following = bool(self._tasks) and not any(task.done() for task in self._tasks)
        synced = all(synced.is_set() for synced in self._synced.values())
        return following and synced and not self._store.silent.is_set()

    async def record(self, inbound: Inbound) -> Recorded:
        """As the protocol says."""
        return await self._receiving.record(inbound)

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        """As the protocol says."""
        return await self._receiving.deliver(news)

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        """As the protocol says."""
        return await self._receiving.release_held(connector, contact)

    async def refuse_held(self, connector: str, contact: str) -> int:
        """As the protocol says."""
        return await self._receiving.refuse_held(connector, contact)

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        """As the protocol says."""
        return await self._receiving.announce(conversation, kind, reply, revision=revision)

    async def wakeups(self) -> AsyncIterator[None]:
        """As the protocol says."""
        looked = self._clock.now()

        async def due() -> float | None:
            # What fell due since the last look was not there when the worker looked, either.
            nonlocal looked
            before, looked = looked, self._clock.now()
            if looked < before:
                return 0.0  # the clock was set back: nobody can say what fell due meanwhile
            at = self._index.next_due(before)
            return None if at is None else (at - looked).total_seconds()

        async for _ in self._bell.rings(due):
            yield

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        """As the protocol says."""
        return await self._turns.claim(holder, revision, seconds=seconds, live=live)

    async def renew(self, turn: Turn, *, seconds: float) -> Turn:
        """As the protocol says."""
        return await self._turns.renew(turn, seconds=seconds)

    async def retry(self, turn: Turn, outcome: Outcome, *, at: datetime, counts: bool = True) -> None:
        """As the protocol says."""
        await self._turns.retry(turn, outcome, at=at, counts=counts)

    async def finish(self, turn: Turn, outcome: Outcome, replies: Sequence[Reply]) -> Turn:
        """As the protocol says."""
        return await self._turns.finish(turn, outcome, replies)

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        """As the protocol says."""
        return await self._sending.begin_attempt(turn, message, seconds=seconds)

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        """As the protocol says."""
        await self._sending.confirm(turn, attempt, message_id, state)

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None = None
    ) -> None:
        """As the protocol says."""
        await self._sending.refuse(turn, attempt, code=code, error=error, retry_at=retry_at)

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool = False) -> None:
        """As the protocol says."""
        await self._sending.unknown(turn, attempt, error=error, again=again)

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        """As the protocol says."""
        await self._sending.postpone(turn, message, error=error, at=at)

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        """As the protocol says."""
        await self._sending.cancel(turn, message, error=error)

    async def release(self, turn: Turn) -> None:
        """As the protocol says."""
        await self._turns.release(turn)

    async def working(self, revision: str) -> int:
        """As the protocol says."""
        return self._turns.working(revision)

    async def undelivered(
        self, connector: str, *, since: datetime, until: datetime, limit: int = 50
    ) -> Sequence[Message]:
        """As the protocol says."""
        return self._reading.undelivered(connector, since=since, until=until, limit=limit)

    async def in_doubt(self, recipient: str, *, since: datetime) -> Sequence[Message]:
        """As the protocol says."""
        await self._store.read_outbound("Sending")  # another pod's attempt may not have been watched yet
        records = [kept.record for kept in self._index.messages.values()]
        return [record for record in records if _in_doubt(record, recipient, since)]

    async def sent(self, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        await self._store.read_outbound("Sent")
        await self._store.read_outbound("Failed")
        return {each for each in message_ids if each in self._index.sent}

    async def replies_since(self, conversation: str, since: datetime) -> int:
        """As the protocol says."""
        thread = self._index.threads.get(conversation)
        records = (kept.record for kept in thread.messages) if thread else ()
        return sum(
            record.direction == "Outbound" and record.state != "Cancelled" and record.time >= since
            for record in records
        )

    async def known(self, provider: str, account: str, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        return {each for each in message_ids if self._index.had(inbound_name(provider, account, each))}

    async def backfill(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """As the protocol says."""
        return await self._backfills.claim(connector, holder, seconds=seconds)

    async def backfilled(self, backfill: Backfill, cursor: datetime | None) -> None:
        """As the protocol says."""
        await self._backfills.done(backfill, cursor)

    async def expire(self, before: datetime, *, limit: int = 200) -> int:
        """As the protocol says."""
        return await self._room.expire(before, limit)

    async def conversation(self, name: str) -> Conversation | None:
        """As the protocol says."""
        return self._reading.conversation(name)

    async def execution(self, name: str) -> Execution | None:
        """As the protocol says."""
        return self._reading.execution(name)

    async def history(self, conversation: str, *, before: int | None = None, limit: int = 50) -> Sequence[Message]:
        """As the protocol says."""
        return self._reading.history(conversation, before=before, limit=limit)

    async def conversations(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        """As the protocol says."""
        return self._reading.conversations(query, cursor=cursor, limit=limit)

    async def messages(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Message]:
        """As the protocol says."""
        return self._reading.messages(query, cursor=cursor, limit=limit)

    async def executions(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Execution]:
        """As the protocol says."""
        return self._reading.executions(query, cursor=cursor, limit=limit)


def _in_doubt(record: Message, recipient: str, since: datetime) -> bool:
    if record.direction != "Outbound" or record.recipient != recipient or record.provider_message_id is not None:
        return False
    if record.state == "Sending":
        return record.attempt is not None
    return record.state == "DeliveryUnknown" and record.time >= since
