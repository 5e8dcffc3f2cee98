"""The schema's versions. Forward only: each migration is a file, run once, in a transaction of its own.

A migration may only add what the version before it can live with, because that version's pods run on while a revision
is rolled out. One that cannot is given a higher `OLDEST`: pods older than that refuse to start.
"""

from __future__ import annotations

import re
from importlib import resources

import asyncpg

from switchboard.log.errors import SchemaMismatch
from switchboard.log.postgres.connection import Connection, connect, speaking

OLDEST = 1
"""The oldest version of this program's schema whose pods can work on the newest one."""

_LOCK = 0x5317_C4B0_A2D5
"""Advisory lock: of all pods that migrate at once one does, the others wait and find it done."""
_FILE = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> list[str]:
    """The SQL of each version, in order from 1."""
    files = resources.files("switchboard.log.postgres") / "migrations"
    found = sorted((file.name, file.read_text(encoding="utf-8")) for file in files.iterdir() if _FILE.match(file.name))
    if [int(name[:4]) for name, _ in found] != list(range(1, len(found) + 1)):
        raise AssertionError(f"migrations are not numbered from 1 on: {[name for name, _ in found]}")
    return [text for _, text in found]


async def migrate(dsn: str) -> int:
    """Brings the database up to date; its version before.

    Raises:
        SchemaMismatch: it is of a newer version that ours cannot work with.
        LogMisconfigured, LogUnavailable: it refuses us, or cannot be reached.
    """
    connection = await connect(dsn)
    try:
        with speaking():
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            return await _migrate(connection)
    finally:
        await connection.close(timeout=5)


async def _migrate(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS switchboard_schema"
        " (version integer PRIMARY KEY, oldest integer NOT NULL, migrated timestamptz NOT NULL DEFAULT now())"
    )
    before, oldest = await _read(connection)
    wanted = migrations()
    if before > len(wanted):
        _refuse_newer(before, oldest, len(wanted))
    for version, text in enumerate(wanted[before:], start=before + 1):
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO switchboard_schema (version, oldest) VALUES ($1, $2)", version, min(OLDEST, version)
            )
    return before


async def check_schema(connection: Connection) -> None:
    """Raises SchemaMismatch unless the database is of a version that we work with."""
    ours = len(migrations())
    try:
        version, oldest = await _read(connection)
    except asyncpg.UndefinedTableError:
        version, oldest = 0, 0
    if version < ours:
        raise SchemaMismatch(
            f"the database's schema is version {version}, this program's is {ours}: run `switchboard webhook check`,"
            " as the pods' init container does"
        )
    if version > ours:
        _refuse_newer(version, oldest, ours)


def _refuse_newer(version: int, oldest: int, ours: int) -> None:
    if oldest > ours:
        raise SchemaMismatch(
            f"the database's schema is version {version}, which needs a program of at least version {oldest};"
            f" this one's is {ours}: run the newer Switchboard, or give this one a database of its own"
        )


async def _read(connection: Connection) -> tuple[int, int]:
    row = await connection.fetchrow("SELECT version, oldest FROM switchboard_schema ORDER BY version DESC LIMIT 1")
    return (int(row["version"]), int(row["oldest"])) if row else (0, 0)
