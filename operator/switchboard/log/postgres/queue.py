"""A conversation's place in the queue: its row, which whoever changes what there is to do locks first."""

from __future__ import annotations

from dataclasses import dataclass

from switchboard.log.postgres.connection import Connection

LOCK = """
SELECT opted_out, current, fence, holder, ready_at <= switchboard_now() AS ready
FROM switchboard_conversations WHERE agent = $1 AND name = $2 FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """A conversation's row, locked until the transaction ends."""

    opted_out: bool
    current: str | None
    fence: int
    holder: str | None
    ready: bool
    """Whether a worker may claim it. Workers skip what is locked: whoever locked it and leaves it so, has to ring when
    that is over."""


async def lock(connection: Connection, agent: int, conversation: str) -> Locked | None:
    """Locks it; None if there is no such conversation. What is read after this is what there is: under READ COMMITTED
    each statement sees all that was committed before it."""
    row = await connection.fetchrow(LOCK, agent, conversation)
    return Locked(row["opted_out"], row["current"], row["fence"], row["holder"], bool(row["ready"])) if row else None


async def requeue(connection: Connection, agent: int, conversation: str, *, free: bool = False) -> bool:
    """Puts a locked conversation where it belongs: behind its lease if somebody holds it (unless `free`, which ends the
    lease), else at the time when the next thing to do falls due, else out of the queue. Whether a worker may claim it
    now."""
    ready = await connection.fetchval(
        """
        UPDATE switchboard_conversations c SET
            holder = CASE WHEN $3 THEN NULL ELSE c.holder END,
            lease_until = CASE WHEN $3 THEN NULL ELSE c.lease_until END,
            ready_at = CASE WHEN c.holder IS NOT NULL AND NOT $3 THEN c.lease_until ELSE coalesce(
                (SELECT coalesce(m.unconfirmed_after, m.not_before, m.recorded) FROM switchboard_messages m
                    WHERE m.agent = $1 AND m.conversation = $2 AND m.open AND m.outbound ORDER BY m.id LIMIT 1),
                (SELECT coalesce(e.not_before, e.start_time) FROM switchboard_executions e
                    WHERE e.agent = $1 AND e.name = c.current),
                (SELECT m.recorded FROM switchboard_messages m WHERE m.agent = $1 AND m.conversation = $2 AND m.open
                    AND NOT m.outbound AND m.state = 'Waiting' ORDER BY m.id LIMIT 1)
            ) END
        WHERE c.agent = $1 AND c.name = $2 RETURNING c.ready_at <= switchboard_now()
        """,
        *(agent, conversation, free),
    )
    return bool(ready)
