"""What any pod does without a lease: record what arrives, apply what became of what was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from switchboard.api.conversation import MessageState
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object
from switchboard.log import bounds
from switchboard.log.clock import Clock
from switchboard.log.errors import LogFull
from switchboard.log.names import conversation_name, execution_name, inbound_name, parse_attempt
from switchboard.log.protocol import HELD_MAX
from switchboard.log.records import DeliveryNews, DeliveryResult, Inbound, Recorded, Reply
from switchboard.log.resources import objects
from switchboard.log.resources.objects import KeptMessage
from switchboard.log.resources.projection import Projection
from switchboard.log.resources.room import Room
from switchboard.log.resources.store import Store
from switchboard.log.transitions import Delivered, Settled, apply_news, settle, surplus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Receiving:
    """Records."""

    def __init__(
        self, store: Store, room: Room, projection: Projection, clock: Clock, *, agent: str, key: bytes
    ) -> None:
        self._store = store
        self._room = room
        self._projection = projection
        self._clock = clock
        self._agent = agent
        self._key = key

    def conversation_of(self, *, connector: str, channel: str, contact: str) -> str:
        """The conversation's name, whether it is there or not."""
        return conversation_name(self._key, agent=self._agent, connector=connector, channel=channel, contact=contact)

    async def record(self, inbound: Inbound) -> Recorded:
        """As the protocol says."""
        index = self._store.index
        name = inbound_name(inbound.provider, inbound.account, inbound.message_id)
        conversation = self.conversation_of(
            connector=inbound.connector, channel=inbound.channel, contact=inbound.contact
        )
        if (known := index.messages.get(name)) is not None:
            return await self._again(inbound, known)
        if index.had(name):  # recorded, and deleted since
            return Recorded(conversation, name, "Ignored", duplicate=True, stored=False)
        thread = index.thread(conversation)
        settled = settle(inbound, opted_out=thread.opted_out)
        if settled.state == "Refused":
            return Recorded(conversation, name, "Refused", stored=False)
        if settled.state == "Held" and surplus(inbound, [message.record.time for message in thread.held()]):
            return Recorded(conversation, name, "Held", duplicate=True, stored=False)
        if not await self._room.make():
            raise LogFull("the conversation log is full and all in it is in work: raise maxMessages, or use Postgres")
        if thread.conversation is None:
            await self._open(conversation, inbound)
        if settled.opted_out and not thread.opted_out:
            # Before the message: should we die in between, Twilio sends it again.
            await self._set_opted_out(conversation, opted_out=True)
        now = self._clock.now()
        obj = objects.new_inbound(
            self._store.namespace,
            self._agent,
            name=name,
            conversation=conversation,
            inbound=inbound,
            state=settled.state,
            now=now,
            sequence=self._next_sequence(conversation, now),
        )
        if not await self._store.create(MESSAGES, obj):
            kept = await self._store.message(name)
            return await self._again(inbound, kept) if kept else await self.record(inbound)
        await self._after(inbound, conversation, settled)
        self._projection.soon(conversation)
        return Recorded(conversation, name, settled.state)

    async def _after(self, inbound: Inbound, conversation: str, settled: Settled) -> None:
        if inbound.keyword == "Stop":
            await self._cancel_waiting(conversation)
        elif inbound.keyword == "Start" and not settled.opted_out and settled.state == "Ignored":
            await self._set_opted_out(conversation, opted_out=False)
        elif settled.state == "Held":
            for earlier in self._store.index.thread(conversation).held()[:-HELD_MAX]:
                # Unless it has changed: another pod may have let the contact in.
                await self._store.delete(MESSAGES, earlier.record.name, earlier.version)

    async def _again(self, inbound: Inbound, known: KeptMessage) -> Recorded:
        """It is there already. What a keyword does is done again, unless the contact has written since: the first time
        may have died between the record and it."""
        conversation = known.record.conversation
        thread = self._store.index.thread(conversation)
        last = thread.last_message
        if inbound.keyword and known.record.state == "Ignored" and last and last.record.name == known.record.name:
            opted_out = inbound.keyword == "Stop"
            if thread.opted_out != opted_out:
                await self._set_opted_out(conversation, opted_out=opted_out)
            if opted_out:
                await self._cancel_waiting(conversation)
        state = next(
            (message.record.state for message in thread.messages if message.record.name == known.record.name),
            known.record.state,
        )
        return Recorded(conversation, known.record.name, state, duplicate=True)

    async def _open(self, name: str, inbound: Inbound) -> None:
        obj = objects.new_conversation(self._store.namespace, self._agent, name, inbound)
        if not await self._store.create(CONVERSATIONS, obj):
            await self._store.refresh(CONVERSATIONS, name)

    def _next_sequence(self, conversation: str, now: datetime) -> int:
        """Later than all that is known of the conversation, and else the time: two pods seldom record for one contact
        within a watch's delay, and then their clocks decide."""
        last = self._store.index.thread(conversation).last_message
        microseconds = (now - _EPOCH) // timedelta(microseconds=1)
        return max(microseconds, last.record.sequence + 1 if last else 0)

    async def _set_opted_out(self, conversation: str, *, opted_out: bool) -> None:
        patch: Object = {"status": {"optedOut": opted_out}}
        while (kept := self._store.index.conversations.get(conversation)) is not None:
            if kept.record.opted_out == opted_out:
                return
            if await self._store.patch(CONVERSATIONS, conversation, kept.version, patch):
                return

    async def _cancel_waiting(self, conversation: str) -> None:
        """What waits to be answered is Ignored, what waits to be sent is Cancelled; a request under way cannot be."""

        def change(kept: KeptMessage) -> Object | None:
            if kept.record.state in {"Waiting", "Held"}:
                return {"state": "Ignored"}
            if kept.record.state == "Sending" and kept.record.attempt is None:
                return {"state": "Cancelled", "error": "The contact sent STOP."}
            return None

        for message in self._store.index.thread(conversation).messages:
            if message.record.state in {"Waiting", "Held", "Sending"}:
                await self._store.change_message(message.record.name, change)

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        """As the protocol says."""
        name = self._find(news)
        if name is None:
            return "Unknown"
        delivered = Delivered("Unknown")

        def change(kept: KeptMessage) -> Object | None:
            nonlocal delivered
            delivered = Delivered("Unknown")
            if news.connector in {None, kept.connector}:
                delivered = apply_news(kept.record, news)
            return news_patch(delivered)

        kept = await self._store.change_message(name, change)
        if kept is not None and delivered.result == "Unknown" and news.attempt is not None:
            # The watch may lag behind the pod that began the attempt.
            await self._store.refresh(MESSAGES, name)
            kept = await self._store.change_message(name, change)
        if kept is not None and delivered.result in {"Adopted", "Applied"}:
            self._projection.soon(kept.record.conversation)
        return delivered.result

    def _find(self, news: DeliveryNews) -> str | None:
        if news.attempt is not None:
            parsed = parse_attempt(news.attempt)
            return parsed[0] if parsed else None
        return self._store.index.sent.get(news.message_id)

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        """As the protocol says."""
        released = []
        for conversation in self._with(connector, contact):
            held = self._store.index.thread(conversation).held()
            for message in held:
                last = message is held[-1]
                await self._store.change_message(message.record.name, _out_of_held("Waiting" if last else "Ignored"))
            if held:
                released.append(held[-1].record.name)
                self._projection.soon(conversation)
        return released

    async def refuse_held(self, connector: str, contact: str) -> int:
        """As the protocol says."""
        refused = 0
        for conversation in self._with(connector, contact):
            for message in self._store.index.thread(conversation).held():
                await self._store.change_message(message.record.name, _out_of_held("Refused"))
                refused += 1
            self._projection.soon(conversation)
        return refused

    def _with(self, connector: str, contact: str) -> list[str]:
        """The contact's conversations on the connector's channels."""
        names = [
            self.conversation_of(connector=connector, channel=channel, contact=contact)
            for channel in ("SMS", "WhatsApp")
        ]
        return [name for name in names if name in self._store.index.threads]

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        """As the protocol says."""
        kept = self._store.index.conversations.get(conversation)
        if kept is None and await self._store.refresh(CONVERSATIONS, conversation):
            kept = self._store.index.conversations.get(conversation)
        if kept is None:
            return False
        obj = objects.new_execution(
            self._store.namespace,
            kept.record,
            name=execution_name(conversation, kind),
            revision=revision,
            now=self._clock.now(),
            announcement=reply,
        )
        return await self._store.create(EXECUTIONS, obj)


def _out_of_held(state: MessageState) -> Callable[[KeptMessage], Object | None]:
    def change(kept: KeptMessage) -> Object | None:
        return {"state": state} if kept.record.state == "Held" else None

    return change


def news_patch(delivered: Delivered) -> Object | None:
    """The status patch of news that changes something."""
    if delivered.result not in {"Adopted", "Applied"}:
        return None
    return {
        "state": delivered.state,
        "providerMessageId": delivered.provider_message_id,
        "delivery": delivered.delivery.value if delivered.delivery else None,
        "errorCode": delivered.error_code,
        "error": delivered.error and bounds.clean(delivered.error, bounds.REASON_MAX),
        "attempt": None,
        "notBefore": None,
    }
