"""Keeping house: what is old goes in small steps, what was missed is looked for by one pod at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost
from switchboard.log.names import inbound_name
from switchboard.log.postgres import rows
from switchboard.log.postgres.connection import Connection, Database, count
from switchboard.log.postgres.queue import lock
from switchboard.log.postgres.reading import PROVIDERS
from switchboard.log.records import Backfill

_CLAIM = """
INSERT INTO switchboard_backfills AS b (agent, connector, holder, fence, lease_until)
VALUES ($1, $2, $3, 1, switchboard_now() + $4)
ON CONFLICT (agent, connector) DO UPDATE SET holder = $3, fence = b.fence + 1, lease_until = switchboard_now() + $4
    WHERE b.holder IS NULL OR b.holder = $3 OR b.lease_until <= switchboard_now()
RETURNING b.fence, b.cursor
"""


class Keeping:
    """Deletes and looks back."""

    def __init__(self, database: Database, clock: Clock, *, agent: int, ring: Callable[[], None]) -> None:
        self._database = database
        self._ring = ring
        self._clock = clock
        self._agent = agent

    async def expire(self, before: datetime, *, limit: int) -> int:
        """As the protocol says."""
        gone = 0
        async with self._database.connection() as connection:
            # Conversations without a message are those that only say that somebody opted out.
            found = [
                row
                for provider in PROVIDERS
                for row in await connection.fetch(
                    "SELECT name FROM switchboard_conversations WHERE agent = $1 AND provider = $2"
                    f" AND last_message_minute <= {rows.MINUTE.format('$3')} AND last_message_time < $3"
                    " AND ready_at IS NULL ORDER BY last_message_minute, last_message_time, name LIMIT $4",
                    *(self._agent, provider, before, limit),
                )
            ]
        for row in found:
            if gone >= limit:
                break
            name, room = row["name"], limit - gone
            dropped = await self._database.transaction(
                partial(self._drop, conversation=name, before=before, limit=room)
            )
            if dropped is None:
                self._ring()
            gone += dropped or 0
        return gone

    async def _drop(self, connection: Connection, conversation: str, before: datetime, limit: int) -> int | None:
        """Messages before the conversation: should it not be enough, the next step goes on. None: there is work in it
        now, which a worker may have skipped because we held it."""
        locked = await lock(connection, self._agent, conversation)
        busy = await connection.fetchval(
            "SELECT c.ready_at IS NOT NULL OR c.last_message_time >= $3 OR EXISTS (SELECT FROM switchboard_messages m"
            " WHERE m.agent = $1 AND m.conversation = $2 AND m.open AND m.state <> 'Held')"
            " FROM switchboard_conversations c"
            " WHERE c.agent = $1 AND c.name = $2",
            *(self._agent, conversation, before),
        )
        if locked is not None and locked.ready:
            return None
        if locked is None or busy:
            return 0
        gone = 0
        for table, key in (("messages", "id"), ("executions", "name")):
            status = await connection.execute(
                f"DELETE FROM switchboard_{table} WHERE agent = $1 AND conversation = $2 AND {key} IN"
                f" (SELECT {key} FROM switchboard_{table} WHERE agent = $1 AND conversation = $2 LIMIT $3)",
                *(self._agent, conversation, limit - gone),
            )
            gone += count(status)
            if gone >= limit:
                return gone
        if locked.opted_out:
            # Who sent STOP stays known for ever.
            await connection.execute(
                "UPDATE switchboard_conversations SET messages = 0, last_message = NULL, last_message_time = NULL,"
                " contact_name = NULL WHERE agent = $1 AND name = $2",
                *(self._agent, conversation),
            )
            return gone
        await connection.execute(
            "DELETE FROM switchboard_conversations WHERE agent = $1 AND name = $2", self._agent, conversation
        )
        return gone + 1

    async def known(self, provider: str, account: str, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        names = {inbound_name(provider, account, each): each for each in message_ids}
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT name FROM switchboard_messages WHERE agent = $1 AND name = ANY($2)", self._agent, list(names)
            )
        return {names[row["name"]] for row in found}

    async def replies_since(self, conversation: str, since: datetime) -> int:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(
                "SELECT count(*) FROM (SELECT m.outbound, m.state, m.time FROM switchboard_messages m"
                " WHERE m.agent = $1 AND m.conversation = $2 ORDER BY m.id DESC LIMIT 1000) m"
                " WHERE m.outbound AND m.state <> 'Cancelled' AND m.time >= $3",
                *(self._agent, conversation, since),
            )
        return int(found or 0)

    async def backfill(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """As the protocol says."""
        before = self._clock.now()
        lasts = timedelta(seconds=seconds)
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_CLAIM, self._agent, connector, holder, lasts)
        return Backfill(connector, holder, row["fence"], before + lasts, row["cursor"]) if row else None

    async def backfilled(self, backfill: Backfill, cursor: datetime | None) -> None:
        """As the protocol says."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "UPDATE switchboard_backfills SET holder = NULL, cursor = greatest(cursor, $4)"
                " WHERE agent = $1 AND connector = $2 AND fence = $3 RETURNING fence",
                *(self._agent, backfill.connector, backfill.fence, cursor),
            )
        if row is None:
            raise LeaseLost(f"another pod looks for what connector {backfill.connector} missed")
