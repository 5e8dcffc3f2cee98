"""Room for new messages: etcd is no message store, so the oldest finished ones go when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES
from switchboard.log.resources.objects import KeptExecution, KeptMessage
from switchboard.log.resources.store import Store
from switchboard.log.resources.thread import Thread
from switchboard.log.transitions import OPEN_STATES

STEP = 20
"""Messages that go at once when room is made."""
_ROUNDS = 3
"""What was chosen to go may have changed meanwhile: then others are chosen, this often in all."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Room:
    """Deletes. In this order, so that dying in between leaves nothing that looks like work: an execution before the
    messages it made (a part that is missing of an execution would be made again), a conversation last."""

    def __init__(self, store: Store, max_messages: int, forget: Callable[[str, datetime], Awaitable[None]]) -> None:
        """`forget` is told of each connector whose messages are about to go, and when the newest of them came."""
        self._store = store
        self._max = max_messages
        self._forget = forget
        self._lock = asyncio.Lock()

    async def make(self) -> bool:
        """Whether there is room for one more message, made if need be."""
        messages = self._store.index.messages
        if len(messages) < self._max:
            return True
        async with self._lock:
            for _ in range(_ROUNDS):
                surplus = len(messages) - self._max + 1
                if surplus > 0:
                    await self._drop_oldest(max(surplus, min(STEP, self._max // 10)))
        return len(messages) < self._max

    async def _drop_oldest(self, count: int) -> None:
        chosen, going = [], 0
        newest: dict[str, datetime] = {}
        for thread, finished in sorted(self._finished(), key=lambda item: (_held(item[1]), _age(item[1]))):
            if going >= count:
                break
            messages = _messages(thread, finished)
            chosen.append((thread, finished))
            going += len(messages)
            for message in messages:
                if message.record.direction == "Inbound":
                    newest[message.connector] = max(message.record.time, newest.get(message.connector, _LONG_AGO))
        for connector, time in newest.items():
            await self._forget(connector, time)
        for thread, finished in chosen:
            await self._drop(thread, finished)

    def _finished(self) -> Iterator[tuple[Thread, KeptExecution | KeptMessage]]:
        """What may go: executions with their messages, and messages that no execution took. Held ones go last."""
        for thread in self._store.index.threads.values():
            kept = {execution.record.name for execution in thread.executions}
            for execution in thread.executions:
                if thread.done(execution):
                    yield thread, execution
            for message in thread.messages:
                if message.record.execution not in kept and message.record.state not in OPEN_STATES:
                    yield thread, message

    async def _drop(self, thread: Thread, finished: KeptExecution | KeptMessage) -> None:
        resource = MESSAGES if isinstance(finished, KeptMessage) else EXECUTIONS
        messages = _messages(thread, finished)
        if await self._store.delete(resource, finished.record.name, finished.version) is False:
            return  # it has changed meanwhile: who was held may have been let in
        if resource is EXECUTIONS:
            for message in messages:
                await self._store.delete(MESSAGES, message.record.name)
        if not thread.messages and not thread.executions and thread.conversation and not thread.opted_out:
            await self._store.delete(CONVERSATIONS, thread.name, thread.conversation.version)

    async def expire(self, before: datetime, limit: int) -> int:
        """Deletes up to about `limit` records of conversations that ended before; how many went, besides those that
        another pod had deleted and this one had not heard of."""
        gone = 0
        for thread in list(self._store.index.threads.values()):
            if gone >= limit:
                break
            ended = thread.ended_at()
            if ended is None or ended >= before or thread.busy:
                continue
            gone += await self._drop_all(thread, limit - gone)
        return gone

    async def _drop_all(self, thread: Thread, limit: int) -> int:
        gone = 0
        for execution in list(thread.executions):
            if gone >= limit:
                return gone
            deleted = await self._store.delete(EXECUTIONS, execution.record.name, execution.version)
            if deleted is False:
                return gone  # it has changed meanwhile: without its messages it would stay, or its answer be sent again
            gone += bool(deleted)
        for message in list(thread.messages):
            if gone >= limit:
                return gone
            gone += bool(await self._store.delete(MESSAGES, message.record.name, message.version))
        # Who sent STOP stays known for ever.
        left = thread.messages or thread.executions
        if thread.conversation is not None and not left and not thread.opted_out:
            gone += bool(await self._store.delete(CONVERSATIONS, thread.name, thread.conversation.version))
        return gone


def _messages(thread: Thread, finished: KeptExecution | KeptMessage) -> list[KeptMessage]:
    """What goes with it."""
    if isinstance(finished, KeptMessage):
        return [finished]
    return [message for message in thread.messages if message.record.execution == finished.record.name]


def _held(finished: KeptExecution | KeptMessage) -> bool:
    return isinstance(finished, KeptMessage) and finished.record.state == "Held"


def _age(finished: KeptExecution | KeptMessage) -> datetime:
    if isinstance(finished, KeptMessage):
        return finished.record.time
    return finished.record.end_time or finished.record.start_time
