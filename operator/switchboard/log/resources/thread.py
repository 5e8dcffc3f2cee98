"""One conversation's records, and what follows from them: what is open, what waits, when somebody may take it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from switchboard.api.conversation import MessageState
from switchboard.log.names import outbound_name, turn_number
from switchboard.log.resources.objects import KeptConversation, KeptExecution, KeptMessage, shown_as
from switchboard.log.transitions import OPEN_STATES, answered_state

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Thread:
    """Pure: no I/O, no clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.conversation: KeptConversation | None = None
        self._messages: dict[str, KeptMessage] = {}
        self._executions: dict[str, KeptExecution] = {}
        self._ordered: list[KeptMessage] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing of it is left."""
        return not (self.conversation or self._messages or self._executions)

    def put_message(self, kept: KeptMessage) -> None:
        """A new or newer message."""
        self._messages[kept.record.name] = kept
        self._ordered = None

    def remove_message(self, name: str) -> None:
        """A message is gone."""
        self._messages.pop(name, None)
        self._ordered = None

    def put_execution(self, kept: KeptExecution) -> None:
        """A new or newer execution."""
        self._executions[kept.record.name] = kept
        self._ordered = None

    def remove_execution(self, name: str) -> None:
        """An execution is gone."""
        self._executions.pop(name, None)
        self._ordered = None

    @property
    def messages(self) -> Sequence[KeptMessage]:
        """In order, each in the state that its execution gives it."""
        if self._ordered is None:
            kept = sorted(self._messages.values(), key=lambda message: (message.record.sequence, message.record.name))
            self._ordered = [self._shown(message) for message in kept]
        return self._ordered

    def _shown(self, message: KeptMessage) -> KeptMessage:
        """An inbound message that was taken stands where its execution does. One that is not there may have been
        deleted, or not been heard of: each kind has a watch of its own."""
        record = message.record
        if record.direction == "Outbound" or record.execution is None or record.state != "Working":
            return message
        execution = self._executions.get(record.execution)
        state: MessageState = answered_state(execution.record.state) if execution else "Working"
        return message if state == record.state else shown_as(message, state, record.execution)

    def orphans(self) -> list[KeptMessage]:
        """Inbound messages that were taken by an execution that is not there."""
        return [
            message
            for message in self.messages
            if message.record.direction == "Inbound"
            and message.record.state == "Working"
            and message.record.execution not in self._executions
        ]

    @property
    def executions(self) -> Sequence[KeptExecution]:
        """Announcements, then turns in order."""
        return sorted(self._executions.values(), key=lambda execution: (execution.number, execution.record.name))

    @property
    def last_number(self) -> int:
        """Of the last turn. Where it was deleted, and who did so died before its messages were, they still name it: a
        new one of that name would find its answer sent."""
        named = {message.record.execution for message in self._messages.values()}
        return max(map(turn_number, filter(None, self._executions.keys() | named)), default=0)

    def parts(self, execution: KeptExecution) -> list[KeptMessage | None]:
        """The messages made of its replies, in order; None for one that is not there."""
        names = (outbound_name(execution.record.name, part) for part in range(1, len(execution.replies) + 1))
        return [self._messages.get(name) for name in names]

    def unsent(self, execution: KeptExecution) -> list[KeptMessage]:
        """Its parts that are still to be sent, in order."""
        return [part for part in self.parts(execution) if part is not None and part.record.state == "Sending"]

    def unmade(self, execution: KeptExecution) -> list[int]:
        """Numbers of its parts that were never made. One that is missing of those that were has been deleted."""
        if execution.made:
            return []
        return [number for number, part in enumerate(self.parts(execution), start=1) if part is None]

    def missing(self) -> list[str]:
        """Parts that were made and are not there: deleted, or not heard of yet."""
        return [
            outbound_name(execution.record.name, number)
            for execution in self._executions.values()
            for number, part in enumerate(self.parts(execution), start=1)
            if execution.made and part is None
        ]

    def done(self, execution: KeptExecution) -> bool:
        """Whether nothing is left to do for it."""
        return execution.ended and not self.unmade(execution) and not self.unsent(execution)

    def open_execution(self) -> KeptExecution | None:
        """The one that is to be brought to its end before another begins."""
        return next((execution for execution in self.executions if not self.done(execution)), None)

    def waiting(self) -> list[KeptMessage]:
        """Inbound messages that no turn has taken, in order."""
        return [message for message in self.messages if message.record.state == "Waiting"]

    def held(self) -> list[KeptMessage]:
        """Inbound messages that wait for approval, in order."""
        return [message for message in self.messages if message.record.state == "Held"]

    def ready_at(self) -> datetime | None:
        """When somebody may take its next turn; None if there is nothing to do."""
        execution = self.open_execution()
        if execution is None:
            waiting = self.waiting()
            return waiting[0].record.time if waiting else None
        due = self._due(execution)
        return max(due, execution.lease.expires) if execution.lease and execution.lease.holder else due

    def due(self, now: datetime) -> bool:
        """Whether somebody may take its next turn now. What waits may be taken at once, also if the clock that it was
        recorded by was ahead of ours."""
        ready = self.ready_at()
        return ready is not None and (ready <= now or self.open_execution() is None)

    def _due(self, execution: KeptExecution) -> datetime:
        if not execution.ended:
            return execution.record.not_before or execution.record.start_time
        unsent = self.unsent(execution)
        if self.unmade(execution) or not unsent:
            return execution.record.end_time or _LONG_AGO
        first = unsent[0].record
        if first.attempt is not None:
            return first.attempt.unconfirmed_after
        return first.not_before or first.time

    @property
    def busy(self) -> bool:
        """Whether anything of it is in work, so that it must not be deleted."""
        return self.open_execution() is not None or any(
            message.record.state in OPEN_STATES for message in self.messages
        )

    @property
    def last_message(self) -> KeptMessage | None:
        """The last one in order."""
        return self.messages[-1] if self.messages else None

    def ended_at(self) -> datetime | None:
        """When its latest message was, which need not be the last: one that was missed is found later. Without any,
        when it was opened; where that is gone too, when its latest turn ended."""
        if self._messages:
            return max(message.record.time for message in self._messages.values())
        if self.conversation:
            return self.conversation.record.created
        turns = (execution.record for execution in self._executions.values())
        return max((turn.end_time or turn.start_time for turn in turns), default=None)

    @property
    def opted_out(self) -> bool:
        """Whether the contact sent STOP."""
        return self.conversation is not None and self.conversation.record.opted_out
