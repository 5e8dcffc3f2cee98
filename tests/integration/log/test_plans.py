"""How PostgreSQL finds what is asked for: by an index, however a database grew."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
from tests.integration.log.harness import CONNECTOR, CONTACT, World

from switchboard.log.postgres import queue, recording
from switchboard.log.records import DeliveryNews, Query, Turn
from switchboard.providers.base import DeliveryState


async def test_no_query_reads_a_whole_table(database: World) -> None:
    contacts = [f"+1415555{index:04d}" for index in range(400)]
    for start in range(0, 4000, 500):
        await asyncio.gather(
            *(
                database.log.record(database.inbound(f"m{index}", contact=contacts[index % 400], state="Ignored"))
                for index in range(start, start + 500)
            )
        )
    turn = await _one_turn(database)
    connection = database.backend.connection  # type: ignore[attr-defined]
    await connection.execute(
        "INSERT INTO switchboard_executions (agent, name, conversation, revision, messages, state, start_time)"
        " SELECT agent, name || '-' || n, name, 'support-v1', '{}', 'Succeeded', now() - n * interval '1 hour'"
        " FROM switchboard_conversations CROSS JOIN generate_series(2, 12) n"
    )
    await connection.execute("ANALYZE")
    await database.log.close()
    before = await _sequential_scans(connection)
    reader = await database.another()
    now = await database.now()
    name = turn.conversation.name
    for query in (
        Query(),
        Query(provider="twilio"),
        Query(contact=contacts[7]),
        Query(since=now - timedelta(hours=1), until=now),
        Query(conversation=name),
        Query(contact=contacts[7], since=now - timedelta(hours=1)),
    ):
        await reader.conversations(query)
        await reader.messages(query)
        await reader.executions(query)
    await reader.history(name, before=1000, limit=20)
    await reader.known("twilio", "AC", [f"SM{index}" for index in range(5)])
    await reader.replies_since(name, now)
    await reader.working("support-v1")
    await reader.undelivered(CONNECTOR, since=now - timedelta(minutes=10), until=now - timedelta(minutes=5))
    await reader.in_doubt(CONTACT, since=now - timedelta(minutes=10))
    await reader.sent([f"SM{index}" for index in range(5)])
    await reader.expire(now - timedelta(days=1))
    await reader.claim("pod-b", "support-v1", seconds=30, live=True)
    await reader.record(database.inbound("one more", contact=contacts[3]))
    await reader.close()
    after = await _sequential_scans(connection)
    assert after == before


async def test_plans_of_a_new_database_stay_right_however_it_grows(database: World) -> None:
    connection = database.backend.connection  # type: ignore[attr-defined]
    for table in TABLES:
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    for _ in range(8):  # from the sixth time on PostgreSQL keeps a plan
        await _work_through(database)
    await connection.execute(
        "INSERT INTO switchboard_messages (agent, name, conversation, provider, outbound, open, sender, recipient,"
        " body, time, recorded, state) SELECT a.id, 'in-' || n, 'c-' || n / 5, 'twilio', false, false, '+1', '+2', '',"
        " now(), now(), 'Ignored' FROM generate_series(1, 20000) n, switchboard_agents a"
    )
    await connection.execute(
        "INSERT INTO switchboard_conversations (agent, name, connector, provider, channel, contact, created, messages,"
        " last_message_time) SELECT a.id, 'c-' || n, 'production-sms', 'twilio', 'SMS', '+1' || n, now(), 5, now()"
        " FROM generate_series(1, 20000) n, switchboard_agents a"
    )
    await connection.execute(
        "INSERT INTO switchboard_executions (agent, name, conversation, revision, messages, state, start_time)"
        " SELECT a.id, 'c-' || n || '-1', 'c-' || n, 'support-v1', '{}', 'Succeeded', now()"
        " FROM generate_series(1, 5000) n, switchboard_agents a"
    )
    before = await _entries_read(connection, database)
    times = 10
    for _ in range(times):
        await _work_through(database)
    read = await _entries_read(connection, database) - before
    assert 0 < read < times * 500


TABLES = ("switchboard_messages", "switchboard_conversations", "switchboard_executions")


async def _work_through(world: World) -> None:
    """All that a message goes through, with somebody new; on connections that stay open."""
    contact = f"+1415{next(world._ids):07d}"
    recorded = await world.log.record(world.inbound(contact=contact))
    await world.log.record(world.inbound("STOP", contact=contact, keyword="Stop", state="Ignored"))
    await world.log.record(world.inbound("START", contact=contact, keyword="Start", state="Ignored"))
    await world.log.record(world.inbound("more", contact=contact))
    turn, _, attempt = await world.begun()
    await world.log.confirm(turn, attempt, f"SM{next(world._ids):032x}", DeliveryState.SENT)
    await world.log.deliver(DeliveryNews("SMx", DeliveryState.DELIVERED, attempt.id))
    await world.log.release(turn)
    await world.log.history(recorded.conversation, limit=5)
    await world.log.working("support-v1")


async def _entries_read(connection: asyncpg.Connection[asyncpg.Record], world: World) -> int:
    """Rows and index entries that were looked at, once the logs have told what they counted."""
    store = world.log._database  # type: ignore[attr-defined]
    async with AsyncExitStack() as held:  # whatever connections the pool has open
        for number in range(store._pool.get_size() + 1):
            each = await held.enter_async_context(store.connection(recording=not number))
            await each.execute("SELECT pg_stat_force_next_flush()")
    found: int = await connection.fetchval(
        "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
        " AND relname = ANY($1)) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
        " WHERE schemaname = current_schema() AND relname = ANY($1)) + (SELECT sum(idx_blks_hit + idx_blks_read)"
        " FROM pg_statio_user_indexes WHERE schemaname = current_schema() AND relname = ANY($1))",
        TABLES,
    )
    return found


async def _one_turn(world: World) -> Turn:
    await world.told(contact="+14155550007")
    turn = await world.answered("answer")
    await world.log.cancel(turn, turn.outbound[0], error="no")
    await world.log.release(turn)
    return turn


async def _sequential_scans(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Once the logs' connections have ended, and with that told what they counted."""
    async with asyncio.timeout(10):
        while await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'switchboard'"):
            await asyncio.sleep(0)
    await connection.execute("SELECT pg_stat_force_next_flush()")  # else what this connection did is told later
    found = await connection.fetch(
        "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname IN"
        " ('switchboard_messages', 'switchboard_conversations', 'switchboard_executions')"
    )
    assert len(found) == 3
    return {row["relname"]: row["seq_scan"] for row in found}


async def test_recording_messages_reads_no_table_and_a_conversation_is_found_by_its_key_at_any_size(
    database: World,
) -> None:
    """Also before the first ANALYZE: a plan through another index would read all of an Agent's."""
    connection = database.backend.connection  # type: ignore[attr-defined]
    await connection.execute("ALTER TABLE switchboard_conversations SET (autovacuum_enabled = false)")
    await database.log.record(database.inbound())
    await connection.execute("SET enable_seqscan = off")
    have = 0
    for size in (0, 20, 100, 200, 300, 400, 600, 1000, 2000, 5000):
        await connection.execute(
            "INSERT INTO switchboard_conversations (agent, name, connector, provider, channel, contact, created,"
            " messages, last_message_time, last_message, ready_at) SELECT a.id, 'c-' || substr(md5(n::text), 1, 20),"
            " 'production-sms', 'twilio', 'SMS', '+1415' || n, now(), 5, now(), 'Hello, are you there?', now()"
            f" FROM generate_series({have}, {size} - 1) n, switchboard_agents a"
        )
        have = size
        types = ", ".join(["int", *["text"] * 19])
        await connection.execute(f"PREPARE recording ({types}) AS {recording._INSERT}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE recording (1{', NULL' * 19})"))
        await connection.execute("DEALLOCATE recording")
        assert "Conflict Arbiter Indexes: switchboard_conversations_pkey" in plan
        assert not re.search("Scan.* on switchboard", plan), (size, plan)
        found = await connection.fetch(f"EXPLAIN {queue.LOCK}".replace("$1", "1").replace("$2", "'c-1'"))
        used = {row[0].split("using ")[1].split()[0] for row in found if "Scan using" in row[0]}
        assert used == {"switchboard_conversations_pkey"}, (size, used)
