"""LISTEN and NOTIFY: how pods ring for each other.

A NOTIFY in the transaction that records would have all committers of the database wait for each other's flush
(https://www.postgresql.org/docs/current/sql-notify.html: commits that notify are serialized). So it is sent after the
commit, by itself; a pod that dies in between has rung for nobody, which is why listeners look by themselves at times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import asyncpg

from switchboard.log.errors import LogError
from switchboard.log.postgres.connection import connect

log = logging.getLogger(__name__)

CHANNEL = "switchboard"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
NOTIFY_SECONDS = 0.02
"""The least time between two NOTIFYs of a pod: each wakes all pods, and while messages never cease it tells little. The
first one goes at once."""
CHECK_SECONDS = 20.0
"""A connection that nobody answers on is found in this time."""


class Listener:
    """A connection of its own, opened again whenever it is lost."""

    def __init__(self, dsn: str, topic: str, heard: Callable[[], None]) -> None:
        """`heard` is called when another pod notified `topic`, and whenever the connection is back."""
        self._dsn = dsn
        self._topic = topic
        self._heard = heard
        self._wanted = asyncio.Event()
        self._pid = 0

    def notify(self) -> None:
        """Rings for the other pods, soon: what is asked for while one NOTIFY is under way is one more."""
        self._wanted.set()

    async def run(self) -> None:
        """Listens and notifies until it is cancelled."""
        failures = 0
        while True:
            connection = None
            try:
                connection = await connect(self._dsn)
                self._pid = connection.get_server_pid()
                await connection.add_listener(CHANNEL, self._on_notify)
                failures = 0
                self._heard()
                await self._serve(connection)
            except (LogError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                failures += 1
                log.log(
                    logging.WARNING if failures > 1 else logging.INFO,
                    "the database does not ring for us, connecting again",
                    extra={"error": str(error)},
                )
            finally:
                if connection is not None:
                    await _end(connection)
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10))
            await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter

    async def _serve(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        closed = asyncio.Event()

        def on_termination(_connection: object) -> None:
            closed.set()
            self._wanted.set()

        connection.add_termination_listener(on_termination)
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=CHECK_SECONDS)
                continue
            self._wanted.clear()
            if closed.is_set():
                self._wanted.set()  # for the next connection
                raise ConnectionResetError("the connection was closed")
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, self._topic, timeout=CHECK_SECONDS)
            await asyncio.sleep(NOTIFY_SECONDS)

    def _on_notify(self, _connection: object, pid: int, _channel: str, topic: object) -> None:
        if topic == self._topic and pid != self._pid:  # this pod's own workers heard it before
            self._heard()


async def _end(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        await connection.close(timeout=1)
