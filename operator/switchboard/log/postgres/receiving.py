"""What any pod does without a lease, besides recording: apply what became of what was sent, settle what is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from switchboard.log import bounds
from switchboard.log.names import (
    conversation_of,
    execution_name,
    outbound_name,
    parse_attempt,
)
from switchboard.log.postgres import rows
from switchboard.log.postgres.connection import Connection, Database, count
from switchboard.log.postgres.queue import lock, requeue
from switchboard.log.records import DeliveryNews, DeliveryResult, Reply
from switchboard.log.transitions import Delivered, apply_news, beginning


class Receiving:
    """What becomes of messages, by whoever hears of it."""

    def __init__(
        self,
        database: Database,
        *,
        agent: int,
        conversation_of: Callable[[str, str, str], str],
        ring: Callable[[], None],
    ) -> None:
        """`conversation_of`: the name of a connector's, channel's and contact's conversation."""
        self._database = database
        self._agent = agent
        self._conversation_of = conversation_of
        self._ring = ring

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await self._find(connection, news)
        if found is None:
            return "Unknown"
        name, conversation = found
        result, ready = await self._database.transaction(lambda con: self._deliver(con, name, conversation, news))
        if ready:
            self._ring()
        return result

    async def _find(self, connection: Connection, news: DeliveryNews) -> tuple[str, str] | None:
        if news.attempt is not None:
            parsed = parse_attempt(news.attempt)
            if parsed is None:
                return None
            where, value = "name = $2", parsed[0]
        else:
            where, value = "outbound AND provider_message_id = $2", news.message_id
        row = await connection.fetchrow(
            "SELECT name, conversation, (SELECT c.connector FROM switchboard_conversations c WHERE c.agent = $1"
            f" AND c.name = conversation) AS connector FROM switchboard_messages WHERE agent = $1 AND {where}",
            *(self._agent, value),
        )
        if row is None or news.connector not in {None, row["connector"]}:
            return None
        return row["name"], row["conversation"]

    async def _deliver(
        self, connection: Connection, name: str, conversation: str, news: DeliveryNews
    ) -> tuple[DeliveryResult, bool]:
        """Also gives whether a worker may claim the conversation: if it tried meanwhile, it skipped it."""
        # The conversation first, as everybody does: two that lock in another order wait for each other for ever.
        locked = await lock(connection, self._agent, conversation)
        row = await connection.fetchrow(f"{rows.MESSAGES} WHERE m.agent = $1 AND m.name = $2", self._agent, name)
        delivered = apply_news(rows.message(row), news) if row else Delivered("Unknown")
        ready = locked is not None and locked.ready
        if await write_news(connection, self._agent, name, delivered):
            ready = await requeue(connection, self._agent, conversation)
        return delivered.result, ready

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        """As the protocol says."""
        released: list[str] = []
        for conversation in self._both(connector, contact):
            released += await self._database.transaction(partial(self._release, conversation=conversation))
        if released:
            self._ring()
        return released

    async def _release(self, connection: Connection, conversation: str) -> list[str]:
        await lock(connection, self._agent, conversation)
        held = await connection.fetch(
            "SELECT name FROM switchboard_messages WHERE agent = $1 AND conversation = $2 AND open AND state = 'Held'"
            " ORDER BY id",
            *(self._agent, conversation),
        )
        if not held:
            return []
        last = cast("str", held[-1]["name"])
        await connection.execute(
            "UPDATE switchboard_messages SET state = CASE WHEN name = $3 THEN 'Waiting' ELSE 'Ignored' END,"
            " open = name = $3 WHERE agent = $1 AND conversation = $2 AND open AND state = 'Held'",
            *(self._agent, conversation, last),
        )
        await requeue(connection, self._agent, conversation)
        return [last]

    async def refuse_held(self, connector: str, contact: str) -> int:
        """As the protocol says."""
        async with self._database.connection() as connection:
            status = await connection.execute(
                "UPDATE switchboard_messages SET state = 'Refused', open = false"
                " WHERE agent = $1 AND conversation = ANY($2) AND open AND state = 'Held'",
                *(self._agent, self._both(connector, contact)),
            )
        return count(status)

    def _both(self, connector: str, contact: str) -> list[str]:
        return [self._conversation_of(connector, channel, contact) for channel in ("SMS", "WhatsApp")]

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        """As the protocol says."""
        made = await self._database.transaction(lambda con: self._announce(con, conversation, kind, reply, revision))
        if made:
            self._ring()
        return made

    async def _announce(
        self, connection: Connection, conversation: str, kind: str, reply: Reply, revision: str
    ) -> bool:
        if await lock(connection, self._agent, conversation) is None:
            return False
        name = execution_name(conversation, kind)
        made = await connection.fetchrow(
            "INSERT INTO switchboard_executions (agent, name, conversation, revision, messages, state, start_time,"
            " end_time) VALUES ($1, $2, $3, $4, '{}', 'Succeeded', switchboard_now(), switchboard_now())"
            " ON CONFLICT DO NOTHING RETURNING name",
            *(self._agent, name, conversation, revision),
        )
        if made is None:
            return False
        await insert_parts(connection, self._agent, name, [reply])
        await requeue(connection, self._agent, conversation)
        return True


async def insert_parts(
    connection: Connection,
    agent: int,
    execution: str,
    replies: Sequence[Reply],
    *,
    opted_out: bool = False,
) -> None:
    """The parts of an answer, as messages, and the conversation as it is with them. Its row is locked."""
    conversation = conversation_of(execution)
    state = "Cancelled" if opted_out else "Sending"
    await connection.executemany(
        "INSERT INTO switchboard_messages (agent, name, conversation, provider, outbound, open, sender, recipient,"
        " body, time, recorded, state, error, execution) SELECT $1, $2, $3, c.provider, true, $4, $5, $6, $7,"
        " switchboard_now(), switchboard_now(), $8, $9, $10 FROM switchboard_conversations c"
        " WHERE c.agent = $1 AND c.name = $3",
        [
            (
                agent,
                outbound_name(execution, number),
                conversation,
                not opted_out,
                reply.sender,
                reply.recipient,
                bounds.clean(reply.body, 65_536),
                state,
                "The contact sent STOP." if opted_out else None,
                execution,
            )
            for number, reply in enumerate(replies, start=1)
        ],
    )
    if replies:
        last = beginning(bounds.clean(replies[-1].body, 1000), 0)
        await connection.execute(
            "UPDATE switchboard_conversations SET messages = messages + $3, last_message_time = switchboard_now(),"
            " last_message = $4 WHERE agent = $1 AND name = $2",
            *(agent, conversation, len(replies), last),
        )


async def write_news(connection: Connection, agent: int, name: str, delivered: Delivered) -> bool:
    """Writes news that changes something; whether it did."""
    if delivered.result not in {"Adopted", "Applied"}:
        return False
    await connection.execute(
        "UPDATE switchboard_messages SET open = false, state = $3, provider_message_id = $4, delivery = $5,"
        " error_code = $6, error = $7, attempt_fence = NULL, attempt_deadline = NULL, unconfirmed_after = NULL,"
        " not_before = NULL WHERE agent = $1 AND name = $2",
        agent,
        name,
        delivered.state,
        delivered.provider_message_id,
        delivered.delivery.value if delivered.delivery else None,
        delivered.error_code,
        delivered.error and bounds.clean(delivered.error, bounds.REASON_MAX),
    )
    return True
