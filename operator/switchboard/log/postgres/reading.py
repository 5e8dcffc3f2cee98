"""Lists and histories. Every one walks an index from where the page before ended: no offset, no count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar, get_args

import asyncpg

from switchboard.api.conversation import Provider
from switchboard.log import cursors
from switchboard.log.postgres import rows
from switchboard.log.postgres.connection import Database
from switchboard.log.records import Conversation, Execution, Message, Page, Query
from switchboard.providers.base import DeliveryState

PROVIDERS: list[str] = list(get_args(Provider))
FINAL = [state.value for state in DeliveryState if state.final]

T = TypeVar("T")


class _Where:
    """Conditions, and the values that stand for `$n` in them."""

    def __init__(self, agent: int) -> None:
        self.values: list[object] = [agent]
        self.conditions: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """`{}` in the condition stands for a value each."""
        places = []
        for value in values:
            self.values.append(value)
            places.append(f"${len(self.values)}")
        self.conditions.append(condition.format(*places))

    def __str__(self) -> str:
        return " AND ".join(self.conditions)


class Reading:
    """Reads."""

    def __init__(self, database: Database, *, agent: int, agent_name: str) -> None:
        self._database = database
        self._agent = agent
        self._name = agent_name

    async def conversation(self, name: str) -> Conversation | None:
        """As the protocol says."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"SELECT {rows.CONVERSATION} FROM switchboard_conversations c WHERE c.agent = $1 AND c.name = $2",
                *(self._agent, name),
            )
        return rows.conversation(row, self._name) if row else None

    async def execution(self, name: str) -> Execution | None:
        """As the protocol says."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"SELECT {rows.EXECUTION} FROM switchboard_executions e WHERE e.agent = $1 AND e.name = $2",
                *(self._agent, name),
            )
        return rows.execution(row, self._name) if row else None

    async def undelivered(self, connector: str, *, since: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await connection.fetch(
                f"{rows.MESSAGES} WHERE m.agent = $1 AND m.provider = ANY($2) AND m.time >= $3 AND m.time < $4"
                " AND m.outbound AND m.provider_message_id IS NOT NULL AND m.state = 'Sent'"
                " AND (m.delivery IS NULL OR m.delivery <> ALL($5)) AND (SELECT c.connector"
                " FROM switchboard_conversations c WHERE c.agent = $1 AND c.name = m.conversation) = $6"
                " ORDER BY m.time, m.id LIMIT $7",
                *(self._agent, PROVIDERS, since, until, FINAL, connector, limit),
            )
        return [rows.message(row) for row in found]

    async def in_doubt(self, recipient: str, *, since: datetime) -> Sequence[Message]:
        """As the protocol says."""
        of = f"{rows.MESSAGES} WHERE m.agent = $1 AND m.outbound AND m.recipient = $2 AND m.provider_message_id IS NULL"
        async with self._database.connection() as connection:
            found = await connection.fetch(
                f"({of} AND m.open AND m.attempt_fence IS NOT NULL) UNION ALL"
                f" ({of} AND m.provider = ANY($3) AND m.time >= $4 AND m.state = 'DeliveryUnknown')",
                *(self._agent, recipient, PROVIDERS, since),
            )
        return [rows.message(row) for row in found]

    async def sent(self, message_ids: Sequence[str]) -> set[str]:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await connection.fetch(
                "SELECT provider_message_id AS id FROM switchboard_messages"
                " WHERE agent = $1 AND outbound AND provider_message_id = ANY($2)",
                *(self._agent, list(message_ids)),
            )
        return {row["id"] for row in found}

    async def history(self, conversation: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """As the protocol says."""
        async with self._database.connection() as connection:
            found = await connection.fetch(
                f"{rows.MESSAGES} WHERE m.agent = $1 AND m.conversation = $2 AND m.id < $3 ORDER BY m.id DESC LIMIT $4",
                *(self._agent, conversation, before if before is not None else 2**63 - 1, limit),
            )
        return [rows.message(row) for row in reversed(found)]

    async def conversations(self, query: Query, *, cursor: str | None, limit: int) -> Page[Conversation]:
        """As the protocol says."""
        where = _Where(self._agent)
        where.add("c.agent = $1")
        _of_provider(where, query, "c")
        _of_conversation(where, query)
        _between(where, query, cursor, ("c.last_message_time", "c.name", str))
        _within_minutes(where, query, cursor)
        sql = (
            f"SELECT {rows.CONVERSATION} FROM switchboard_conversations c WHERE {where}"
            " AND c.last_message_minute IS NOT NULL"
            " ORDER BY c.last_message_minute DESC, c.last_message_time DESC, c.name DESC"
        )
        found = await self._fetch(query, sql, where, limit)
        items = [rows.conversation(row, self._name) for row in found]
        return _page(items, limit, lambda item: cursors.encode(item.last_message_time or item.created, item.name))

    async def messages(self, query: Query, *, cursor: str | None, limit: int) -> Page[Message]:
        """As the protocol says."""
        where = _Where(self._agent)
        where.add("m.agent = $1")
        _of_provider(where, query, "m")
        _in_conversations(where, query, "m")
        _between(where, query, cursor, ("m.time", "m.id", int))
        sql = f"{rows.MESSAGES} WHERE {where} ORDER BY m.time DESC, m.id DESC"
        items = [rows.message(row) for row in await self._fetch(query, sql, where, limit)]
        return _page(items, limit, lambda item: cursors.encode(item.time, str(item.sequence)))

    async def executions(self, query: Query, *, cursor: str | None, limit: int) -> Page[Execution]:
        """As the protocol says."""
        where = _Where(self._agent)
        where.add("e.agent = $1")
        _in_conversations(where, query, "e")
        _between(where, query, cursor, ("e.start_time", "e.name", str))
        sql = (
            f"SELECT {rows.EXECUTION} FROM switchboard_executions e WHERE {where}"
            " ORDER BY e.start_time DESC, e.name DESC"
        )
        items = [rows.execution(row, self._name) for row in await self._fetch(query, sql, where, limit)]
        return _page(items, limit, lambda item: cursors.encode(item.start_time, item.name))

    async def _fetch(self, query: Query, sql: str, where: _Where, limit: int) -> list[asyncpg.Record]:
        """One more than `limit`, which tells whether there is a next page."""
        if query.agent not in {None, self._name} or not _providers(query):
            return []
        async with self._database.connection() as connection:
            return await connection.fetch(f"{sql} LIMIT {limit + 1:d}", *where.values)


def _providers(query: Query) -> list[str]:
    """All that are known, where none is asked for."""
    return [name for name in PROVIDERS if query.provider in {None, name}]


def _of_provider(where: _Where, query: Query, table: str) -> None:
    """The index begins with the provider. It gives its order only for one: `= ANY` of several has all rows sorted."""
    wanted = _providers(query)
    if len(wanted) == 1:
        where.add(f"{table}.provider = {{}}", wanted[0])
    else:
        where.add(f"{table}.provider = ANY({{}}::text[])", wanted)


def _of_conversation(where: _Where, query: Query) -> None:
    wanted = {
        "c.connector": query.connector,
        "c.channel": query.channel,
        "c.contact": query.contact,
        "c.name": query.conversation,
    }
    for column, value in wanted.items():
        if value is not None:
            where.add(f"{column} = {{}}", value)


def _in_conversations(where: _Where, query: Query, table: str) -> None:
    """Of the conversations that are asked for; of a contact these are few, and their messages stand in an index."""
    if query.conversation is not None:
        where.add(f"{table}.conversation = {{}}", query.conversation)
    conversations = _Where(0)
    conversations.values = where.values
    _of_conversation(conversations, query)
    if conversations.conditions:
        where.add(
            f"{table}.conversation IN (SELECT c.name FROM switchboard_conversations c WHERE c.agent = $1 AND"
            f" {conversations})"
        )


def _between(where: _Where, query: Query, cursor: str | None, order: tuple[str, str, Callable[[str], object]]) -> None:
    """`order`: the columns that a list is ordered by, and what reads the second one from a cursor."""
    time, key, kind = order
    if query.since is not None:
        where.add(f"{time} >= {{}}", query.since)
    if query.until is not None:
        where.add(f"{time} < {{}}", query.until)
    if cursor is not None:
        at, after = cursors.decode(cursor)
        where.add(f"({time}, {key}) < ({{}}, {{}})", at, kind(after))


def _within_minutes(where: _Where, query: Query, cursor: str | None) -> None:
    """The same bounds for the minute, which is what conversations are indexed by: those of one are sorted then."""
    latest = [] if query.until is None else [query.until]
    if cursor is not None:
        latest.append(cursors.decode(cursor)[0])
    if query.since is not None:
        where.add(f"c.last_message_minute >= {rows.MINUTE}", query.since)
    if latest:
        where.add(f"c.last_message_minute <= {rows.MINUTE}", min(latest))


def _page(items: list[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    if len(items) <= limit:
        return Page(items)
    return Page(items[:limit], cursor(items[limit - 1]))
