"""Turns: claiming them, ending them, making their parts. Every write is a compare-and-set under the turn's fence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from switchboard.api.conversation import Lease
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object
from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost, LogUnavailable
from switchboard.log.names import execution_name, outbound_name
from switchboard.log.protocol import TURN_MESSAGES_MAX
from switchboard.log.records import Conversation, Message, Outcome, Reply, Turn
from switchboard.log.resources import objects
from switchboard.log.resources.objects import KeptExecution, KeptMessage, stamp
from switchboard.log.resources.projection import Projection
from switchboard.log.resources.room import Room
from switchboard.log.resources.store import CONFLICTS_MAX, Store
from switchboard.log.resources.thread import Thread

FREE = ""
"""The holder of a lease that was given back: its fence stays."""


class Turns:
    """Claims, renews, ends."""

    def __init__(self, store: Store, room: Room, projection: Projection, clock: Clock) -> None:
        self._store = store
        self._room = room
        self._projection = projection
        self._clock = clock

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        """As the protocol says."""
        index = self._store.index
        now = self._clock.now()
        due = [(at, name) for name, at in index.work.items() if at <= now or index.thread(name).due(now)]
        for _, name in sorted(due):
            thread = index.thread(name)
            # Whoever wrote before us need not have taken it: a status that people see is enough. No bell rings for it.
            for _ in range(CONFLICTS_MAX):
                if not thread.due(now) or not self._ours(thread, revision, live=live):
                    break
                conversation = await self._conversation(thread)
                if conversation is None:
                    break
                lease = Lease(holder=holder, fence=1, expires=now + timedelta(seconds=seconds))
                turn = await self._claim(thread, conversation, revision, lease)
                if turn is not None:
                    return turn
        return None

    async def _claim(self, thread: Thread, conversation: Conversation, revision: str, lease: Lease) -> Turn | None:
        """The thread's turn; None if somebody wrote before us, or nothing was left of it."""
        execution = thread.open_execution()
        wanted = execution.record.name if execution else execution_name(thread.name, thread.last_number + 1)
        fence = execution.fence + 1 if execution else lease.fence
        attempts = execution.record.attempts if execution else 0
        try:
            if execution is None:
                return await self._begin(thread, conversation, revision, lease)
            return await self._take_over(thread, conversation, execution, revision, lease)
        except LogUnavailable:
            await self._give_back(wanted, lease.holder, fence, attempts)
            raise

    async def _give_back(self, execution: str, holder: str, fence: int, attempts: int) -> None:
        """What was claimed halfway, or by a write whose answer was lost, waits for nobody: else for its lease's end.
        Nobody ran it, so it has had as many attempts as before."""

        def change(kept: KeptExecution) -> Object | None:
            lease = kept.lease
            if kept.fence != fence or lease is None or lease.holder != holder:
                return None
            status: Object = {"lease": Lease(holder=FREE, fence=fence, expires=self._clock.now()).manifest()}
            return status if kept.ended else status | {"state": "Retrying", "attempts": attempts}

        with suppress(LogUnavailable):
            await self._store.refresh(EXECUTIONS, execution)
            await self._store.change_execution(execution, change)

    @staticmethod
    def _ours(thread: Thread, revision: str, *, live: bool) -> bool:
        return live or (bool(thread.executions) and thread.executions[-1].record.revision == revision)

    async def _conversation(self, thread: Thread) -> Conversation | None:
        """Its Conversation, made again if somebody deleted it."""
        if thread.conversation is None and not await self._store.refresh(CONVERSATIONS, thread.name):
            first = next((kept for kept in thread.messages if kept.record.direction == "Inbound"), None)
            if first is None:
                return None
            await self._store.create(CONVERSATIONS, objects.revived_conversation(self._store.namespace, first))
        if thread.conversation is None:
            return None
        names = [message.contact_name for message in thread.messages if message.contact_name]
        record = thread.conversation.record
        return replace(record, contact_name=names[-1] if names else record.contact_name)

    async def _begin(self, thread: Thread, conversation: Conversation, revision: str, lease: Lease) -> Turn | None:
        """A new turn of all that waits. Of two workers with the same idea one makes the Execution.

        What we recorded ourselves we know before the watch brings it, and what another pod recorded earlier may be
        missing yet: answered later it would be out of order, so the API server is asked. So it is for parts of earlier
        turns that we have not heard of: one may wait to be sent. What we hear of meanwhile comes first.
        """
        if max((message.version for message in thread.waiting()), default=0) > self._store.index.heard:
            await self._store.read_untaken(thread.name)
        for part in thread.missing():
            await self._store.refresh(MESSAGES, part)
        if thread.open_execution() is not None:
            return None
        waiting = thread.waiting()[:TURN_MESSAGES_MAX]
        if not waiting:
            return None
        name = execution_name(thread.name, thread.last_number + 1)
        obj = objects.new_execution(
            self._store.namespace,
            conversation,
            name=name,
            revision=revision,
            now=self._clock.now(),
            messages=[message.record.name for message in waiting],
            lease=lease,
        )
        if not await self._store.create(EXECUTIONS, obj):
            await self._store.refresh(EXECUTIONS, name)
            return None
        return await self._running(conversation, self._store.index.executions[name], lease)

    async def _running(self, conversation: Conversation, execution: KeptExecution, lease: Lease) -> Turn | None:
        """The turn, with those of its messages that are its own."""
        record = replace(execution.record, state="Running")
        taken = [await self._take(name, record.name) for name in record.messages]
        messages = [message for message in taken if message is not None]
        turn = Turn(conversation, record, messages, [], lease.holder, lease.fence, lease.expires)
        if messages:
            return turn
        await self.finish(turn, Outcome("Cancelled"), [])
        return None

    async def _take(self, message: str, execution: str) -> Message | None:
        """Writes the execution's name into the message; None if it is another's, or no longer to be answered."""

        def change(kept: KeptMessage) -> Object | None:
            if kept.record.state == "Waiting" and kept.record.execution is None:
                return {"state": "Working", "execution": execution}
            return None

        kept = await self._store.change_message(message, change)
        return kept.record if kept and kept.record.execution == execution and kept.record.state == "Working" else None

    async def _take_over(
        self, thread: Thread, conversation: Conversation, execution: KeptExecution, revision: str, lease: Lease
    ) -> Turn | None:
        """A turn whose holder died, or gave it back with something left to do."""
        name = execution.record.name
        lease = lease.model_copy(update={"fence": execution.fence + 1})
        if execution.record.revision != revision and not execution.ended:
            patch: Object = {"spec": {"revision": revision}}
            if not await self._store.patch(EXECUTIONS, name, execution.version, patch, subresource=None):
                return None
            execution = self._store.index.executions[name]
        status: Object = {"lease": lease.manifest()}
        if not execution.ended:
            began = {"startTime": stamp(execution.record.start_time), "attempts": execution.record.attempts + 1}
            status |= {"state": "Running", "notBefore": None, **began}
        if not await self._store.patch(EXECUTIONS, name, execution.version, {"status": status}):
            return None
        execution = self._store.index.executions[name]
        if not execution.ended:
            return await self._running(conversation, execution, lease)
        answered = [self._store.index.messages.get(message) for message in execution.record.messages]
        messages = [kept.record for kept in answered if kept is not None and kept.record.execution == name]
        turn = Turn(conversation, execution.record, messages, [], lease.holder, lease.fence, lease.expires)
        return await self._sending(turn, thread, execution)

    async def _sending(self, turn: Turn, thread: Thread, execution: KeptExecution) -> Turn | None:
        """The turn with its parts, made where they are not, and fenced: what a dead holder begins now, fails."""
        for number, part in enumerate(thread.parts(execution), start=1):
            name = outbound_name(execution.record.name, number)
            if part is not None:
                await self._store.refresh(MESSAGES, name)
            elif not execution.made:
                await self._make_part(turn.conversation, thread, execution, number)
        unsent = []
        for part in thread.unsent(execution):
            kept = await self._store.change_message(part.record.name, _fenced(turn.fence))
            if kept is not None and kept.record.state == "Sending":
                unsent.append(kept.record)
        ready = not unsent or unsent[0].attempt is None or unsent[0].attempt.unconfirmed_after <= self._clock.now()
        turn = replace(turn, outbound=unsent)
        if unsent and ready:
            return turn
        await self.release(turn)  # sent meanwhile, or begun by somebody whose request may still be under way
        return None

    async def _make_part(
        self, conversation: Conversation, thread: Thread, execution: KeptExecution, number: int
    ) -> None:
        await self._room.make()  # an answer is made in any case
        last = thread.last_message
        name = outbound_name(execution.record.name, number)
        obj = objects.new_outbound(
            self._store.namespace,
            conversation,
            name=name,
            reply=execution.replies[number - 1],
            now=self._clock.now(),
            sequence=last.record.sequence + 1 if last else number,
        )
        if not await self._store.create(MESSAGES, obj):
            await self._store.refresh(MESSAGES, name)

    async def renew(self, turn: Turn, *, seconds: float) -> Turn:
        """As the protocol says."""
        expires = self._clock.now() + timedelta(seconds=seconds)
        lease = Lease(holder=turn.holder, fence=turn.fence, expires=expires)
        await self._change(turn, {"lease": lease.manifest()})
        return replace(turn, expires=expires)

    async def _change(self, turn: Turn, status: Object) -> KeptExecution:
        """Writes to the turn's execution, if the turn is still ours."""

        def change(kept: KeptExecution) -> Object:
            self.check(turn, kept)
            return status

        kept = await self._store.change_execution(turn.execution.name, change)
        if kept is None:
            raise LeaseLost(f"execution {turn.execution.name} was deleted")
        return kept

    @staticmethod
    def check(turn: Turn, kept: KeptExecution) -> None:
        """Raises LeaseLost if another has, or had, the turn after us."""
        if kept.fence != turn.fence:
            raise LeaseLost(f"execution {turn.execution.name} is another worker's (fence {kept.fence} > {turn.fence})")

    async def retry(self, turn: Turn, outcome: Outcome, *, at: datetime, counts: bool) -> None:
        """As the protocol says."""
        record = turn.execution
        status = {
            **objects.outcome_status(outcome),
            "state": "Retrying",
            "startTime": stamp(record.start_time),
            "attempts": record.attempts - (not counts),
            "notBefore": stamp(at),
            "lease": self._freed(turn),
        }
        await self._change(turn, status)
        self._projection.soon(turn.conversation.name, seconds=0)

    def _freed(self, turn: Turn) -> Object:
        return Lease(holder=FREE, fence=turn.fence, expires=self._clock.now()).manifest()

    async def finish(self, turn: Turn, outcome: Outcome, replies: Sequence[Reply]) -> Turn:
        """As the protocol says."""
        now = self._clock.now()
        thread = self._store.index.thread(turn.conversation.name)
        status = objects.ending(outcome, replies, started=turn.execution.start_time, now=now)
        status["attempts"] = turn.execution.attempts

        def change(kept: KeptExecution) -> Object | None:
            self.check(turn, kept)
            return None if kept.ended else status

        kept = await self._store.change_execution(turn.execution.name, change)
        if kept is None:
            raise LeaseLost(f"execution {turn.execution.name} was deleted")
        for number in thread.unmade(kept):
            await self._make_part(turn.conversation, thread, kept, number)
        if thread.opted_out:
            for part in thread.unsent(kept):
                await self._store.change_message(part.record.name, lambda _: opted_out())
        if thread.done(kept):
            self._projection.soon(turn.conversation.name, seconds=0)
        return replace(turn, execution=kept.record, outbound=[part.record for part in thread.unsent(kept)])

    async def release(self, turn: Turn) -> None:
        """As the protocol says. What is done needs no write: its lease holds nothing up."""
        thread = self._store.index.thread(turn.conversation.name)
        kept = self._store.index.executions.get(turn.execution.name)
        try:
            if kept is not None and not thread.done(kept):
                await self._change(turn, {"lease": self._freed(turn)})
        except LeaseLost:
            return
        finally:
            self._projection.soon(turn.conversation.name, seconds=0)

    def working(self, revision: str) -> int:
        """As the protocol says."""
        now = self._clock.now()
        executions = self._store.index.executions.values()
        return sum(
            execution.record.revision == revision
            and execution.held(now)
            and not self._store.index.thread(execution.record.conversation).done(execution)
            for execution in executions
        )


def opted_out() -> Object:
    """The status of a part that must not be sent."""
    return {"state": "Cancelled", "error": "The contact sent STOP."}


def _fenced(fence: int) -> Callable[[KeptMessage], Object | None]:
    def change(kept: KeptMessage) -> Object | None:
        return {"fence": fence} if kept.record.state == "Sending" and kept.fence < fence else None

    return change
