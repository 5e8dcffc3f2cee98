"""What only a database does: migrations, restarts, group commit, indices, connection strings."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, cast
from unittest import mock

import asyncpg
import pytest
from tests.integration.log import on_postgres
from tests.integration.log.harness import CONTACT, World, conversation, open_log, replies
from tests.integration.log.on_postgres import OnPostgres
from tests.postgres import Server

from switchboard.log.errors import LogError, LogMisconfigured, LogUnavailable, SchemaMismatch
from switchboard.log.postgres import PostgresLog, migrate, receiving
from switchboard.log.postgres.log import LOOK_SECONDS
from switchboard.log.postgres.schema import migrations
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Attachment, DeliveryNews, Query
from switchboard.providers.base import DeliveryState

NEWEST = len(migrations())


@pytest.fixture
async def schema(database_server: Server) -> AsyncIterator[str]:
    """The connection string of an empty schema."""
    connection = await asyncpg.connect(database_server.dsn())
    await connection.execute("DROP SCHEMA IF EXISTS empty CASCADE; CREATE SCHEMA empty")
    yield f"{database_server.dsn()}&search_path=empty"
    await connection.execute("DROP SCHEMA empty CASCADE")
    await connection.close()


@pytest.fixture
async def fragile(postgres: Server) -> AsyncIterator[World]:
    """A log in a database that the test may stop and start."""
    async with AsyncExitStack() as exits:
        store = await on_postgres.backend(postgres, exits)
        yield World(store, await open_log(store, exits, "support"), exits)


async def ask(dsn: str, sql: str, *values: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql, *values)
    finally:
        await connection.close()


async def test_migrations_run_once_however_many_pods_start_at_once(schema: str) -> None:
    before = await asyncio.gather(*(migrate(schema) for _ in range(8)))
    assert sorted(before) == [0, *[NEWEST] * 7]
    assert await ask(schema, "SELECT count(*) FROM switchboard_schema") == NEWEST
    assert await migrate(schema) == NEWEST


async def test_a_database_that_was_not_migrated_is_refused_with_what_to_run(schema: str) -> None:
    with pytest.raises(
        SchemaMismatch, match=rf"version 0, this program's is {NEWEST}: run `switchboard webhook check`"
    ):
        await PostgresLog(schema, namespace="acme", agent="support").start()


async def test_a_newer_database_is_refused_only_if_it_needs_a_newer_program(schema: str) -> None:
    await migrate(schema)
    await ask(schema, "INSERT INTO switchboard_schema (version, oldest) VALUES ($1, $2)", NEWEST + 1, NEWEST)
    log = PostgresLog(schema, namespace="acme", agent="support")
    await log.start()
    await log.close()
    await migrate(schema)
    await ask(schema, "UPDATE switchboard_schema SET oldest = $1 WHERE version = $1", NEWEST + 1)
    for refused in (log.start(), migrate(schema)):
        with pytest.raises(SchemaMismatch, match=f"needs a program of at least version {NEWEST + 1}"):
            await refused


@pytest.mark.parametrize(
    ("dsn", "error"),
    [
        ("postgresql://switchboard:hunter2@127.0.0.1:1/acme", LogUnavailable),
        ("mysql://switchboard:hunter2@db/acme", LogMisconfigured),
        ("hunter2", LogMisconfigured),
        ("postgresql://switchboard:hunter2@[/acme", LogMisconfigured),
    ],
)
async def test_a_connection_string_that_leads_nowhere_is_told_without_its_password(
    dsn: str, error: type[LogError]
) -> None:
    for attempt in (PostgresLog(dsn, namespace="acme", agent="support").start(), migrate(dsn)):
        with pytest.raises(error) as caught:
            await attempt
        assert "hunter2" not in str(caught.value)


async def test_a_database_that_is_not_there_is_for_a_person_to_mend(database_server: Server) -> None:
    with pytest.raises(LogMisconfigured, match="nowhere"):
        await migrate(database_server.dsn("nowhere"))


async def test_the_log_is_back_when_the_database_is(fragile: World, postgres: Server) -> None:
    await fragile.told("before")
    other = await fragile.another()
    async with aclosing(other.wakeups()) as wakeups, asyncio.timeout(60):  # type: ignore[type-var]
        await anext(wakeups)
        postgres.stop()
        with pytest.raises(LogUnavailable):
            await fragile.told("meanwhile")
        assert not fragile.log.ready
        with pytest.raises(LogUnavailable):
            await other.claim("pod-b", "support-v1", seconds=30, live=True)
        postgres.start()
        await fragile.told("after")
        assert fragile.log.ready
        assert await fragile.states(conversation()) == [("before", "Waiting"), ("after", "Waiting")]
        while (turn := await fragile.claim(other, "pod-b")) is None:
            await anext(wakeups)
        assert [message.body for message in turn.messages] == ["before", "after"]
        await other.release(await other.finish(turn, fragile.outcome(), []))
        assert await fragile.claim(other, "pod-b") is None
        await fragile.told("rings again")
        while await fragile.claim(other, "pod-b") is None:
            await anext(wakeups)


async def test_whoever_comes_during_a_commit_is_in_the_next_one(database: World) -> None:
    statements = 0
    store = database.log._database  # type: ignore[attr-defined]
    statement = store.statement

    async def counted(work: Any) -> Any:
        nonlocal statements
        statements += 1
        return await statement(work)

    store.statement = counted
    messages = [database.inbound(f"m{index}", contact=f"+1500555{index:04d}") for index in range(200)]
    await asyncio.gather(*(database.log.record(message) for message in messages))
    assert statements <= 10
    await database.told("alone")
    assert statements <= 11


async def test_workers_that_skip_a_conversation_are_woken_by_whoever_had_locked_it(
    database: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent before is delivered just when the next message's workers look."""
    await database.told("first")
    turn, _, attempt = await database.begun()
    await database.log.confirm(turn, attempt, "SM1", DeliveryState.QUEUED)
    await database.log.release(turn)
    pods = [await database.another() for _ in range(6)]
    await database.told("next")
    locked, unlock = asyncio.Event(), asyncio.Event()
    written, ring = receiving.write_news, mock.Mock()

    async def slowly(*arguments: Any) -> bool:
        locked.set()
        await unlock.wait()
        return await written(*arguments)

    monkeypatch.setattr(receiving, "write_news", slowly)
    monkeypatch.setattr(database.log._open.receiving, "_ring", ring)  # type: ignore[attr-defined]
    async with asyncio.timeout(15):
        news = DeliveryNews("SM1", DeliveryState.DELIVERED, attempt=attempt.id)
        delivering = asyncio.create_task(database.log.deliver(news))
        await locked.wait()
        assert [await database.claim(pod) for pod in pods] == [None] * 6
        assert not ring.called
        unlock.set()
        assert await delivering == "Applied"
    assert ring.called
    turns = await asyncio.gather(*(database.claim(pod, f"pod-{index}") for index, pod in enumerate(pods)))
    assert [turn is not None for turn in turns].count(True) == 1


async def test_a_message_that_is_not_to_be_answered_hides_none_that_is(
    database: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording it locks the conversation, too."""
    await database.told("answer me")
    ring = mock.Mock()
    monkeypatch.setattr(database.log._open.recording, "_ring", ring)  # type: ignore[attr-defined]
    await database.told("too fast", state="Ignored")
    assert ring.called


async def test_many_workers_miss_nothing_while_deliveries_lock_what_they_look_for(database: World) -> None:
    """No worker looks by itself within the time that this takes: each is woken for all that it may claim."""
    pods = [await database.another() for _ in range(5)]
    contacts = [f"+150055530{index:02d}" for index in range(12)]
    attempts: asyncio.Queue[str] = asyncio.Queue()
    left = len(contacts) * 5
    over = asyncio.Event()

    async def worker(log: ConversationLog, holder: str) -> None:
        nonlocal left
        async with aclosing(log.wakeups()) as wakeups:  # type: ignore[type-var]
            async for _ in wakeups:
                while (turn := await database.claim(log, holder)) is not None:
                    left -= len(turn.messages)
                    turn = await log.finish(turn, database.outcome(), replies("answer"))
                    attempt = await log.begin_attempt(turn, turn.outbound[0], seconds=10)
                    await log.confirm(turn, attempt, f"SM-{attempt.id}", DeliveryState.QUEUED)
                    attempts.put_nowait(attempt.id)
                    await log.release(turn)
                    if left == 0:
                        over.set()

    async def carrier() -> None:
        while True:
            attempt = await attempts.get()
            for state in (DeliveryState.SENDING, DeliveryState.SENT, DeliveryState.DELIVERED):
                await database.log.deliver(DeliveryNews(f"SM-{attempt}", state, attempt=attempt))

    async def phone(contact: str) -> None:
        for number in range(5):
            await database.told(f"m{number}", contact=contact)

    tasks = [asyncio.create_task(worker(log, f"pod-{index}")) for index, log in enumerate(pods)]
    tasks += [asyncio.create_task(carrier()) for _ in range(4)]
    try:
        await asyncio.gather(*map(phone, contacts))
        async with asyncio.timeout(LOOK_SECONDS - 5):
            await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_connection_that_a_dying_server_left_halfway_is_not_used_again(database: World) -> None:
    pool = database.log._database  # type: ignore[attr-defined]
    async with pool.connection() as connection:
        before = connection.get_server_pid()

    async def fail(connection: Any) -> None:
        assert connection.get_server_pid() == before
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")

    with pytest.raises(LogUnavailable):
        await pool.transaction(fail)
    async with pool.connection() as connection:
        assert connection.get_server_pid() != before


class Firewall:
    """In front of a server: forgets the connections that there are, over which nothing goes then, and tells nobody."""

    def __init__(self, server: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sb-fw-"))
        self._server = server
        self._forgot = 0
        self._listener: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        path = self.directory / ".s.PGSQL.5432"
        self._listener = await asyncio.start_unix_server(self._opened, path=path)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        shutil.rmtree(self.directory)

    def forget(self) -> None:
        self._forgot = len(self._writers)

    async def _opened(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, ask = await asyncio.open_unix_connection(self._server / ".s.PGSQL.5432")
        number = len(self._writers)
        self._writers += [answer, ask]

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if number >= self._forgot:
                    target.write(data)
            target.close()

        await asyncio.gather(pump(client, ask), pump(server, answer), return_exceptions=True)


async def test_connections_that_a_firewall_forgot_hold_up_nobody_for_more_than_one_commands_time(
    database: World, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchboard.log.postgres.connection.COMMAND_SECONDS", 0.5)
    async with Firewall(database_server.directory) as firewall:
        dsn = database.backend.dsn.replace(str(database_server.directory), str(firewall.directory))  # type: ignore[attr-defined]
        log = PostgresLog(dsn, namespace="acme", agent="support", connections=5)
        database.exits.push_async_callback(log.close)
        await log.start()
        await asyncio.gather(*(log.claim("pod-a", "support-v1", seconds=30, live=True) for _ in range(5)))
        await log.record(database.inbound("before"))
        firewall.forget()
        began = asyncio.get_running_loop().time()
        recorded = await log.record(database.inbound("while it has forgotten"))
        turn = await log.claim("pod-a", "support-v1", seconds=30, live=True)
        took = asyncio.get_running_loop().time() - began
        await log.close()
    assert recorded.state == "Waiting"
    assert turn is not None
    assert [message.body for message in turn.messages] == ["before", "while it has forgotten"]
    assert 0.5 <= took < 2 * 0.5 + 1


async def _refused(log: ConversationLog, database: World) -> bool:
    try:
        await log.record(database.inbound("before everybody knows", contact="+15005550199"))
    except LogUnavailable:
        return True
    return False


async def test_connections_that_were_dropped_while_they_rested_are_not_taken_again(database: World) -> None:
    connections = database.log._database  # type: ignore[attr-defined]
    async with connections.connection(recording=True), connections.connection(recording=True):
        pass
    connections._terminate_resting()
    assert (await database.log.record(database.inbound("after"))).stored
    async with connections.connection(recording=True), connections.connection(recording=True):
        pass
    connections._terminate_resting()
    await database.log.close()


async def _in_the_end(call: Callable[[], Awaitable[Any]]) -> Any:
    """What somebody gets who asks again: the pool opens connections in place of those that were dropped, and one that
    led to the old primary still is found out by the next who uses it."""
    async with asyncio.timeout(20):
        while True:
            with suppress(LogUnavailable):
                return await call()


async def test_a_server_that_is_no_primary_any_more_is_left_for_the_one_that_is(database: World) -> None:
    """Connections go on, and can only read; new ones lead to the new primary."""
    log, backend = database.log, cast("OnPostgres", database.backend)
    await database.told("before")
    await asyncio.gather(*(log.known("twilio", "AC", ["SM1"]) for _ in range(4)))
    name = await backend.connection.fetchval("SELECT current_database()")
    try:
        await backend.connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await backend.connection.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(20):
            while not await _refused(log, database):  # until the server has told all
                pass
        assert not log.ready
        with pytest.raises(LogUnavailable):
            await database.claim()
        await backend.connection.execute("SET default_transaction_read_only = off")
        await backend.connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        after = database.inbound("after")
        await _in_the_end(lambda: log.record(after))
        turn = await _in_the_end(database.claimed)
        assert [message.body for message in turn.messages] == ["before", "after"]
        assert log.ready
    finally:
        await backend.connection.execute("SET default_transaction_read_only = off")
        await backend.connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await backend.connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await backend.connection.execute("SELECT pg_reload_conf()")


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_afterwards_all_is_taken(database: World) -> None:
    connection = cast("OnPostgres", database.backend).connection
    await connection.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"
    )
    await database.told("before")
    for table in ("messages", "conversations", "executions"):
        await connection.execute(
            f"CREATE TRIGGER full_{table} BEFORE INSERT OR UPDATE ON switchboard_{table} FOR EACH ROW"
            " EXECUTE FUNCTION full_disk()"
        )
    given = [database.inbound(f"m{number}", contact=f"+1500555{number:04}") for number in range(5)]
    given.append(database.inbound("STOP", keyword="Stop", state="Ignored"))
    for refused in await asyncio.gather(*map(database.log.record, given), return_exceptions=True):
        assert isinstance(refused, LogUnavailable)
        assert "DiskFull" in str(refused)
    assert not database.log.ready
    with pytest.raises(LogUnavailable):
        await database.claim()
    for table in ("messages", "conversations", "executions"):
        await connection.execute(f"DROP TRIGGER full_{table} ON switchboard_{table}")
    turn = await database.claimed()
    assert (turn.execution.attempts, [message.body for message in turn.messages]) == (1, ["before"])
    results = [await database.log.record(inbound) for inbound in given]
    assert [result.duplicate for result in results] == [False] * 6
    assert database.log.ready


@pytest.mark.parametrize("signs", ["", "\x1e", "\x1f", "\x1f\x1e", "a\x1eb\x1fc", '"{},\\'])
async def test_what_stands_in_one_message_leaves_the_others_of_its_commit_as_they_are(
    database: World, signs: str
) -> None:
    bodies = ["", signs, "plain", f"{signs}{signs}", ""]
    received = await database.now() - timedelta(hours=2)
    given = [
        database.inbound(
            body,
            contact=f"+1500555{number:04d}",
            contact_name=signs or None,
            time=received if number == 2 else None,
            attributes={"Given": signs} if number == 3 else {},
            media=[Attachment("https://api.twilio.com/media", "image/png")] if number == 4 else [],
        )
        for number, body in enumerate(bodies)
    ]
    await asyncio.gather(*(database.log.record(message) for message in given))
    kept = sorted((await database.log.messages(Query())).items, key=lambda message: message.sender)
    assert [message.body for message in kept] == bodies
    assert [message.time == received for message in kept] == [False, False, True, False, False]
    assert [dict(message.attributes) for message in kept] == [{}, {}, {}, {"Given": signs}, {}]
    assert [len(message.media) for message in kept] == [0, 0, 0, 0, 1]
    assert {one.contact_name for one in (await database.log.conversations(Query())).items} == {signs or None}


async def test_one_message_that_cannot_be_recorded_does_not_take_others_with_it(database: World) -> None:
    store = database.log._database  # type: ignore[attr-defined]
    statement = store.statement

    async def failing(work: Any) -> Any:
        store.statement = statement
        raise LogUnavailable("the database is away")

    store.statement = failing
    first = asyncio.ensure_future(database.log.record(database.inbound("one")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.ensure_future(database.log.record(database.inbound("two")))
    with pytest.raises(LogUnavailable):
        await first
    assert (await second).state == "Waiting"


async def test_conversations_keep_their_names_when_the_cluster_is_made_anew(database: World) -> None:
    recorded = await database.log.record(database.inbound())
    again = await database.another()
    assert (await again.record(database.inbound("more"))).conversation == recorded.conversation
    elsewhere = PostgresLog(database.backend.dsn, namespace="another", agent="support")  # type: ignore[attr-defined]
    database.exits.push_async_callback(elsewhere.close)
    await elsewhere.start()
    assert (await elsewhere.record(database.inbound(contact=CONTACT))).conversation != recorded.conversation
    assert len((await elsewhere.messages(Query())).items) == 1
