"""Turns: claiming them, ending them. Whoever holds one is known by holder and fence in the conversation's row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg

from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost
from switchboard.log.names import execution_name
from switchboard.log.postgres import rows
from switchboard.log.postgres.connection import Connection, Database
from switchboard.log.postgres.queue import Locked, lock, requeue
from switchboard.log.postgres.receiving import insert_parts
from switchboard.log.protocol import TURN_MESSAGES_MAX
from switchboard.log.records import Execution, Outcome, Reply, Turn

_NEXT = f"""
SELECT {rows.CONVERSATION}, c.current, c.fence, c.turns, switchboard_now() AS now FROM switchboard_conversations c
WHERE c.agent = $1 AND c.ready_at <= switchboard_now() AND ($2::text IS NULL OR c.revision = $2)
ORDER BY c.ready_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_LEASE = """
UPDATE switchboard_conversations SET holder = $3, fence = fence + 1, revision = $4, current = $5, turns = $6,
    lease_until = switchboard_now() + $7, ready_at = switchboard_now() + $7
WHERE agent = $1 AND name = $2
"""
_BEGIN = f"""
INSERT INTO switchboard_executions AS e (agent, name, conversation, revision, messages, state, start_time)
VALUES ($1, $2, $3, $4, $5, 'Running', switchboard_now())
ON CONFLICT (agent, name) DO NOTHING RETURNING {rows.EXECUTION}
"""
_AGAIN = f"""
UPDATE switchboard_executions AS e SET state = 'Running', attempts = attempts + 1, not_before = NULL, revision = $3
WHERE agent = $1 AND name = $2 AND state IN ('Running', 'Retrying') RETURNING {rows.EXECUTION}
"""
_END = f"""
UPDATE switchboard_executions AS e SET state = $3, end_time = switchboard_now(), not_before = NULL, engine = $4,
    model = $5, usage = $6, steps = $7, error = $8, trace_id = $9
WHERE agent = $1 AND name = $2 RETURNING {rows.EXECUTION}
"""


class Turns:
    """Claims, renews, ends."""

    def __init__(
        self, database: Database, clock: Clock, *, agent: int, agent_name: str, ring: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._agent = agent
        self._name = agent_name
        self._ring = ring

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        """As the protocol says."""

        async def take(connection: Connection) -> Turn | bool:
            return await self._take(connection, holder, revision, seconds, live=live)

        while not isinstance(taken := await self._database.transaction(take), Turn):
            if not taken:
                return None
        return taken

    async def _take(
        self, connection: Connection, holder: str, revision: str, seconds: float, *, live: bool
    ) -> Turn | bool:
        """A turn; True if there was nothing in it, and another look is worth it; False if there is none."""
        row = await connection.fetchrow(_NEXT, self._agent, None if live else revision)
        if row is None:
            return False
        conversation = rows.conversation(row, self._name)
        skew = self._clock.now() - row["now"]
        opened = await connection.fetch(
            f"{rows.MESSAGES} WHERE m.agent = $1 AND m.conversation = $2 AND m.open ORDER BY m.id",
            *(self._agent, conversation.name),
        )
        unsent = [one for one in opened if one["outbound"]]
        if unsent and (unsent[0]["unconfirmed_after"] or row["now"]) > row["now"]:
            # Its sender died, and its request may yet be confirmed.
            await requeue(connection, self._agent, conversation.name, free=True)
            return True
        outbound = [rows.message(one, skew=skew) for one in unsent]
        current, turns = row["current"], row["turns"]
        if outbound:
            executed = await self._execution(connection, outbound[0].execution or "")
            if executed is None:
                raise LeaseLost(f"execution {outbound[0].execution} was deleted")
            outbound = [part for part in outbound if part.execution == executed.name]
        elif current is not None:
            again = await connection.fetchrow(_AGAIN, self._agent, current, revision)
            executed = rows.execution(again, self._name) if again else None
        else:
            names = [one["name"] for one in opened if one["state"] == "Waiting"][:TURN_MESSAGES_MAX]
            turns += 1
            executed = await self._begin(connection, conversation.name, turns, revision, names)
            current = executed.name if executed else None
        if executed is None:
            await connection.execute(
                "UPDATE switchboard_conversations SET current = NULL, turns = $3 WHERE agent = $1 AND name = $2",
                *(self._agent, conversation.name, turns),
            )
            await requeue(connection, self._agent, conversation.name, free=True)
            return True
        lasts = timedelta(seconds=seconds)
        await connection.execute(_LEASE, self._agent, conversation.name, holder, revision, current, turns, lasts)
        messages = await connection.fetch(
            f"{rows.MESSAGES} WHERE m.agent = $1 AND m.name = ANY($2) ORDER BY m.id",
            *(self._agent, list(executed.messages)),
        )
        return Turn(
            replace(conversation, revision=revision),
            executed,
            [rows.message(one) for one in messages],
            outbound,
            holder,
            row["fence"] + 1,
            row["now"] + skew + lasts,
        )

    async def _execution(self, connection: Connection, name: str) -> Execution | None:
        row = await connection.fetchrow(
            f"SELECT {rows.EXECUTION} FROM switchboard_executions e WHERE agent = $1 AND name = $2", self._agent, name
        )
        return rows.execution(row, self._name) if row else None

    async def _begin(
        self, connection: Connection, conversation: str, number: int, revision: str, messages: Sequence[str]
    ) -> Execution | None:
        """A new turn of all that waits; None if nothing does, or its name is taken."""
        if not messages:
            return None
        name = execution_name(conversation, number)
        row = await connection.fetchrow(_BEGIN, self._agent, name, conversation, revision, list(messages))
        if row is None:
            return None
        await connection.execute(
            "UPDATE switchboard_messages SET open = false, execution = $3 WHERE agent = $1 AND name = ANY($2)",
            *(self._agent, list(messages), name),
        )
        return rows.execution(row, self._name)

    async def hold(self, connection: Connection, turn: Turn) -> Locked:
        """Locks the turn's conversation. Raises LeaseLost unless the turn is ours."""
        return self._check(turn, await lock(connection, self._agent, turn.conversation.name))

    @staticmethod
    def _check(turn: Turn, locked: Locked | None) -> Locked:
        if locked is None:
            raise LeaseLost(f"conversation {turn.conversation.name} was deleted")
        if (locked.fence, locked.holder) != (turn.fence, turn.holder):
            raise LeaseLost(
                f"conversation {turn.conversation.name} is another worker's (fence {locked.fence}, ours {turn.fence})"
            )
        return locked

    async def renew(self, turn: Turn, *, seconds: float) -> Turn:
        """As the protocol says."""
        before = self._clock.now()
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "UPDATE switchboard_conversations SET lease_until = switchboard_now() + $5,"
                " ready_at = switchboard_now() + $5 WHERE agent = $1 AND name = $2 AND fence = $3 AND holder = $4"
                " RETURNING name",
                *(self._agent, turn.conversation.name, turn.fence, turn.holder, timedelta(seconds=seconds)),
            )
        if row is None:
            raise LeaseLost(f"conversation {turn.conversation.name} is another worker's")
        return replace(turn, expires=before + timedelta(seconds=seconds))

    async def retry(self, turn: Turn, outcome: Outcome, *, at: datetime, counts: bool) -> None:
        """As the protocol says."""
        wait = max(at - self._clock.now(), timedelta(0))
        attempts = turn.execution.attempts - (not counts)

        async def put_off(connection: Connection) -> None:
            await self.hold(connection, turn)
            await connection.execute(
                "UPDATE switchboard_executions SET state = 'Retrying', not_before = switchboard_now() + $3,"
                " engine = $4, model = $5, usage = $6, steps = $7, error = $8, trace_id = $9, attempts = $10"
                " WHERE agent = $1 AND name = $2",
                *(self._agent, turn.execution.name, wait, *rows.outcome(outcome), attempts),
            )
            await requeue(connection, self._agent, turn.conversation.name, free=True)

        await self._database.transaction(put_off)
        self._ring()

    async def finish(self, turn: Turn, outcome: Outcome, replies: Sequence[Reply]) -> Turn:
        """As the protocol says."""
        name, conversation = turn.execution.name, turn.conversation.name

        async def end(connection: Connection) -> tuple[asyncpg.Record | None, list[asyncpg.Record]]:
            locked = await lock(connection, self._agent, conversation)
            if locked is None or locked.current == name or locked.holder is not None or locked.fence != turn.fence:
                locked = self._check(turn, locked)
            if locked.current == name:
                await connection.execute(_END, self._agent, name, outcome.state, *rows.outcome(outcome))
                await insert_parts(connection, self._agent, name, replies, opted_out=locked.opted_out)
                await connection.execute(
                    "UPDATE switchboard_conversations SET current = NULL WHERE agent = $1 AND name = $2",
                    *(self._agent, conversation),
                )
            ended = await connection.fetchrow(
                f"SELECT {rows.EXECUTION} FROM switchboard_executions e WHERE agent = $1 AND name = $2",
                *(self._agent, name),
            )
            parts = await connection.fetch(
                f"{rows.MESSAGES} WHERE m.agent = $1 AND m.conversation = $2 AND m.open AND m.outbound"
                " AND m.execution = $3 ORDER BY m.id",
                *(self._agent, conversation, name),
            )
            if not parts:
                await requeue(connection, self._agent, conversation, free=True)
            return ended, parts

        ended, parts = await self._database.transaction(end)
        if ended is None:
            raise LeaseLost(f"execution {name} was deleted")
        if not parts:
            self._ring()
        return replace(
            turn, execution=rows.execution(ended, self._name), outbound=[rows.message(part) for part in parts]
        )

    async def release(self, turn: Turn) -> None:
        """As the protocol says."""

        async def let_go(connection: Connection) -> None:
            locked = await lock(connection, self._agent, turn.conversation.name)
            if locked is not None and (locked.fence, locked.holder) == (turn.fence, turn.holder):
                await requeue(connection, self._agent, turn.conversation.name, free=True)

        await self._database.transaction(let_go)
        self._ring()

    async def next_due(self, since: datetime | None) -> tuple[float, datetime]:
        """Seconds until a conversation becomes claimable that was not at `since` (by default: now), infinite if none
        will; and the database's time, to be given back as `since` the next time."""
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(
                "SELECT switchboard_now() AS now, (SELECT min(ready_at) FROM switchboard_conversations"
                " WHERE agent = $1 AND ready_at > coalesce($2, switchboard_now())) AS due",
                *(self._agent, since),
            )
        if since is not None and row["now"] < since:
            return 0.0, row["now"]  # the clock was set back: nobody can say what fell due meanwhile
        if row["due"] is None:
            return math.inf, row["now"]
        return (row["due"] - row["now"]).total_seconds(), row["now"]

    async def working(self, revision: str) -> int:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(
                "SELECT count(*) FROM switchboard_conversations WHERE agent = $1 AND revision = $2"
                " AND ready_at IS NOT NULL AND holder IS NOT NULL AND lease_until > switchboard_now()",
                *(self._agent, revision),
            )
        return int(found or 0)
