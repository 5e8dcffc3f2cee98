"""What was acknowledged is in the database, however often it is killed; and a database that lies is found out."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import asyncpg
import pytest
from tests.postgres import Server

from switchboard.log.errors import LogUnavailable
from switchboard.log.postgres import PostgresLog, migrate
from switchboard.log.records import Inbound

ROUNDS, MESSAGES, CLIENTS = 5, 100, 16


def inbound(number: int) -> Inbound:
    contact = f"+1500555{number % 50:04d}"
    return Inbound(
        provider="twilio",
        account="AC1",
        message_id=f"SM{number:032d}",
        connector="production-sms",
        channel="SMS",
        contact=contact,
        sender=contact,
        recipient="+15005550006",
        body=f"m{number}",
        state="Waiting",
    )


async def killed_while_recording(server: Server, rounds: int) -> tuple[int, int]:
    """Kills the server again and again while messages are recorded: how many were acknowledged, how many are gone."""
    await migrate(server.dsn())
    acknowledged: set[str] = set()
    number = 0
    for _ in range(rounds):
        log = PostgresLog(server.dsn(), namespace="acme", agent="support")
        await log.start()
        enough = threading.Event()
        killer = asyncio.create_task(asyncio.to_thread(lambda ready=enough: (ready.wait(30), server.kill())))
        until = len(acknowledged) + MESSAGES

        async def client(log: PostgresLog = log, until: int = until, enough: threading.Event = enough) -> None:
            nonlocal number
            with suppress(LogUnavailable):
                while True:
                    number += 1
                    acknowledged.add((await log.record(inbound(number))).message)
                    if len(acknowledged) >= until:
                        enough.set()

        async with asyncio.timeout(60):
            await asyncio.gather(*(client() for _ in range(CLIENTS)))
        enough.set()
        await killer
        await log.close()
        await asyncio.to_thread(server.start)
    connection = await asyncpg.connect(server.dsn())
    kept = {row["name"] for row in await connection.fetch("SELECT name FROM switchboard_messages")}
    await connection.close()
    return len(acknowledged), len(acknowledged - kept)


@pytest.mark.long
async def test_nothing_acknowledged_is_lost_when_the_database_is_killed() -> None:
    with Server() as server:
        acknowledged, lost = await killed_while_recording(server, ROUNDS)
    assert acknowledged >= MESSAGES * ROUNDS
    assert lost == 0


async def test_the_test_notices_a_database_that_acknowledges_before_it_writes() -> None:
    with Server({"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}) as server:
        acknowledged, lost = await killed_while_recording(server, 3)
    assert acknowledged >= MESSAGES
    assert lost > 0
