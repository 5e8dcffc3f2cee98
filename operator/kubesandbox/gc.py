"""The garbage collector: dependents of what is gone go too, Background, Foreground or Orphan.

As kube-controller-manager's: an object goes when none of its owners exists any more; of several, only the references
to missing ones are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesandbox import crud, deletion
from kubesandbox.deletion import DeleteOptions
from kubesandbox.errors import StatusError
from kubesandbox.objects import Object, clone
from kubesandbox.store import Event, Version, namespace_of
from kubesandbox.tasks import Soon

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

Key = tuple[str, str]
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


@dataclass(frozen=True, slots=True)
class Node:
    """Where an object is."""

    key: Key
    namespace: str
    name: str


@dataclass
class Graph:
    """Which objects exist, and who depends on whom; by uid."""

    nodes: dict[str, Node] = field(default_factory=dict)
    dependents: dict[str, set[str]] = field(default_factory=dict)

    def put(self, uid: str, node: Node, owners: set[str], before: set[str]) -> None:
        """Note an object and its owners."""
        self.nodes[uid] = node
        for owner in before - owners:
            self._forget(owner, uid)
        for owner in owners:
            self.dependents.setdefault(owner, set()).add(uid)

    def drop(self, uid: str, owners: set[str]) -> None:
        """Note that an object is gone; who depends on it is still known."""
        self.nodes.pop(uid, None)
        for owner in owners:
            self._forget(owner, uid)

    def _forget(self, owner: str, uid: str) -> None:
        found = self.dependents.get(owner)
        if found is not None:
            found.discard(uid)
            if not found:
                del self.dependents[owner]


def _owners(obj: Object | None) -> set[str]:
    return {owner["uid"] for owner in (obj or {}).get("metadata", {}).get("ownerReferences") or ()}


class GarbageCollector:
    """Follows the store and works on what its changes touch."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._graph = Graph()
        self._soon: Soon[str] = Soon(self._sync)
        cluster.store.listeners.append(self._notice)

    def _notice(self, key: Key, event: Event) -> None:
        obj = event.version.object
        meta = obj["metadata"]
        uid, owners = meta["uid"], _owners(obj)
        if event.type == "DELETED":
            self._graph.drop(uid, owners)
            for dependent in tuple(self._graph.dependents.get(uid, ())):
                self._soon.add(dependent)
            for owner in owners:  # one that waits for its dependents
                self._soon.add(owner)
            return
        before = _owners(event.previous.object if event.previous else None)
        self._graph.put(uid, Node(key, event.namespace, meta["name"]), owners, before)
        if owners != before or (meta.get("deletionTimestamp") and meta.get("finalizers")):
            self._soon.add(uid)

    def _version(self, uid: str) -> Version | None:
        node = self._graph.nodes.get(uid)
        if node is None:
            return None
        version = self._cluster.store.table(*node.key).get(node.namespace, node.name)
        return version if version and version.object["metadata"]["uid"] == uid else None

    def _sync(self, uid: str) -> None:
        """Bring one object to where its owners and its own deletion want it."""
        version = self._version(uid)
        if version is None:
            return
        meta = version.object["metadata"]
        if meta.get("deletionTimestamp"):
            finalizers = meta.get("finalizers") or ()
            if ORPHAN in finalizers:
                self._orphan(uid)
            elif FOREGROUND in finalizers:
                self._foreground(uid)
            return
        if meta.get("ownerReferences"):
            self._follow_owners(uid, version)

    def _follow_owners(self, uid: str, version: Version) -> None:
        solid, waiting, dangling = [], [], []
        for reference in version.object["metadata"]["ownerReferences"]:
            owner = self._version(reference["uid"])
            namespace = namespace_of(version.object)
            if owner is None or (namespace_of(owner.object) and namespace_of(owner.object) != namespace):
                dangling.append(reference)
            elif owner.object["metadata"].get("deletionTimestamp") and FOREGROUND in (
                owner.object["metadata"].get("finalizers") or ()
            ):
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            if dangling or waiting:
                self._write(uid, lambda meta: _keep_references(meta, solid))
            return
        policy = "Foreground" if waiting and self._graph.dependents.get(uid) else "Background"
        finalizers = version.object["metadata"].get("finalizers") or ()
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers:
            policy = "Foreground"
        self._delete(uid, policy)

    def _orphan(self, uid: str) -> None:
        for dependent in self._dependents(uid):
            self._write(dependent, lambda meta: _drop_reference(meta, uid))
        self._write(uid, lambda meta: _drop_finalizer(meta, ORPHAN))

    def _foreground(self, uid: str) -> None:
        blocking = False
        for dependent in self._dependents(uid):
            version = self._version(dependent)
            if version is None:
                continue
            reference = next(r for r in version.object["metadata"]["ownerReferences"] if r["uid"] == uid)
            blocking = blocking or bool(reference.get("blockOwnerDeletion"))
            if not version.object["metadata"].get("deletionTimestamp"):
                self._soon.add(dependent)
        if not blocking:
            self._write(uid, lambda meta: _drop_finalizer(meta, FOREGROUND))

    def _dependents(self, uid: str) -> Iterator[str]:
        yield from tuple(self._graph.dependents.get(uid, ()))

    def _delete(self, uid: str, policy: str) -> None:
        node = self._graph.nodes[uid]
        kind = self._cluster.kinds.any_version(*node.key)
        if kind is None:
            return
        try:
            deletion.delete(
                kind,
                node.name,
                DeleteOptions(propagation=policy, uid=uid),
                self._cluster.request(node.namespace),
            )
        except StatusError as error:
            if error.code not in {404, 409}:
                raise

    def _write(self, uid: str, change: Callable[[Object], None]) -> None:
        """Change an object's metadata as the control plane."""
        version = self._version(uid)
        if version is None:
            return
        node = self._graph.nodes[uid]
        kind = self._cluster.kinds.any_version(*node.key)
        if kind is None:
            return
        obj = clone(version.object)
        change(obj["metadata"])
        crud.store_update(kind, obj, version.object, self._cluster.request(node.namespace))


def _keep_references(meta: Object, references: list[Object]) -> None:
    meta["ownerReferences"] = clone(references)


def _drop_reference(meta: Object, uid: str) -> None:
    left = [r for r in meta.get("ownerReferences") or () if r["uid"] != uid]
    if left:
        meta["ownerReferences"] = left
    else:
        meta.pop("ownerReferences", None)


def _drop_finalizer(meta: Object, finalizer: str) -> None:
    left = [name for name in meta.get("finalizers") or () if name != finalizer]
    if left:
        meta["finalizers"] = left
    else:
        meta.pop("finalizers", None)
