"""A database: a few connections, opened when needed, and its errors in the log's own words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import asyncpg

from switchboard.log.errors import LogError, LogMisconfigured, LogUnavailable, SchemaMismatch

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 10.0
RECORDING = 3
"""Connections for the statement that records messages: so many commits run at a time."""
TRIES = 4
"""Of a transaction that lost against another one."""

_WRONG_FOR_GOOD = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)
_LOST_AGAINST_ANOTHER = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


@contextmanager
def speaking() -> Iterator[None]:
    """Turns a database's errors into the log's. No sentence holds the connection string."""
    try:
        yield
    except LogError:
        raise
    except _WRONG_FOR_GOOD as error:
        raise LogMisconfigured(f"the database refuses us: {error}. Mend the Secret's connection string") from error
    except _SCHEMA as error:
        raise SchemaMismatch(
            f"the database's schema is not ours: {error}. `switchboard webhook check` makes it"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise LogUnavailable(f"the database did not do it: {type(error).__name__}: {error}") from error
    except (OSError, TimeoutError) as error:
        raise LogUnavailable(f"the database cannot be reached: {type(error).__name__}") from error


async def connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    """One connection. Raises LogMisconfigured, LogUnavailable."""
    with speaking():
        try:
            return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=SETTINGS)
        except (ValueError, asyncpg.ClientConfigurationError):
            raise malformed() from None


SETTINGS = {"application_name": "switchboard"}

_PLANNING = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS settings (name, value)"
"""A function call: poolers in between refuse settings that they do not know when a connection begins."""
_FRESH = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_custom_plan"}
"""A kept plan may be one of a new database, made when its tables were all but empty and every way cost the same, and is
kept however they grow until the database next analyzes them. So statements are planned for the tables as they are."""
_KEPT = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""What records a message is planned once: that takes longer than to run it. It has one way only: it reads no table."""


def malformed() -> LogMisconfigured:
    """What is said of a connection string that is none: not what stands in it."""
    return LogMisconfigured(
        "the Secret's connection string is none: it must be postgresql://user:password@host/database"
    )


_CLOSED = "the conversation log is closed"


async def _keep(_: Connection) -> None:
    """Resetting a connection costs a round trip, and we leave nothing on it."""


class Database:
    """A pool of connections, and another for the statement that records messages."""

    def __init__(self, dsn: str, *, connections: int) -> None:
        self._dsn = dsn
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._recording: asyncpg.Pool[asyncpg.Record] | None = None
        self._recorders: list[PoolConnectionProxy[asyncpg.Record]] = []
        """Connections out of `_recording` that nobody uses now."""
        self._opened: WeakValueDictionary[int, asyncpg.Connection[asyncpg.Record]] = WeakValueDictionary()
        """All connections, by their server process."""
        self._used: set[int] = set()
        self.answers = False
        """Whether the database answered last time."""

    async def open(self) -> None:
        """Raises LogMisconfigured, LogUnavailable."""
        with speaking():
            try:
                self._pool = await self._open(_FRESH, self._connections)
                self._recording = await self._open(_KEPT, RECORDING)
            except (ValueError, asyncpg.ClientConfigurationError):
                raise malformed() from None
        self.answers = True

    async def _open(self, settings: Mapping[str, str], connections: int) -> asyncpg.Pool[asyncpg.Record]:
        async def plan(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            self._opened[connection.get_server_pid()] = connection
            await connection.fetch(_PLANNING, list(settings), list(settings.values()))

        return await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=connections,
            max_inactive_connection_lifetime=300,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=SETTINGS,
            init=plan,
            reset=_keep,
        )

    async def close(self) -> None:
        """Lets go of all connections."""
        pools, self._pool, self._recording = (self._recording, self._pool), None, None
        recorders, self._recorders = self._recorders, []
        for recorder in recorders:
            recorder.terminate()
        for pool in pools:
            if pool is not None:
                try:
                    async with asyncio.timeout(5):
                        await pool.close()
                except TimeoutError:
                    pool.terminate()

    @asynccontextmanager
    async def connection(self, *, recording: bool = False) -> AsyncIterator[Connection]:
        """A connection for a statement or two, each its own transaction."""
        try:
            with speaking():
                async with self._recorder() if recording else self._pooled() as connection:
                    process = connection.get_server_pid()
                    self._used.add(process)
                    try:
                        yield connection
                    except asyncpg.InternalClientError:
                        # A server that died had begun an answer: the connection waits for its end, and is good for
                        # nothing, but the pool does not know that it is closed.
                        connection.terminate()
                        raise
                    except (TimeoutError, asyncpg.ReadOnlySQLTransactionError):
                        # What a firewall forgot, or a server that is no primary any more: so are those that rest, and
                        # each would take as long to tell.
                        connection.terminate()
                        self._terminate_resting()
                        raise
                    finally:
                        self._used.discard(process)
        except LogUnavailable:
            self.answers = False
            raise
        self.answers = True

    def _terminate_resting(self) -> None:
        self._recorders.clear()  # their pool takes back what was terminated, and no call of theirs works any more
        for process, connection in list(self._opened.items()):
            if process not in self._used:
                connection.terminate()

    def _pooled(self) -> AbstractAsyncContextManager[Connection]:
        if self._pool is None:
            raise LogUnavailable(_CLOSED)
        return self._pool.acquire(timeout=CONNECT_SECONDS)

    @asynccontextmanager
    async def _recorder(self) -> AsyncIterator[Connection]:
        """A connection that stays out of its pool while all goes well: taking one out and giving it back costs half of
        what a commit does here."""
        if self._recording is None:
            raise LogUnavailable(_CLOSED)
        pool, connection = self._recording, None
        while self._recorders:
            connection = self._recorders.pop()
            if not connection.is_closed():
                break
            await pool.release(connection)
            connection = None
        if connection is None:
            connection = await pool.acquire(timeout=CONNECT_SECONDS)
        try:
            yield connection
        except BaseException:
            await pool.release(connection)
            raise
        if self._recording is pool:
            self._recorders.append(connection)
        else:
            await pool.release(connection)

    async def transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` gives, all of it durable or none; done again if it lost against another transaction."""
        for tries in range(1, TRIES + 1):
            try:
                async with self.connection() as connection, connection.transaction():
                    return await work(connection)
            except LogUnavailable as error:
                if tries == TRIES or not isinstance(error.__cause__, _LOST_AGAINST_ANOTHER):
                    raise
        raise AssertionError("unreachable")

    async def statement(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What the recording statement gives, which may safely be run twice: run again if it lost against another, and
        once more if its connection was lost (a database that restarts is often back at once)."""
        lost = False
        for tries in range(1, TRIES + 1):
            try:
                async with self.connection(recording=True) as connection:
                    return await work(connection)
            except LogUnavailable as error:
                again = isinstance(error.__cause__, _LOST_AGAINST_ANOTHER) or not lost
                lost = lost or not isinstance(error.__cause__, _LOST_AGAINST_ANOTHER)
                if tries == TRIES or not again:
                    raise
        raise AssertionError("unreachable")


def count(status: str) -> int:
    """How many rows a command changed, from its tag (`UPDATE 3`)."""
    return int(status.rpartition(" ")[2])
