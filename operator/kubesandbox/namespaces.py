"""The namespace controller: empties a namespace that is going, then lets it go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import crud, deletion
from kubesandbox.deletion import DeleteOptions
from kubesandbox.errors import StatusError
from kubesandbox.objects import clone, dig
from kubesandbox.store import Event, name_of
from kubesandbox.tasks import Soon

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind

KEY = ("", "namespaces")


class NamespaceController:
    """Deletes what is in a terminating namespace, and finalizes it when nothing is left."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._soon = Soon(self.sync)
        cluster.store.listeners.append(self._notice)

    def _notice(self, key: tuple[str, str], event: Event) -> None:
        if key == KEY and event.type != "DELETED":
            if event.version.object["metadata"].get("deletionTimestamp"):
                self._soon.add(name_of(event.version.object))
        elif event.type == "DELETED" and event.namespace:
            namespace = self._cluster.store.table(*KEY).get("", event.namespace)
            if namespace and namespace.object["metadata"].get("deletionTimestamp"):
                self._soon.add(event.namespace)

    def sync(self, name: str) -> None:
        """Delete what is left in the namespace; finalize it when that is nothing."""
        table = self._cluster.store.table(*KEY)
        version = table.get("", name)
        if version is None or not version.object["metadata"].get("deletionTimestamp"):
            return
        left = 0
        found = [
            (kind, item)
            for kind in self._cluster.kinds.resources()
            if kind.namespaced and "delete" in kind.verbs
            for item in self._cluster.store.table(*kind.table_key).scan(name)
        ]
        hostility = self._cluster.hostility
        if hostility:
            hostility.shuffle(found)
        for kind, item in found:
            if item.object["metadata"].get("deletionTimestamp") is None:
                self._delete(kind, name_of(item.object), name)
        for kind in self._cluster.kinds.resources():
            if kind.namespaced:
                left += sum(1 for _ in self._cluster.store.table(*kind.table_key).scan(name))
        if left == 0:
            self._finalize(name)

    def _delete(self, kind: Kind, name: str, namespace: str) -> None:
        try:
            deletion.delete(kind, name, DeleteOptions(propagation="Background"), self._cluster.request(namespace))
        except StatusError as error:
            if error.code != 404:
                raise

    def _finalize(self, name: str) -> None:
        kind = self._cluster.kinds.find("", "v1", "namespaces")
        version = self._cluster.store.table(*KEY).get("", name)
        if kind is None or version is None:
            return
        obj = clone(version.object)
        obj["spec"]["finalizers"] = [f for f in dig(obj, "spec", "finalizers") or () if f != "kubernetes"]
        if not obj["spec"]["finalizers"]:
            del obj["spec"]["finalizers"]
            if not obj["metadata"].get("finalizers"):
                crud.remove(kind, obj, self._cluster.request())
                return
        self._cluster.store.table(*KEY).put(obj)
