"""What keeping a message costs, in either store, against what the store itself can do; all in one run, taking turns.

`python -m tests.bench.log`: PostgreSQL with its flushes on, against one INSERT a request and against pgbench; custom
resources against bare creates by as many clients on the same API server. `--kept N` also fills the database with N
messages and tells what one more costs then, against 10,000 kept.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import asyncpg
from tests.bench.gauges import cpu_with_children
from tests.bench.signature import PARAMETERS
from tests.postgres import Server

from switchboard.api import crd
from switchboard.api.conversation import Conversation, Execution, Message
from switchboard.kube.client import KubeApi, connect
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import CONVERSATIONS, CRDS, MESSAGES, NAMESPACES
from switchboard.log.postgres import PostgresLog, migrate
from switchboard.log.records import Inbound, Query
from switchboard.log.resources import ResourcesLog
from switchboard.log.resources.objects import new_conversation, new_inbound
from switchboard.sandbox.processes import Process

CLIENTS, ROUNDS, SECONDS = 64, 5, 1.5
CONTACTS = 1000
TABLE = """
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sid text NOT NULL UNIQUE, sender text NOT NULL,
    recipient text NOT NULL, body text NOT NULL, parameters json NOT NULL, received timestamptz NOT NULL DEFAULT now())
"""
INSERT = "INSERT INTO plain (sid, sender, recipient, body, parameters) VALUES ($1, $2, $3, $4, $5)"
PGBENCH = """
INSERT INTO plain (sid, sender, recipient, body, parameters) VALUES
  (gen_random_uuid()::text, '+15005550100', '+15005550006', 'Hello, what are your opening hours on Saturday?', '{}');
"""

K = TypeVar("K")
_serial = itertools.count()


def message() -> Inbound:
    """A WhatsApp message that nobody sent before, from one of a thousand people."""
    number = next(_serial)
    return Inbound(
        provider="twilio",
        account=PARAMETERS["AccountSid"],
        message_id=f"SM{secrets.token_hex(8)}{number:016x}",
        connector="production-sms",
        channel="WhatsApp",
        contact=f"+1500555{number % CONTACTS:04d}",
        sender=f"+1500555{number % CONTACTS:04d}",
        recipient="+15005550006",
        body=PARAMETERS["Body"],
        state="Ignored" if number % 2 else "Waiting",
        attributes=PARAMETERS,
        contact_name="Ada Lovelace",
    )


async def rate(call: Callable[[], Awaitable[object]], *, clients: int = CLIENTS, seconds: float = SECONDS) -> float:
    """Calls a second that `clients` get done, each beginning when its last one is done."""
    done, until = 0, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - began)


async def medians(contenders: Mapping[K, Callable[[], Awaitable[float]]]) -> dict[K, float]:
    """The median rate of each over rounds that take turns, so that a noisy moment strikes all alike."""
    measured: dict[K, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            measured[name].append(await contender())
    return {name: statistics.median(rates) for name, rates in measured.items()}


def tell(title: str, measured: Mapping[str, float], against: str, *, goal: str = "") -> None:
    print(f"\n{title}")
    for name, found in measured.items():
        print(f"  {name:<52}{found:>10,.0f} /s   × {found / measured[against]:.2f}   {goal if name != against else ''}")


def pgbench(server: Server, script: Path) -> float:
    """Transactions a second, 64 clients, one INSERT each."""
    done = subprocess.run(
        [server.tool("pgbench"), "-n", "-c", str(CLIENTS), "-j", "2", "-T", "2", "-f", script, server.dsn()],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


@asynccontextmanager
async def database() -> AsyncIterator[tuple[Server, PostgresLog]]:
    """A server as it comes, flushes on, and a log in it."""
    with Server({"max_wal_size": "4GB"}) as server:
        await migrate(server.dsn())
        log = PostgresLog(server.dsn(), namespace="acme", agent="support")
        await log.start()
        try:
            yield server, log
        finally:
            await log.close()


async def postgres(server: Server, log: PostgresLog) -> None:
    """Durable messages a second."""
    pool = await asyncpg.create_pool(server.dsn(), min_size=20, max_size=20)
    await pool.execute(TABLE)

    async def insert() -> None:
        one = message()
        await pool.execute(INSERT, one.message_id, one.sender, one.recipient, one.body, "{}")

    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "insert.sql"
        script.write_text(PGBENCH)
        measured = await medians(
            {
                "one INSERT a request, one table, 20 connections": lambda: rate(insert),
                "the log: dedupe, conversation, queue, group commit": lambda: rate(lambda: log.record(message())),
                "pgbench, 64 clients, one INSERT each": lambda: asyncio.to_thread(pgbench, server, script),
            }
        )
    await pool.close()
    tell("PostgreSQL, one process, 64 clients", measured, "one INSERT a request, one table, 20 connections")
    idle = statistics.median([1000 / await rate(lambda: log.record(message()), clients=1) for _ in range(ROUNDS)])
    print(f"  alone, a message is durable after {idle:.2f} ms")


async def kept(server: Server, many: int) -> None:
    """What one more message, one page of history and one list cost, with few kept and with many: by the clock, and by
    the CPU that PostgreSQL and this process took for it, which nothing else on the machine changes much."""
    few = 10_000
    took: dict[tuple[str, int], list[float]] = {}

    async def measured_rate(
        what: tuple[str, int], call: Callable[[], Awaitable[object]], clients: int, calls: int
    ) -> float:
        async def client() -> None:
            for _ in range(calls // clients):
                await call()

        began, before = time.perf_counter(), cpu_with_children(server.pid) + time.process_time()
        await asyncio.gather(*(client() for _ in range(clients)))
        took.setdefault(what, []).append((cpu_with_children(server.pid) + time.process_time() - before) / calls)
        return calls / (time.perf_counter() - began)

    async with AsyncExitStack() as exits:
        logs = {size: await filled(server, size, exits) for size in (few, many)}
        contenders: dict[tuple[str, int], Callable[[], Awaitable[float]]] = {}
        for size, log in logs.items():
            name = (await log.conversations(Query(), limit=1)).items[0].name
            calls: dict[str, tuple[Callable[[], Awaitable[object]], int, int]] = {
                "messages recorded": (lambda log=log: log.record(message()), CLIENTS, 100 * CLIENTS),
                "pages of history": (lambda log=log, name=name: log.history(name, limit=40), 4, 200),
                "lists of a contact": (lambda log=log: log.messages(Query(contact="+15005550007")), 4, 100),
                "lists of conversations": (lambda log=log: log.conversations(Query()), 4, 100),
            }
            for what, how in calls.items():
                contenders[what, size] = partial(measured_rate, (what, size), *how)
        measured = await medians(contenders)
    print(f"\nCost with {many:,} messages kept ÷ with {few:,}")
    for what in dict.fromkeys(name for name, _ in contenders):
        slower = measured[what, few] / measured[what, many]
        dearer = statistics.median(took[what, many]) / statistics.median(took[what, few])
        cpu = f"CPU {statistics.median(took[what, many]) * 1e6:,.0f} us × {dearer:.2f}"
        print(f"  {what:<36}{measured[what, many]:>10,.0f} /s   × {slower:.2f}   {cpu}   <= 1.2")


async def filled(server: Server, size: int, exits: AsyncExitStack) -> PostgresLog:
    """A log that keeps `size` messages."""
    connection = await asyncpg.connect(server.dsn())
    await connection.execute(f"CREATE SCHEMA kept_{size}")
    await connection.close()
    dsn = f"{server.dsn()}&search_path=kept_{size}"
    await migrate(dsn)
    log = PostgresLog(dsn, namespace="acme", agent="support")
    await log.start()
    exits.push_async_callback(log.close)
    connection = await asyncpg.connect(dsn)
    async with unflushed(connection), unindexed(connection):
        await fill(connection, size)
    for table in ("switchboard_messages", "switchboard_conversations"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.execute("CHECKPOINT")
    await connection.close()
    for _ in range(2 * CONTACTS // CLIENTS):
        await asyncio.gather(*(log.record(message()) for _ in range(CLIENTS)))
    return log


async def fill(connection: asyncpg.Connection[asyncpg.Record], size: int) -> None:
    """Messages of many conversations, until `size` are kept."""
    have = await connection.fetchval("SELECT count(*) FROM switchboard_messages")
    for start in range(have, size, 500_000):
        count = min(500_000, size - start)
        await connection.execute(
            "INSERT INTO switchboard_messages (agent, name, conversation, provider, outbound, open, sender, recipient,"
            " body, time, recorded, state)"
            " SELECT 1, 'in-' || md5(n::text || $2), 'c-' || left(md5((n / 40)::text), 20), 'twilio', false, false,"
            " '+15005550100', '+15005550006', $3, now() - n * interval '1 second', now(), 'Ignored'"
            " FROM generate_series($1::bigint, $1 + $4 - 1) n",
            *(start, secrets.token_hex(4), PARAMETERS["Body"], count),
        )
        await connection.execute(
            "INSERT INTO switchboard_conversations (agent, name, connector, provider, channel, contact, created,"
            " messages, last_message_time, last_message)"
            " SELECT 1, 'c-' || left(md5((n / 40)::text), 20), 'production-sms', 'twilio', 'SMS', '+1' || n,"
            " now(), 40, now() - n * interval '1 second', 'x'"
            " FROM generate_series($1::bigint, $1 + $2 - 1, 40) n ON CONFLICT DO NOTHING",
            *(start, count),
        )


@asynccontextmanager
async def unflushed(connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """Nothing is flushed within the block, where rows are only made."""

    async def flush(setting: str) -> None:
        await connection.execute(f"ALTER SYSTEM SET fsync = {setting}")
        await connection.execute("SELECT pg_reload_conf()")

    await flush("off")
    try:
        yield
    finally:
        await flush("on")


@asynccontextmanager
async def unindexed(connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """The messages' indexes are made after the block, in the order of the migration: that is faster."""
    rows = await connection.fetch(
        "SELECT c.relname AS name, pg_get_indexdef(c.oid) AS made, i.indisprimary AS key FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'switchboard_messages'::regclass ORDER BY c.oid"
    )
    for row in rows:
        what = f"TABLE switchboard_messages DROP CONSTRAINT {row['name']}" if row["key"] else ""
        await connection.execute(f"ALTER {what}" if what else f"DROP INDEX {row['name']}")
    yield
    await connection.execute("SET maintenance_work_mem = '512MB'")
    for row in rows:
        await connection.execute(row["made"])
        if row["key"]:
            await connection.execute(
                f"ALTER TABLE switchboard_messages ADD CONSTRAINT {row['name']} PRIMARY KEY USING INDEX {row['name']}"
            )


@asynccontextmanager
async def api_server() -> AsyncIterator[KubeApi]:
    """The embedded API server, with our kinds, in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        command = [sys.executable, "-m", "kubesandbox", "--port", "0", "--kubeconfig", str(kubeconfig)]
        process = Process("kubesandbox", command, Path(directory) / "log")
        try:
            await process.start()
            await process.first_line()
            async with await connect(kubeconfig) as api:
                for kind in (Conversation, Message, Execution):
                    await api.create(CRDS, crd.definition(kind))
                await api.create(NAMESPACES, {"metadata": {"name": "acme"}})
                await served(api)
                yield api
        finally:
            await process.stop()


async def served(api: KubeApi) -> None:
    """Returns when the API server serves our kinds."""
    async with asyncio.timeout(10):
        while True:
            try:
                await api.list(MESSAGES, "acme")
            except NotFound:
                await asyncio.sleep(0.05)
            else:
                return


async def resources(api: KubeApi) -> None:
    """Durable messages a second: bare creates, and the log with all it does."""
    log = ResourcesLog(api, namespace="acme", agent="support", key=b"key" * 8, max_messages=100_000)
    await log.start()
    for _ in range(CONTACTS):
        await log.record(message())
    await log.settled()
    now = log._clock.now()

    async def create() -> None:
        one = message()
        obj = new_inbound(
            "acme",
            "bare",
            name=f"in-{secrets.token_hex(16)}",
            conversation="c-0123456789abcdef0123",
            inbound=one,
            state="Waiting",
            now=now,
            sequence=1,
        )
        await api.create(MESSAGES, obj)

    await api.create(CONVERSATIONS, new_conversation("acme", "bare", "c-0123456789abcdef0123", message()))
    measured = await medians(
        {
            "bare creates of such messages, 64 clients": lambda: rate(create),
            "the log: dedupe, conversation, index, statuses": lambda: rate(lambda: log.record(message())),
        }
    )
    bare = "bare creates of such messages, 64 clients"
    tell("Custom resources on the embedded API server, 64 clients", measured, bare, goal=">= 0.5")
    await log.close()


async def run(arguments: argparse.Namespace) -> None:
    async with database() as (server, log):
        await postgres(server, log)
        if arguments.kept:
            await kept(server, arguments.kept)
    async with api_server() as api:
        await resources(api)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kept", type=int, default=0, help="messages to fill the database with (10000000 takes minutes)"
    )
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
