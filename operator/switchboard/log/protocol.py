"""The conversation log: what the webhook promises itself of a store. Two keep the promise: `resources` and `postgres`.

A turn's life, each step durable before the next, any of them the last one that a worker lives to make:

    record → claim → (engine) → finish → begin_attempt → (POST) → confirm → … → release
                  ↘ retry ↗                       ↘ refuse | unknown ↗

A worker that dies is followed by another, which finds in its claim how far it got. Whatever is written under a `Turn`
is refused with `LeaseLost` once another holds it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

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
from switchboard.providers.base import DeliveryState

HELD_MAX = 5
"""Messages that are kept of a contact that waits for approval: the last ones."""
UNCONFIRMED_SECONDS = 120.0
"""An attempt that nobody has confirmed this long after it began is `DeliveryUnknown`."""
LEASE_MARGIN_SECONDS = 5.0
"""A lease outlasts the deadline of a request by at least this: clocks of two pods may differ a little."""
TURN_MESSAGES_MAX = 100
"""Most messages that one turn takes; more wait for the next."""


class LogReader(Protocol):
    """Reads conversations. Every method raises LogUnavailable if the store cannot be reached."""

    async def conversation(self, name: str) -> Conversation | None:
        """One conversation."""
        ...

    async def history(self, conversation: str, *, before: int | None = None, limit: int = 50) -> Sequence[Message]:
        """A conversation's messages in both directions, oldest first: the last `limit` with a lower `sequence`.

        Pages go backwards: give the first one's `sequence` as `before`. Fewer than `limit`: that was the beginning.
        """
        ...

    async def conversations(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Conversation]:
        """Conversations by their last message, newest first. A cursor that is not ours raises ValueError."""
        ...

    async def messages(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Message]:
        """Messages by their time, newest first."""
        ...

    async def executions(self, query: Query, *, cursor: str | None = None, limit: int = 50) -> Page[Execution]:
        """Executions by their start, newest first."""
        ...

    async def execution(self, name: str) -> Execution | None:
        """One execution."""
        ...

    async def close(self) -> None:
        """Lets go of connections and watches."""
        ...


class ConversationLog(LogReader, Protocol):
    """The log of one Agent. Every method raises LogUnavailable if the store cannot be reached: try again later."""

    async def start(self) -> None:
        """Connects, and fills what is kept in memory. Before it nothing else works.

        Raises:
            SchemaMismatch: the database is of another version.
            LogMisconfigured: it can never work as it is configured.
        """
        ...

    @property
    def ready(self) -> bool:
        """Whether the store answered last time: what readiness may say."""
        ...

    # Receiving: any pod, no lease.

    async def record(self, inbound: Inbound) -> Recorded:
        """Keeps a message; it is durable when this returns. Of the same message twice one is kept.

        `Refused` is not kept; of `Held` ones the last `HELD_MAX` are: one that came before those is a duplicate. `Stop`
        and `Start` change the contact's opt-out in the same step; what an opted-out contact writes otherwise is
        `Ignored`.

        Raises:
            LogFull: no room, and nothing that may go.
        """
        ...

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        """Applies what the provider says of a sent message, by rank, never backwards; adopts an id not known yet."""
        ...

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        """The contact was let in: the last held message of each of its conversations is `Waiting` (their names are
        returned), earlier ones `Ignored` (they remain part of the history)."""
        ...

    async def refuse_held(self, connector: str, contact: str) -> int:
        """The contact was turned away: what was held is `Refused`. Gives how many."""
        ...

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        """Sends a message that no engine made (`kind`: `onboarding`), once for ever in this conversation.

        It becomes a turn with a part to send. False: it was announced before.
        """
        ...

    # Working: under a lease.

    def wakeups(self) -> AsyncIterator[None]:
        """Never ends. Yields whenever `claim` may find something: a message came, a retry is due, a lease ran out, or
        the connection to the store was lost and is back. Yields once at the start."""
        ...

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        """The turn that has waited longest, leased for `seconds`; None if there is none.

        All waiting messages of a conversation are one turn; what comes meanwhile is the next. Only turns of
        conversations of this revision; if it is `live`, also those of another revision or none that nobody holds, which
        thereby become this one's. One turn a conversation at a time.
        """
        ...

    async def renew(self, turn: Turn, *, seconds: float) -> Turn:
        """The same turn, its lease running `seconds` from now. Raises LeaseLost."""
        ...

    async def retry(self, turn: Turn, outcome: Outcome, *, at: datetime, counts: bool = True) -> None:
        """This attempt gave nothing: the turn is over and comes again at `at`. Raises LeaseLost.

        `counts`: False where it was none, but was left to others: `attempts` is again what it was before the claim.
        """
        ...

    async def finish(self, turn: Turn, outcome: Outcome, replies: Sequence[Reply]) -> Turn:
        """The execution's end and the parts to send, in one step. Gives the turn with `outbound` to send.

        Parts are `Cancelled` at once if the contact has opted out meanwhile. Finished twice by the same worker, it is
        finished once. Raises LeaseLost.
        """
        ...

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        """Records that a request to send begins and has ended in `seconds`. Nobody else can begin one for this message.

        The lease is made to outlast the deadline in the same step.

        Raises:
            LeaseLost: or the message has an attempt that is neither confirmed nor refused.
            OptedOut: the contact sent STOP; the message is Cancelled.
        """
        ...

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        """The provider took it. The id is kept in any case; then raises LeaseLost if another holds the turn."""
        ...

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None = None
    ) -> None:
        """The provider certainly did not take it: try again at `retry_at`, or, without it, the message is Failed and
        what follows it in the turn goes on. Raises LeaseLost."""
        ...

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool = False) -> None:
        """Nobody can say whether it was sent: `DeliveryUnknown`, not sent again. Raises LeaseLost.

        Not before `attempt.unconfirmed_after`, for a callback may yet tell: until then `release` the turn.
        `again`: it stays `Sending`, for another attempt; a callback of this one still adopts.
        """
        ...

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        """Leaves a part until `at`, for `error`: no attempt is made, one in doubt not given up. Raises LeaseLost."""
        ...

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        """A part that will not be sent: `Cancelled`. Raises LeaseLost."""
        ...

    async def release(self, turn: Turn) -> None:
        """Lets go. What is left of the turn, or waits, is claimed again when it is due. Never raises LeaseLost."""
        ...

    async def working(self, revision: str) -> int:
        """How many turns workers of this revision hold."""
        ...

    async def undelivered(
        self, connector: str, *, since: datetime, until: datetime, limit: int = 50
    ) -> Sequence[Message]:
        """Replies that the provider took, made between these times (`until` not included), of which nobody told yet
        whether they were delivered; oldest first."""
        ...

    async def in_doubt(self, recipient: str, *, since: datetime) -> Sequence[Message]:
        """Messages to this address, of all conversations, that the provider may have taken under an id that is not
        recorded: attempted and not confirmed, or `DeliveryUnknown` and made since then."""
        ...

    async def sent(self, message_ids: Sequence[str]) -> set[str]:
        """Those of these ids that are recorded as an outbound message's. What `in_doubt`, asked before this, did not
        give any more because it was confirmed, is among them."""
        ...

    async def replies_since(self, conversation: str, since: datetime) -> int:
        """Outbound messages made since, those Cancelled not counted: so that two bots do not talk all night."""
        ...

    # Keeping house.

    async def known(self, provider: str, account: str, message_ids: Sequence[str]) -> set[str]:
        """Those of these inbound ids that are kept."""
        ...

    async def backfill(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """The lease on looking for what was missed; None while another holder has it. Its holder may claim it anew."""
        ...

    async def backfilled(self, backfill: Backfill, cursor: datetime | None) -> None:
        """Lets go of it; a cursor moves forward, never back. Raises LeaseLost."""
        ...

    async def expire(self, before: datetime, *, limit: int = 200) -> int:
        """One small step of deleting conversations without work whose last message is older; how many records went.

        0: nothing is left to delete.
        """
        ...
