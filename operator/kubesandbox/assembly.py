"""A control plane from its parts, and the same as a running server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubesandbox import crud, scale, subresources
from kubesandbox.builtin import catalog
from kubesandbox.cluster import Cluster
from kubesandbox.namespaces import NamespaceController
from kubesandbox.objects import Object
from kubesandbox.rbac.aggregation import Aggregation
from kubesandbox.rbac.defaults import cluster_role_bindings, cluster_roles
from kubesandbox.rbac.escalation import EscalationCheck
from kubesandbox.server import ApiServer
from kubesandbox.wire.protocol import Server

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass
class Options:
    """How a sandbox is started."""

    host: str = "127.0.0.1"
    port: int = 0


def new_cluster() -> Cluster:
    """A cluster with its built-in kinds and the objects that every cluster has."""
    cluster = Cluster()
    for kind in catalog.kinds():
        cluster.kinds.add(kind)
    scale.install(cluster)
    subresources.install(cluster)
    cluster.admission.plugins.append(EscalationCheck())
    for body in _initial_objects():
        found = cluster.kinds.by_kind(body["apiVersion"], body["kind"])
        assert found is not None
        crud.create(found, crud.receive(found, body, cluster.request()), cluster.request())
    NamespaceController(cluster)
    Aggregation(cluster)
    return cluster


def _initial_objects() -> Iterator[Object]:
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield from cluster_roles()
    yield from cluster_role_bindings()


class Sandbox:
    """A running API server; `async with` starts and stops it."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.cluster = new_cluster()
        self._server = Server(ApiServer(self.cluster))
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.options.host}:{self.port}"

    async def __aenter__(self) -> Sandbox:
        self.port = await self._server.start(self.options.host, self.options.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.stop()
