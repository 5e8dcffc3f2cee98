"""Both conversation logs behind one harness: the tests beside this file run on each, unchanged."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.integration.log import on_cluster, on_postgres
from tests.integration.log.harness import Backend, World, open_log
from tests.postgres import Server


@pytest.fixture(params=["resources", "postgres"])
def place(request: pytest.FixtureRequest) -> Any:
    """A running cluster, or database server; only what a test needs is started."""
    return request.getfixturevalue("cluster" if request.param == "resources" else "database_server")


@pytest.fixture
async def world(place: Any) -> AsyncIterator[World]:
    """A store of each kind, empty."""
    async with AsyncExitStack() as exits:
        store: Backend
        if isinstance(place, Server):
            store = await on_postgres.backend(place, exits)
        else:
            store = await on_cluster.backend(place.kubeconfig, f"log-{secrets.token_hex(6)}", exits)
        yield World(store, await open_log(store, exits, "support"), exits)


@pytest.fixture(scope="session")
def database_server() -> Iterator[Server]:
    """A PostgreSQL server as a process. Its flushes are left out: no test here cuts the machine's power."""
    with Server({"fsync": "off"}) as server:
        yield server


@pytest.fixture
async def database(database_server: Server) -> AsyncIterator[World]:
    """A log in the database."""
    async with AsyncExitStack() as exits:
        store = await on_postgres.backend(database_server, exits)
        yield World(store, await open_log(store, exits, "support"), exits)
