"""A control plane from its parts, and the same as a running server with controllers and a node."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kubesandbox import crud, decoding, kubeconfig
from kubesandbox.builtin import catalog
from kubesandbox.builtin.claims import ClaimProtection
from kubesandbox.cluster import Cluster
from kubesandbox.custom.cleanup import DefinitionCleanup
from kubesandbox.expiry import expire_events
from kubesandbox.gc import GarbageCollector
from kubesandbox.hostile import Hostility
from kubesandbox.namespaces import NamespaceController
from kubesandbox.objects import Object
from kubesandbox.policies.plugin import PolicyPlugin
from kubesandbox.rbac.aggregation import Aggregation
from kubesandbox.rbac.defaults import cluster_role_bindings, cluster_roles
from kubesandbox.rbac.escalation import EscalationCheck
from kubesandbox.server import ApiServer
from kubesandbox.wire.protocol import Server

if TYPE_CHECKING:
    from kubesandbox.client import Config
    from kubesandbox.tls import Identity

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_log = logging.getLogger(__name__)


@dataclass
class Options:
    """How a sandbox is started."""

    host: str = "127.0.0.1"
    port: int = 0
    rbac: bool = False
    controllers: bool = True
    node: bool = True
    node_name: str = "kubesandbox"
    router_port: int = 0
    hostile: int | None = None  # the seed of a hostile cluster
    tls: bool = False
    stop_seconds: float = 3.0  # what containers get to end when the sandbox ends


def new_cluster(*, rbac: bool = False) -> Cluster:
    """A cluster with its built-in kinds and the objects that every cluster has."""
    cluster = Cluster()
    for kind in catalog.kinds():
        cluster.kinds.add(kind)
    cluster.admission.plugins += [EscalationCheck(), PolicyPlugin(cluster)]
    for body in _initial_objects():
        found = cluster.kinds.by_kind(body["apiVersion"], body["kind"])
        if found is None:
            raise LookupError(f"{body['kind']} is not served")
        crud.create(found, decoding.receive(found, body, cluster.request()), cluster.request())
    for controller in (NamespaceController, Aggregation, GarbageCollector, DefinitionCleanup, ClaimProtection):
        controller(cluster)
    cluster.authorizer.enforced = rbac
    return cluster


def _initial_objects() -> Iterator[Object]:
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield from cluster_roles()
    yield from cluster_role_bindings()


class Sandbox:
    """A running API server with its controllers and its node; `async with` starts and stops it.

    On entry the API answers. Controllers and node follow: `await ready()` where they are needed at once.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.cluster = new_cluster(rbac=self.options.rbac)
        if self.options.hostile is not None:
            self.cluster.hostility = Hostility(self.options.hostile)
            self.cluster.lister.lag = self.cluster.hostility.watch_lag
        self.identity = self._new_identity() if self.options.tls else None
        if self.identity:
            self.cluster.admin_token = secrets.token_urlsafe(32)
            self.cluster.authority = self.identity.certificate
        self._server = Server(ApiServer(self.cluster))
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: list[asyncio.Event] = []
        self.port = 0
        self.router_url = ""

    def _new_identity(self) -> Identity:
        from kubesandbox.tls import new_identity

        return new_identity(self.options.host)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.identity else 'http'}://{self.options.host}:{self.port}"

    async def __aenter__(self) -> Self:
        context = self.identity.context if self.identity else None
        self.port = await self._server.start(self.options.host, self.options.port, ssl=context)
        self._tasks.append(asyncio.create_task(expire_events(self.cluster)))
        if self.options.controllers:
            self._run(self._controllers)
        if self.options.node:
            self._run(self._node)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()

    async def ready(self) -> None:
        """Return when controllers and node are at work; raise what ended one of them."""
        everything = asyncio.create_task(self._all_ready())
        try:
            await asyncio.wait({everything, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()
        finally:
            everything.cancel()

    async def _all_ready(self) -> None:
        for event in self._ready:
            await event.wait()

    async def failed(self) -> None:
        """Return never, or raise what ended a controller or the node."""
        if not self._tasks:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def write_kubeconfig(self, path: Path) -> None:
        """Write the administrator's kubeconfig."""
        authority = self.identity.certificate if self.identity else None
        kubeconfig.write(path, self.url, certificate_authority=authority, token=self.cluster.admin_token)

    def _client_config(self) -> Config:
        from kubesandbox.client import Config

        authority = self.identity.certificate if self.identity else None
        return Config(self.url, ca_data=authority, token=self.cluster.admin_token)

    def _run(self, part: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        event = asyncio.Event()
        self._ready.append(event)
        self._tasks.append(asyncio.create_task(part(event)))

    async def _controllers(self, ready: asyncio.Event) -> None:
        await asyncio.to_thread(_import_client)
        from kubesandbox import controllers
        from kubesandbox.client import Client

        async with Client(self._client_config(), user_agent="kube-controller-manager") as client:
            await controllers.run(client, ready.set)

    async def _node(self, ready: asyncio.Event) -> None:
        await asyncio.to_thread(_import_client)
        from kubesandbox import node
        from kubesandbox.client import Client

        def started(running: node.Node) -> None:
            self.router_url = running.router_url
            ready.set()

        options = node.NodeOptions(
            name=self.options.node_name,
            router_port=self.options.router_port,
            stop_seconds=self.options.stop_seconds,
        )
        if self.cluster.hostility:
            options = replace(options, mount_lag=self.cluster.hostility.mount_lag)
        async with Client(self._client_config(), user_agent="kubelet") as client:
            await node.run(client, options, started)


def _import_client() -> None:
    """Load the HTTP client beside the event loop: it takes longer to import than the API takes to start."""
    import aiohttp.web  # noqa: F401

    from kubesandbox import client, controllers, node  # noqa: F401
