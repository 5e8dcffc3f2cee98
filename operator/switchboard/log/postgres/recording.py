"""Records what arrives: all who wait in one commit, and by itself what changes more than it adds."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeAlias

import asyncpg

from switchboard.api.conversation import MessageState
from switchboard.log import bounds
from switchboard.log.errors import LogUnavailable
from switchboard.log.names import (
    conversation_name,
    inbound_name,
)
from switchboard.log.postgres import rows
from switchboard.log.postgres.committing import GroupCommit
from switchboard.log.postgres.connection import RECORDING, TRIES, Connection, Database, count
from switchboard.log.postgres.queue import lock, requeue
from switchboard.log.protocol import HELD_MAX
from switchboard.log.records import Inbound, Recorded
from switchboard.log.transitions import beginning, settle, surplus

Entry: TypeAlias = tuple[str, str, Inbound]
"""A message with its name and its conversation's."""

_INSERT = """
WITH input AS (
    SELECT *
    FROM unnest(string_to_array($2, $19, $20), string_to_array($3, $19, $20), string_to_array($4, $19, $20),
        string_to_array($5, $19, $20), string_to_array($6, $19, $20), string_to_array($7, $19, $20),
        string_to_array($8, $19, $20), string_to_array($9, $19, $20), string_to_array($10, $19, $20),
        string_to_array($11, $19, $20), string_to_array($12, $19, $20), string_to_array($13, $19, $20)::json[],
        string_to_array($14, $19, $20)::json[], string_to_array($15, $19, $20)::timestamptz[],
        string_to_array($16, $19, $20), string_to_array($17, $19, $20), string_to_array($18, $19, $20))
    WITH ORDINALITY AS input (name, conversation, connector, provider, channel, contact, contact_name, sender,
        recipient, body, beginning, media, attributes, time, state, error, provider_message_id, place)
    WHERE name IS NOT NULL
), latest AS (
    SELECT DISTINCT ON (i.conversation) i.conversation, i.connector, i.provider, i.channel, i.contact, i.contact_name,
        i.beginning, max(coalesce(i.time, switchboard_now())) OVER it AS time, count(*) OVER it AS messages,
        bool_or(i.state = 'Waiting') OVER it AS waits
    FROM input i WINDOW it AS (PARTITION BY i.conversation) ORDER BY i.conversation, i.place DESC
), touched AS (
    INSERT INTO switchboard_conversations AS c (agent, name, connector, provider, channel, contact, contact_name,
        created, messages, last_message_time, last_message, ready_at)
    SELECT $1, l.conversation, l.connector, l.provider, l.channel, l.contact, l.contact_name, switchboard_now(),
        l.messages, l.time, l.beginning, CASE WHEN l.waits THEN switchboard_now() END
    FROM latest l ORDER BY l.conversation
    ON CONFLICT (agent, name) DO UPDATE SET
        messages = c.messages + excluded.messages,
        last_message_time = greatest(c.last_message_time, excluded.last_message_time),
        last_message = excluded.last_message,
        contact_name = coalesce(excluded.contact_name, c.contact_name),
        ready_at = CASE WHEN c.opted_out THEN c.ready_at ELSE coalesce(c.ready_at, excluded.ready_at) END
    RETURNING c.name, c.opted_out
), silenced AS (
    SELECT name FROM touched WHERE opted_out
), made AS (
    INSERT INTO switchboard_messages (agent, name, conversation, provider, outbound, open, sender, recipient, body,
        media, attributes, time, recorded, state, error, provider_message_id)
    SELECT $1, i.name, i.conversation, i.provider, false, i.state = 'Waiting' AND NOT i.silenced, i.sender, i.recipient,
        i.body, i.media, i.attributes, coalesce(i.time, switchboard_now()), switchboard_now(),
        CASE WHEN i.silenced THEN 'Ignored' ELSE i.state END, i.error, i.provider_message_id
    FROM (SELECT *, state = 'Waiting' AND conversation IN (TABLE silenced) AS silenced FROM input) i ORDER BY i.place
)
TABLE silenced
"""
"""All of a batch in one statement and one commit; gives the conversations whose contact opted out. It fails if one of
the messages is known: to look for each of them before costs more than to do it again now and then. A conversation that
is leased, or has something that falls due later, keeps its place in the queue: what waits is looked for when that is
over."""

_TOUCH = """
UPDATE switchboard_conversations SET messages = messages + $3,
    last_message_time = greatest(last_message_time, $4), last_message = $5,
    contact_name = coalesce($6, contact_name) WHERE agent = $1 AND name = $2
"""


class Recording:
    """Records messages that arrive."""

    def __init__(
        self, database: Database, *, agent: int, agent_name: str, key: bytes, ring: Callable[[], None]
    ) -> None:
        self._database = database
        self._agent = agent
        self._agent_name = agent_name
        self._key = key
        self._ring = ring
        self.commits: GroupCommit[Entry, Recorded] = GroupCommit(
            self._commit, key=lambda entry: entry[1], at_once=RECORDING
        )

    def conversation_of(self, connector: str, channel: str, contact: str) -> str:
        """The name of a contact's conversation."""
        return conversation_name(
            self._key, agent=self._agent_name, connector=connector, channel=channel, contact=contact
        )

    async def record(self, inbound: Inbound) -> Recorded:
        """As the protocol says."""
        name = inbound_name(inbound.provider, inbound.account, inbound.message_id)
        conversation = self.conversation_of(inbound.connector, inbound.channel, inbound.contact)
        if inbound.state == "Refused":
            known = (await self._known([name])).get(name)
            return Recorded(
                conversation, name, known or "Refused", duplicate=known is not None, stored=known is not None
            )
        if inbound.keyword is not None or inbound.state == "Held":
            return await self._database.transaction(lambda con: self._record_alone(con, name, conversation, inbound))
        return await self.commits.add((name, conversation, inbound))

    async def _known(self, names: Collection[str]) -> dict[str, MessageState]:
        """Where those stand that are recorded."""
        async with self._database.connection() as connection:
            found = await connection.fetch(
                f"{rows.MESSAGES} WHERE m.agent = $1 AND m.name = ANY($2)", self._agent, list(names)
            )
        return {row["name"]: rows.message(row).state for row in found}

    async def _commit(self, batch: Sequence[Entry]) -> Sequence[Recorded]:
        new: dict[str, Entry] = {}
        for entry in batch:
            new.setdefault(entry[0], entry)
        known: dict[str, MessageState] = {}
        silenced = await self._insert(new.values())
        for _ in range(TRIES):
            if silenced is not None:
                break
            known |= await self._known(new)
            for name in known:
                new.pop(name, None)
            silenced = await self._insert(new.values())
        if silenced is None:
            raise LogUnavailable("messages that were known were not there when looked for, again and again")
        results = []
        for name, conversation, inbound in batch:
            if new.pop(name, None) is None:
                results.append(Recorded(conversation, name, known[name], duplicate=True))
                continue
            known[name] = "Ignored" if inbound.state == "Waiting" and conversation in silenced else inbound.state
            results.append(Recorded(conversation, name, known[name]))
        # Also for what is not to be answered: it held the conversation's row, which workers skipped meanwhile.
        self._ring()
        return results

    async def _insert(self, entries: Collection[Entry]) -> Collection[str] | None:
        """The conversations whose contact opted out; None if one of the messages is known, and nothing was recorded."""
        if not entries:
            return ()
        columns = joined([_columns(*entry) for entry in entries])

        async def insert(connection: Connection) -> list[asyncpg.Record] | None:
            try:
                return await connection.fetch(_INSERT, self._agent, *columns)
            except asyncpg.UniqueViolationError:
                return None

        found = await self._database.statement(insert)
        return None if found is None else {row["name"] for row in found}

    async def _record_alone(self, connection: Connection, name: str, conversation: str, inbound: Inbound) -> Recorded:
        """What changes more than it adds: keywords, and messages of which only the last ones are kept."""
        await connection.execute(
            "INSERT INTO switchboard_conversations (agent, name, connector, provider, channel, contact, created)"
            " VALUES ($1, $2, $3, $4, $5, $6, switchboard_now()) ON CONFLICT DO NOTHING",
            *(self._agent, conversation, inbound.connector, inbound.provider, inbound.channel, inbound.contact),
        )
        locked = await lock(connection, self._agent, conversation)
        settled = settle(inbound, opted_out=locked is not None and locked.opted_out)
        if settled.state == "Held" and surplus(inbound, await self._held(connection, conversation)):
            return Recorded(conversation, name, "Held", duplicate=True, stored=False)
        row = await connection.fetchrow(
            "INSERT INTO switchboard_messages (agent, name, conversation, provider, outbound, open, sender, recipient,"
            " body, media, attributes, time, recorded, state, error, provider_message_id)"
            " VALUES ($1, $2, $3, $4, false, $5, $6, $7, $8, $9, $10, coalesce($11, switchboard_now()),"
            " switchboard_now(), $12, $13, $14) ON CONFLICT DO NOTHING RETURNING time",
            self._agent,
            name,
            conversation,
            inbound.provider,
            settled.state in {"Waiting", "Held"},
            inbound.sender,
            inbound.recipient,
            bounds.body(inbound),
            rows.media(inbound.media),
            rows.attributes(inbound.attributes),
            inbound.time,
            settled.state,
            inbound.error and bounds.clean(inbound.error, bounds.REASON_MAX),
            inbound.message_id,
        )
        if row is None:
            known = await connection.fetchrow(f"{rows.MESSAGES} WHERE m.agent = $1 AND m.name = $2", self._agent, name)
            return Recorded(conversation, name, rows.message(known).state if known else "Waiting", duplicate=True)
        await self._after(connection, conversation, inbound, settled.state)
        dropped = await self._drop_surplus_held(connection, conversation) if settled.state == "Held" else 0
        await connection.execute(
            _TOUCH,
            self._agent,
            conversation,
            1 - dropped,
            row["time"],
            _beginning(inbound),
            _contact_name(inbound),
        )
        await connection.execute(
            "UPDATE switchboard_conversations SET opted_out = $3 WHERE agent = $1 AND name = $2",
            *(self._agent, conversation, settled.opted_out),
        )
        await requeue(connection, self._agent, conversation)
        self._ring()
        return Recorded(conversation, name, settled.state)

    async def _after(self, connection: Connection, conversation: str, inbound: Inbound, state: MessageState) -> None:
        if inbound.keyword != "Stop" or state != "Ignored":
            return
        await connection.execute(
            "UPDATE switchboard_messages SET open = false,"
            " state = CASE WHEN outbound THEN 'Cancelled' ELSE 'Ignored' END,"
            " error = CASE WHEN outbound THEN 'The contact sent STOP.' ELSE error END"
            " WHERE agent = $1 AND conversation = $2 AND open AND attempt_fence IS NULL",
            *(self._agent, conversation),
        )

    async def _held(self, connection: Connection, conversation: str) -> list[datetime]:
        """When those came that are held."""
        held = await connection.fetch(
            "SELECT time FROM switchboard_messages WHERE agent = $1 AND conversation = $2 AND open AND state = 'Held'",
            *(self._agent, conversation),
        )
        return [row["time"] for row in held]

    async def _drop_surplus_held(self, connection: Connection, conversation: str) -> int:
        status = await connection.execute(
            "DELETE FROM switchboard_messages WHERE agent = $1 AND name IN (SELECT name FROM switchboard_messages"
            " WHERE agent = $1 AND conversation = $2 AND open AND state = 'Held' ORDER BY id DESC OFFSET $3)",
            *(self._agent, conversation, HELD_MAX),
        )
        return count(status)


def joined(table: Sequence[Sequence[str | None]]) -> list[str]:
    """Each column as one text for `string_to_array`, then its separator and its sign for NULL. asyncpg writes an array
    at many times the cost of a text: it asks of each entry what it is.

    The last entry of each column is NULL, because of an empty text `string_to_array` makes no entry at all.
    """
    columns = list(zip(*table, strict=True))
    separator, null = "\x1f", "\x1e"
    texts = [_join(column, separator, null) for column in columns]
    for column, text in zip(columns, texts, strict=True):
        if text.count(separator) != len(column) or text.count(null) != column.count(None) + 1:  # somebody wrote one
            separator = secrets.token_hex(16)
            null = separator[::-1] + "g"
            texts = [_join(column, separator, null) for column in columns]
            break
    return [*texts, separator, null]


def _join(column: Sequence[str | None], separator: str, null: str) -> str:
    return separator.join([null if value is None else value for value in (*column, None)])


def _columns(name: str, conversation: str, inbound: Inbound) -> tuple[str | None, ...]:
    return (
        name,
        conversation,
        inbound.connector,
        inbound.provider,
        inbound.channel,
        inbound.contact,
        _contact_name(inbound),
        inbound.sender,
        inbound.recipient,
        bounds.body(inbound),
        _beginning(inbound),
        rows.media(inbound.media),
        rows.attributes(inbound.attributes),
        inbound.time.isoformat() if inbound.time else None,
        inbound.state,
        inbound.error and bounds.clean(inbound.error, bounds.REASON_MAX),
        inbound.message_id,
    )


def _contact_name(inbound: Inbound) -> str | None:
    return bounds.clean(inbound.contact_name, bounds.NAME_MAX) if inbound.contact_name else None


def _beginning(inbound: Inbound) -> str:
    return beginning(bounds.clean(inbound.body, 1000), len(inbound.media))
