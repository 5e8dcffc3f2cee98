"""Admission: what is checked across kinds before a write is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kubesandbox import errors
from kubesandbox.errors import StatusError
from kubesandbox.objects import Object, dig

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


class Plugin(Protocol):
    """One check of the chain; refuses by raising StatusError."""

    def validate(self, kind: Kind, operation: str, obj: Object | None, old: Object | None, request: Request) -> None:
        """Look at a write that is otherwise good; `obj` is None for DELETE, `old` for CREATE."""


class Admission:
    """The chain, in order."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.plugins: list[Plugin] = []

    def mutate_create(self, kind: Kind, obj: Object, request: Request) -> None:
        """What is settled or refused before a new object is validated."""
        if kind.namespaced:
            check_namespace(self._cluster, kind, obj, request)
        if kind.strategy.custom:
            self._check_definition(kind, obj)

    def _check_definition(self, kind: Kind, obj: Object) -> None:
        name = f"{kind.plural}.{kind.group}"
        definition = self._cluster.store.table("apiextensions.k8s.io", "customresourcedefinitions").get("", name)
        conditions = dig(definition.object, "status", "conditions") if definition else None
        if any(c["type"] == "Terminating" and c["status"] == "True" for c in conditions or ()):
            why = "create not allowed while custom resource definition is terminating"
            raise errors.forbidden(kind.group, kind.plural, obj["metadata"].get("name", ""), why)

    def validate(self, kind: Kind, operation: str, obj: Object | None, old: Object | None, request: Request) -> None:
        """Every plugin's say on a write that is otherwise good."""
        for plugin in self.plugins:
            plugin.validate(kind, operation, obj, old, request)


def check_namespace(cluster: Cluster, kind: Kind, obj: Object, request: Request) -> None:
    """NamespaceLifecycle: nothing new in a namespace that is missing or going."""
    version = cluster.store.table("", "namespaces").get("", request.namespace)
    if version is None:
        raise errors.not_found("", "namespaces", request.namespace)
    if dig(version.object, "status", "phase") == "Terminating" or version.object["metadata"].get("deletionTimestamp"):
        raise terminating(kind, obj["metadata"].get("name", ""), request.namespace)


def terminating(kind: Kind, name: str, namespace: str) -> StatusError:
    """403 for what comes too late."""
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    said = f"namespace {namespace} is being terminated"
    cause: errors.CauseBody = {"reason": "NamespaceTerminating", "message": said, "field": "metadata.namespace"}
    return errors.forbidden(kind.group, kind.plural, name, why, [cause])
