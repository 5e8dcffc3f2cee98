"""What people see: statuses that follow from other records, written a little later and never twice the same.

Nothing is decided by them: they may be late, and what a pod that dies has not written is left to whoever looks next.
"""

from __future__ import annotations

import asyncio
import heapq
import logging

from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object
from switchboard.log.errors import LogError, LogUnavailable
from switchboard.log.records import Conversation
from switchboard.log.resources.objects import KeptConversation, KeptExecution, KeptMessage, revived_conversation, stamp
from switchboard.log.resources.reading import current
from switchboard.log.resources.store import Store
from switchboard.log.resources.thread import Thread

log = logging.getLogger(__name__)

LATER_SECONDS = 2.0
"""A turn is mostly over by then, and its own write says all."""
PAUSE_SECONDS = 2.0


class Projection:
    """One writer, one write at a time: whoever waits for an answer goes first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def soon(self, conversation: str, *, seconds: float = LATER_SECONDS) -> None:
        """Brings a conversation's statuses up to date in `seconds`, or earlier if that was asked before."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self._due.get(conversation, float("inf")):
            self._due[conversation] = at
            heapq.heappush(self._heap, (at, conversation))
            self._idle.clear()
            if self._heap[0][1] == conversation:
                self._wake.set()

    async def settled(self) -> None:
        """Returns when all that was asked for is written."""
        for conversation in list(self._due):
            self.soon(conversation, seconds=0)
        await self._idle.wait()

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            conversation = await self._next()
            thread = self._store.index.threads.get(conversation)
            if thread is None:
                continue
            try:
                await self._project(thread)
            except LogUnavailable as error:
                log.warning("statuses are late", extra={"error": str(error)})
                self.soon(conversation, seconds=PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)
            except LogError as error:
                log.error("statuses cannot be written", extra={"conversation": conversation, "error": str(error)})  # noqa: TRY400

    async def _next(self) -> str:
        loop = asyncio.get_running_loop()
        while True:
            if not self._due:
                self._heap.clear()  # what is left was asked for again, and done, earlier
                self._idle.set()
            wait = self._heap[0][0] - loop.time() if self._heap else None
            if wait is not None and wait <= 0:
                at, conversation = heapq.heappop(self._heap)
                if self._due.get(conversation) == at:
                    del self._due[conversation]
                    return conversation
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _project(self, thread: Thread) -> None:
        await self._revive(thread)
        for message in thread.orphans():
            await self._end_orphan(message)
        written = [
            await self._store.patch(EXECUTIONS, execution.record.name, execution.version, {"status": patch})
            for execution in thread.executions
            if (patch := execution_patch(thread, execution))
        ]
        written += [
            await self._store.patch(MESSAGES, message.record.name, message.version, {"status": patch})
            for message in list(thread.messages)
            if (patch := message_patch(message))
        ]
        if (kept := thread.conversation) is not None and (patch := conversation_patch(thread, kept)):
            written.append(await self._store.patch(CONVERSATIONS, thread.name, kept.version, {"status": patch}))
        if not all(written):
            self.soon(thread.name)  # somebody wrote before us, and not what we would have

    async def _revive(self, thread: Thread) -> None:
        """Makes its Conversation again if somebody deleted it. If its messages went first, as where another pod made
        room, and were not heard of yet, it stays gone: else it would be there without any."""
        while thread.conversation is None:
            first = next((kept for kept in thread.messages if kept.record.direction == "Inbound"), None)
            if first is None:
                return
            if await self._store.refresh(MESSAGES, first.record.name):
                await self._store.create(CONVERSATIONS, revived_conversation(self._store.namespace, first))
                return

    async def _end_orphan(self, message: KeptMessage) -> None:
        """A message whose execution was deleted had been answered, for only ended ones are. One that the watch has not
        brought yet is there when asked for, and what became of the message is its to say."""
        execution = message.record.execution
        if execution is not None and not await self._store.refresh(EXECUTIONS, execution):
            await self._store.patch(MESSAGES, message.record.name, message.version, {"status": {"state": "Answered"}})


def execution_patch(thread: Thread, execution: KeptExecution) -> Object:
    """What its status does not say yet."""
    record = execution.record
    patch: Object = {}
    if execution.shown is None:
        patch = {"state": record.state, "startTime": stamp(record.start_time), "attempts": record.attempts}
        if record.end_time is not None:
            patch["endTime"] = stamp(record.end_time)
    if execution.ended and execution.replies and not execution.made and not thread.unmade(execution):
        patch["parts"] = len(execution.replies)
    return patch


def message_patch(message: KeptMessage) -> Object:
    """What its status does not say yet."""
    record = message.record
    wanted = {"state": (message.shown, record.state), "error": (message.shown_error, record.error)}
    return {key: new for key, (old, new) in wanted.items() if old != new}


def conversation_patch(thread: Thread, kept: KeptConversation) -> Object:
    """What its status does not say yet."""
    return {key: new for key, new in _shown(current(thread, kept)).items() if _shown(kept.record)[key] != new}


def _shown(record: Conversation) -> Object:
    return {
        "messages": record.messages,
        "lastMessageTime": stamp(record.last_message_time) if record.last_message_time else None,
        "lastMessage": record.last_message,
        "contactName": record.contact_name,
        "revision": record.revision,
    }
