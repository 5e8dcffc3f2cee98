"""The log in PostgreSQL, in a schema of its own."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime

import asyncpg
from tests.integration.log.harness import KEY, Dying
from tests.postgres import Server

from switchboard.log.postgres import PostgresLog, migrate
from switchboard.log.protocol import ConversationLog

MOVABLE = """
CREATE TABLE test_clock (ahead interval NOT NULL);
INSERT INTO test_clock VALUES ('0');
CREATE OR REPLACE FUNCTION switchboard_now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT statement_timestamp() + ahead FROM test_clock';
"""


class OnPostgres:
    """Implements `Backend`."""

    def __init__(self, dsn: str, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.dsn = dsn
        self.connection = connection
        self.logs: list[PostgresLog] = []

    async def open(self, agent: str, max_messages: int, dying: Dying | None = None) -> ConversationLog:
        del max_messages  # a database is not bounded
        log = PostgresLog(self.dsn, namespace="acme", agent=agent, connections=4)
        if dying is not None:
            log.start = _mortal(log, dying, log.start)  # type: ignore[method-assign]
        self.logs.append(log)
        return log

    async def advance(self, seconds: float) -> None:
        await self.creep(seconds)
        for log in self.logs:
            log._bell.ring()

    async def creep(self, seconds: float) -> None:
        """Time goes by, and nobody is told."""
        await self.connection.execute("UPDATE test_clock SET ahead = ahead + make_interval(secs => $1)", seconds)

    async def now(self) -> datetime:
        found: datetime = await self.connection.fetchval("SELECT switchboard_now()")
        return found

    async def seen(self) -> None:
        """What is committed is seen by all."""


def _mortal(log: PostgresLog, dying: Dying, start: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Once it is started, each transaction and each lone statement is a write."""

    async def begin() -> None:
        await start()
        database = log._database
        transaction, statement = database.transaction, database.statement
        database.transaction = lambda work: dying.write(lambda: transaction(work))  # type: ignore[method-assign]
        database.statement = lambda work: dying.write(lambda: statement(work))  # type: ignore[method-assign]

    return begin


async def database(server: Server, exits: AsyncExitStack) -> str:
    """The connection string of an empty, migrated schema with a clock that can be moved."""
    name = f"log_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"CREATE SCHEMA {name}")
    await admin.close()
    exits.push_async_callback(_drop, server, name)
    dsn = f"{server.dsn()}&search_path={name}"
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute(MOVABLE)
    await connection.close()
    return dsn


async def _drop(server: Server, name: str) -> None:
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"DROP SCHEMA {name} CASCADE")
    await admin.close()


async def backend(server: Server, exits: AsyncExitStack) -> OnPostgres:
    """A schema on the server, which goes when the test ends."""
    dsn = await database(server, exits)
    connection = await asyncpg.connect(dsn)
    # Names are keyed by what the database keeps, and the tests name conversations.
    await connection.execute("INSERT INTO switchboard_namespaces (name, contact_key) VALUES ('acme', $1)", KEY)
    exits.push_async_callback(connection.close)
    return OnPostgres(dsn, connection)
