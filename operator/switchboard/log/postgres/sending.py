"""Attempts to send: each on record, and durable, before its request is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from switchboard.log import bounds
from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost, OptedOut
from switchboard.log.names import attempt_id
from switchboard.log.postgres import rows
from switchboard.log.postgres.connection import Connection, Database
from switchboard.log.postgres.queue import lock, requeue
from switchboard.log.postgres.receiving import write_news
from switchboard.log.postgres.turns import Turns
from switchboard.log.protocol import LEASE_MARGIN_SECONDS, UNCONFIRMED_SECONDS
from switchboard.log.records import Attempt, DeliveryNews, Message, Turn
from switchboard.log.transitions import apply_news
from switchboard.providers.base import DeliveryState

_BEGIN = """
UPDATE switchboard_messages SET attempts = attempts + 1, attempt_fence = $3, not_before = NULL,
    attempt_deadline = switchboard_now() + $4, unconfirmed_after = switchboard_now() + $5
WHERE agent = $1 AND name = $2
"""
_OUTLAST = """
UPDATE switchboard_conversations SET lease_until = greatest(lease_until, switchboard_now() + $3),
    ready_at = greatest(lease_until, switchboard_now() + $3) WHERE agent = $1 AND name = $2
"""
_NO_ATTEMPT = "attempt_fence = NULL, attempt_deadline = NULL, unconfirmed_after = NULL"


class Sending:
    """What a worker writes about the parts of its turn."""

    def __init__(self, database: Database, turns: Turns, clock: Clock, *, agent: int, ring: Callable[[], None]) -> None:
        self._database = database
        self._turns = turns
        self._clock = clock
        self._agent = agent
        self._ring = ring

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        """As the protocol says."""
        began = self._clock.now()

        async def begin(connection: Connection) -> Attempt | None:
            locked = await self._turns.hold(connection, turn)
            kept = await self._message(connection, message.name)
            number = message.attempts + 1
            if kept is None or kept.state != "Sending":
                if kept is not None and kept.state == "Cancelled":
                    return None
                raise LeaseLost(f"message {message.name} is {kept.state if kept else 'deleted'}")
            if kept.attempt is not None:
                # Ours, if the answer to our own commit was lost: then no request was made.
                if kept.attempt.fence != turn.fence or kept.attempts != number:
                    raise LeaseLost(f"message {message.name} has an attempt that nobody has confirmed or refused")
            elif locked.opted_out:
                await self._cancel(connection, message.name, "The contact sent STOP.")
                return None
            else:
                number = kept.attempts + 1
                wait, doubt = timedelta(seconds=seconds), timedelta(seconds=UNCONFIRMED_SECONDS)
                await connection.execute(_BEGIN, self._agent, message.name, turn.fence, wait, doubt)
            lasts = timedelta(seconds=seconds + LEASE_MARGIN_SECONDS)
            await connection.execute(_OUTLAST, self._agent, turn.conversation.name, lasts)
            return Attempt(
                attempt_id(message.name, number),
                message.name,
                number,
                turn.fence,
                began + timedelta(seconds=seconds),
                began + timedelta(seconds=UNCONFIRMED_SECONDS),
            )

        attempt = await self._database.transaction(begin)
        if attempt is None:
            raise OptedOut("the contact sent STOP")
        return attempt

    async def _message(self, connection: Connection, name: str) -> Message | None:
        row = await connection.fetchrow(f"{rows.MESSAGES} WHERE m.agent = $1 AND m.name = $2", self._agent, name)
        return rows.message(row) if row else None

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        """As the protocol says."""
        news = DeliveryNews(message_id, state, attempt=attempt.id)

        async def keep(connection: Connection) -> bool:
            locked = await lock(connection, self._agent, turn.conversation.name)
            kept = await self._message(connection, attempt.message)
            if kept is not None and await write_news(connection, self._agent, kept.name, apply_news(kept, news)):
                await requeue(connection, self._agent, turn.conversation.name)
            return locked is not None and (locked.fence, locked.holder) == (turn.fence, turn.holder)

        if not await self._database.transaction(keep):
            self._ring()
            raise LeaseLost(f"conversation {turn.conversation.name} is another worker's")

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None
    ) -> None:
        """As the protocol says."""
        wait = max(retry_at - self._clock.now(), timedelta(0)) if retry_at else None

        async def write(connection: Connection) -> None:
            await self._turns.hold(connection, turn)
            await connection.execute(
                f"UPDATE switchboard_messages SET {_NO_ATTEMPT}, error_code = $3, error = $4,"
                " not_before = switchboard_now() + $5::interval, open = $5::interval IS NOT NULL,"
                " state = CASE WHEN $5::interval IS NULL THEN 'Failed' ELSE state END"
                " WHERE agent = $1 AND name = $2 AND attempt_fence IS NOT NULL AND attempts = $6 AND state = 'Sending'",
                *(self._agent, attempt.message, code, bounds.clean(error, bounds.REASON_MAX), wait, attempt.number),
            )

        await self._database.transaction(write)

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool) -> None:
        """As the protocol says."""

        async def write(connection: Connection) -> None:
            await self._turns.hold(connection, turn)
            early = await connection.fetchval(
                "SELECT unconfirmed_after - interval '1 second' > switchboard_now() FROM switchboard_messages"
                " WHERE agent = $1 AND name = $2 AND attempts = $3",
                *(self._agent, attempt.message, attempt.number),
            )
            if early:
                raise ValueError(f"attempt {attempt.id} may yet be confirmed: release the turn until unconfirmed_after")
            await connection.execute(
                f"UPDATE switchboard_messages SET {_NO_ATTEMPT}, open = $5, error = $4,"
                " state = CASE WHEN $5 THEN state ELSE 'DeliveryUnknown' END"
                " WHERE agent = $1 AND name = $2 AND attempt_fence IS NOT NULL AND attempts = $3 AND state = 'Sending'",
                *(self._agent, attempt.message, attempt.number, bounds.clean(error, bounds.REASON_MAX), again),
            )

        await self._database.transaction(write)

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        """As the protocol says."""
        wait = max(at - self._clock.now(), timedelta(0))

        async def write(connection: Connection) -> None:
            await self._turns.hold(connection, turn)
            await connection.execute(
                "UPDATE switchboard_messages SET error = $4,"
                " not_before = CASE WHEN attempt_fence IS NULL THEN switchboard_now() + $3 END,"
                " unconfirmed_after = CASE WHEN attempt_fence IS NOT NULL THEN switchboard_now() + $3 END"
                " WHERE agent = $1 AND name = $2 AND state = 'Sending' AND attempts = $5",
                *(self._agent, message.name, wait, bounds.clean(error, bounds.REASON_MAX), message.attempts),
            )

        await self._database.transaction(write)

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        """As the protocol says."""

        async def write(connection: Connection) -> None:
            await self._turns.hold(connection, turn)
            await self._cancel(connection, message.name, bounds.clean(error, bounds.REASON_MAX))

        await self._database.transaction(write)

    async def _cancel(self, connection: Connection, name: str, error: str) -> None:
        await connection.execute(
            "UPDATE switchboard_messages SET state = 'Cancelled', open = false, error = $3"
            " WHERE agent = $1 AND name = $2 AND state = 'Sending' AND attempt_fence IS NULL",
            *(self._agent, name, error),
        )
