"""An API server with our kinds and a Twilio simulator, as processes; a rig for each test."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.integration.webhook.rig import Rig, rig
from tests.patient import connect
from tests.postgres import Server

from switchboard.api import crd
from switchboard.kube.resources import CRDS
from switchboard.log.postgres import migrate
from switchboard.sandbox.twilio.control import Control

MakeRig = Callable[..., Awaitable[Rig]]


@contextmanager
def process(*command: str) -> Iterator[str]:
    """A process; what it says first."""
    with subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline()
        finally:
            child.terminate()


async def _install(kubeconfig: Path) -> None:
    async with await connect(kubeconfig) as api:
        for kind in crd.KINDS:
            name = crd.definition(kind)["metadata"]["name"]
            await api.apply(CRDS, crd.definition(kind), manager="tests")
            async for _ in api.watch(CRDS, field_selector=f"metadata.name={name}"):
                conditions = (await api.get(CRDS, name)).get("status", {}).get("conditions", [])
                if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                    break


@pytest.fixture(scope="session")
def api_server(cluster: Any) -> Path:
    """The kubeconfig of a cluster that knows our kinds. Its node has nothing to do: pods are started by the rig."""
    path: Path = cluster.kubeconfig
    return path


@pytest.fixture(scope="session")
def simulator(twilio: Any) -> str:
    """The Twilio simulator's URL."""
    return str(twilio.url)


class Databases:
    """A PostgreSQL server; each test has a database of its own, with our tables in it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._template = f"t{secrets.token_hex(4)}"
        self._names = itertools.count()
        self._create(self._template)
        asyncio.run(migrate(server.dsn(self._template)))

    def dsn(self) -> str:
        name = f"{self._template}_{next(self._names)}"
        self._create(name, "-T", self._template)
        return self.server.dsn(name)

    def _create(self, name: str, *options: str) -> None:
        where = ["-h", str(self.server.directory), "-U", "switchboard"]
        subprocess.run([self.server.tool("createdb"), *where, *options, name], check=True, capture_output=True)


@pytest.fixture(scope="session")
def databases(postgres: Server) -> Databases:
    """A database for each test that asks for one."""
    return Databases(postgres)


_numbers = itertools.count(secrets.randbelow(4_000_000) * 2)


@pytest.fixture
def number() -> Callable[[], str]:
    """Gives phone numbers that no other test has."""
    return lambda: f"+1415{next(_numbers) % 10_000_000:07d}"


@pytest_asyncio.fixture
async def make_rig(
    api_server: Path, simulator: str, tmp_path: Path, number: Callable[[], str]
) -> AsyncIterator[MakeRig]:
    """Makes rigs; all they started is gone afterwards."""
    async with AsyncExitStack() as exits:
        api = await exits.enter_async_context(await connect(api_server))
        control = await exits.enter_async_context(Control(simulator))

        async def make(**more: Any) -> Rig:
            directory = tmp_path / secrets.token_hex(4)
            directory.mkdir()
            more.setdefault("number", number())
            more.setdefault("kubeconfig", api_server)
            return await exits.enter_async_context(rig(api, twilio=control, directory=directory, **more))

        yield make
