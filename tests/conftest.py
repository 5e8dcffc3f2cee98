"""What all tests share: `--kubeconfig`, and the product as real processes on a cluster.

Each xdist worker has one cluster (embedded, or the one that is named with a local node that joins it), one Twilio
simulator and one operator, which watches namespaces of its own. A test takes a namespace and an account for itself.
"""

from __future__ import annotations

import itertools
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests import forking, scheduling
from tests.namespaces import Namespaces, needed

SESSION = {"scope": "session", "loop_scope": "session"}
ROUTER = "router"
NODE = pytest.StashKey[subprocess.Popen[str]]()
ADDRESS = pytest.StashKey[str]()
ZYGOTE = "zygote"
NURSERY = pytest.StashKey[forking.Zygote]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        type=Path,
        default=None,
        help="run the tests that need a cluster on this one, through a local node that joins it (default: embedded)",
    )
    parser.addoption(
        "--hostile",
        type=int,
        default=None,
        metavar="SEED",
        help="make the embedded clusters hostile: late, forgetful and often refusing, by the choices of this seed",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hostile") is not None and config.getoption("--kubeconfig") is not None:
        raise pytest.UsageError("--hostile makes the embedded cluster hostile: leave --kubeconfig or --hostile out")


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed = config.getoption("--hostile")
    return [] if seed is None else [f"hostile clusters, by seed {seed}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    workers = getattr(config, "workerinput", {}).get("workercount", 0)
    if workers > 1 and len(items) > 100 * workers:  # of a few, each has its place
        items[:] = scheduling.spread(items, workers)
    if config.getoption("--hostile") is None:
        return
    for item in items:
        for mark in item.iter_markers("calm"):
            item.add_marker(pytest.mark.skip(reason=f"not on a hostile cluster: {mark.args[0]}"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before each of xdist's workers starts: what they share, which ends after all of them.

    They have one zygote, and on a named cluster one node.
    """
    if NURSERY not in node.config.stash:
        node.config.stash[NURSERY] = forking.Zygote()
    node.workerinput[ZYGOTE] = node.config.stash[NURSERY].address
    path = node.config.getoption("--kubeconfig")
    if path is None:
        return
    if NODE not in node.config.stash:
        command = [sys.executable, "-m", "kubesandbox", "node", "--kubeconfig", str(path), "--stop-seconds", "0"]
        node.config.stash[NODE] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = node.config.stash[NODE].stdout.readline()
        found = re.search(r"router at (\S+)", said)
        if found is None:
            raise pytest.UsageError(f"no node could join the cluster of {path}: {said}")
        node.config.stash[ADDRESS] = found[1]
    node.workerinput[ROUTER] = node.config.stash[ADDRESS]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Processes are forked from here on; by a zygote that is started when the first is, where nobody shares one."""
    config = session.config
    shared = getattr(config, "workerinput", {}).get(ZYGOTE)

    def address() -> str:
        if shared is not None:
            return str(shared)
        if NURSERY not in config.stash:
            config.stash[NURSERY] = forking.Zygote()
        return config.stash[NURSERY].address

    forking.processes(address)


def pytest_unconfigure(config: pytest.Config) -> None:
    nursery = config.stash.get(NURSERY, None)
    if nursery is not None:
        nursery.close()
    process = config.stash.get(NODE, None)
    if process is not None:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path | None:
    """The cluster that was named, if one was."""
    path: Path | None = request.config.getoption("--kubeconfig")
    return path.resolve() if path else None


@pytest.fixture(scope="session")
def hostile(request: pytest.FixtureRequest) -> list[str]:
    """What an embedded cluster is started with, so that it is as hostile as was asked for."""
    seed = request.config.getoption("--hostile")
    return [] if seed is None else ["--hostile", str(seed)]


@pytest_asyncio.fixture(**SESSION)
async def cluster(
    request: pytest.FixtureRequest,
    kubeconfig: Path | None,
    hostile: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Any]:
    """A cluster with our kinds installed (`switchboard.sandbox.stack.Cluster`)."""
    from switchboard.sandbox import stack

    directory = tmp_path_factory.mktemp("cluster")
    router = getattr(request.config, "workerinput", {}).get(ROUTER)
    async with AsyncExitStack() as exits:
        if kubeconfig is not None and router is not None:
            running = stack.Cluster(kubeconfig, router, process=None)
        else:
            running = await exits.enter_async_context(stack.cluster(directory, kubeconfig, options=hostile))
        async with stack.kubectl(running.kubeconfig) as client:
            await client.install()
        yield running


@pytest_asyncio.fixture(**SESSION)
async def kubectl(cluster: Any) -> AsyncIterator[Any]:
    """A client of the cluster (`switchboard.sandbox.stack.Kubectl`), patient with it."""
    from tests import patient

    from switchboard.sandbox import stack

    async with await patient.connect(cluster.kubeconfig) as api:
        yield stack.Kubectl(api, cluster.kubeconfig)


@dataclass
class Twilio:
    """The simulator: where it is, and what steers it."""

    url: str
    control: Any
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(secrets.randbelow(9_000_000)))

    def number(self) -> str:
        """A phone number that no other test has."""
        return f"+1415{next(self._numbers) % 10_000_000:07d}"


@pytest_asyncio.fixture(**SESSION)
async def twilio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twilio]:
    """The Twilio simulator as a process."""
    from switchboard.sandbox import stack

    async with stack.simulator(tmp_path_factory.mktemp("twilio")) as (url, control):
        yield Twilio(url, control)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server as a process (`tests.postgres.Server`). A test that stops it starts it again."""
    from tests.postgres import Server

    with Server() as server:
        yield server


@dataclass
class Product:
    """Everything at once: a cluster, the simulator, and an operator that watches `namespaces`."""

    cluster: Any
    kubectl: Any
    twilio: Twilio
    directory: Path
    operator: Any
    _namespaces: Namespaces
    _start: Callable[[], Awaitable[Any]]

    async def namespace(self) -> str:
        """A namespace that no other test has."""
        return await self._namespaces.take()

    async def restart_operator(self) -> None:
        """Starts another operator in place of the one that was ended."""
        self.operator = await self._start()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(
    request: pytest.FixtureRequest,
    cluster: Any,
    kubectl: Any,
    twilio: Twilio,
    kubeconfig: Path | None,
    hostile: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Product]:
    """The operator as a process, beside cluster and simulator."""
    import json

    from switchboard.sandbox import stack

    namespaces = Namespaces(kubectl, "sb", needed(request))
    directory = tmp_path_factory.mktemp("product")
    environment = {
        "SWITCHBOARD_PUBLIC_URL": cluster.router,
        "SWITCHBOARD_TWILIO_BASE_URL": twilio.url,
        "SWITCHBOARD_NAMESPACES": json.dumps(namespaces.names),
        "KUBECONFIG": str(cluster.kubeconfig),
    }
    if hostile:  # news of deliveries finds no pod while endpoints lag: looked up in seconds instead of minutes
        pods = {
            "SWITCHBOARD_BACKFILL_SECONDS": "5",
            "SWITCHBOARD_SETTLING_SECONDS": "8",
            "SWITCHBOARD_DELIVERY_AGES": "[5, 15, 30]",
        }
        environment["SWITCHBOARD_POD_ENVIRONMENT"] = json.dumps(pods)
    async with AsyncExitStack() as exits:

        async def start() -> Any:
            return await exits.enter_async_context(stack.operator(directory, environment))

        yield Product(cluster, kubectl, twilio, directory, await start(), namespaces, start)
        if kubeconfig:  # an embedded cluster goes with all that is in it
            await namespaces.leave()
